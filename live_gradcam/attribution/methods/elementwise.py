"""Elementwise Grad-CAM: the positive parts of the feature maps times the gradients."""

from __future__ import annotations

import tensorflow as tf

from live_gradcam.attribution.methods.method import Method


def elementwise(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Elementwise Grad-CAM: Σₖ relu(Gₖ Aₖ), place by place, as in pytorch-grad-cam's `GradCAMElementWise`."""
    return tf.reduce_sum(tf.nn.relu(activations * gradients), axis=-1)


METHOD = Method(elementwise)
