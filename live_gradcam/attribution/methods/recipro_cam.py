"""Recipro-CAM: the score of each place alone, without gradients."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from live_gradcam.attribution.methods.method import Method, Scores


def recipro_cam(activations: tf.Tensor, scores: Scores) -> tf.Tensor:
    """Recipro-CAM: at each place, the score of the activations at that place alone; no gradient.

    Byun and Lee, "Recipro-CAM: Fast gradient-free visual explanations for convolutional neural networks", 2022, with
    masks of one place (https://arxiv.org/abs/2209.14074). The authors score with the probability, here it is the
    explainer's score. That of no activations at all is taken off, so that 0 is what nothing is worth; the scaling
    from minimum to maximum that they do makes no difference of it.
    """
    _, height, width, _ = activations.shape
    places = height * width
    masks = tf.constant(np.eye(places + 1, places, dtype=np.float32).reshape(1, places + 1, height, width, 1))
    values = scores(activations[:, tf.newaxis] * masks)
    return tf.reshape(values[:, :-1] - values[:, -1:], [-1, height, width])


METHOD = Method(recipro_cam, "scores")
