"""`GradCAMCallback` with models of every kind, pictures of every range, and what it cannot do."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from tape import grad_cam

from live_gradcam import CallbackOptions, GradCAMCallback, TrainingMaps
from live_gradcam.errors import LiveGradcamError, ModelError, UsageError
from live_gradcam.networks.preprocessing import PREPROCESSINGS

RANDOM = np.random.default_rng(2)
IMAGES = RANDOM.random((5, 16, 12, 3), np.float32)


def epoch(
    model: keras.Model, pictures: object, options: CallbackOptions | None = None, **outlets: object
) -> tuple[GradCAMCallback, TrainingMaps]:
    """What the callback makes of a model at the end of an epoch, without training."""
    found: list[TrainingMaps] = []
    callback = GradCAMCallback(pictures, function=found.append, options=options, **outlets)
    callback.set_model(model)
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    callback.on_epoch_end(0)
    return callback, found[0]


def sequential(units: int = 4, activation: str | None = "softmax") -> keras.Model:
    keras.utils.set_random_seed(4)
    return keras.Sequential(
        [
            keras.Input((16, 12, 3)),
            layers.Conv2D(6, 3, activation="relu", name="maps"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(units, activation=activation),
        ]
    )


# --- models -------------------------------------------------------------------------------------------------------


def nested() -> keras.Model:
    keras.utils.set_random_seed(5)
    inner = keras.Input((16, 12, 3))
    backbone = keras.Model(inner, layers.Conv2D(6, 3, activation="relu", name="maps")(inner), name="backbone")
    image = keras.Input((16, 12, 3))
    x = layers.GlobalAveragePooling2D()(backbone(image))
    return keras.Model(image, layers.Dense(4, activation="softmax")(layers.Dropout(0.5)(x)))


@keras.saving.register_keras_serializable("tests of the callback")
class Subclassed(keras.Model):
    """As many write their models."""

    def __init__(self) -> None:
        super().__init__()
        keras.utils.set_random_seed(6)
        self.backbone = nested().get_layer("backbone")
        self.drop, self.pool = layers.Dropout(0.5), layers.GlobalAveragePooling2D()
        self.scores = layers.Dense(4, activation="softmax")

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.scores(self.drop(self.pool(self.backbone(images)), training=training))


class ByNumbers(keras.Model):
    """Its layers cannot be followed: it looks at the numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = sequential()

    def call(self, images: tf.Tensor) -> tf.Tensor:
        return self.inner(tf.image.flip_left_right(images) if float(tf.reduce_mean(images)) > 2 else images)


@pytest.mark.slow
@pytest.mark.parametrize("make", [sequential, nested, Subclassed])
def test_maps_follow_the_weights_without_another_trace(make: Callable[[], keras.Model]) -> None:
    model = make()
    model(IMAGES[:1])  # builds it
    nodes = [len(layer._inbound_nodes) for layer in model._flatten_layers()]
    found: list[TrainingMaps] = []
    callback = GradCAMCallback((IMAGES, np.arange(5) % 4), function=found.append, options=CallbackOptions(count=2))
    callback.set_model(model)
    callback.on_train_begin()
    flat = sequential()  # of the same shapes: what a tape can be held to
    for seed in range(3):
        random = np.random.default_rng(seed)
        for weight in model.weights:
            weight.assign(random.normal(0, 0.5, weight.shape))
        kernels = sorted((weight.numpy() for weight in model.weights), key=lambda kernel: -kernel.ndim)
        by_rank = {weight.ndim: iter([k for k in kernels if k.ndim == weight.ndim]) for weight in flat.weights}
        flat.set_weights([next(by_rank[weight.ndim]).reshape(weight.shape) for weight in flat.weights])
        callback.on_epoch_begin(seed)
        callback.on_epoch_end(seed)
        said = np.asarray(model(IMAGES[:2], training=False))
        np.testing.assert_allclose(np.asarray(flat(IMAGES[:2])), said, atol=1e-6)
        for one, image, probabilities in zip(found[-1].pictures, IMAGES, said, strict=False):
            assert one.prediction.target == probabilities.argmax()
            np.testing.assert_allclose(one.prediction.probabilities, probabilities, atol=1e-5)
            expected = grad_cam(flat, "maps", image, one.prediction.target)
            np.testing.assert_allclose(one.prediction.heatmaps[0], expected, atol=1e-4)
    assert callback.trace_count == 1
    assert [len(layer._inbound_nodes) for layer in model._flatten_layers()] == nodes


