"""A method: the mean of the feature maps, of no class."""

import tensorflow as tf

from live_gradcam.attribution.methods.method import Method


def mean_of_maps(activations: tf.Tensor, _: None) -> tf.Tensor:
    """The mean over the channels: float32 (batch, h, w) of activations (batch, h, w, channels)."""
    return tf.reduce_mean(activations, axis=-1)


METHOD = Method(mean_of_maps, "nothing")
