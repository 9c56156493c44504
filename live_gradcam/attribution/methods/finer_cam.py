"""Finer-CAM: Grad-CAM of what tells a class from the most similar ones."""

from __future__ import annotations

import tensorflow as tf

from live_gradcam.attribution.methods.grad_cam import grad_cam
from live_gradcam.attribution.methods.method import Method

#: How many of the most similar classes the class is compared with, and how strongly.
_SIMILAR_CLASSES, _COMPARISON = 3, 1.0


def finer_score(logits: tf.Tensor, picked: tf.Tensor) -> tf.Tensor:
    """Finer-CAM's score: Σ_d p_d (z_c − z_d) / Σ_d p_d over the three classes d whose logits are nearest to z_c.

    Zhang et al., "Finer-CAM: Spotting the Difference Reveals Finer Details for Visual Explanation", CVPR 2025
    (https://arxiv.org/abs/2501.11309). p is the softmax, differentiated like the logits, as in the authors' code
    (pytorch-grad-cam's `FinerCAM`).

    Args:
        logits: float32 (n, classes).
        picked: float32 (n, classes): 1 for the class c, else 0.

    Returns:
        float32 (n,).
    """
    own = tf.reduce_sum(logits * picked, axis=-1, keepdims=True)
    distance = tf.abs(logits - own) + picked * logits.dtype.max
    similar = tf.math.top_k(-distance, min(_SIMILAR_CLASSES, logits.shape[-1] - 1)).indices
    is_similar = tf.reduce_sum(tf.one_hot(similar, logits.shape[-1]), axis=1)
    weights = is_similar * tf.nn.softmax(logits)
    weights = tf.math.divide_no_nan(weights, tf.reduce_sum(weights, axis=-1, keepdims=True))
    return tf.reduce_sum(weights * (own - _COMPARISON * logits), axis=-1)


METHOD = Method(grad_cam, "mean gradient", score=finer_score)