def largest(logits: np.ndarray) -> int:
    return int(logits.argmax())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("units", "activation", "loss", "labels", "truths", "predicted"),
    [
        (1, "sigmoid", "binary_crossentropy", [0.0, 1.0], [0, 1], lambda z: int(z[0] > 0)),
        (1, None, keras.losses.BinaryCrossentropy(from_logits=True), [[0], [1]], [0, 1], lambda z: int(z[0] > 0)),
        (4, None, keras.losses.SparseCategoricalCrossentropy(from_logits=True), [3, 1], [3, 1], largest),
        (4, "softmax", "categorical_crossentropy", np.eye(4)[[2, 0]], [2, 0], largest),
        (4, "sigmoid", "binary_crossentropy", [[0, 1, 0, 0], [0, 0, 0, 0]], [1, None], largest),
        (
            4,
            None,
            keras.losses.BinaryCrossentropy(from_logits=True),
            [[0, 1, 1, 0], [0.1, 0.1, 0.7, 0.1]],
            [None, 2],
            largest,
        ),
    ],
)
def test_labels_and_outputs_are_those_of_the_loss(units, activation, loss, labels, truths, predicted) -> None:  # type: ignore[no-untyped-def]
    model = sequential(units, activation)
    model.compile(loss=loss)
    _, maps = epoch(model, (IMAGES[:2], np.array(labels)))
    logits = keras.Model(model.inputs, model.layers[-2].output)([IMAGES[:2]]) @ model.layers[-1].kernel.value
    for one, truth, of_picture in zip(maps.pictures, truths, logits.numpy(), strict=True):
        assert (one.truth and one.truth.target) == truth
        assert one.prediction.target == predicted(of_picture)
        assert one.is_right is (None if truth is None else truth == predicted(of_picture))


@pytest.mark.slow
@pytest.mark.parametrize("units", [1, 3])
@pytest.mark.parametrize("loss", ["mse", keras.losses.MeanAbsoluteError(), keras.losses.Huber()])
def test_a_model_of_values_is_explained_without_a_truth(units: int, loss: Any) -> None:
    model = sequential(units, None)
    model.compile(loss=loss)
    _, maps = epoch(model, (IMAGES[:2], np.array([[3.5, 1.25, 0.0], [1.0, 2.0, 3.0]])[:, :units]))
    assert [one.truth for one in maps.pictures] == [None, None]
    found = maps.pictures[0].prediction
    assert found.targets[0].value == pytest.approx(found.probabilities[found.target])
    np.testing.assert_allclose(found.probabilities, model(IMAGES[:1])[0], atol=1e-6)


@pytest.mark.slow
def test_pictures_of_a_dataset_are_the_first_ones() -> None:
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, np.arange(5) % 4))
    of_array = epoch(sequential(), (IMAGES, np.arange(5) % 4), CallbackOptions(count=3))[1]
    for one in (dataset, dataset.batch(2)):
        of_dataset = epoch(sequential(), one, CallbackOptions(count=3))[1]
        assert len(of_dataset.pictures) == 3
        for mine, other in zip(of_dataset.pictures, of_array.pictures, strict=True):
            np.testing.assert_array_equal(mine.picture, other.picture)
            np.testing.assert_array_equal(mine.prediction.heatmaps, other.prediction.heatmaps)
            assert mine.truth is not None
            assert other.truth is not None
            assert mine.truth.target == other.truth.target
    without_labels = epoch(sequential(), IMAGES, CallbackOptions(count=3))[1]
    assert [one.truth for one in without_labels.pictures] == [None] * 3


# --- what a picture looks like ------------------------------------------------------------------------------------

