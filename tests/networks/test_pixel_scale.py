"""A model file is given pixels as it was trained on them: its batch norms say how; a guess is said to be one."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import ClassVar

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from skimage import data

from live_gradcam import Explainer, load_classifier
from live_gradcam.attribution import other_pixels
from live_gradcam.attribution.session import SessionOptions, start_session
from live_gradcam.networks import pixel_scale
from live_gradcam.networks.graph import Network, flatten
from live_gradcam.networks.network_input import network_input
from live_gradcam.networks.pixel_scale import PixelScale, find_pixel_scale, photographs
from live_gradcam.networks.preprocessing import PREPROCESSINGS

SIDE = 96


def training_pictures() -> np.ndarray:
    """Others than those that the statistics are compared on, uint8 (n, SIDE, SIDE, 3) BGR."""
    grey = [np.repeat(one[..., None], 3, axis=-1) for one in (data.coins(), data.camera(), data.brick())]
    pictures = [*data.stereo_motorcycle()[:2], data.immunohistochemistry(), data.retina(), *grey]
    return np.stack([cv2.resize(one[..., ::-1], (SIDE, SIDE), interpolation=cv2.INTER_AREA) for one in pictures])


def trained(model: keras.Model, preprocessing: str) -> keras.Model:
    """The model with batch norms that remember pictures which were prepared in this way."""
    train(flatten(model, (SIDE, SIDE)), model, preprocessing)
    return model


def train(network: Network, model: keras.Model, preprocessing: str) -> None:
    """Let a model's batch norms remember pictures which were prepared in this way.

    Only the first ones are trained, and the layers in front of them run: no others are looked at.
    """
    recipe = PREPROCESSINGS[preprocessing]
    if model.input_shape[-1] == 1:
        recipe = type(recipe)(recipe.mean, recipe.scale, "grey")
    norms = [operation.layer for operation in pixel_scale._first_norms(network)]
    for norm in norms:
        norm.momentum = 0.0
    front = keras.Model(model.input, [norm.output for norm in norms])
    front(network_input(tf.constant(training_pictures()), recipe), training=True)


def found(model: keras.Model) -> PixelScale:
    return find_pixel_scale(flatten(model, (SIDE, SIDE)))


def small(*front, channels: int = 3, norm: bool = True) -> keras.Model:
    keras.utils.set_random_seed(4)
    x = image = keras.Input((SIDE, SIDE, channels))
    for layer in front:
        x = layer(x)
    for filters in (8, 12, 16):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x) if norm else x)
    return keras.Model(image, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


# --- batch norms --------------------------------------------------------------------------------------------------

#: The families of `keras.applications` that do not scale pixels themselves and have batch norms.
FAMILIES = {
    "MobileNet": "tf",
    "MobileNetV2": "tf",
    "InceptionV3": "tf",
    "InceptionResNetV2": "tf",
    "Xception": "tf",
    "NASNetMobile": "tf",
    "ResNet50V2": "tf",
    "ResNet50": "caffe",
    "DenseNet121": "torch",
}


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_each_familys_recipe_is_found(family: str) -> None:
    keras.utils.set_random_seed(1)
    build = getattr(keras.applications, family)
    model = build(weights=None, include_top=False, input_shape=(SIDE, SIDE, 3), pooling="avg")
    network = flatten(model, (SIDE, SIDE))
    for preprocessing in (FAMILIES[family], "unit", "raw"):
        train(network, model, preprocessing)
        assert find_pixel_scale(network) == PixelScale(preprocessing, "batch norms")


@pytest.mark.slow
@pytest.mark.parametrize("family", ["EfficientNetB0", "EfficientNetV2B0", "MobileNetV3Small", "ConvNeXtTiny"])
def test_the_families_that_scale_pixels_themselves_are_given_them_raw(family: str) -> None:
    model = getattr(keras.applications, family)(weights=None, input_shape=(SIDE, SIDE, 3), classes=5)
    assert found(model) == PixelScale("raw", "inside")


@pytest.mark.slow
@pytest.mark.parametrize("preprocessing", ["raw", "unit", "tf", "caffe", "torch", "unit-bgr", "tf-bgr"])
def test_a_small_networks_recipe_is_found(preprocessing: str) -> None:
    assert found(trained(small(), preprocessing)) == PixelScale(preprocessing, "batch norms")


@pytest.mark.slow
@pytest.mark.parametrize("preprocessing", ["raw", "unit", "tf"])
def test_a_grey_networks_recipe_is_found(preprocessing: str) -> None:
    assert found(trained(small(channels=1), preprocessing)) == PixelScale(preprocessing, "batch norms")


def test_a_batch_norm_in_front_of_all_takes_any_scale_that_it_remembers() -> None:
    assert found(trained(small(layers.BatchNormalization()), "raw")) == PixelScale("raw", "batch norms")


@pytest.mark.slow
def test_the_embedded_networks_own_weights_say_minus_one_to_one(lite0) -> None:
    """Real batch norms, of a real training on ImageNet; and with red and blue exchanged."""
    network = flatten(lite0.model, lite0.input_size)
    assert find_pixel_scale(network) == PixelScale("tf", "batch norms")
    stem = next(layer for layer in lite0.model.layers if isinstance(layer, layers.Conv2D))
    kernel = np.array(stem.kernel)
    stem.kernel.assign(kernel[:, :, ::-1])
    try:
        assert find_pixel_scale(network) == PixelScale("tf-bgr", "batch norms")
    finally:  # other tests use it
        stem.kernel.assign(kernel)


@pytest.mark.slow
def test_statistics_that_fit_no_scale_are_said_to(tmp_path: Path, caplog) -> None:
    model = trained(small(), "unit")
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.moving_variance.assign(30 * layer.moving_variance)
            layer.moving_mean.assign(layer.moving_mean + 9)
    assert found(model).why == "nearest"
    model.save(tmp_path / "odd.keras")
    with caplog.at_level(logging.WARNING, "live_gradcam"):
        load_classifier(tmp_path / "odd.keras")
    assert "its batch norms fit no usual scale of pixels" in caplog.text


# --- without batch norms ------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "front",
    [
        layers.Rescaling(1 / 255),
        layers.Normalization(mean=120.0, variance=3000.0),
        layers.Lambda(lambda x: x / 127.5 - 1),
        lambda x: x / 255,
        lambda x: layers.Rescaling(1 / 255)(layers.Resizing(SIDE, SIDE)(layers.RandomFlip()(x))),
        lambda x: x - 110.0,
        lambda x: x / 255 - 0.5,
        lambda x: layers.Rescaling(1 / 255)(WithRows()(x)),
        lambda x: keras.ops.log1p(x),  # of which it is not known what it is for
        layers.Normalization(mean=50.0, variance=400.0),  # of dark pictures
    ],
)
def test_a_model_that_scales_pixels_itself_is_given_them_raw(front) -> None:
    assert found(small(front)) == PixelScale("raw", "inside")


@pytest.mark.slow
@pytest.mark.parametrize(
    "front",
    [
        layers.Rescaling(2.0, -1.0),
        layers.Normalization(mean=[0.485, 0.456, 0.406], variance=[0.0524, 0.0502, 0.0506]),
        layers.Normalization(mean=0.2, variance=0.01),  # of dark pictures
        layers.Rescaling(255),
        lambda x: (x - 0.5) * 2,
        lambda x: layers.Rescaling(2.0, -1.0)(WithRows()(layers.ZeroPadding2D(2)(x))),
    ],
)
def test_a_model_whose_own_scaling_is_of_0_to_1_is_given_that(front, tmp_path: Path, caplog) -> None:
    model = small(front, norm=False)
    assert found(model) == PixelScale("unit", "first layers")
    classifier = load_classifier(model)
    assert "pixels are scaled to 0…1, as its first layers expect" in caplog.text
    frame = photographs()[0]
    picture = cv2.resize(frame, (SIDE, SIDE))
    shown = Explainer(classifier, engine="graph", tune="off")(picture).probabilities
    np.testing.assert_allclose(shown, model(picture[None, ..., ::-1].astype(np.float32) / 255)[0], atol=1e-5)


class WithRows(layers.Layer):
    """CoordConv's: the row of each pixel as a channel beside its own."""

    def call(self, x):
        rows = tf.linspace(0.0, 1.0, x.shape[1])[None, :, None, None]
        return tf.concat([x, tf.zeros_like(x[..., :1]) + rows], axis=-1)


