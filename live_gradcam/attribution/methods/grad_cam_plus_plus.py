"""Grad-CAM++: weights that count several objects of one class alike."""

from __future__ import annotations

import tensorflow as tf

from live_gradcam.attribution.methods.method import Method


def grad_cam_plus_plus(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Grad-CAM++: Σₖ wₖ Aₖ with wₖ = Σ αₖ relu(Gₖ), sums over space, and αₖ = Gₖ² / (2 Gₖ² + ΣAₖ · Gₖ³).

    Chattopadhay et al., "Grad-CAM++: Generalized Gradient-based Visual Explanations for Deep Convolutional Networks",
    WACV 2018, equations 10 and 19 (https://arxiv.org/abs/1710.11063). The class score there is exp(S), whose factor
    exp(S) scales all of the map and is left out. α is computed as 1 / (2 + ΣAₖ · Gₖ) where Gₖ > 0, which is the same:
    libraries that add a constant to the denominator instead lose the small gradients of a pooled head.
    """
    total = tf.reduce_sum(activations, axis=(1, 2), keepdims=True)
    positive = tf.nn.relu(gradients)
    weights = tf.reduce_sum(tf.math.divide_no_nan(positive, 2 + total * positive), axis=(1, 2), keepdims=True)
    return tf.reduce_sum(activations * weights, axis=-1)


METHOD = Method(grad_cam_plus_plus)