PIXELS = RANDOM.integers(0, 256, (2, 16, 12, 3), np.uint8)  # RGB
PIXELS[0, 0, 0], PIXELS[0, 0, 1] = 0, 255
AS_FLOATS = PIXELS.astype(np.float32)


@pytest.mark.parametrize(
    "images", [PIXELS, AS_FLOATS, AS_FLOATS / 255, AS_FLOATS / 127.5 - 1], ids=["bytes", "0…255", "0…1", "−1…1"]
)
def test_usual_pixels_are_shown_as_they_are(images: np.ndarray, caplog: pytest.LogCaptureFixture) -> None:
    _, maps = epoch(sequential(), images)
    for one, pixels in zip(maps.pictures, PIXELS, strict=True):
        np.testing.assert_array_equal(one.picture, pixels[..., ::-1])
    assert caplog.records == []


def test_other_numbers_reach_from_black_to_white_and_a_line_says_so(caplog: pytest.LogCaptureFixture) -> None:
    images = 3 * AS_FLOATS / 255 - 1.2  # −1.2…1.8
    with caplog.at_level(logging.WARNING):
        _, maps = epoch(sequential(), images)
    np.testing.assert_array_equal(maps.pictures[1].picture, PIXELS[1, ..., ::-1])
    assert "-1.2 to 1.8 are the numbers" in caplog.text
    dark = epoch(sequential(), AS_FLOATS / 20)[1].pictures[1].picture  # 0…12.75 may be anything
    np.testing.assert_array_equal(dark, PIXELS[1, ..., ::-1])


def test_how_pictures_are_shown_can_be_said(caplog: pytest.LogCaptureFixture) -> None:
    caffe = AS_FLOATS[..., ::-1] - np.array(PREPROCESSINGS["caffe"].mean, np.float32)
    _, maps = epoch(sequential(), caffe, CallbackOptions(show="caffe"))
    np.testing.assert_array_equal(maps.pictures[1].picture, PIXELS[1, ..., ::-1])
    _, maps = epoch(sequential(), caffe, CallbackOptions(show=lambda images: np.full(images.shape, 7, np.uint8)))
    assert (maps.pictures[0].picture == 7).all()
    assert caplog.records == []
    with pytest.raises(UsageError, match=r"show gives float32 \(2, 16, 12, 3\): give RGB pixels, uint8"):
        epoch(sequential(), caffe, CallbackOptions(show=lambda images: images))


def test_grey_pictures_are_shown_grey() -> None:
    keras.utils.set_random_seed(1)
    image = keras.Input((16, 12, 1))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(image))
    model = keras.Model(image, layers.Dense(3, activation="softmax")(x))
    _, maps = epoch(model, AS_FLOATS[..., :1] / 255, CallbackOptions(steps=3))
    np.testing.assert_array_equal(maps.pictures[1].picture, np.repeat(PIXELS[1, ..., :1], 3, axis=-1))
    assert maps.faithfulness is not None
    assert 0 < maps.faithfulness.deletion < 1


# --- when, and where to -------------------------------------------------------------------------------------------


def test_maps_after_so_many_batches(tmp_path: Path) -> None:
    model = sequential()
    model.compile("sgd", "sparse_categorical_crossentropy")
    found: list[TrainingMaps] = []
    callback = GradCAMCallback(
        IMAGES[:1], function=found.append, folder=tmp_path, options=CallbackOptions(every=2, verbose=False)
    )
    model.fit(IMAGES, np.zeros(5), batch_size=2, epochs=2, verbose=0, callbacks=[callback])  # 3 batches each
    assert [(one.epoch, one.batch, one.step) for one in found] == [(0, 2, 2), (1, 1, 4), (1, 3, 6)]
    names = sorted(path.name for path in (tmp_path / "picture-01").iterdir())
    assert names == ["epoch-001-batch-00002.png", "epoch-002-batch-00001.png", "epoch-002-batch-00003.png"]
    assert callback.trace_count == 1


