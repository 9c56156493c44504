"""The mean gradient by the offset that passes through the head is the mean of the gradient at every place."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from live_gradcam import Classifier, Explainer
from live_gradcam.attribution.logits import without_final_activation
from live_gradcam.attribution.mean_gradient import OffsetPath, offset_path
from live_gradcam.networks.graph import flatten, run
from live_gradcam.networks.network_input import network_input
from live_gradcam.networks.preprocessing import PREPROCESSINGS
from live_gradcam.networks.split import SplitNetwork, split_at
from live_gradcam.networks.target_layer import find_layer

pytestmark = pytest.mark.slow

SIZE = (12, 14)
Head = Callable[[keras.KerasTensor], keras.KerasTensor]


def with_head(head: Head) -> tuple[keras.Model, SplitNetwork, OffsetPath]:
    keras.utils.set_random_seed(1)
    image = keras.Input((*SIZE, 3))
    maps = layers.Conv2D(5, 3, padding="same", activation="relu", name="maps")(image)
    model = keras.Model(image, head(maps))
    network = without_final_activation(flatten(model, SIZE)).network
    split = split_at(network, find_layer(network, "maps").outputs[0])
    return model, split, offset_path(network, split)


def dense(units: int, activation: str | None = None) -> layers.Dense:
    return layers.Dense(units, activation, kernel_initializer="random_normal", bias_initializer="random_normal")


class Softest(layers.GlobalAveragePooling2D):
    """Generalised mean pooling: a layer that is no mean, of a class that is one."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean((tf.nn.relu(inputs) + 0.1) ** 3, axis=(1, 2)) ** (1 / 3)


class Squares(layers.AveragePooling2D):
    """Pools squares."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return super().call(inputs**2)


def of_its_own(layer: keras.Layer, call: Callable[[tf.Tensor], tf.Tensor]) -> keras.Layer:
    """A layer with a `call` that replaces its class's."""
    layer.call = call
    return layer


HEADS: dict[str, tuple[Head, tuple[int, ...]]] = {
    # the head, and the shape of what is differentiated by
    "global average": (lambda x: dense(4)(layers.Dropout(0.3)(layers.GlobalAveragePooling2D()(x))), (5,)),
    "global maximum": (
        lambda x: dense(4, "softmax")(layers.Flatten()(layers.GlobalMaxPooling2D(keepdims=True)(x))),
        (5,),
    ),
    "dense layers": (
        lambda x: dense(4)(dense(7, "tanh")(layers.Dropout(0.1)(layers.Flatten()(layers.MaxPooling2D()(x))))),
        (7,),
    ),
    "one dense layer": (lambda x: dense(4, "softmax")(layers.Flatten()(x)), (4,)),
    "pools with padding": (
        lambda x: dense(4)(
            layers.Flatten()(
                layers.AveragePooling2D(3, 2, padding="same")(layers.MaxPooling2D(3, 2, padding="same")(x))
            )
        ),
        (4,),
    ),
    "a convolution": (
        lambda x: dense(4)(layers.GlobalAveragePooling2D()(layers.Conv2D(6, 3)(layers.MaxPooling2D()(x)))),
        (6, 7, 5),
    ),
    "two ways": (lambda x: dense(4)(layers.GlobalAveragePooling2D()(layers.Add()([x, layers.ReLU()(-x)]))), (*SIZE, 5)),
    "a flattening that is scaled": (lambda x: dense(4)(layers.Rescaling(2.0)(layers.Flatten()(x))), (*SIZE, 5)),
    "a pooling of a subclass": (lambda x: dense(4)(Softest()(x)), (*SIZE, 5)),
    "a pooling of a subclass, then a mean": (
        lambda x: dense(4)(layers.GlobalAveragePooling2D()(Squares(2)(x))),
        (*SIZE, 5),
    ),
    "a pooling with a call of its own": (
        lambda x: dense(4)(of_its_own(layers.GlobalAveragePooling2D(), lambda x: tf.reduce_mean(x**2, axis=(1, 2)))(x)),
        (*SIZE, 5),
    ),
    "a flattening in another order": (lambda x: dense(4)(layers.Flatten(data_format="channels_first")(x)), (*SIZE, 5)),
    "a mean over other axes": (
        lambda x: dense(4)(layers.GlobalAveragePooling2D(data_format="channels_first")(x)),
        (*SIZE, 5),
    ),
    "a maximum over other axes": (
        lambda x: dense(4)(layers.Flatten()(layers.MaxPooling2D(data_format="channels_first")(x))),
        (*SIZE, 5),
    ),
}


