"""Keeping XLA from computing the same twice."""

from __future__ import annotations

import tensorflow as tf


def unknown_one() -> tf.Tensor:
    """1.0, float32, as an argument of the program: the compiler does not know its value.

    XLA computes cheap sums and products anew within each of their readers. What holds a division counts as dear, and is
    computed once. x / 1 is x to the last digit.
    """
    with tf.init_scope():
        return tf.constant(1.0)
