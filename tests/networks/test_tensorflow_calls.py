"""Subclassed models that call TensorFlow's own functions between their layers."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from live_gradcam import ModelError, load_classifier
from live_gradcam.fitting.network import pooled_model
from live_gradcam.networks.graph import flatten
from live_gradcam.networks.outputs import last_activation
from live_gradcam.networks.target_layer import default_target

IMAGES = np.random.default_rng(0).random((2, 16, 20, 3), np.float32)


class OfTensorFlow(keras.Model):
    """Functions of arrays, lists, keywords, variables, dynamic shapes and operators."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization()
        self.second, self.classes = layers.Conv2D(6, 3, name="second"), layers.Dense(3)
        self.gain = self.add_weight(shape=(4,), initializer="ones")

    def call(self, x, training=False):
        x = tf.nn.relu(self.norm(self.first(tf.cast(x, tf.float32) / 2.0), training=training))
        x = tf.concat([x, tf.nn.relu6(tf.constant(3.0) * x * self.gain)], axis=-1)
        x = tf.nn.silu(self.second(tf.image.resize(x, (12, 12))))
        left, right = tf.split(tf.reduce_mean(x, axis=[1, 2]), 2, axis=-1)
        if training:
            left = tf.nn.dropout(left, 0.5)
        x = tf.reshape(tf.stack([left, right], axis=1), [tf.shape(left)[0], -1])
        return tf.nn.softmax(self.classes(x), axis=-1)


class AsFunction(OfTensorFlow):
    @tf.function
    def call(self, x):
        return OfTensorFlow.call(self, x)


@pytest.mark.parametrize("kind", [OfTensorFlow, AsFunction])
def test_functions_of_tensorflow_are_operations_of_the_graph(kind: type[keras.Model]) -> None:
    keras.utils.set_random_seed(0)
    model = kind()
    expected = model(IMAGES)
    classifier = load_classifier(model)
    for images in (IMAGES, IMAGES[:1]):
        np.testing.assert_allclose(classifier.model(images), expected[: len(images)], atol=1e-6)
    network = flatten(classifier.model, (16, 20))
    target = default_target(network)
    (layer,) = (operation.layer for operation in network.operations if operation.name == target.name)
    assert layer.activation is keras.activations.silu
    assert last_activation(network) == "softmax"


class OverRows(OfTensorFlow):
    def call(self, x):
        return self.classes(tf.reduce_mean(tf.nn.softmax(self.first(x), axis=1), axis=[1, 2]))


def test_what_a_softmax_is_over_is_not_lost() -> None:
    model = OverRows()
    expected = model(IMAGES)
    np.testing.assert_allclose(load_classifier(model).model(IMAGES), expected, atol=1e-6)


def test_a_copy_gives_the_same() -> None:
    model = OverRows()
    expected = model(IMAGES)
    graph = load_classifier(model).model
    copy = keras.models.clone_model(graph)
    copy.set_weights(graph.get_weights())
    np.testing.assert_allclose(copy(IMAGES), expected, atol=1e-6)


def test_a_head_that_no_file_could_hold_is_not_fitted() -> None:
    model = OfTensorFlow()
    model(IMAGES)
    with pytest.raises(ModelError, match=r"uses functions of tf in its call, which a fitted file cannot hold"):
        pooled_model(load_classifier(model))


def test_symbols_elsewhere_are_refused_as_before() -> None:
    model = OfTensorFlow()
    model(IMAGES)
    load_classifier(model)
    with pytest.raises(ValueError, match="KerasTensor"):
        tf.nn.relu(keras.Input((16, 20, 3)))
