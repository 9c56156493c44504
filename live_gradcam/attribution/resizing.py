"""Maps at another size, by operations that every engine has."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def resized(maps: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Maps (…, h, w) bilinearly at another (height, width), pixel centres and edges as OpenCV has them.

    As two small products, which every engine has.
    """
    height, width = (tf.constant(_interpolation(*sizes)) for sizes in zip(maps.shape[-2:], size, strict=True))
    return tf.linalg.matmul(tf.linalg.matmul(height, maps), width, transpose_b=True)


def _interpolation(before: int, after: int) -> np.ndarray:
    """float32 (after, before): what of each value goes into each interpolated one."""
    places = np.clip((np.arange(after) + 0.5) * before / after - 0.5, 0, before - 1)
    return np.maximum(0, 1 - np.abs(places[:, None] - np.arange(before))).astype(np.float32)
