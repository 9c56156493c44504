"""The first principal component, as operations that every engine has."""

from __future__ import annotations

import tensorflow as tf

#: With 2ⁿ power iterations, directions whose squared singular values differ by more than a thousandth come apart.
_SQUARINGS = 12


def on_first_component(features: tf.Tensor) -> tf.Tensor:
    """Features float32 (batch, h, w, channels) on their first principal component: (batch, h, w).

    By power iteration, squaring the smaller of the two matrices of products, so that few small products are many steps.
    """
    _, height, width, channels = features.shape
    matrix = tf.reshape(features, [-1, height * width, channels])
    matrix -= matrix[:, :1]  # so that the mean of what is the same everywhere is not off by rounding
    matrix -= tf.reduce_mean(matrix, axis=1, keepdims=True)
    of_channels = channels < height * width
    products = tf.linalg.matmul(matrix, matrix, transpose_a=of_channels, transpose_b=not of_channels)
    power = products
    for _ in range(_SQUARINGS):
        power = tf.math.divide_no_nan(power, tf.reduce_max(power, axis=(1, 2), keepdims=True))
        power = tf.linalg.matmul(power, power)
    # The power is almost of rank 1: each of its columns is the first eigenvector, the largest most exactly.
    largest = tf.one_hot(tf.argmax(tf.reduce_max(power, axis=1), axis=-1), power.shape[-1])[..., tf.newaxis]
    vector = _of_unit_length(tf.linalg.matmul(power, largest))
    if of_channels:
        projected = tf.linalg.matmul(matrix, vector)
    else:  # of M = UΣVᵀ the vector is u, and M v = σ u with σ² = uᵀ M Mᵀ u
        squared = tf.linalg.matmul(vector, tf.linalg.matmul(products, vector), transpose_a=True)
        projected = vector * tf.sqrt(tf.nn.relu(squared))
    total = tf.reduce_sum(matrix, axis=-1, keepdims=True)
    agreement = tf.reduce_sum(projected * total, axis=1, keepdims=True)
    projected = tf.where(agreement < 0, -projected, projected)
    return tf.reshape(projected, [-1, height, width])


def _of_unit_length(vectors: tf.Tensor) -> tf.Tensor:
    """Scaled by the largest entry first, so that tiny numbers do not vanish when they are squared."""
    vectors = tf.math.divide_no_nan(vectors, tf.reduce_max(tf.abs(vectors), axis=1, keepdims=True))
    return tf.math.divide_no_nan(vectors, tf.sqrt(tf.reduce_sum(vectors * vectors, axis=1, keepdims=True)))
