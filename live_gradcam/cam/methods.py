"""The methods: pure functions from a layer's activations and their gradients to a map.

Each takes `activations` A and `gradients` G = ∂score/∂A, both float32 (batch, h, w, channels), and returns the raw map,
float32 (batch, h, w): before the ReLU and before scaling. To add one, write one function and register it.

A method that asks for nothing but the gradient's mean over space is registered as such, and is given just that,
(batch, 1, 1, channels): it is far cheaper (`cam.mean_gradient`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

CamMethod = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def grad_cam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Grad-CAM: Σₖ αₖ Aₖ with αₖ the mean of Gₖ over space.

    Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV 2017,
    equations 1 and 2 (https://arxiv.org/abs/1610.02391).
    """
    weights = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)
    return tf.reduce_sum(activations * weights, axis=-1)


def hirescam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """HiResCAM: Σₖ Gₖ Aₖ, place by place.

    Draelos and Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural networks",
    2020, equation 4 (https://arxiv.org/abs/2011.08891).
    """
    return tf.reduce_sum(activations * gradients, axis=-1)


def layercam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """LayerCAM: Σₖ relu(Gₖ) Aₖ, place by place.

    Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization", IEEE TIP 2021, equations
    6 to 8 (https://doi.org/10.1109/TIP.2021.3089943).
    """
    return tf.reduce_sum(activations * tf.nn.relu(gradients), axis=-1)


def elementwise(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Elementwise Grad-CAM: Σₖ relu(Gₖ Aₖ), place by place, as in pytorch-grad-cam's `GradCAMElementWise`."""
    return tf.reduce_sum(tf.nn.relu(activations * gradients), axis=-1)


def xgrad_cam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """XGrad-CAM: Σₖ αₖ Aₖ with αₖ = Σ Gₖ Aₖ / Σ Aₖ, sums over space; 0 for a channel that sums to 0.

    Fu et al., "Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation of CNNs", BMVC 2020, equation 8
    (https://arxiv.org/abs/2008.02312).
    """
    total = tf.reduce_sum(activations, axis=(1, 2), keepdims=True)
    weights = tf.math.divide_no_nan(tf.reduce_sum(gradients * activations, axis=(1, 2), keepdims=True), total)
    return tf.reduce_sum(activations * weights, axis=-1)


@dataclass(frozen=True)
class Method:
    """A way to make a map.

    Attributes:
        raw_map: activations and gradients to the raw map.
        of_mean_gradient: whether it asks for nothing but the gradient's mean over space.
    """

    raw_map: CamMethod
    of_mean_gradient: bool = False


#: Name, as `--method` spells it, to method.
METHODS: dict[str, Method] = {
    "grad-cam": Method(grad_cam, of_mean_gradient=True),
    "hirescam": Method(hirescam),
    "layercam": Method(layercam),
    "elementwise": Method(elementwise),
    "xgrad-cam": Method(xgrad_cam),
}
