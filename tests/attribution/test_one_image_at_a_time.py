"""Networks that are made for one image at a time, or whose own operations may mix the images of a batch."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from live_gradcam import Classifier, Explainer, UsageError
from live_gradcam.networks.preprocessing import PREPROCESSINGS

SIDE = 12
FRAMES = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), np.uint8)
#: What is between the pooled maps and the last layer. All but the last one mean the one image that there is.
BETWEEN = {
    "norm": lambda v: 5 * v / ops.norm(v),
    "standardized": lambda v: (v - ops.mean(v)) / ops.std(v),
    "reshaped": lambda v: ops.reshape(v, (1, 6)),
    "the first": lambda v: ops.expand_dims(v[0], 0),
    "layers of Keras": layers.LayerNormalization(),
}


def classifier_of(between: str, batch: int | None = 1) -> Classifier:
    keras.utils.set_random_seed(4)
    image = keras.Input(batch_shape=(batch, SIDE, SIDE, 3))
    maps = layers.Conv2D(6, 3, padding="same", activation="relu", name="maps")(image)
    pooled = layers.GlobalAveragePooling2D()(maps)
    model = keras.Model(image, layers.Dense(4, kernel_initializer="random_normal")(BETWEEN[between](pooled)))
    return Classifier("one", model, tuple("abcd"), (SIDE, SIDE), PREPROCESSINGS["unit"])


def of_a_tape(model: keras.Model, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits (4,), and the map of each class before its ReLU, (4, h, w)."""
    both = keras.Model(model.inputs, [model.get_layer("maps").output, model.output])
    with tf.GradientTape(persistent=True) as tape:
        activations, logits = both(tf.constant(frame[None, ..., ::-1] / 255, tf.float32))
        scores = tf.unstack(logits[0])
    maps = []
    for score in scores:
        weights = tf.reduce_mean(tape.gradient(score, activations), axis=(1, 2), keepdims=True)
        maps.append(tf.reduce_sum(activations * weights, axis=-1)[0].numpy())
    return logits[0].numpy(), np.stack(maps)


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("engine", ["graph", pytest.param("xla", marks=pytest.mark.slow)])
def test_several_maps_and_frames_are_those_of_the_model_as_it_is_called(between: str, engine: str) -> None:
    classifier = classifier_of(between)
    explainer = Explainer(classifier, engine=engine, tune="off", maps=4, topk=4, fit="stretch")
    for frame, found in zip(FRAMES, explainer.explain_batch(list(FRAMES)), strict=True):
        logits, maps = of_a_tape(classifier.model, frame)
        np.testing.assert_allclose(found.probabilities, tf.nn.softmax(logits), atol=1e-5)
        for target, heatmap, evidence in zip(found.targets, found.heatmaps, found.evidence, strict=True):
            expected = np.maximum(maps[target.index], 0)
            assert evidence == pytest.approx(expected.max(), rel=1e-3, abs=1e-6)
            if expected.max() > 1e-6:
                np.testing.assert_allclose(heatmap, expected / expected.max(), atol=1e-3)


def test_what_takes_several_images_at_a_time_is_refused() -> None:
    classifier = classifier_of("norm")
    with pytest.raises(UsageError, match="made for one image at a time, and tiles are several"):
        Explainer(classifier, engine="graph", tune="off", fit="tiles")
    with pytest.raises(UsageError, match="recipro-cam shows the network several images at a time"):
        Explainer(classifier, engine="graph", tune="off", method="recipro-cam")


def test_what_is_made_of_keras_layers_takes_batches_and_tiles_whatever_its_declared_size() -> None:
    explainer = Explainer(classifier_of("layers of Keras"), engine="graph", tune="off", fit="tiles", maps=2)
    assert explainer.outline.takes_batches
    wide = np.concatenate([FRAMES[0], FRAMES[1]], axis=1)
    assert explainer.tiles_for(wide.shape[:2]) > 1
    assert explainer(wide).heatmaps.shape[0] == 2


def test_frames_are_predicted_one_by_one() -> None:
    classifier = classifier_of("reshaped")
    explainer = Explainer(classifier, engine="graph", tune="off", fit="stretch", maps=1)
    expected = [tf.nn.softmax(of_a_tape(classifier.model, frame)[0]) for frame in FRAMES]
    np.testing.assert_allclose(explainer.probabilities(FRAMES), expected, atol=1e-5)
    assert explainer.fastest_batch((SIDE, SIDE)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("between", ["norm", "standardized"])
def test_several_maps_of_one_frame_do_not_change_its_batch(between: str) -> None:
    classifier = classifier_of(between, batch=None)
    found = Explainer(classifier, engine="graph", tune="off", maps=4, topk=4, fit="stretch")(FRAMES[0])
    logits, maps = of_a_tape(classifier.model, FRAMES[0])
    np.testing.assert_allclose(found.probabilities, tf.nn.softmax(logits), atol=1e-5)
    evidence = [max(0.0, maps[target.index].max()) for target in found.targets]
    np.testing.assert_allclose(found.evidence, evidence, rtol=1e-3, atol=1e-6)