def test_coordinates_beside_the_pixels_do_not_scale_them() -> None:
    assert found(small(WithRows(), norm=False)) == PixelScale("unit", "guess")


def test_layers_that_only_move_pixels_do_not_scale_them() -> None:
    front = [layers.RandomFlip(), layers.Resizing(SIDE, SIDE), layers.ZeroPadding2D(2), layers.CenterCrop(SIDE, SIDE)]
    front += [lambda x: x[..., ::-1][:, :, ::-1], lambda x: x[..., ::-1]]
    assert found(trained(small(*front), "tf")) == PixelScale("tf", "batch norms")


def test_without_batch_norms_it_is_a_guess() -> None:
    assert found(small(norm=False)) == PixelScale("unit", "guess")
    vgg = keras.applications.VGG16(weights=None, include_top=False, input_shape=(SIDE, SIDE, 3), pooling="avg")
    assert found(vgg) == PixelScale("caffe", "guess")


# --- model files --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_was_found_is_said_and_remembered(tmp_path: Path, caplog, monkeypatch) -> None:
    path = tmp_path / "model.keras"
    trained(small(), "tf").save(path)
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "live_gradcam"):
            classifier = load_classifier(path)
        assert classifier.preprocessing == PREPROCESSINGS["tf"]
        assert caplog.messages == [
            "model.keras: pixels are scaled to −1…1, as its batch norms expect. Change this with --preprocessing"
        ]
        monkeypatch.setattr(pixel_scale, "_distances", None)  # the second time it is not asked
    assert load_classifier(path, preprocessing="caffe").preprocessing == PREPROCESSINGS["caffe"]


