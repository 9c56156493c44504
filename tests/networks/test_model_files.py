"""Model files that are not what their names say, are damaged, hold half of a model, or need something else."""

from __future__ import annotations

import io
import json
import shutil
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import layers
from toy_networks import called

from live_gradcam import load_classifier
from live_gradcam.errors import ModelError
from live_gradcam.networks.catalog import check_model
from live_gradcam.networks.custom_objects import read_custom_objects
from live_gradcam.networks.model_source import ModelOptions

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(1)
    image = keras.Input((16, 16, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(image))
    return keras.Model(image, layers.Dense(3, activation="softmax")(x), name="flowers")


def predictions(model: keras.Model) -> np.ndarray:
    images = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
    return called(model, images)


def refused(path: Path, **settings) -> str:
    with pytest.raises(ModelError) as caught:
        load_classifier(path, **settings)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


@pytest.mark.parametrize("saved", ["model.keras", "model.h5"])
@pytest.mark.parametrize("name", ["detector.model", "weights.hdf5", "swapped.h5", "swapped.keras", "no_ending"])
def test_the_first_bytes_tell_what_a_file_is(tmp_path: Path, model: keras.Model, saved: str, name: str) -> None:
    model.save(tmp_path / saved)
    (tmp_path / saved).rename(tmp_path / name)
    check_model(tmp_path / name, ModelOptions())
    classifier = load_classifier(tmp_path / name)
    assert classifier.name == name
    np.testing.assert_allclose(predictions(classifier.model), predictions(model), rtol=1e-6)


def test_a_file_of_keras_2_by_any_name(tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "keras2.h5", tmp_path / "mask_detector.model")
    with np.load(FIXTURES / "keras2.npz") as reference:
        probabilities = called(load_classifier(tmp_path / "mask_detector.model").model, reference["images"])
        np.testing.assert_allclose(probabilities, reference["expected"], rtol=1e-5)


@pytest.mark.parametrize("content", [b"", b"not a model", b"TFL3\x1c\x00\x00\x00"])
def test_a_file_of_another_kind(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    assert "is not a model file: give a .keras or .h5 file" in refused(path)
    with pytest.raises(ModelError, match="is not a model file"):
        check_model(path, ModelOptions())


def test_an_archive_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    assert "is not a model file: give a .keras or .h5 file that Keras saved" in refused(path)


def test_an_archive_that_lacks_what_a_model_has(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    assert "is a zip archive, but not a model that Keras saved" in refused(path)


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_a_file_that_is_cut_short(tmp_path: Path, model: keras.Model, name: str) -> None:
    path = tmp_path / name
    model.save(path)
    path.write_bytes(path.read_bytes()[:4000])
    assert "is damaged, or not all of it is there" in refused(path)


def test_a_configuration_that_cannot_be_read(tmp_path: Path, model: keras.Model) -> None:
    model.save(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        file.attrs["model_config"] = "{"
    assert "is damaged: its description of the layers cannot be read" in refused(tmp_path / "model.h5")


def test_a_lambda_of_which_keras_needs_to_know_more(tmp_path: Path) -> None:
    """Its reason is on the third line of what Keras says, and in bold letters."""
    image = keras.Input((8, 8, 3))
    x = keras.layers.Lambda(lambda x: sorted(x), output_shape=(8, 8, 3))(image)
    path = tmp_path / "sorted.keras"
    keras.Model(image, keras.layers.GlobalAveragePooling2D()(x)).save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    for layer in config["config"]["layers"]:
        layer["config"].pop("output_shape", None)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**members, "config.json": json.dumps(config)}.items():
            archive.writestr(name, content)
    with pytest.raises(
        ModelError, match=r"sorted.keras cannot be loaded .*: We could not automatically infer the shape"
    ):
        load_classifier(path, trust=True)


@pytest.mark.parametrize("name", ["flowers.weights.h5", "flowers.h5", "flowers.keras"])
def test_weights_without_their_network(tmp_path: Path, model: keras.Model, name: str) -> None:
    model.save_weights(tmp_path / "flowers.weights.h5")
    (tmp_path / "flowers.weights.h5").rename(tmp_path / name)
    assert 'holds weights alone, without their network: save the whole model with model.save("' in (
        refused(tmp_path / name)
    )


def test_weights_of_keras_2_without_their_network(tmp_path: Path) -> None:
    with h5py.File(FIXTURES / "keras2.h5") as whole, h5py.File(tmp_path / "cnn_default.h5", "w") as weights:
        weights.attrs.update(whole["model_weights"].attrs)
        for name in whole["model_weights"]:
            whole.copy(f"model_weights/{name}", weights)
    assert "holds weights alone" in refused(tmp_path / "cnn_default.h5")


def test_hdf5_that_is_no_model(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"] = np.zeros(3)
    assert "is an HDF5 file, but not a model that Keras saved" in refused(tmp_path / "data.h5")


# --- weights files ------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["best.weights", "best.h5", "best.weights.h5", "best.keras"])
@pytest.mark.parametrize("saved", ["whole.keras", "whole.h5", "own.weights.h5"])
def test_a_weights_file_by_any_name(tmp_path: Path, model: keras.Model, saved: str, name: str) -> None:
    (model.save_weights if "weights" in saved else model.save)(tmp_path / saved)
    (tmp_path / saved).rename(tmp_path / name)
    other = keras.models.clone_model(model)
    other.save(tmp_path / "other.keras")
    assert not np.allclose(predictions(other), predictions(model))
    loaded = load_classifier(tmp_path / "other.keras", weights=tmp_path / name).model
    np.testing.assert_allclose(predictions(loaded), predictions(model), rtol=1e-6)


def test_a_weights_file_of_another_kind(tmp_path: Path, model: keras.Model) -> None:
    model.save(tmp_path / "model.keras")
    (tmp_path / "best.weights.h5").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="do not fit flowers: it is not a file of weights that Keras saved"):
        load_classifier(tmp_path / "model.keras", weights=tmp_path / "best.weights.h5")


@keras.saving.register_keras_serializable("tests")
class Stages(layers.Layer):
    """Layers in lists of lists: Keras only warns where a file has no weights for them."""

    def __init__(self, **settings) -> None:
        super().__init__(**settings)
        self.stages = [[layers.Dense(4)], [layers.Dense(4)]]

    def build(self, shape) -> None:
        for stage in self.stages:
            stage[0].build((None, 4))

    def call(self, x):
        for stage in self.stages:
            x = stage[0](x)
        return x


def test_weights_that_are_left_out_are_no_mere_warning(tmp_path: Path) -> None:
    image = keras.Input((16, 16, 3))
    x = Stages()(layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image)))
    model = keras.Model(image, layers.Dense(3)(x), name="staged")
    whole, partly = tmp_path / "whole.keras", tmp_path / "partly.keras"
    model.save(whole)
    np.testing.assert_allclose(predictions(load_classifier(whole).model), predictions(model), rtol=1e-6)
    with zipfile.ZipFile(whole) as archive, zipfile.ZipFile(partly, "w") as damaged:
        for name in archive.namelist():
            content = io.BytesIO(archive.read(name))
            if name == "model.weights.h5":
                with h5py.File(content, "r+") as weights:
                    del weights["layers/stages/stages/container"]
            damaged.writestr(name, content.getvalue())
    assert "has no weights for some of the layers, which would keep random numbers" in refused(partly)
    with pytest.raises(ModelError, match="do not fit staged: it has no weights for some of the layers"):
        load_classifier(whole, weights=partly)


# --- other packages' classes --------------------------------------------------------------------------------------


def with_another_class(model: keras.Model, path: Path, **names: str) -> Path:
    """Save a model whose first layer says that it is of another class."""
    whole = path.with_name("whole.keras")
    model.save(whole)
    with zipfile.ZipFile(whole) as archive, zipfile.ZipFile(path, "w") as changed:
        for name in archive.namelist():
            content = archive.read(name)
            if name == "config.json":
                config = json.loads(content)
                config["config"]["layers"][1].update(names)
                content = json.dumps(config).encode()
            changed.writestr(name, content)
    return path


@pytest.mark.parametrize("package", ["keras_hub", "keras_cv"])
def test_a_class_of_a_package_that_is_not_installed(
    tmp_path: Path, model: keras.Model, monkeypatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    path = with_another_class(
        model,
        tmp_path / "vit.keras",
        module=f"{package}.src.models.vit",
        class_name="ViTBackbone",
        registered_name=f"{package}.models>ViTBackbone",
    )
    message = refused(path)
    assert f"uses 'ViTBackbone' of {package.replace('_', '-')}, which cannot be imported: pip install" in message


def test_custom_objects_may_be_imported_from_a_module_beside(tmp_path: Path) -> None:
    (tmp_path / "blocks_beside.py").write_text(
        "import keras\nclass Halved(keras.layers.Layer):\n    def call(self, x):\n        return x / 2\n"
    )
    (tmp_path / "mine.py").write_text("from blocks_beside import Halved\n")
    before = list(sys.path)
    halved = read_custom_objects(tmp_path / "mine.py")["Halved"]
    assert sys.path == before
    image = keras.Input((16, 16, 3))
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(halved()(image)))))
    model.save(tmp_path / "model.keras")
    loaded = load_classifier(tmp_path / "model.keras", custom_objects=tmp_path / "mine.py").model
    np.testing.assert_allclose(predictions(loaded), predictions(model), rtol=1e-6)


# --- SavedModel ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", ["keras_metadata.pb", "saved_model.pb"])
def test_a_saved_model_of_keras_2_is_to_be_saved_as_h5(tmp_path: Path, sign: str) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(ModelError, match=r'model\.save\("NAME\.keras"\)'):
        check_model(tmp_path, ModelOptions())
    (tmp_path / sign).write_bytes(b"\x0a_tf_keras_sequential")
    with pytest.raises(ModelError, match=r'layers cannot be seen.* model\.save\("NAME\.h5"\)'):
        check_model(tmp_path, ModelOptions())
