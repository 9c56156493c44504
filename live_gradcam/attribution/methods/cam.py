"""CAM: the feature maps, weighted as the dense layer after global pooling weights them."""

from __future__ import annotations

import tensorflow as tf

from live_gradcam.attribution.methods.grad_cam import grad_cam
from live_gradcam.attribution.methods.method import Method


def cam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """CAM: Σₖ wₖ Aₖ with wₖ the class's weight in the dense layer after global pooling.

    Under global pooling wₖ is the sum of Gₖ over space, however the pooling is written. For a head of another
    kind it means nothing, and the explainer refuses it.

    Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016, equation 2
    (https://arxiv.org/abs/1512.04150).
    """
    return grad_cam(activations, gradients) * (activations.shape[1] * activations.shape[2])


METHOD = Method(cam, "mean gradient", needs_pooled_head=True)
