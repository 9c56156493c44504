"""Winograd's minimal filtering: 3 × 3 convolutions of stride 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from live_gradcam.compiling.affine import Affine, Product, is_full, smaller_side
from live_gradcam.compiling.forms.form import FEW_PLACES, matmul, matrix, places
from live_gradcam.networks.graph import Shape


@dataclass(frozen=True)
class Winograd:
    """The matrices of F(m × m, 3 × 3): output tile Aᵀ[(G k Gᵀ) ⊙ (Bᵀ d B)]A of the input tile d and the kernel k.

    Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, section 4
    (https://arxiv.org/abs/1509.09308). Exact in real numbers; in float32 the error grows with m.
    """

    tile: int
    b_transposed: tuple[tuple[float, ...], ...]
    g: tuple[tuple[float, ...], ...]
    a_transposed: tuple[tuple[float, ...], ...]


F2 = Winograd(
    tile=2,
    b_transposed=((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
    g=((1, 0, 0), (1 / 2, 1 / 2, 1 / 2), (1 / 2, -1 / 2, 1 / 2), (0, 0, 1)),
    a_transposed=((1, 1, 1, 0), (0, 1, -1, -1)),
)
F4 = Winograd(
    tile=4,
    b_transposed=(
        (4, 0, -5, 0, 1, 0),
        (0, -4, -4, 1, 1, 0),
        (0, 4, -4, -1, 1, 0),
        (0, -2, -1, 2, 1, 0),
        (0, 2, -1, -2, 1, 0),
        (0, 4, 0, -5, 0, 1),
    ),
    g=(
        (1 / 4, 0, 0),
        (-1 / 6, -1 / 6, -1 / 6),
        (-1 / 6, 1 / 6, -1 / 6),
        (1 / 24, 1 / 12, 1 / 6),
        (1 / 24, -1 / 12, 1 / 6),
        (0, 0, 1),
    ),
    a_transposed=((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1)),
)

#: Thinner layers and smaller maps have too few products for the transforms to pay: there Winograd is not even timed.
_LEAST_CHANNELS, _LEAST_SIDE = 16, 6


def is_for_winograd(affine: Affine, input_shape: Shape) -> bool:
    """Whether it is a 3 × 3 convolution of stride 1 that is large enough."""
    if not is_full(affine, input_shape) or affine.kernel.shape[:2] != (3, 3):
        return False
    plain = affine.strides == affine.dilation == (1, 1)
    thick = min(affine.kernel.shape[2:]) >= _LEAST_CHANNELS
    return plain and thick and smaller_side(input_shape) >= _LEAST_SIDE


def has_few_tiles(affine: Affine, input_shape: Shape, matrices: Winograd) -> bool:
    """Whether it is one whose map is few tiles."""
    if not is_for_winograd(affine, input_shape):
        return False
    return places(input_shape, (matrices.tile, matrices.tile)) <= FEW_PLACES


def winograd_product(affine: Affine, matrices: Winograd, *, kernel_first: bool = False) -> Product:
    """The product by tiles: see `Winograd`."""
    tile, reach = matrices.tile, matrices.tile + 2
    g = np.array(matrices.g, np.float64)
    transformed = np.einsum("ai,bj,ijco->abco", g, g, affine.kernel.astype(np.float64))
    inputs, outputs = affine.kernel.shape[2:]
    transformed = transformed.reshape(reach * reach, inputs, outputs)
    kernel = matrix(affine, transformed.transpose(0, 2, 1) if kernel_first else transformed)
    border = 1 if affine.padding == "same" else 0

    def product(x: tf.Tensor) -> tf.Tensor:
        height, width = x.shape[1] - 2 + 2 * border, x.shape[2] - 2 + 2 * border
        tiles_y, tiles_x = -(-height // tile), -(-width // tile)
        below, beside = tiles_y * tile - height + border, tiles_x * tile - width + border
        x = tf.pad(x, [(0, 0), (border, below), (border, beside), (0, 0)])

        # Bᵀ d B: rows first, for all columns at once, then columns, for all rows at once: few operations to compile.
        rows = [x[:, row : row + tile * (tiles_y - 1) + 1 : tile] for row in range(reach)]
        x = tf.stack(_combinations(matrices.b_transposed, rows))
        columns = [x[:, :, :, column : column + tile * (tiles_x - 1) + 1 : tile] for column in range(reach)]
        x = tf.stack(_combinations(matrices.b_transposed, columns), axis=1)
        x = tf.reshape(x, [reach * reach, -1, inputs])

        # Aᵀ m A in the same way, and the tiles put side by side: (batch, tiles_y, tile, tiles_x, tile, outputs).
        if kernel_first:  # as in `pointwise.product_kernel_first`
            x = tf.linalg.matmul(kernel, x, transpose_b=True)
            x = tf.reshape(x, [reach, reach, outputs, -1, tiles_y, tiles_x])
            x = tf.stack(_combinations(matrices.a_transposed, tf.unstack(x)), axis=4)
            x = tf.stack(_combinations(matrices.a_transposed, tf.unstack(x)), axis=5)
            x = tf.transpose(x, [1, 2, 3, 4, 5, 0])
        else:
            x = tf.reshape(matmul(x, kernel), [reach, reach, -1, tiles_y, tiles_x, outputs])
            x = tf.stack(_combinations(matrices.a_transposed, tf.unstack(x)), axis=3)
            x = tf.stack(_combinations(matrices.a_transposed, tf.unstack(x)), axis=4)
        return tf.reshape(x, [-1, tiles_y * tile, tiles_x * tile, outputs])[:, :height, :width]

    return product


def _combinations(matrix: Sequence[Sequence[float]], tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """M t for a constant matrix M and a vector t of tensors, by additions."""
    return [
        tf.add_n(
            [tensor if factor == 1 else factor * tensor for factor, tensor in zip(row, tensors, strict=True) if factor]
        )
        for row in matrix
    ]
