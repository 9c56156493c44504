"""Labels, the catalogue, preprocessing, and the reader of PyTorch checkpoints."""

from __future__ import annotations

import json
import os
import pickle
import struct
import sys
import types
from collections import OrderedDict
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from live_gradcam import Explainer, load_classifier
from live_gradcam.compiling import runtime
from live_gradcam.errors import ModelError, UsageError
from live_gradcam.explanations.explanation import Target
from live_gradcam.networks.catalog import find_entry, known_models
from live_gradcam.networks.labels import find_class, find_target, imagenet_labels, notes_on_numbers, read_labels
from live_gradcam.networks.lites import SCALINGS
from live_gradcam.networks.network_input import network_input
from live_gradcam.networks.preprocessing import PREPROCESSINGS
from live_gradcam.networks.torch_checkpoint import read_torch_checkpoint

# --- labels -------------------------------------------------------------------------------------------------------


def test_the_imagenet_labels() -> None:
    labels = imagenet_labels()
    assert len(labels) == len(set(labels)) == 1000
    known = {0: "tench", 89: "sulphur-crested cockatoo", 281: "tabby", 282: "tiger cat", 285: "Egyptian cat"}
    known |= {657: "missile", 812: "space shuttle", 967: "espresso", 999: "toilet tissue"}
    assert {index: labels[index] for index in known} == known


@pytest.mark.parametrize(
    ("name", "index"),
    [("281", 281), ("tabby", 281), ("Tabby", 281), ("EGYPTIAN_cat", 285), ("sulphur crested cockatoo", 89), ("0", 0)],
)
def test_a_class_is_found_by_index_and_by_label(name: str, index: int) -> None:
    assert find_class(name, imagenet_labels()) == index


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("1000", "the classes are 0 to 999"),
        ("-1", "the classes are 0 to 999"),
        ("--5", "there is no class '--5'"),
        ("+-5", r"there is no class '\+-5'"),
        ("tabbi", "did you mean tabby"),
        ("cockatoo", "did you mean sulphur-crested cockatoo"),
        ("", "there is no class ''"),
        ("xyzzy", "there is no class 'xyzzy'"),
    ],
)
def test_a_class_that_does_not_exist(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find_class(name, imagenet_labels())


@pytest.mark.parametrize(
    ("name", "labels", "target"),
    [
        ("1", ("1", "2", "3"), Target(0)),
        ("3", ("1", "2", "3"), Target(2)),
        ("+1", ("1", "2", "3"), Target(1)),
        ("1>2", ("1", "2", "3"), Target(0, 1)),
        ("3 > +1", ("1", "2", "3"), Target(2, 1)),
        ("0", ("1", "2", "3"), Target(0)),  # which no class is called
        ("-1", ("+1", "-1"), Target(1)),
        ("1", ("1", "1", "2"), Target(1)),  # which two are called
    ],
)
def test_a_number_is_a_label_first_and_an_index_else(name: str, labels: tuple[str, ...], target: Target) -> None:
    assert find_target(name, labels, None) == target


def test_a_number_that_could_be_both_is_noted() -> None:
    labels = ("1", "2", "3", "cat")
    first = (
        "-c 1 is the class called 1, which has the index 0. Write +1 for the class with the index 1, which is called 2"
    )
    assert notes_on_numbers(["1"], labels) == (first,)
    assert notes_on_numbers(["cat > 1", "1"], labels) == (first,)
    assert notes_on_numbers(["+1", "0", "cat", "top1", "7"], labels) == ()
    assert notes_on_numbers(["0", "2"], ("0", "1", "2")) == ()


def test_a_label_that_two_classes_have() -> None:
    with pytest.raises(UsageError, match="one of 0, 2"):
        find_class("crane", ("crane", "tench", "Crane"))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.txt", "cat\n dog \nbird\n\n", ("cat", "dog", "bird")),
        ("a.txt", "\ufeffcafé\r\n猫\r\n", ("café", "猫")),
        ("a.json", '["cat", "dog"]', ("cat", "dog")),
        ("a.json", '{"1": "dog", "0": "cat"}', ("cat", "dog")),
        ("a.json", '{"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}', ("tench", "goldfish")),
    ],
)
def test_labels_files(tmp_path: Path, name: str, content: str, expected: tuple[str, ...]) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    assert read_labels(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("name", "content"), [("a.txt", b""), ("a.txt", b"\xff\xfe\x00"), ("a.json", b"{"), ("a.json", b'{"7": "x"}')]
)
def test_labels_files_that_cannot_be_used(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match="labels file"):
        read_labels(tmp_path / name)


# --- the catalogue ------------------------------------------------------------------------------------------------


def test_every_keras_application_is_in_the_catalogue() -> None:
    functions = {name for name, value in vars(keras.applications).items() if isinstance(value, types.FunctionType)}
    assert functions | set(SCALINGS) == set(known_models())