@pytest.mark.parametrize("name", HEADS)
def test_it_is_the_mean_of_the_gradient(name: str) -> None:
    head, point_shape = HEADS[name]
    _, split, path = with_head(head)
    images = np.random.default_rng(2).normal(0, 1, (3, *SIZE, 3)).astype(np.float32)
    activations = tf.constant(run(split.trunk, {split.input: images})[split.target])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(activations)
        values = run(path.before, {split.target: activations})
        logits = run(path.after, values)[split.output]
        score = tf.reduce_sum(logits[:, 1] ** 2)
        expected_logits = run(split.head, {split.target: activations})[split.output]
        expected_score = tf.reduce_sum(expected_logits[:, 1] ** 2)
    np.testing.assert_allclose(logits, expected_logits, atol=1e-5)
    assert values[path.point].shape[1:] == point_shape
    actual = path.mean_gradient(tape.gradient(score, values[path.point]))
    expected = tf.reduce_mean(tape.gradient(expected_score, activations), axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(actual, expected, atol=1e-6 * float(tf.reduce_max(tf.abs(expected))) + 1e-9)


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("score", ["logit", "margin"])
def test_each_of_several_maps_is_the_one_of_its_class_alone(name: str, score: str) -> None:
    model, _, _ = with_head(HEADS[name][0])
    classifier = Classifier("toy", model, tuple("abcd"), SIZE, PREPROCESSINGS["unit"])
    together = Explainer(classifier, layer="maps", topk=4, score=score, engine="graph")
    alone = Explainer(classifier, layer="maps", topk=4, maps=1, score=score, engine="graph")
    frames = np.random.default_rng(3).integers(0, 256, (2, *SIZE, 3), np.uint8)
    for frame, explanation in zip(frames, together.explain_batch(frames), strict=True):
        assert [target.index for target in explanation.targets] == [p.index for p in explanation.predictions]
        for row, target in enumerate(explanation.targets):
            expected = alone(frame, target=target.index)
            np.testing.assert_allclose(explanation.heatmaps[row], expected.heatmaps[0], atol=1e-5)
            np.testing.assert_allclose(explanation.evidence[row], expected.evidence[0], rtol=1e-4, atol=1e-7)
            np.testing.assert_allclose(explanation.logits, expected.logits, atol=1e-5)


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("maps", [1, 3])
def test_a_method_of_the_whole_gradient_gets_it(name: str, maps: int) -> None:
    model, split, _ = with_head(HEADS[name][0])
    classifier = Classifier("toy", model, tuple("abcd"), SIZE, PREPROCESSINGS["unit"])
    explainer = Explainer(classifier, method="hirescam", layer="maps", maps=maps, relu=False, engine="graph")
    frames = np.random.default_rng(4).integers(0, 256, (2, *SIZE, 3), np.uint8)
    activations = run(split.trunk, {split.input: network_input(frames, classifier.preprocessing)})[split.target]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(activations)
        logits = run(split.head, {split.target: activations})[split.output]
        each_logit = tf.unstack(logits, axis=-1)
    for row, explanation in enumerate(explainer.explain_batch(frames)):
        best_first = np.argsort(logits[row])[::-1]
        assert [target.index for target in explanation.targets] == list(best_first[:maps])
        for position, target in enumerate(explanation.targets):
            gradient = tape.gradient(each_logit[target.index], activations)
            raw_map = np.sum(activations[row] * gradient[row], axis=-1)
            expected = (raw_map - raw_map.min()) / (raw_map.max() - raw_map.min())
            np.testing.assert_allclose(explanation.heatmaps[position], expected, atol=1e-5)
            np.testing.assert_allclose(explanation.evidence[position], raw_map.max(), rtol=1e-4, atol=1e-7)
