"""Grad-CAM as Keras' documentation has it, for one picture: the reference of the tests of training."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf


def grad_cam(model: keras.Model, layer: str, image: np.ndarray, index: int) -> np.ndarray:
    """The map 0…1 of a class's logit: float32 (h, w). The model ends in a dense layer with an activation."""
    dense = model.layers[-1]
    inner = keras.Model(model.inputs, [model.get_layer(layer).output, dense.input])
    with tf.GradientTape() as tape:
        activations, features = inner([tf.constant(image[None])], training=False)
        logits = features @ dense.kernel.value + dense.bias.value
        score = logits[0, index]
    gradients = tape.gradient(score, activations)
    raw = tf.reduce_sum(activations * tf.reduce_mean(gradients, axis=(1, 2), keepdims=True), axis=-1)[0]
    positive = np.maximum(raw.numpy(), 0)
    return positive / positive.max() if positive.max() > 0 else positive
