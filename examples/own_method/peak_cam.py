"""Peak-CAM, a method from outside: at each place the largest of the products that Grad-CAM sums up."""

from __future__ import annotations

import tensorflow as tf

from live_gradcam.attribution.methods.method import Method


def peak_cam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """The largest weighted activation over the channels.

    Args:
        activations: float32 (batch, h, w, channels), of the target layer.
        gradients: float32 (batch, 1, 1, channels), of the score: their mean over space, which is quick to compute.

    Returns:
        float32 (batch, h, w): the map before the ReLU and before scaling.
    """
    return tf.reduce_max(activations * gradients, axis=-1)


METHOD = Method(peak_cam, asks_for="mean gradient")
