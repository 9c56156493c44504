"""A network with another head: the same features, raw pixels in, and nothing but plain Keras."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from live_gradcam import Classifier, Explainer
from live_gradcam.errors import ModelError
from live_gradcam.fitting.features import Backbone
from live_gradcam.fitting.head import Head
from live_gradcam.fitting.network import pooled_model, set_head, with_head
from live_gradcam.networks.network_input import network_input
from live_gradcam.networks.preprocessing import PREPROCESSINGS, Preprocessing

_FRAMES = np.random.default_rng(0).integers(0, 256, (5, 16, 20, 3), np.uint8)
_FEATURES = 6


def network(channels: int = 3, *, keepdims: bool = False, after: bool = False) -> keras.Model:
    """A small network whose head reads 6 features."""
    keras.utils.set_random_seed(1)
    image = keras.Input((16, 20, channels))
    x = layers.Conv2D(_FEATURES, 3, activation="relu", name="maps")(image)
    x = layers.BatchNormalization()(x)
    x = layers.GlobalAveragePooling2D(keepdims=keepdims)(x)
    if after:
        x = layers.Conv2D(_FEATURES, 1, activation="relu")(x)
    x = layers.Dropout(0.5)(x)
    if keepdims:
        x = layers.Flatten()(layers.Conv2D(4, 1)(x))
        return keras.Model(image, layers.Softmax()(x))
    return keras.Model(image, layers.Dense(4, activation="softmax")(x))


def classifier_of(model: keras.Model, preprocessing: Preprocessing = PREPROCESSINGS["unit"]) -> Classifier:
    return Classifier("toy", model, tuple("abcd"), (16, 20), preprocessing)


def head(classes: int = 3, seed: int = 0) -> Head:
    random = np.random.default_rng(seed)
    weights = random.normal(size=(_FEATURES, classes)).astype(np.float32)
    return Head(weights, random.normal(size=classes).astype(np.float32))


@pytest.mark.slow
@pytest.mark.parametrize("name", [*PREPROCESSINGS, "grey"])
def test_raw_pixels_go_in_whatever_the_network_takes(name: str) -> None:
    preprocessing = PREPROCESSINGS.get(name, Preprocessing((100.0,) * 3, (0.02,) * 3, "grey"))
    classifier = classifier_of(network(channels=1 if name == "grey" else 3), preprocessing)
    backbone = pooled_model(classifier)
    fitted = with_head(classifier, backbone, head(), ("x", "y", "z"))
    features = backbone(network_input(tf.constant(_FRAMES), preprocessing)).numpy()
    answers = fitted.model(_FRAMES[..., ::-1].astype(np.float32)).numpy()
    np.testing.assert_allclose(answers, head().probabilities(features), atol=2e-6)
    assert fitted.preprocessing == PREPROCESSINGS["raw"]
    assert fitted.labels == ("x", "y", "z")


@pytest.mark.parametrize("kind", [{}, {"keepdims": True}, {"keepdims": True, "after": True}])
def test_features_are_what_the_last_layer_reads(kind: dict[str, bool]) -> None:
    model = network(**kind)
    classifier = classifier_of(model)
    backbone = Backbone(classifier)
    features = backbone.features([*_FRAMES] * 4)
    assert features.shape == (20, _FEATURES)
    last = next(layer for layer in reversed(model.layers) if layer.weights)
    expected = keras.Model(model.input, last.input)(network_input(tf.constant(_FRAMES), classifier.preprocessing))
    np.testing.assert_allclose(features[15:], np.reshape(expected, (5, _FEATURES)), rtol=1e-4, atol=1e-5)


def test_frames_of_any_size_are_fitted_as_is_said() -> None:
    frame = np.zeros((16, 60, 3), np.uint8)
    frame[:, 20:40] = _FRAMES[0]
    middle, squeezed = (Backbone(classifier_of(network()), fit).seen(frame) for fit in ("crop", "stretch"))
    np.testing.assert_array_equal(middle, _FRAMES[0])
    assert (squeezed != middle).any()


@pytest.mark.parametrize("nested", [False, True])
def test_networks_within_networks(nested: bool) -> None:
    inner = network()
    body = keras.Model(inner.input, inner.layers[-2].output)
    parts = [keras.Input((16, 20, 3)), body, layers.Dense(4, activation="softmax")]
    if nested:
        top = keras.Sequential([keras.Input((_FEATURES,)), layers.Dense(4, activation="softmax")])
        parts[2] = top
    classifier = classifier_of(keras.Sequential(parts))
    backbone = Backbone(classifier)
    np.testing.assert_allclose(
        backbone.features(_FRAMES), body(_FRAMES[..., ::-1].astype(np.float32) / 255), rtol=1e-4, atol=1e-5
    )


def test_a_network_that_was_fitted_can_be_fitted_again() -> None:
    classifier = classifier_of(network(), PREPROCESSINGS["caffe"])
    first = with_head(classifier, pooled_model(classifier), head(), ("x", "y", "z"))
    second = with_head(first, pooled_model(first), head(5, seed=1), tuple("vwxyz"))
    features = Backbone(classifier).features(_FRAMES)
    np.testing.assert_allclose(Backbone(second).features(_FRAMES), features, rtol=1e-4, atol=1e-4)
    assert second.model(_FRAMES.astype(np.float32)).shape == (5, 5)


def test_networks_without_pooled_features_are_refused() -> None:
    image = keras.Input((16, 20, 3))
    flat = layers.Flatten()(layers.MaxPooling2D()(layers.Conv2D(2, 3)(image)))
    message = "toy has no pooled features in front of its last layer, so no head can be fitted to it: use a network"
    for last in (flat, layers.Dense(8)(flat)):
        model = keras.Model(image, layers.Dense(4, activation="softmax")(last))
        with pytest.raises(ModelError, match=message):
            Backbone(classifier_of(model))
    with pytest.raises(ModelError, match="toy has no layer with weights"):
        Backbone(classifier_of(keras.Model(image, layers.GlobalAveragePooling2D()(image))))


@pytest.mark.slow
def test_another_head_is_seen_by_what_is_compiled_already() -> None:
    classifier = classifier_of(network())
    fitted = with_head(classifier, pooled_model(classifier), head(), ("x", "y", "z"))
    explainer = Explainer(fitted, tune="off")
    first = explainer(_FRAMES[0])
    weights = fitted.model.get_layer("backbone").get_weights()
    set_head(fitted, head(seed=4))
    second = explainer(_FRAMES[0])
    fresh = Explainer(replace(fitted), tune="off")(_FRAMES[0])
    assert explainer.trace_count == 1
    assert first.predictions != second.predictions
    assert second.predictions[0].label == fresh.predictions[0].label
    np.testing.assert_allclose(second.probabilities, fresh.probabilities, atol=1e-6)
    np.testing.assert_allclose(second.heatmaps[0], fresh.heatmaps[0], atol=1e-5)
    for before, after in zip(weights, fitted.model.get_layer("backbone").get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("name", ["efficientnet-lite", "caffe", "torch"])
def test_the_file_is_plain_keras(tmp_path: Path, name: str) -> None:
    classifier = classifier_of(network(), PREPROCESSINGS[name])
    fitted = with_head(classifier, pooled_model(classifier), head(), ("x", "y", "z"))
    fitted.model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    pixels = _FRAMES[..., ::-1].astype(np.float32)
    np.testing.assert_allclose(loaded(pixels), fitted.model(pixels), atol=1e-6)
    assert not any(isinstance(layer, layers.Lambda) for layer in loaded._flatten_layers())