def test_a_folder_that_cannot_be_written_does_not_end_the_training(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    model = sequential()
    model.compile("sgd", "sparse_categorical_crossentropy")
    found: list[TrainingMaps] = []
    callback = GradCAMCallback(IMAGES[:1], function=found.append, folder=tmp_path / "file")
    model.fit(IMAGES, np.zeros(5), epochs=2, verbose=0, callbacks=[callback])
    assert len(found) == 2
    assert [record.getMessage().partition("file/")[2] for record in caplog.records] == [
        "picture-01/epoch-001.png: Not a directory. The training goes on, and no more maps are written there"
    ]


def test_a_sheet_has_the_picture_first(tmp_path: Path) -> None:
    large = np.repeat(np.repeat(AS_FLOATS, 20, axis=1), 20, axis=2)
    image = keras.Input((320, 240, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 9, strides=8, activation="relu")(image))
    epoch(keras.Model(image, layers.Dense(2, activation="softmax")(x)), (large, [0, 1]), folder=tmp_path)
    sheet = cv2.imread(str(tmp_path / "picture-02" / "epoch-001.png"))
    assert sheet.shape == (32 + 320, 3 * 240 + 16, 3)
    np.testing.assert_array_equal(sheet[32:, :240], large[1, ..., ::-1].astype(np.uint8))


# --- what it cannot do --------------------------------------------------------------------------------------------


def two_inputs() -> keras.Model:
    images = [keras.Input((16, 12, 3)) for _ in range(2)]
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(layers.Add()(images)))
    return keras.Model(images, layers.Dense(3, activation="softmax")(x))


@pytest.mark.parametrize(
    ("model", "pictures", "options", "error", "message"),
    [
        (
            ByNumbers,
            IMAGES,
            {},
            ModelError,
            r"by_numbers\S* is a subclassed model \(ByNumbers\), and its layers cannot",
        ),
        (two_inputs, IMAGES, {}, ModelError, "has 2 inputs: only models of one input are explained in training"),
        (sequential, IMAGES[:, :8], {}, UsageError, r"the pictures are \(8, 12, 3\), and .* takes \(16, 12, 3\)"),
        (sequential, (IMAGES, [9] * 5), {}, UsageError, "the label 9 is no class: the classes are 0 to 3"),
        (sequential, (IMAGES, np.ones((5, 3))), {}, UsageError, "a label has 3 numbers for 4 classes"),
        (sequential, (IMAGES, [0]), {}, UsageError, "there are 1 labels for 5 pictures"),
        (sequential, IMAGES[0, 0], {}, UsageError, r"the pictures are float32 \(12, 3\): give numbers of the shape"),
        (sequential, ({"image": IMAGES}, [0] * 5), {}, UsageError, "give one array of pictures and one of labels"),
        (sequential, IMAGES * np.nan, {}, UsageError, "hold numbers that are not finite"),
        (sequential, IMAGES[:0], {}, LiveGradcamError, "there are no pictures in the data"),
        (sequential, IMAGES, {"layer": "map"}, UsageError, "there is no layer 'map'; did you mean maps"),
        (lambda: tf.Module("net"), IMAGES, {}, ModelError, "is no model of Keras 3"),
    ],
)
def test_what_it_cannot_do_is_one_line_when_the_training_begins(model, pictures, options, error, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=message) as raised:
        epoch(model(), pictures, CallbackOptions(**options))
    assert "\n" not in str(raised.value)


def test_what_it_cannot_do_is_said_before_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="nobody takes the maps"):
        GradCAMCallback(IMAGES)
    with pytest.raises(UsageError, match="score-cam takes many passes"):
        CallbackOptions(method="score-cam")
    with pytest.raises(UsageError, match="count is 0"):
        CallbackOptions(count=0)
    with pytest.raises(UsageError, match="no preprocessing 'cafe'; did you mean caffe"):
        CallbackOptions(show="cafe")
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")  # the other backends are not installed
    with pytest.raises(UsageError, match="works with the TensorFlow backend of Keras, and this is jax: set KERAS_BACK"):
        GradCAMCallback(IMAGES, folder="maps")
