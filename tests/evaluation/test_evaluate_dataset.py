"""`evaluate` of a `tf.data.Dataset`: the numbers are those of the same pictures as files, and labels are counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from live_gradcam import EvaluationOptions, SessionOptions, evaluate
from live_gradcam.errors import LiveGradcamError, SourceError, UsageError
from live_gradcam.evaluating.evaluate import Evaluations
from live_gradcam.sources.labelled import class_of

PIXELS = np.random.default_rng(1).integers(0, 256, (4, 16, 12, 3), np.uint8)  # RGB
PIXELS[0, 0, 0], PIXELS[0, 0, 1] = 0, 255
FLOATS = PIXELS.astype(np.float32)
QUICK = SessionOptions(engine="graph", lowering=False, tune="off", fit="stretch")
OPTIONS = EvaluationOptions(steps=4, random_head=False)


@pytest.mark.parametrize(
    ("label", "index"),
    [([0, 1, 0], 1), ([0.2, 0.2, 0.6], 2), ([0, 1, 1], None), ([0, 0, 0], None), ([2], 2), (None, None)],
)
def test_the_class_of_a_label(label: list[float] | None, index: int | None) -> None:
    assert class_of(None if label is None else np.array(label), 3) == index


def network(scale: float = 1.0, offset: float = 0.0, channels: int = 3) -> keras.Model:
    """The same for pictures of every range: what it is given becomes 0…1 by `scale` and `offset`."""
    keras.utils.set_random_seed(8)
    image = keras.Input((16, 12, channels))
    x = layers.Rescaling(scale, offset)(image)
    x = layers.Conv2D(6, 3, activation="relu", kernel_initializer="random_normal")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(3, activation="softmax", kernel_initializer="random_normal")(x))


def figures(found: Evaluations) -> np.ndarray:
    """All numbers of Grad-CAM's maps, by picture."""
    each = [one.figures["grad-cam"] for one in found.pictures]
    return np.array([[*one.deletion, *one.insertion, one.drop, one.increase] for one in each])


@pytest.fixture(scope="module")
def of_files(tmp_path_factory: pytest.TempPathFactory) -> Evaluations:
    folder = tmp_path_factory.mktemp("files")
    for number, picture in enumerate(PIXELS):
        cv2.imwrite(str(folder / f"{number}.png"), picture[..., ::-1])
    session = SessionOptions(**{**vars(QUICK), "model": network(1 / 255), "preprocessing": "raw"})
    return evaluate(folder, session=session, options=OPTIONS)


def slices(images: np.ndarray, labels: object = None) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(images if labels is None else (images, labels))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "model"),
    [
        (slices(PIXELS), network(1 / 255)),
        (slices(FLOATS).batch(3), network(1 / 255)),
        (slices(FLOATS / 255).batch(4), network()),
        (slices(FLOATS / 127.5 - 1).batch(1), network(0.5, 0.5)),
        (slices(FLOATS / 51 - 1.25), network(0.2, 0.25)),  # −1.25…3.75
    ],
    ids=["bytes", "0…255", "0…1", "−1…1", "some other range"],
)
def test_a_dataset_has_the_numbers_of_its_pictures_as_files(
    dataset: tf.data.Dataset, model: keras.Model, of_files: Evaluations
) -> None:
    found = evaluate(dataset, model=model, session=QUICK, options=OPTIONS)
    assert [one.name for one in found.pictures] == [f"dataset#{index}" for index in range(4)]
    assert [one.target.index for one in found.pictures] == [one.target.index for one in of_files.pictures]
    # "Nothing" is 0 to the network: black, but grey where its pixels are from −1 on.
    same = slice(None) if model.layers[1].offset == 0 else np.r_[5:10]
    np.testing.assert_allclose(figures(found)[:, same], figures(of_files)[:, same], atol=1e-4)
    assert found.accuracy is None
    assert not {"accuracy", "truth"} & {*found.to_json(), *found.to_json()["pictures"][0]}


@pytest.mark.slow
@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("as_labels", [lambda classes: classes, lambda classes: np.eye(3, dtype=int)[classes]])
def test_labels_say_how_often_the_network_is_right(
    as_labels: Callable[[np.ndarray], np.ndarray], batched: bool, of_files: Evaluations
) -> None:
    said = np.array([one.target.index for one in of_files.pictures])
    truths = said.copy()
    truths[2] = (said[2] + 1) % 3
    dataset = slices(FLOATS, as_labels(truths))
    found = evaluate(dataset.batch(3) if batched else dataset, model=network(1 / 255), session=QUICK, options=OPTIONS)
    assert found.accuracy == 0.75
    assert [one.truth.index for one in found.pictures if one.truth] == truths.tolist()
    content = found.to_json()
    assert content["accuracy"] == 0.75
    assert [one["truth"] for one in content["pictures"]] == truths.tolist()
    assert content["pictures"][2]["truth_label"] == f"class {truths[2]}"
    np.testing.assert_allclose(figures(found), figures(of_files), atol=1e-5)


def test_a_file_or_a_session_is_given_rgb_pixels(tmp_path: Path, of_files: Evaluations) -> None:
    network(1 / 255).save(tmp_path / "net.keras")
    session = SessionOptions(**{**vars(QUICK), "preprocessing": "raw"})
    for images in (PIXELS, FLOATS / 255):
        found = evaluate(slices(images), model=tmp_path / "net.keras", session=session, options=OPTIONS)
        np.testing.assert_allclose(figures(found), figures(of_files), atol=1e-5)


def test_a_grey_dataset() -> None:
    grey = FLOATS[..., :1] / 255
    found = evaluate(slices(grey), model=network(channels=1), session=QUICK, options=OPTIONS)
    expected = np.asarray(network(channels=1)(grey)).max(axis=1)
    np.testing.assert_allclose([one.target.probability for one in found.pictures], expected, atol=1e-5)


def failing(image: tf.Tensor) -> tf.Tensor:
    with tf.control_dependencies([tf.debugging.assert_less(image, 0.9, message="too bright")]):
        return tf.identity(image)


@pytest.mark.parametrize(
    ("dataset", "given", "error", "message"),
    [
        (slices(FLOATS).repeat(), {}, UsageError, "the dataset never ends: take some of it"),
        (slices(FLOATS).take(0), {}, SourceError, "there are no pictures in the data"),
        (slices(FLOATS * np.nan), {}, UsageError, "hold numbers that are not finite"),
        (slices(np.zeros((2, 16, 12, 4))), {}, UsageError, "pictures of 4 channels cannot be evaluated"),
        (slices(FLOATS, [0, 1, 2, 3]), {}, UsageError, "the label 3 is no class: the classes are 0 to 2"),
        (slices(FLOATS / 255).map(failing), {}, SourceError, "the dataset cannot be read: "),
        (
            slices(FLOATS - 99),
            {"model": "efficientnet-lite0"},
            UsageError,
            "numbers reach from -99 to 156, which are no",
        ),
        (slices(FLOATS), {"options": EvaluationOptions(boxes="b.json")}, UsageError, "boxes, levels and every are for"),
    ],
)
def test_what_cannot_be_evaluated_is_one_line(dataset, given, error, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=message) as raised:
        evaluate(dataset, **{"model": network(1 / 255), "session": QUICK, "options": OPTIONS, **given})
    assert isinstance(raised.value, LiveGradcamError)
    assert "\n" not in str(raised.value)
