"""What Keras 2 left behind: models of many kinds in both of its file formats, with its own predictions."""

from __future__ import annotations

import base64
import io
import json
import marshal
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import layers
from toy_networks import called

from live_gradcam import Explainer, load_classifier
from live_gradcam.errors import ModelError
from live_gradcam.networks.keras2 import translate_from_keras_2
from live_gradcam.networks.keras2_weights import load_h5_weights
from live_gradcam.networks.tensorflow_function import TFOpLambda

FIXTURES = Path(__file__).parents[1] / "fixtures"
VERSIONS = ("2.12", "2.15")


class Plain(layers.Layer):
    def call(self, x):
        return x * 3.0


class Registered(layers.Layer):
    def __init__(self, factor: float = 2.0, **settings) -> None:
        super().__init__(**settings)
        self.factor = factor

    def build(self, shape) -> None:
        self.scale = self.add_weight(name="scale", shape=(shape[-1],), initializer="ones")
        self.inner = layers.Dense(4)
        self.inner.build(shape)

    def call(self, x):
        return self.inner(x * self.scale * self.factor)


class OwnModel(keras.Model):
    pass


CUSTOM_OBJECTS = {"Plain": Plain, "Registered": Registered, "OwnModel": OwnModel}


def files_of_keras_2() -> list[tuple[str, str]]:
    """(version, file) of each model."""
    archives = {version: zipfile.ZipFile(FIXTURES / f"keras2_{version}.zip").namelist() for version in VERSIONS}
    return [(version, name) for version in VERSIONS for name in archives[version] if not name.endswith(".npz")]


def unpack(version: str, name: str, folder: Path) -> Path:
    with zipfile.ZipFile(FIXTURES / f"keras2_{version}.zip") as archive:
        return Path(archive.extract(name, folder))


