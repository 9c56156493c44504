"""LayerCAM: the feature maps times the positive gradients, place by place."""

from __future__ import annotations

import tensorflow as tf

from live_gradcam.attribution.methods.method import Method


def layercam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """LayerCAM: Σₖ relu(Gₖ) Aₖ, place by place.

    Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization", IEEE TIP 2021, equations
    6 to 8 (https://doi.org/10.1109/TIP.2021.3089943).
    """
    return tf.reduce_sum(activations * tf.nn.relu(gradients), axis=-1)


METHOD = Method(layercam)
