"""Eigen-CAM: what the feature maps have most in common."""

from __future__ import annotations

import tensorflow as tf

from live_gradcam.attribution.methods.method import Method
from live_gradcam.attribution.methods.principal_component import on_first_component


def eigen_cam(activations: tf.Tensor, _: None) -> tf.Tensor:
    """Eigen-CAM: the activations on their first principal component. It is of no class.

    Muhammad and Yeasin, "Eigen-CAM: Class Activation Map using Principal Components", IJCNN 2020
    (https://arxiv.org/abs/2008.00299). Each channel is centred first, as in pytorch-grad-cam and as principal
    components are. A component has no sign of its own: here it is the one that goes with the sum of the channels.
    """
    return on_first_component(activations)


METHOD = Method(eigen_cam, "nothing")