@pytest.mark.slow
def test_other_weights_are_not_what_was_remembered(tmp_path: Path) -> None:
    trained(small(), "raw").save(tmp_path / "a.keras")
    other = trained(small(), "tf")
    other.save_weights(tmp_path / "b.weights.h5")
    assert load_classifier(tmp_path / "a.keras").preprocessing == PREPROCESSINGS["raw"]
    replaced = load_classifier(tmp_path / "a.keras", weights=tmp_path / "b.weights.h5")
    assert replaced.preprocessing == PREPROCESSINGS["tf"]


def around(grey: int) -> np.ndarray:
    noise = np.random.default_rng(0).integers(-8, 9, (SIDE, SIDE, 3))
    return (grey + noise).astype(np.uint8)


def test_a_guess_that_matters_is_said_with_both_answers(tmp_path: Path, caplog) -> None:
    """Two classes, bright and dark, by a threshold that lies between the two scales."""
    image = keras.Input((SIDE, SIDE, 3))
    head = layers.Dense(2, activation="softmax")
    convolution = layers.Conv2D(1, 3, use_bias=False, kernel_initializer=keras.initializers.Constant(1 / 27))
    model = keras.Model(image, head(layers.GlobalAveragePooling2D()(convolution(image))))
    head.set_weights([np.array([[-0.1, 0.1]]), np.array([0.5, -0.5])])
    model.save(tmp_path / "model.keras")
    (tmp_path / "labels.txt").write_text("dark\nbright\n")
    with caplog.at_level(logging.WARNING, "live_gradcam"):
        engine = start_session(SessionOptions(str(tmp_path / "model.keras"), engine="graph", tune="off"))
        assert engine.explainer.classifier.labels == ("dark", "bright")
        engine.explain(around(200))
        engine.explain(around(100))
    assert "model.keras: the labels are read from labels.txt in the same folder" in caplog.messages
    assert (
        "model.keras does not say how its pixels were scaled. 0…1 is a guess: set yours with --preprocessing"
        in caplog.messages
    )
    both = [message for message in caplog.messages if "answers" in message]
    assert both == [
        "model.keras answers dark 70 % with unit pixels, a guess, and bright 100 % with raw pixels. Set the right ones "
        "with --preprocessing"
    ]


class CountedPixels(np.ndarray):
    """Notes of how many pixels the deviation is computed."""

    counted: ClassVar[list[int]] = []

    def std(self, *arguments, **options):
        self.counted.append(self.size)
        return super().std(*arguments, **options)