@pytest.mark.parametrize("name", sorted(set(known_models()) - set(SCALINGS)))
def test_the_preprocessing_is_kerass_own(name: str) -> None:
    build = getattr(keras.applications, name)
    module = sys.modules[build.__module__]
    frame = np.random.default_rng(0).integers(0, 256, (1, 4, 5, 3), np.uint8)
    expected = module.preprocess_input(frame[..., ::-1].astype(np.float32))
    actual = network_input(frame, PREPROCESSINGS[known_models()[name].preprocessing])
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("spelling", ["vgg16", "VGG-16", "Vgg_16"])
def test_names_are_found_in_any_spelling(spelling: str) -> None:
    entry = find_entry(spelling)
    assert entry is not None
    assert entry.name == "VGG16"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["efficientnet-lite1", "efficientnet-lite2"])
def test_the_larger_lites_name_the_cat(name: str, chelsea: np.ndarray) -> None:
    explainer = Explainer(load_classifier(name), maps=1, engine="graph", tune="off")
    assert explainer(chelsea).predictions[0].index in (281, 282, 285)
    assert explainer.layer == "head_relu6"


@pytest.mark.slow
def test_random_weights_are_not_imagenets(lite0) -> None:
    random = load_classifier("efficientnet-lite0", weights=None)
    one, other = (c.model.get_layer("logits").get_weights()[0] for c in (random, lite0))
    assert not np.allclose(one, other)


def save_model(path: Path, *, outputs: int = 3, inputs: int = 1, activation: str | None = None) -> Path:
    images = [keras.Input((16, 16, 3)) for _ in range(inputs)]
    x = layers.Conv2D(2, 3)(images[0] if inputs == 1 else layers.Add()(images))
    x = layers.GlobalAveragePooling2D()(x)
    keras.Model(images, layers.Dense(outputs, activation=activation)(x)).save(path)
    return path


def test_what_cannot_be_loaded_says_why(tmp_path: Path) -> None:
    (tmp_path / "text.keras").write_text("no model")
    (tmp_path / "model.onnx").write_text("")
    (tmp_path / "saved_model").mkdir()
    two_inputs = save_model(tmp_path / "two.keras", inputs=2)
    cases = {
        "vgg17": (UsageError, "did you mean VGG1"),
        "no_such_network_at_all": (UsageError, "see live-gradcam models"),
        tmp_path / "missing.keras": (ModelError, "there is no model file"),
        tmp_path / "text.keras": (ModelError, "is not a model file"),
        tmp_path / "model.onnx": (ModelError, r"give a \.keras or \.h5 file"),
        tmp_path / "saved_model": (ModelError, r"model\.save"),
        two_inputs: (ModelError, "has 2 inputs"),
    }
    for name, (kind, message) in cases.items():
        with pytest.raises(kind, match=message) as caught:
            load_classifier(name)
        assert "\n" not in str(caught.value)


def test_labels_of_another_number_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="2 labels for 3 classes"):
        load_classifier(save_model(tmp_path / "model.keras"), labels=["a", "b"])


def test_one_label_for_one_unit_names_both_sides(tmp_path: Path) -> None:
    path = save_model(tmp_path / "model.keras", outputs=1, activation="sigmoid")
    assert load_classifier(path, labels=["cat"]).labels == ("not cat", "cat")


@pytest.mark.slow
def test_weights_files(tmp_path: Path) -> None:
    model = save_model(tmp_path / "model.keras")
    with pytest.raises(ModelError, match="there is no weights file"):
        load_classifier(model, weights=tmp_path / "missing.weights.h5")
    original = load_classifier("MobileNetV2", weights=None)
    original.model.save_weights(tmp_path / "mobilenet.weights.h5")
    loaded = load_classifier("mobilenet-v2", weights=tmp_path / "mobilenet.weights.h5")
    for one, other in zip(loaded.model.get_weights(), original.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ModelError, match="do not fit"):
        load_classifier(model, weights=tmp_path / "mobilenet.weights.h5")


def test_weights_that_cannot_be_downloaded_name_the_way_out(monkeypatch) -> None:
    def offline(weights: str) -> None:
        raise Exception("URL fetch failure on https://…: None -- [Errno -2] Name or service not known")

    monkeypatch.setattr(keras.applications, "VGG16", offline)
    with pytest.raises(ModelError, match=r"--weights FILE .*efficientnet-lite0") as caught:
        load_classifier("VGG16")
    assert "\n" not in str(caught.value)


# --- PyTorch checkpoints ------------------------------------------------------------------------------------------


class _Storage:
    def __init__(self, key: str, elements: np.ndarray) -> None:
        self.key, self.elements = key, elements


