"""Wrong layers and classes are refused before TensorFlow is imported, by the same words as later; right ones never."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from command_line import run_program
from keras import layers, ops

from live_gradcam import Explainer, load_classifier
from live_gradcam.errors import UsageError
from live_gradcam.networks import layer_table
from live_gradcam.networks.asked_for import check_names, known_labels, known_layers
from live_gradcam.networks.catalog import known_models
from live_gradcam.networks.graph import flatten
from live_gradcam.networks.labels import find_target, imagenet_labels
from live_gradcam.networks.layer_table import layers_of_network
from live_gradcam.networks.model_source import ModelOptions
from live_gradcam.networks.target_layer import candidate_layers, find_layer

# --- the table of the networks that come by name ------------------------------------------------------------------


def test_the_table_has_every_network() -> None:
    assert all(layers_of_network(name) is not None for name in known_models())


def test_the_table_is_of_the_version_of_keras_that_is_here() -> None:
    """If not: `python benchmarks/reference/layer_names.py --compare`."""
    assert layer_table.table_is_of_this_keras()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["efficientnet-lite1", "InceptionV3", "MobileNetV3Small", "ConvNeXtTiny", "NASNetMobile", "EfficientNetB0"]
)
def test_the_table_is_that_of_the_network_as_it_is_built(name: str) -> None:
    keras.utils.clear_session()  # layers without a name are numbered from the start
    with keras.StatelessScope(initialize_variables=False):
        classifier = load_classifier(name, weights=None)
        network = flatten(classifier.model, classifier.input_size)
        candidates = {operation.name for operation in candidate_layers(network)}
    names = tuple(dict.fromkeys(operation.name for operation in network.operations))
    known = layers_of_network(name)
    assert known is not None
    assert known.names == names
    assert set(known.candidates) == candidates
    for wrong in ("konv", "blok3", "nothing like it"):
        with pytest.raises(UsageError) as late:
            find_layer(network, wrong)
        with pytest.raises(UsageError) as early:
            known.check(wrong)
        assert str(early.value) == str(late.value)


def test_names_that_keras_numbers_are_not_known_once_it_may_have_numbered_others(monkeypatch) -> None:
    """In a program that built another network before, InceptionV3's first layer is conv2d_7 or so, and may be named."""
    monkeypatch.setattr("live_gradcam.networks.applications.numbering_has_begun", lambda: False)
    with pytest.raises(UsageError, match="there is no layer 'conv2d_940'"):
        check_names("InceptionV3", ModelOptions(weights=None), layer="conv2d_940")
    monkeypatch.undo()
    check_names("InceptionV3", ModelOptions(weights=None), layer="conv2d_940")
    with pytest.raises(UsageError, match="there is no layer 'conv2d_940'"):  # whose layers all have names of their own
        check_names("efficientnet-lite0", ModelOptions(), layer="conv2d_940")


def test_names_of_another_keras_are_not_taken_for_known(monkeypatch) -> None:
    monkeypatch.setattr("live_gradcam.networks.applications.numbering_has_begun", lambda: False)
    monkeypatch.setattr(layer_table, "version", lambda package: "3.99.1")
    check_names("VGG16", ModelOptions(weights=None), layer="new_in_keras_3.99")


# --- before TensorFlow --------------------------------------------------------------------------------------------

_ONE_PROCESS = """
import sys
from live_gradcam.cli import app

for command in {commands!r}:
    try:
        app(command)
    except SystemExit as end:
        assert end.code == 2, (command, end.code)
heavy = [name for name in ("tensorflow", "keras") if name in sys.modules]
assert not heavy, heavy
"""

WRONG = {
    ("--layer", "block5_conv", "-m", "vgg16"): "no layer 'block5_conv'; did you mean block5_conv1, block5_conv2 or",
    ("--layer", "head_relu6, hed_relu6"): "there is no layer 'hed_relu6'; did you mean head_relu6",
    ("-c", "Egyptain cat"): "there is no class 'Egyptain cat'; did you mean Egyptian cat",
    ("-c", "top1", "-c", "9999"): "there is no class 9999: the classes are 0 to ",
    ("-c", "top1", "-c", "tabby"): "top1 is each frame's most probable class, and goes with no other class: leave it",
    ("-c", "tabby>tiger catt", "-m", "ResNet50"): "there is no class 'tiger catt'; did you mean tiger cat",
    ("-c", "cat>cat"): "'cat>cat' contrasts a class with itself",
    ("-c", "buterfly", "--names", "everyday"): "did you mean butterfly",
}


