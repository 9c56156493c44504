"""What a form is, and what several of them need."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from live_gradcam.compiling.affine import Affine, Product, reach_of, same_padding
from live_gradcam.networks.graph import Shape

#: Up to this many places (pixels, or Winograd's tiles) the transposed product is the faster one.
FEW_PLACES = 64


@dataclass(frozen=True)
class Form:
    """A way to compute an affine layer.

    Attributes:
        fits: whether it computes this layer, on inputs of this shape, exactly, and fast enough to be worth timing.
        product: the layer's product in this form.
    """

    fits: Callable[[Affine, Shape], bool]
    product: Callable[[Affine], Product]


def matrix(affine: Affine, kernel: np.ndarray) -> tf.Tensor:
    """A kernel for `matmul`, in the layer's precision."""
    return tf.constant(kernel, tf.bfloat16 if affine.bf16 else tf.float32)


def matmul(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The products x (…, rows, inputs) · (inputs, outputs), or of a batch (n, rows, inputs) · (n, inputs, outputs)."""
    if kernel.dtype == tf.float32:
        return tf.linalg.matmul(x, kernel)
    from tensorflow.compiler.tf2xla.ops import gen_xla_ops  # the only way to say that sums are of another type
    from tensorflow.compiler.xla import xla_data_pb2

    batch = [0] if len(kernel.shape) == 3 else []
    numbers = xla_data_pb2.DotDimensionNumbers(
        lhs_batch_dimensions=batch,
        rhs_batch_dimensions=batch,
        lhs_contracting_dimensions=[len(x.shape) - 1],
        rhs_contracting_dimensions=[len(batch)],
    )
    return gen_xla_ops.xla_dot_v2(tf.cast(x, kernel.dtype), kernel, numbers.SerializeToString(), b"", tf.float32)


def padded(affine: Affine, x: tf.Tensor) -> tuple[tf.Tensor, tuple[int, int]]:
    """The input with its padding, and the (height, width) of the output."""
    reach, strides = reach_of(affine), affine.strides
    if affine.padding == "same":
        pads = [same_padding(x.shape[axis + 1], reach[axis], strides[axis]) for axis in range(2)]
        x = tf.pad(x, [(0, 0), *pads, (0, 0)])
    return x, ((x.shape[1] - reach[0]) // strides[0] + 1, (x.shape[2] - reach[1]) // strides[1] + 1)


def read_by_tap(affine: Affine, x: tf.Tensor, row: int, column: int, height: int, width: int) -> tf.Tensor:
    """What the kernel's tap (row, column) reads of the padded input, for every output."""
    top, left = row * affine.dilation[0], column * affine.dilation[1]
    return strided(x, (top, left), (height, width), affine.strides)


def strided(x: tf.Tensor, first: tuple[int, int], size: tuple[int, int], strides: tuple[int, int]) -> tf.Tensor:
    """`size` (rows, columns) of an image (batch, height, width, channels), `strides` apart, from `first` on."""
    bottom, right = (first[axis] + (size[axis] - 1) * strides[axis] + 1 for axis in range(2))
    return x[:, first[0] : bottom : strides[0], first[1] : right : strides[1]]


def places(shape: Shape, steps: tuple[int, int]) -> int:
    """How many places there are on a map, `steps` (rows, columns) apart; the last of a row or column may be cut."""
    return math.prod(-(-(shape[axis] or 0) // steps[axis]) for axis in range(2))
