"""XGrad-CAM: the gradients, weighted by each place's share of its feature map."""

from __future__ import annotations

import tensorflow as tf

from live_gradcam.attribution.methods.method import Method


def xgrad_cam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """XGrad-CAM: Σₖ αₖ Aₖ with αₖ = Σ Gₖ Aₖ / Σ Aₖ, sums over space; 0 for a channel that sums to 0.

    Fu et al., "Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation of CNNs", BMVC 2020, equation 8
    (https://arxiv.org/abs/2008.02312).
    """
    total = tf.reduce_sum(activations, axis=(1, 2), keepdims=True)
    weights = tf.math.divide_no_nan(tf.reduce_sum(gradients * activations, axis=(1, 2), keepdims=True), total)
    return tf.reduce_sum(activations * weights, axis=-1)


METHOD = Method(xgrad_cam)