@pytest.mark.slow
def test_a_typo_is_refused_in_every_command_before_tensorflow_is_imported() -> None:
    places = [["explain", "x.png"], ["annotate", "x.mp4"], ["evaluate", "x.png"], ["bench"], ["live"]]
    commands = [[*place, *wrong] for place in places for wrong in WRONG]
    commands += [["layers", "--layer", "heat_relu6"], ["models", "--explain-lowering", "--layer", "heat_relu6"]]
    done = run_program(_ONE_PROCESS.format(commands=commands))
    assert done.code == 0, done.err
    lines = done.err.splitlines()
    assert len(lines) == len(commands)
    for line, expected in zip(lines, [*WRONG.values()] * len(places), strict=False):
        assert expected in line


@pytest.mark.parametrize(
    "name",
    [
        "281",
        "Egyptian cat",
        "egyptian-cat",
        "EGYPTIAN_CAT",
        "281>282",
        "tabby > Egyptian cat",
        "cat",
        "cat>dog",
        "1001",
    ],
)
def test_what_the_loaded_model_takes_is_taken(name: str) -> None:
    everyday = "cat" in name.split(">") or name == "1001"
    check_names("VGG16", ModelOptions(weights=None), classes=(name,), names="everyday" if everyday else None)
    if everyday and name != "1001":
        check_names("VGG16", ModelOptions(weights=None), classes=(name,))  # one of them is enough to list them


def test_everyday_names_are_usual_before_a_camera(tmp_path: Path) -> None:
    check_names("VGG16", ModelOptions(weights=None), classes=("1001",), is_live=True)
    with pytest.raises(UsageError, match="the classes are 0 to 999"):
        check_names("VGG16", ModelOptions(weights=None), classes=("1001",))
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(f"kind {index}" for index in range(1000)))
    with pytest.raises(UsageError, match="the classes are 0 to 999"):
        check_names("VGG16", ModelOptions(weights=None, labels=labels), classes=("1001",), is_live=True)


# --- model files --------------------------------------------------------------------------------------------------


@keras.saving.register_keras_serializable("tests")
class Pair(keras.Sequential):
    """A model whose file says nothing of its layers but this class."""

    def __init__(self, **settings) -> None:
        super().__init__([layers.Conv2D(3, 3, name="hidden"), layers.ReLU()], **settings)

    def get_config(self):
        return {"name": self.name}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)


def nested(last) -> keras.Model:
    """A backbone in a Sequential in a functional model, with an operation that is no layer."""
    backbone = keras.Sequential([layers.Conv2D(4, 3, name="stem"), layers.ReLU(name="stem_relu")], name="backbone")
    image = keras.Input((16, 16, 3), name="image")
    x = keras.Sequential([backbone, layers.Conv2D(4, 3, name="late")], name="features")(image)
    x = ops.exp(x / 9)
    return keras.Model(image, last(layers.GlobalAveragePooling2D()(x)), name="nested")


def test_the_layers_of_a_file_are_those_of_the_loaded_model(tmp_path: Path) -> None:
    nested(layers.Dense(3)).save(tmp_path / "a.keras")
    known = known_layers(str(tmp_path / "a.keras"), ModelOptions())
    classifier = load_classifier(tmp_path / "a.keras", preprocessing="unit")
    names = [operation.name for operation in flatten(classifier.model, (16, 16)).operations]
    assert known is not None
    assert [name for name in known.names if name not in ("features/backbone", "features")] == names
    for right in ("features/backbone/stem_relu", "stem_relu", "late", "late, stem", "to_float16"):
        check_names(str(tmp_path / "a.keras"), ModelOptions(), layer=right)
    with pytest.raises(UsageError, match="there is no layer 'stem_rel'; did you mean stem_relu or stem"):
        check_names(str(tmp_path / "a.keras"), ModelOptions(), layer="late,stem_rel")
    with pytest.raises(UsageError, match="there is no layer 'image'"):
        check_names(str(tmp_path / "a.keras"), ModelOptions(), layer="image")