class _Tensor:
    """Pickles as PyTorch pickles a tensor: a call of `torch._utils._rebuild_tensor_v2`."""

    def __init__(self, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.arguments = (storage, offset, shape, strides, False, OrderedDict())

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


class _CheckpointPickler(pickle.Pickler):
    def persistent_id(self, obj):
        if isinstance(obj, _Storage):
            return ("storage", sys.modules["torch"].FloatStorage, obj.key, "cpu", len(obj.elements), None)
        return None


@pytest.fixture
def torch_names(monkeypatch) -> None:
    """The two names that a checkpoint refers to, so that one can be written without PyTorch."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    torch.FloatStorage = type("FloatStorage", (), {"__module__": "torch"})

    def _rebuild_tensor_v2() -> None: ...

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


def write_checkpoint(path: Path, state, storages: list[_Storage]) -> None:
    with open(path, "wb") as file:
        for header in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            pickle.dump(header, file, 2)
        _CheckpointPickler(file, 2).dump(state)
        pickle.dump([storage.key for storage in storages], file, 2)
        for storage in storages:
            file.write(struct.pack("<q", len(storage.elements)) + storage.elements.astype("<f4").tobytes())


def test_tensors_that_are_not_contiguous_are_read_by_their_strides(tmp_path: Path, torch_names) -> None:
    storage = _Storage("0", np.arange(8))
    state = OrderedDict(
        plain=_Tensor(storage, 0, (2, 4), (4, 1)),
        transposed=_Tensor(storage, 0, (4, 2), (1, 4)),
        slice=_Tensor(storage, 1, (2, 2), (4, 2)),
    )
    write_checkpoint(tmp_path / "a.pth", state, [storage])
    tensors = read_torch_checkpoint(tmp_path / "a.pth")
    assert tensors["plain"].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert tensors["transposed"].tolist() == [[0, 4], [1, 5], [2, 6], [3, 7]]
    assert tensors["slice"].tolist() == [[1, 3], [5, 7]]


def test_a_checkpoint_cannot_run_code_or_reach_past_its_storage(tmp_path: Path, torch_names) -> None:
    storage = _Storage("0", np.arange(8))
    write_checkpoint(tmp_path / "code.pth", OrderedDict(x=print), [storage])
    with pytest.raises(ModelError, match=r"may not load .*print"):
        read_torch_checkpoint(tmp_path / "code.pth")
    write_checkpoint(tmp_path / "past.pth", OrderedDict(x=_Tensor(storage, 4, (2, 4), (4, 1))), [storage])
    with pytest.raises(ModelError, match="past the end"):
        read_torch_checkpoint(tmp_path / "past.pth")


def test_a_file_that_is_no_checkpoint_or_is_cut_short(tmp_path: Path, torch_names) -> None:
    storage = _Storage("0", np.arange(8))
    write_checkpoint(tmp_path / "whole.pth", OrderedDict(x=_Tensor(storage, 0, (8,), (1,))), [storage])
    content = (tmp_path / "whole.pth").read_bytes()
    for length in (0, 1, 10, len(content) // 2, len(content) - 1):
        (tmp_path / "cut.pth").write_bytes(content[:length])
        with pytest.raises(ModelError, match="not a PyTorch checkpoint"):
            read_torch_checkpoint(tmp_path / "cut.pth")
    (tmp_path / "labels.json").write_text(json.dumps(["a"]))
    with pytest.raises(ModelError, match="not a PyTorch checkpoint"):
        read_torch_checkpoint(tmp_path / "labels.json")


@pytest.mark.slow
def test_the_checkpoint_of_another_network_does_not_fit() -> None:
    from live_gradcam.networks.lites import imagenet_checkpoint

    with pytest.raises(ModelError, match="not a checkpoint of efficientnet-lite2"):
        load_classifier("efficientnet-lite2", weights=imagenet_checkpoint("efficientnet-lite0"))


# --- XLA's settings -----------------------------------------------------------------------------------------------


@pytest.fixture
def before_tensorflow(monkeypatch, tmp_path: Path):
    """As if TensorFlow were not imported yet, with a cache folder of its own."""
    monkeypatch.delitem(sys.modules, "tensorflow")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for variable in ("XLA_FLAGS", "TF_XLA_FLAGS"):
        monkeypatch.setenv(variable, "")
    return monkeypatch


def test_xlas_own_flags_and_the_users_stay_as_they_are(before_tensorflow) -> None:
    """XLA's flags hold for all that the process compiles, the user's own networks too."""
    before_tensorflow.setenv("TF_XLA_FLAGS", "--tf_xla_persistent_cache_directory=/elsewhere")
    runtime.set_compiler_flags()
    assert os.environ["XLA_FLAGS"] == ""
    assert os.environ["TF_XLA_FLAGS"] == "--tf_xla_persistent_cache_directory=/elsewhere"


def test_programs_are_kept_in_the_users_cache(before_tensorflow, tmp_path: Path) -> None:
    runtime.set_compiler_flags()
    (folder,) = (tmp_path / "live-gradcam").iterdir()
    assert os.environ["TF_XLA_FLAGS"] == f"--tf_xla_persistent_cache_directory={folder}"
