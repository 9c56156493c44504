"""Camera pixels as a network's input, in TensorFlow: traced, as a part of what is compiled, or eagerly."""

from __future__ import annotations

import tensorflow as tf

from live_gradcam.networks.preprocessing import Preprocessing

_LUMA_OF_BGR = (0.114, 0.587, 0.299)  # ITU-R BT.601


def network_input(pixels: tf.Tensor, preprocessing: Preprocessing) -> tf.Tensor:
    """uint8 BGR (batch, height, width, 3) as the network's float32 input."""
    x = tf.cast(pixels, tf.float32)
    if preprocessing.channels == "grey":
        x = tf.reduce_sum(x * tf.constant(_LUMA_OF_BGR), axis=-1, keepdims=True)
        return (x - preprocessing.mean[0]) * preprocessing.scale[0]
    if preprocessing.channels == "rgb":
        x = tf.reverse(x, axis=[-1])
    return (x - tf.constant(preprocessing.mean)) * tf.constant(preprocessing.scale)
