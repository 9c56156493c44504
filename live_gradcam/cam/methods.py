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
METHODS: dict[str, Method] = {"grad-cam": Method(grad_cam, of_mean_gradient=True)}
