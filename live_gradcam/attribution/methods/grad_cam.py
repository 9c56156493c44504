"""Grad-CAM: the feature maps, weighted by their mean gradients."""

from __future__ import annotations

import tensorflow as tf

from live_gradcam.attribution.methods.method import Method


def grad_cam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Grad-CAM: Σₖ αₖ Aₖ with αₖ the mean of Gₖ over space.

    Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV 2017,
    equations 1 and 2 (https://arxiv.org/abs/1610.02391).
    """
    weights = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)
    return tf.reduce_sum(activations * weights, axis=-1)


METHOD = Method(grad_cam, "mean gradient")
