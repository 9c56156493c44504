"""EigenGrad-CAM: what the feature maps times the gradients have most in common."""

from __future__ import annotations

import tensorflow as tf

from live_gradcam.attribution.methods.method import Method
from live_gradcam.attribution.methods.principal_component import on_first_component


def eigengrad_cam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """EigenGrad-CAM: Gₖ Aₖ, place by place, on its first principal component.

    pytorch-grad-cam's `EigenGradCAM` (https://github.com/jacobgil/pytorch-grad-cam), centred and signed as in
    `methods.eigen_cam`.
    """
    return on_first_component(activations * gradients)


METHOD = Method(eigengrad_cam)