@pytest.mark.slow
def test_a_guess_holds_up_no_stream(tmp_path: Path, monkeypatch) -> None:
    begun, may_end, compare, threads = threading.Event(), threading.Event(), other_pixels.best_class_with, []

    def slowly(*arguments):
        threads.append(threading.current_thread())
        begun.set()
        assert may_end.wait(20)
        return compare(*arguments)

    monkeypatch.setattr(other_pixels, "best_class_with", slowly)
    session = start_session(SessionOptions(str(saved_in(tmp_path, small(norm=False))), engine="graph", tune="off"))
    counted = CountedPixels.counted
    flat = np.full((720, 1280, 3), 9, np.uint8).view(CountedPixels)
    for _ in range(3):  # of which nothing can be said
        session.explain_frame(flat)
    assert len(counted) == 3
    assert max(counted) < 0.01 * flat.size
    assert threads == []
    for _ in range(3):
        session.explain_frame(training_pictures()[0].view(CountedPixels))  # comes back before the comparison ends
    assert begun.wait(20)
    may_end.set()
    (thread,) = threads
    assert thread is not threading.current_thread()
    thread.join(20)
    assert not thread.is_alive()
    assert len(counted) == 4


def test_a_large_value_is_no_absurd_score(tmp_path: Path, caplog) -> None:
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3)(image))
    model = keras.Model(image, layers.Dense(1, bias_initializer=keras.initializers.Constant(350.0))(x))
    engine = start_session(SessionOptions(str(saved_in(tmp_path, model)), engine="graph", tune="off"))
    with caplog.at_level(logging.WARNING, "live_gradcam"):
        engine.explain(np.zeros((SIDE, SIDE, 3), np.uint8))  # of a black frame all scales are alike
        assert "answers" not in caplog.text
        engine.explain(training_pictures()[0])
    assert "absurdly" not in caplog.text
    assert "with unit pixels, a guess, and value" in caplog.text


def saved_in(folder: Path, model: keras.Model) -> Path:
    model.save(folder / "model.keras")
    return folder / "model.keras"


@pytest.mark.slow
def test_absurd_scores_are_said(tmp_path: Path, caplog) -> None:
    model = small(norm=False)
    model.layers[-1].set_weights([10_000 * weight for weight in model.layers[-1].get_weights()])
    model.save(tmp_path / "model.keras")
    engine = start_session(SessionOptions(str(tmp_path / "model.keras"), engine="graph", tune="off"))
    with caplog.at_level(logging.WARNING, "live_gradcam"):
        engine.explain(training_pictures()[0])
    assert "its scores are absurdly large" in caplog.text


@pytest.mark.slow
def test_teachable_machines_export_is_known(tmp_path: Path, caplog) -> None:
    keras.utils.set_random_seed(0)
    backbone = keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=(224, 224, 3), alpha=0.35)
    features = keras.Sequential([backbone, layers.GlobalAveragePooling2D()])
    head = keras.Sequential([layers.Dense(8, activation="relu"), layers.Dense(2, activation="softmax", use_bias=False)])
    model = keras.Sequential([features, head])
    model.build((None, 224, 224, 3))
    model.save(tmp_path / "keras_model.h5")
    (tmp_path / "labels.txt").write_text("Cat\nDog\n")
    with caplog.at_level(logging.WARNING, "live_gradcam"):
        classifier = load_classifier(tmp_path / "keras_model.h5")
    assert "is from Teachable Machine" in caplog.text
    assert (classifier.preprocessing, classifier.fit, classifier.pixel_guess) == (PREPROCESSINGS["tf"], "crop", None)
    assert classifier.labels == ("Cat", "Dog")
    frame = np.zeros((224, 300, 3), np.uint8)
    frame[:, 38:262] = cv2.resize(training_pictures()[0], (224, 224))
    explanation = Explainer(classifier, fit="crop", tune="off", engine="graph")(frame)
    expected = model(frame[None, :, 38:262, ::-1].astype(np.float32) / 127.5 - 1).numpy()[0]
    np.testing.assert_allclose(explanation.probabilities, expected, atol=1e-5)


@pytest.mark.slow
def test_labels_beside_a_model_are_taken_where_their_number_is_right(tmp_path: Path, caplog) -> None:
    small(layers.Rescaling(1 / 255)).save(tmp_path / "leaf.keras")
    (tmp_path / "labels.txt").write_text("a\nb\n")
    with caplog.at_level(logging.WARNING, "live_gradcam"):
        assert load_classifier(tmp_path / "leaf.keras").labels == ("class 0", "class 1", "class 2")
    assert not caplog.messages
    (tmp_path / "leaf.labels.txt").write_text("healthy\nrust\nblight\n")
    assert load_classifier(tmp_path / "leaf.keras").labels == ("healthy", "rust", "blight")
    assert load_classifier(tmp_path / "leaf.keras", labels=["x", "y", "z"]).labels == ("x", "y", "z")
