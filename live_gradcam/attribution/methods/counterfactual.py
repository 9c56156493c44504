"""What speaks against the class: Grad-CAM of the negated gradient."""

from __future__ import annotations

import tensorflow as tf

from live_gradcam.attribution.methods.grad_cam import grad_cam
from live_gradcam.attribution.methods.method import Method


def counterfactual(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """What speaks against the class: Grad-CAM of the negated gradient, Σₖ −αₖ Aₖ.

    Selvaraju et al., as for `methods.grad_cam`, section 3.3.
    """
    return -grad_cam(activations, gradients)


METHOD = Method(counterfactual, "mean gradient", against=True)
