"""Features: what the last dense layer reads, out of the explaining pass."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from toy_networks import FRAME, classifier_of

from live_gradcam import Classifier, Explainer
from live_gradcam.errors import ModelError


def pooled(units: int = 4) -> keras.Model:
    keras.utils.set_random_seed(7)
    image = keras.Input((12, 14, 3))
    x = layers.Conv2D(5, 3, activation="relu", name="early")(image)
    x = layers.Conv2D(6, 3, activation="relu", name="late")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, layers.Softmax()(layers.Dense(units, name="scores")(x)))


def as_keras_says(classifier: Classifier, layer: str, *frames: np.ndarray) -> np.ndarray:
    model = keras.Model(classifier.model.inputs, classifier.model.get_layer(layer).output)
    return np.asarray(model(tf.constant(np.stack(frames)[..., ::-1] / 255, tf.float32), training=False))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "maps"), [("grad-cam", 1), ("grad-cam", 3), ("layercam", 3), ("eigen-cam", 1), ("recipro-cam", 3)]
)
def test_features_are_what_the_last_dense_layer_reads(method: str, maps: int) -> None:
    classifier = classifier_of(pooled())
    explainer = Explainer(classifier, method=method, maps=maps, features=True)
    other = FRAME[::-1].copy()
    expected = as_keras_says(classifier, "pool", FRAME, other)
    found = explainer.explain_batch([FRAME, other])
    np.testing.assert_allclose([one.features for one in found], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["early", "early,late"])
def test_they_do_not_depend_on_the_target_layer(layer: str) -> None:
    classifier = classifier_of(pooled())
    explanation = Explainer(classifier, layer=layer, features=True)(FRAME)
    np.testing.assert_allclose(explanation.features, as_keras_says(classifier, "pool", FRAME)[0], rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_of_tiles_they_are_the_mean() -> None:
    classifier = classifier_of(pooled())
    tiled = Explainer(classifier, fit="tiles", tiles=2, features=True)
    wide = np.concatenate([FRAME[:, :12], FRAME[:, ::-1][:, :12]], axis=1)
    framing = tiled.plan.framing
    of_tiles = as_keras_says(classifier, "pool", *framing.rows(framing.framed(wide).pixels))
    assert len(of_tiles) == 2
    np.testing.assert_allclose(tiled(wide).features, of_tiles.mean(axis=0), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_nobody_pays_for_them_who_does_not_ask() -> None:
    assert Explainer(classifier_of(pooled()))(FRAME).features is None


def test_a_network_without_a_dense_layer_at_its_end_has_none() -> None:
    image = keras.Input((12, 14, 3))
    maps = layers.Conv2D(6, 3, activation="relu")(image)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 1)(maps))
    with pytest.raises(ModelError, match="no dense layer at its end"):
        Explainer(classifier_of(keras.Model(image, layers.Softmax()(x))), features=True)
