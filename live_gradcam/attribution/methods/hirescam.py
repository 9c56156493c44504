"""HiResCAM: the feature maps times the gradients, place by place."""

from __future__ import annotations

import tensorflow as tf

from live_gradcam.attribution.methods.method import Method


def hirescam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """HiResCAM: Σₖ Gₖ Aₖ, place by place.

    Draelos and Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural networks",
    2020, equation 4 (https://arxiv.org/abs/2011.08891).
    """
    return tf.reduce_sum(activations * gradients, axis=-1)


METHOD = Method(hirescam)