@pytest.mark.slow
def test_a_file_with_a_class_of_the_users_may_have_other_layers(tmp_path: Path) -> None:
    image = keras.Input((16, 16, 3))
    keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(Pair(name="pair")(image)))).save(
        tmp_path / "a.keras"
    )
    options = ModelOptions(preprocessing="unit")
    assert known_layers(str(tmp_path / "a.keras"), options) is None
    check_names(str(tmp_path / "a.keras"), options, layer="pair/hidden")
    assert Explainer(load_classifier(tmp_path / "a.keras", preprocessing="unit"), layer="pair/hidden").layer


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize(
    ("last", "output"),
    [
        (lambda x: layers.Dense(3)(x), None),
        (lambda x: layers.Dense(3, activation="softmax")(x), None),
        (lambda x: layers.Dense(3, activation="sigmoid")(x), None),
        (lambda x: layers.Dense(3, activation="relu")(x), None),
        (lambda x: layers.Dense(1, activation="sigmoid")(x), None),
        (lambda x: layers.Dense(1)(x), None),
        (lambda x: layers.Dense(3)(x), "labels"),
        (lambda x: layers.Dense(1)(x), "classes"),
        (lambda x: keras.Sequential([layers.Dense(5), layers.Dense(2)])(x), None),
        (lambda x: layers.Softmax()(layers.Dense(3)(x)), None),
        (lambda x: layers.Activation("sigmoid")(layers.Dense(3)(x)), None),
        (lambda x: layers.Activation("linear")(layers.Dense(3, activation="sigmoid")(x)), None),
        (lambda x: keras.Sequential([layers.Dense(3), layers.Softmax()])(x), None),
        (lambda x: layers.Flatten()(layers.Dense(3)(x)), None),
    ],
)
def test_the_labels_of_a_file_are_those_of_the_loaded_model(tmp_path: Path, ending: str, last, output) -> None:
    image = keras.Input((16, 16, 3))
    model = keras.Model(image, last(layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image))))
    path = tmp_path / f"a{ending}"
    model.save(path)
    options = ModelOptions(output=output, preprocessing="unit", say=lambda note: None)
    known = known_labels(str(path), options)
    loaded = load_classifier(path, **vars(options))
    assert known in (loaded.labels, None)
    assert (known is None) == isinstance(model.layers[-1], layers.Flatten)
    with pytest.raises(UsageError) as late:
        find_target("class 7", loaded.labels, None)
    if known is not None:
        with pytest.raises(UsageError) as early:
            check_names(str(path), options, classes=("class 7",))
        assert str(early.value) == str(late.value)
    count = len(loaded.labels)
    (tmp_path / "labels.txt").write_text("".join(f"kind {index}\n" for index in range(count)))
    beside = tuple(f"kind {index}" for index in range(count))
    assert known_labels(str(path), options) in (beside, None)
    assert load_classifier(path, **vars(options)).labels == beside


def test_labels_that_the_user_gives_are_known_where_their_number_is_not(tmp_path: Path) -> None:
    image = keras.Input((16, 16, 3))
    x = layers.Dense(2)(layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image)))
    keras.Model(image, layers.Flatten()(x)).save(tmp_path / "a.keras")
    path, options = str(tmp_path / "a.keras"), ModelOptions(labels=("rose", "tulip"))
    with pytest.raises(UsageError, match="there is no class 'tulp'; did you mean tulip"):
        check_names(path, options, classes=("tulp",))
    check_names(path, options, classes=("tulip>rose", "1"))
    check_names(path, ModelOptions(), classes=("tulp",))  # which only the loaded model tells
    check_names(path, ModelOptions(labels=("rose",)), classes=("not rose",))


def test_a_network_with_labels_of_its_own(tmp_path: Path) -> None:
    labels = [f"kind {index}" for index in range(1000)]
    options = ModelOptions(weights=None, labels=labels)
    check_names("VGG16", options, classes=("kind 999",))
    with pytest.raises(UsageError, match="there is no class 'Egyptian cat'"):
        check_names("VGG16", options, classes=("Egyptian cat",))
    assert known_labels("VGG16", ModelOptions()) == imagenet_labels()
    assert np.unique(imagenet_labels()).size == 1000