def reference(version: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(images, Keras 2's predictions) of a file."""
    with zipfile.ZipFile(FIXTURES / f"keras2_{version}.zip") as archive:
        numbers = np.load(io.BytesIO(archive.read(f"{Path(name).stem}.npz")))
        return numbers["images"], numbers["expected"]


def assert_predicts_as_keras_2(path: Path, version: str) -> None:
    images, expected = reference(version, path.name)
    predictions = called(load_classifier(path, custom_objects=CUSTOM_OBJECTS).model, images)
    tolerance = 1e-2 if path.stem == "half_precision" else 2e-6  # Keras 2 itself is 5e-3 from what exact numbers give
    np.testing.assert_allclose(predictions, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def with_configuration(path: Path, change) -> None:
    """Change what an `.h5` file says about its model."""
    with h5py.File(path, "r+") as file:
        config = change(json.loads(file.attrs["model_config"]))
        file.attrs["model_config"] = json.dumps(config)


def as_older_keras_2_wrote(config):
    """Without the modules of classes, which Keras 2 wrote from 2.12 on, and with the precision of initializers."""
    if isinstance(config, list):
        return [as_older_keras_2_wrote(part) for part in config]
    if not isinstance(config, dict):
        return config
    older = {key: as_older_keras_2_wrote(value) for key, value in config.items()}
    for new in ("module", "build_config"):
        older.pop(new, None)
    registered = older.pop("registered_name", None)
    if registered and ">" in registered:
        older["class_name"] = registered
    if "Normal" in str(older.get("class_name")) and "stddev" in str(older.get("config")):
        older["config"]["dtype"] = "float32"
    return older


@pytest.mark.slow
@pytest.mark.parametrize(("version", "name"), [file for file in files_of_keras_2() if not file[1].startswith("code")])
def test_a_file_of_keras_2_predicts_as_keras_2_did(tmp_path: Path, version: str, name: str) -> None:
    path = unpack(version, name, tmp_path)
    before = path.read_bytes()
    assert_predicts_as_keras_2(path, version)
    assert path.read_bytes() == before


@pytest.mark.parametrize("version", VERSIONS)
def test_half_precision_is_that_of_the_exact_numbers(tmp_path: Path, version: str) -> None:
    path = unpack(version, "half_precision.h5", tmp_path)
    images, _ = reference(version, "half_precision.h5")
    half = load_classifier(path).model
    assert half.get_layer("dense").compute_dtype == "float16"
    with_configuration(path, lambda config: json.loads(json.dumps(config).replace("mixed_float16", "float32")))
    exact = load_classifier(path).model
    assert exact.get_layer("dense").compute_dtype == "float32"
    expected = called(exact, images)
    np.testing.assert_allclose(called(half, images), expected, rtol=0, atol=2**-11)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", sorted({name for _, name in files_of_keras_2() if name.endswith(".h5") and not name.startswith("code")})
)
def test_a_file_of_an_older_keras_2_predicts_as_keras_2_did(tmp_path: Path, name: str) -> None:
    path = unpack("2.15", name, tmp_path)
    with_configuration(path, as_older_keras_2_wrote)
    assert_predicts_as_keras_2(path, "2.15")


@pytest.mark.parametrize(("version", "name"), [file for file in files_of_keras_2() if file[1].startswith("code")])
def test_marshalled_code_of_keras_2_is_refused_without_asking_keras(
    tmp_path: Path, monkeypatch, version: str, name: str
) -> None:
    monkeypatch.setattr(keras.saving, "deserialize_keras_object", lambda *_, **__: pytest.fail("it was given to Keras"))
    with pytest.raises(ModelError, match=r"Lambda layer, which is code .* --trust-model") as caught:
        load_classifier(unpack(version, name, tmp_path))
    assert "\n" not in str(caught.value)


def test_marshalled_code_is_run_where_the_file_is_trusted(tmp_path: Path) -> None:
    path = unpack("2.15", "code.h5", tmp_path)
    doubled = base64.b64encode(marshal.dumps((lambda x: 2 * x).__code__)).decode()  # of this version of Python

    def changed(config):
        (inner,) = (layer for layer in config["config"]["layers"] if layer["class_name"] == "Sequential")
        function = inner["config"]["layers"][1]["config"]["layer"]["config"]["function"]
        assert isinstance(function[0], str)
        function[0] = doubled
        return config

    with_configuration(path, changed)
    images, expected = reference("2.15", "code.h5")
    predictions = called(load_classifier(path, trust=True).model, images)
    np.testing.assert_allclose(predictions, expected, rtol=0, atol=2e-6)


def test_weights_of_another_backend_are_not_taken(tmp_path: Path) -> None:
    path = unpack("2.15", "nested.h5", tmp_path)
    with h5py.File(path, "r+") as file:
        file.attrs["backend"] = "theano"
    with pytest.raises(ModelError, match="its weights were trained with theano, whose convolutions may differ"):
        load_classifier(path)


def test_every_function_between_layers_is_one_that_is_known(tmp_path: Path) -> None:
    path = unpack("2.15", "functions.h5", tmp_path)
    with_configuration(path, lambda config: json.loads(json.dumps(config).replace("image.resize", "io.write_file")))
    with pytest.raises(ModelError, match=r"the TensorFlow function io\.write_file between its layers is not supported"):
        load_classifier(path, trust=True)
    for name in ("io.write_file", "py_function", "numpy_function", "raw_ops.WriteFile", "compat.v1.py_func"):
        with pytest.raises(ValueError, match="is not supported"):
            TFOpLambda(name)


def test_every_operation_between_layers_is_one_that_is_known(tmp_path: Path) -> None:
    path = unpack("2.15", "operations.h5", tmp_path)
    with_configuration(path, lambda config: json.loads(json.dumps(config).replace("RealDiv", "WriteFile")))
    with pytest.raises(ModelError, match="the TensorFlow operation WriteFile between its layers is not supported"):
        load_classifier(path, trust=True)


def test_an_operation_may_be_written_as_text(tmp_path: Path) -> None:
    """As TensorFlow 2.0 and 2.1 wrote it."""
    path = unpack("2.15", "operations.h5", tmp_path)

    def older(config):
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "TensorFlowOpLayer":
                layer["config"]["node_def"] = json.dumps(layer["config"]["node_def"])
        return config

    with_configuration(path, older)
    assert_predicts_as_keras_2(path, "2.15")


def test_a_model_before_sequential_models_had_names(tmp_path: Path) -> None:
    """Keras 2.0 to 2.2.2: a list of layers, the first of which has the input's shape."""
    path = unpack("2.15", "initializers.h5", tmp_path)

    def older(config):
        first, *others = as_older_keras_2_wrote(config)["config"]["layers"]
        assert (first["class_name"], others[0]["config"]["name"]) == ("InputLayer", "conv2d")
        others[0]["config"]["batch_input_shape"] = first["config"]["batch_input_shape"]
        return {"class_name": "Sequential", "config": others}

    with_configuration(path, older)
    assert_predicts_as_keras_2(path, "2.15")


def test_a_model_inside_may_be_counted_from_zero(tmp_path: Path) -> None:
    """As some versions count the calls of a Sequential model without an input."""
    path = unpack("2.15", "sequential.h5", tmp_path)
    with_configuration(path, lambda config: json.loads(json.dumps(config).replace('"without", 1,', '"without", 0,')))
    assert_predicts_as_keras_2(path, "2.15")


@pytest.mark.parametrize(
    ("kind", "settings", "expected"),
    [
        ("CustomScaleLayer", {"scale": 0.5}, "CustomScaleLayer"),
        ("Custom>CustomScaleLayer", {"scale": 0.5}, "CustomScaleLayer"),
        ("StochasticDepth", {"drop_path_rate": 0.1}, "StochasticDepth"),
        ("BatchNormalizationV1", {"axis": [3], "renorm": False}, "BatchNormalization"),
        ("SyncBatchNormalization", {"axis": [3]}, "BatchNormalization"),
    ],
)
def test_layers_that_keras_3_has_elsewhere(kind: str, settings: dict, expected: str) -> None:
    part = {"class_name": kind, "config": {"name": "block/layer", **settings}}
    layer = keras.saving.deserialize_keras_object(translate_from_keras_2(part))
    assert (type(layer).__name__, layer.name) == (expected, "block_layer")


def test_a_softmax_that_was_called_as_a_function_is_the_networks_last_activation(tmp_path: Path) -> None:
    """Its input are the logits: taken for logits itself, it would go through a second softmax."""
    path = unpack("2.15", "functions.h5", tmp_path)
    images, _ = reference("2.15", "functions.h5")
    classifier = load_classifier(path)
    assert classifier.model.layers[-1].activation is keras.activations.softmax
    frame = images[0, :, :, ::-1].astype(np.uint8)
    exact = called(classifier.model, frame[None, :, :, ::-1].astype(np.float32))[0]
    explanation = Explainer(classifier, maps=1, engine="graph", tune="off")(frame)
    for prediction in explanation.predictions:
        np.testing.assert_allclose(prediction.probability, exact[prediction.index], atol=1e-6)
    assert exact.max() > 0.4


# --- weights that are not those of the model ----------------------------------------------------------------------


def spoil_h5(path: Path, change) -> None:
    with h5py.File(path, "r+") as file:
        change(file["model_weights"])


def rename_weights(group: h5py.Group, names: list[str]) -> None:
    group.attrs["weight_names"] = np.array([name.encode() for name in names])


def test_weights_in_another_order_are_not_taken(tmp_path: Path) -> None:
    path = unpack("2.15", "frozen.h5", tmp_path)

    def swap(weights: h5py.Group) -> None:
        names = list(weights["all"].attrs["weight_names"])
        gamma, beta = (next(i for i, name in enumerate(names) if kind in name) for kind in ("gamma", "beta"))
        names[gamma], names[beta] = names[beta], names[gamma]
        rename_weights(weights["all"], names)

    spoil_h5(path, swap)
    with pytest.raises(ModelError, match="weights of the layer all are not in the expected order"):
        load_classifier(path)


def test_weights_that_are_not_there_are_not_made_up(tmp_path: Path) -> None:
    path = unpack("2.15", "frozen.h5", tmp_path)
    spoil_h5(path, lambda weights: rename_weights(weights["dense"], []))
    with pytest.raises(ModelError, match="has 0 weights for the layer dense, which has 2"):
        load_classifier(path)


def test_weights_of_another_layer_are_not_left_over(tmp_path: Path) -> None:
    path = unpack("2.15", "nested_outputs.h5", tmp_path)
    model = load_classifier(path).model
    with h5py.File(path, "r+") as file:
        group, config = file["model_weights"], json.loads(file.attrs["model_config"])
        group.attrs["layer_names"] = np.array([*group.attrs["layer_names"], b"other"], dtype="S30")
        group.create_group("other").attrs["weight_names"] = [b"kernel:0"]
        group["other/kernel:0"] = np.zeros(3)
        with pytest.raises(ValueError, match="for a layer other, which is not in its configuration"):
            load_h5_weights(group, model, config)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_keras_file_without_some_of_its_weights(tmp_path: Path, version: str) -> None:
    path = unpack(version, "frozen.keras", tmp_path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    weights = io.BytesIO(members["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        container = file["_layer_checkpoint_dependencies" if version == "2.12" else "layers"]
        del container["dense"]
    members["model.weights.h5"] = weights.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(ModelError, match="has no weights for the layer dense"):
        load_classifier(path)
