"""The first convolution, of a picture: as a product of patches, or with blocks of pixels as channels."""

from __future__ import annotations

from dataclasses import replace
from itertools import product as pairs

import numpy as np
import tensorflow as tf

from live_gradcam.compiling.affine import Affine, Product, is_full
from live_gradcam.compiling.forms.form import matmul, matrix, padded, read_by_tap
from live_gradcam.compiling.forms.tensorflows import tensorflows_product
from live_gradcam.networks.graph import Shape

#: A stem reads pictures: 1, 3 or 4 channels.
_PICTURE_CHANNELS = 4


def is_stem(affine: Affine, input_shape: Shape) -> bool:
    """Whether it reads a picture."""
    if not is_full(affine, input_shape):
        return False
    return affine.kernel.shape[2] <= _PICTURE_CHANNELS and affine.kernel.shape[:2] != (1, 1)


def product_of_patches(affine: Affine) -> Product:
    """Each output's patch of the input as a row of a matrix, times the kernel as a matrix: the definition again."""
    rows, columns, channels, outputs = affine.kernel.shape
    kernel = matrix(affine, affine.kernel.reshape(rows * columns * channels, outputs))

    def product(x: tf.Tensor) -> tf.Tensor:
        x, (height, width) = padded(affine, x)
        taps = [
            read_by_tap(affine, x, row, column, height, width) for row, column in pairs(range(rows), range(columns))
        ]
        return matmul(tf.concat(taps, axis=-1), kernel)

    return product


def is_strided_stem(affine: Affine, input_shape: Shape) -> bool:
    """Whether it reads a picture in equal steps of more than a pixel."""
    even = affine.strides[0] == affine.strides[1] > 1 and affine.dilation == (1, 1)
    return is_stem(affine, input_shape) and even


def product_in_depth(affine: Affine) -> Product:
    """Space to depth: blocks of stride × stride pixels become channels, and the convolution one of stride 1.

    Tap (s·i + a, s·j + b) of channel c is tap (i, j) of channel (a, b, c); the kernel is filled up with zeros.
    """
    stride = affine.strides[0]
    rows, columns, channels, outputs = affine.kernel.shape
    blocks_y, blocks_x = -(-rows // stride), -(-columns // stride)
    kernel = np.zeros((blocks_y * stride, blocks_x * stride, channels, outputs), np.float32)
    kernel[:rows, :columns] = affine.kernel
    kernel = kernel.reshape(blocks_y, stride, blocks_x, stride, channels, outputs).transpose(0, 2, 1, 3, 4, 5)
    depth = stride * stride * channels
    in_depth = replace(
        affine, kernel=kernel.reshape(blocks_y, blocks_x, depth, outputs), strides=(1, 1), padding="valid"
    )
    convolution = tensorflows_product(in_depth)

    def product(x: tf.Tensor) -> tf.Tensor:
        x, (height, width) = padded(affine, x)
        tall, wide = height + blocks_y - 1, width + blocks_x - 1  # in blocks
        x = x[:, : tall * stride, : wide * stride]
        x = tf.pad(x, [(0, 0), (0, tall * stride - x.shape[1]), (0, wide * stride - x.shape[2]), (0, 0)])
        x = tf.reshape(x, [-1, tall, stride, wide, stride, channels])
        x = tf.reshape(tf.transpose(x, [0, 1, 3, 2, 4, 5]), [-1, tall, wide, depth])
        return convolution(x)

    return product
