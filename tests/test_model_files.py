"""Model files that are not what their names say, are damaged, hold half of a model, or need something else."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from live_gradcam import load_classifier
from live_gradcam.errors import ModelError
from live_gradcam.networks.catalog import check_model_name

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(1)
    image = keras.Input((16, 16, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(image))
    return keras.Model(image, layers.Dense(3, activation="softmax")(x), name="flowers")


def predictions(model: keras.Model) -> np.ndarray:
    images = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
    return model.predict(images, verbose=0)


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
    check_model_name(tmp_path / name)
    classifier = load_classifier(tmp_path / name)
    assert classifier.name == name
    np.testing.assert_allclose(predictions(classifier.model), predictions(model), rtol=1e-6)


def test_a_file_of_keras_2_by_any_name(tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "keras2.h5", tmp_path / "mask_detector.model")
    with np.load(FIXTURES / "keras2.npz") as reference:
        probabilities = load_classifier(tmp_path / "mask_detector.model").model.predict(reference["images"], verbose=0)
        np.testing.assert_allclose(probabilities, reference["expected"], rtol=1e-5)


@pytest.mark.parametrize("content", [b"", b"not a model", b"TFL3\x1c\x00\x00\x00"])
def test_a_file_of_another_kind(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    assert "is not a model file: give a .keras or .h5 file" in refused(path)
    with pytest.raises(ModelError, match="is not a model file"):
        check_model_name(path)


def test_an_archive_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    assert "is a zip archive, but not a model that Keras saved" in refused(path)


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_a_file_that_is_cut_short(tmp_path: Path, model: keras.Model, name: str) -> None:
    path = tmp_path / name
    model.save(path)
    path.write_bytes(path.read_bytes()[:4000])
    assert "is damaged, or not all of it is there" in refused(path)
