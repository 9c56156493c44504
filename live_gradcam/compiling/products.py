"""The ways in which a convolution or dense layer can be computed: exact forms of one product.

A form is a function of the layer's numbers. Each section below is one form: when it computes the layer, what it does,
and why that is exact. Which one is used is `compiling.lowering`'s choice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product as pairs
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from live_gradcam.networks.graph import Operation, Shape

Kind = Literal["convolution", "depthwise", "dense"]
#: The linear part of an affine layer: what its input is multiplied with.
Product = Callable[[tf.Tensor], tf.Tensor]


@dataclass(frozen=True, eq=False)
class Affine:
    """A convolution or dense layer as numbers. It stands in `Operation.layer` for the Keras layer that it replaces.

    Attributes:
        kind: which product it is.
        kernel: float32, in Keras' axes; of a depthwise convolution (height, width, channels, multiplier).
        bias: float32 (outputs,).
        activation: what follows.
        strides: (vertical, horizontal), of a convolution, as are the next two.
        padding: "same" or "valid".
        dilation: (vertical, horizontal).
        form: how it is computed: the name of one of `FORMS`.
        bf16: whether its matrix products are of bfloat16 numbers, summed in float32.
    """

    kind: Kind
    kernel: np.ndarray
    bias: np.ndarray
    activation: Callable[[tf.Tensor], tf.Tensor]
    strides: tuple[int, int] = (1, 1)
    padding: str = "valid"
    dilation: tuple[int, int] = (1, 1)
    form: str = "as it is"
    bf16: bool = False

    def scaled(self, factor: np.ndarray, offset: np.ndarray) -> Affine:
        """The layer whose output is this one's times `factor` plus `offset`, both (outputs,)."""
        along = factor.reshape(self.kernel.shape[2:]) if self.kind == "depthwise" else factor
        return replace(self, kernel=self.kernel * along, bias=self.bias * factor + offset)

    def call(self) -> AffineCall:
        """The layer as a function. Weights are captured, not built into the graph."""
        return AffineCall(FORMS[self.form].product(self), tf.constant(self.bias, tf.float32), self.activation)


@dataclass(frozen=True, eq=False)
class AffineCall:
    """activation(product(x) + bias): what is run for an affine layer."""

    product: Product
    bias: tf.Tensor
    activation: Callable[[tf.Tensor], tf.Tensor]

    def __call__(self, tensors: list[Any]) -> list[Any]:
        """Apply the layer to its one input. As Keras does, what comes from a layer of half precision is cast."""
        return [self.activation(self.product(tf.cast(tensors[0], tf.float32)) + self.bias)]

    def without_activation(self) -> AffineCall:
        """The same up to the activation, with the same tensors."""
        return replace(self, activation=keras.activations.linear)


_KERAS_LAYERS: dict[Kind, type] = {
    "convolution": keras.layers.Conv2D,
    "depthwise": keras.layers.DepthwiseConv2D,
    "dense": keras.layers.Dense,
}


def kind_of(layer: Any) -> Kind | None:
    """Which product a layer is; None where it is not one that is known exactly."""
    if isinstance(layer, Affine):
        return layer.kind
    return next((kind for kind, keras_layer in _KERAS_LAYERS.items() if is_plain(layer, keras_layer)), None)


def affine_of(layer: Any) -> Affine | None:
    """The layer as numbers, or None where it has no kind. Takes a copy of its weights: ask for the kind first."""
    kind = kind_of(layer)
    if isinstance(layer, Affine) or kind is None:
        return layer if isinstance(layer, Affine) else None
    kernel = np.asarray(layer.kernel)
    outputs = kernel.shape[2] * kernel.shape[3] if kind == "depthwise" else kernel.shape[-1]
    affine = Affine(kind, kernel, bias_of(layer, outputs), layer.activation)
    if kind == "dense":
        return affine
    dilation = tuple(layer.dilation_rate)
    return replace(affine, strides=tuple(layer.strides), padding=layer.padding, dilation=dilation)


def is_plain(layer: Any, *kinds: type) -> bool:
    """Whether a layer computes what its class says, from its weights as they are: in float32, NHWC, and nothing added.

    Not so a subclass, or a layer that is quantized (its kernel is of another scale), has a LoRA update or a `call` of
    its own: these are run by their own call.
    """
    if type(layer) not in kinds or "call" in vars(layer):
        return False
    plain_numbers = layer.dtype_policy.name == "float32" and getattr(layer, "quantization_mode", None) is None
    changed = getattr(layer, "lora_enabled", False) or getattr(layer, "data_format", None) == "channels_first"
    return plain_numbers and not changed


def bias_of(layer: Any, outputs: int) -> np.ndarray:
    """A Keras layer's bias, float32 (outputs,); zeros where it has none."""
    return np.asarray(layer.bias) if layer.use_bias else np.zeros(outputs, np.float32)


def replaced(
    operation: Operation,
    affine: Affine,
    *,
    inputs: tuple[int, ...] | None = None,
    outputs: tuple[int, ...] | None = None,
) -> Operation:
    """The operation with an affine layer in its place."""
    return Operation(
        operation.name,
        affine,
        operation.inputs if inputs is None else inputs,
        operation.outputs if outputs is None else outputs,
        affine.call(),
    )


@dataclass(frozen=True)
class Form:
    """A way to compute an affine layer.

    Attributes:
        fits: whether it computes this layer, on inputs of this shape, exactly, and fast enough to be worth timing.
        product: the layer's product in this form.
    """

    fits: Callable[[Affine, Shape], bool]
    product: Callable[[Affine], Product]


def _matrix(affine: Affine, kernel: np.ndarray) -> tf.Tensor:
    """A kernel for `_matmul`, in the layer's precision."""
    return tf.constant(kernel, tf.bfloat16 if affine.bf16 else tf.float32)


def _matmul(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
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


# --- as it is: TensorFlow's operators -----------------------------------------------------------------------------


def _tensorflows_product(affine: Affine) -> Product:
    kernel = tf.constant(affine.kernel, tf.float32)
    if affine.kind == "dense":
        return lambda x: tf.linalg.matmul(x, kernel)
    padding = affine.padding.upper()
    if affine.kind == "depthwise":
        strides = [1, *affine.strides, 1]
        return lambda x: tf.nn.depthwise_conv2d(x, kernel, strides, padding, None, affine.dilation)
    return lambda x: tf.nn.conv2d(x, kernel, affine.strides, padding, dilations=affine.dilation)


# --- by the transposed kernel: dense ------------------------------------------------------------------------------

#: Smaller kernels stay in a processor's cache, where the order in which they are read is no matter.
_LARGE_KERNEL = 1 << 25


def _is_large_dense(affine: Affine, input_shape: Shape) -> bool:
    return affine.kind == "dense" and len(input_shape) == 1 and affine.kernel.size >= _LARGE_KERNEL


def _product_by_transposed(affine: Affine) -> Product:
    """X K = x (Kᵀ)ᵀ, K kept transposed: for one row each output is a scalar product along consecutive numbers."""
    kernel = tf.transpose(tf.constant(affine.kernel, tf.float32))
    return lambda x: tf.linalg.matmul(x, kernel, transpose_b=True)


# --- shifted products: depthwise and grouped convolution ----------------------------------------------------------


def _has_narrow_groups(affine: Affine, input_shape: Shape) -> bool:
    if affine.kind == "depthwise":
        return True
    return _is_grouped(affine, input_shape) and affine.kernel.shape[2] <= _NARROW


#: Up to this many input channels in a group, products of single numbers beat those of matrices.
_NARROW = 16


def _shifted_products(affine: Affine) -> Product:
    """Σ over the kernel's taps of (the padded input, shifted) · (the tap's weights): the convolution's definition.

    XLA's CPU back end lowers the operator to scalar loops, and this to one vectorised loop: 11 times faster on
    EfficientNet-Lite0. In a grouped convolution, each of a group's input channels is a tap of its own.
    """
    rows, columns = affine.kernel.shape[:2]
    kernel = affine.kernel
    if affine.kind == "depthwise":  # a group for each channel, with `multiplier` outputs: output c·multiplier + m
        kernel = kernel.reshape(rows, columns, 1, -1)
    depth, outputs = kernel.shape[2:]
    weights = tf.constant(kernel, tf.float32)

    def product(x: tf.Tensor) -> tf.Tensor:
        groups = x.shape[-1] // depth
        x, (height, width) = _padded(affine, x)
        shifted = [
            _shifted(affine, x, row, column, height, width) for row, column in pairs(range(rows), range(columns))
        ]
        if depth > 1:
            parts = [tf.reshape(tap, [-1, height, width, groups, depth]) for tap in shifted]
            shifted = [part[..., channel] for part in parts for channel in range(depth)]
        taps = tf.unstack(tf.reshape(weights, [-1, outputs]))
        if outputs > groups:
            shifted = [tf.repeat(tap, outputs // groups, axis=-1) for tap in shifted]
        return tf.add_n([tap * weight for tap, weight in zip(shifted, taps, strict=True)])

    return product


def _reach(affine: Affine) -> tuple[int, int]:
    """How many rows and columns of the input one output depends on."""
    rows, columns = affine.kernel.shape[:2]
    return (rows - 1) * affine.dilation[0] + 1, (columns - 1) * affine.dilation[1] + 1


def _padded(affine: Affine, x: tf.Tensor) -> tuple[tf.Tensor, tuple[int, int]]:
    """The input with its padding, and the (height, width) of the output."""
    reach, strides = _reach(affine), affine.strides
    if affine.padding == "same":
        pads = [same_padding(x.shape[axis + 1], reach[axis], strides[axis]) for axis in range(2)]
        x = tf.pad(x, [(0, 0), *pads, (0, 0)])
    return x, ((x.shape[1] - reach[0]) // strides[0] + 1, (x.shape[2] - reach[1]) // strides[1] + 1)


def _shifted(affine: Affine, x: tf.Tensor, row: int, column: int, height: int, width: int) -> tf.Tensor:
    """What the kernel's tap (row, column) reads of the padded input, for every output."""
    top, left = row * affine.dilation[0], column * affine.dilation[1]
    return strided(x, (top, left), (height, width), affine.strides)


def strided(x: tf.Tensor, first: tuple[int, int], size: tuple[int, int], strides: tuple[int, int]) -> tf.Tensor:
    """`size` (rows, columns) of an image (batch, height, width, channels), `strides` apart, from `first` on."""
    bottom, right = (first[axis] + (size[axis] - 1) * strides[axis] + 1 for axis in range(2))
    return x[:, first[0] : bottom : strides[0], first[1] : right : strides[1]]


def same_padding(size: int, reach: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME padding (before, after) along one axis."""
    total = max(0, (-(-size // stride) - 1) * stride + reach - size)
    return total // 2, total - total // 2


def _is_grouped(affine: Affine, input_shape: Shape) -> bool:
    return affine.kind == "convolution" and affine.kernel.shape[2] != input_shape[-1]


def _is_full(affine: Affine, input_shape: Shape) -> bool:
    return affine.kind == "convolution" and not _is_grouped(affine, input_shape)


# --- matrix product: 1 × 1 convolution ----------------------------------------------------------------------------


def is_pointwise(affine: Affine, input_shape: Shape) -> bool:
    """Whether it is a 1 × 1 convolution over all channels."""
    return _is_full(affine, input_shape) and affine.kernel.shape[:2] == (1, 1)


def _is_strided_pointwise(affine: Affine, input_shape: Shape) -> bool:
    """Without a stride XLA makes a matrix product of it by itself."""
    return is_pointwise(affine, input_shape) and affine.strides != (1, 1)


def _matrix_product(affine: Affine) -> Product:
    """A 1 × 1 convolution is a matrix product over the pixels that its stride leaves.

    Written as a convolution all the same: XLA turns one without a stride into a product so late that it is Eigen's,
    which is faster here than YNN's.
    """
    kernel = _matrix(affine, affine.kernel[0, 0])

    def product(x: tf.Tensor) -> tf.Tensor:
        x = x[:, :: affine.strides[0], :: affine.strides[1]]
        return _matmul(x, kernel) if affine.bf16 else tf.nn.conv2d(x, kernel[tf.newaxis, tf.newaxis], 1, "VALID")

    return product


# --- kernel first: 1 × 1 convolution of small maps ----------------------------------------------------------------

#: Up to this many places (pixels, or Winograd's tiles) the transposed product is the faster one.
_FEW_PLACES = 64


def _is_small_pointwise(affine: Affine, input_shape: Shape) -> bool:
    if not is_pointwise(affine, input_shape) or None in input_shape:
        return False
    return _places(input_shape, affine.strides) <= _FEW_PLACES


def _places(shape: Shape, steps: tuple[int, int]) -> int:
    """How many places there are on a map, `steps` (rows, columns) apart; the last of a row or column may be cut."""
    return math.prod(-(-(shape[axis] or 0) // steps[axis]) for axis in range(2))


def _product_kernel_first(affine: Affine) -> Product:
    """The pixels' matrix times the kernel, as (Kᵀ xᵀ)ᵀ: Eigen cuts the left matrix into longer strips than the right.

    0.65 to 0.97 of the time on the 7 × 7 maps of ResNet50 and EfficientNet-Lite0. Several of them in a batch have more
    places, and are multiplied as ever.
    """
    kernel = tf.constant(affine.kernel[0, 0].T, tf.float32)
    outputs, inputs = kernel.shape
    ordinary = _matrix_product(affine)

    def product(x: tf.Tensor) -> tf.Tensor:
        if (x.shape[0] or 1) > 1:
            return ordinary(x)
        x = x[:, :: affine.strides[0], :: affine.strides[1]]
        transposed = tf.linalg.matmul(kernel, tf.reshape(x, [-1, inputs]), transpose_b=True)
        return tf.reshape(tf.transpose(transposed), [-1, *x.shape[1:3], outputs])

    return product


# --- patches and space to depth: the stem -------------------------------------------------------------------------


#: A stem reads pictures: 1, 3 or 4 channels.
_PICTURE_CHANNELS = 4


def _is_stem(affine: Affine, input_shape: Shape) -> bool:
    if not _is_full(affine, input_shape):
        return False
    return affine.kernel.shape[2] <= _PICTURE_CHANNELS and affine.kernel.shape[:2] != (1, 1)


def _product_of_patches(affine: Affine) -> Product:
    """Each output's patch of the input as a row of a matrix, times the kernel as a matrix: the definition again."""
    rows, columns, channels, outputs = affine.kernel.shape
    kernel = _matrix(affine, affine.kernel.reshape(rows * columns * channels, outputs))

    def product(x: tf.Tensor) -> tf.Tensor:
        x, (height, width) = _padded(affine, x)
        taps = [_shifted(affine, x, row, column, height, width) for row, column in pairs(range(rows), range(columns))]
        return _matmul(tf.concat(taps, axis=-1), kernel)

    return product


def _is_strided_stem(affine: Affine, input_shape: Shape) -> bool:
    even = affine.strides[0] == affine.strides[1] > 1 and affine.dilation == (1, 1)
    return _is_stem(affine, input_shape) and even


def _product_in_depth(affine: Affine) -> Product:
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
    convolution = _tensorflows_product(in_depth)

    def product(x: tf.Tensor) -> tf.Tensor:
        x, (height, width) = _padded(affine, x)
        tall, wide = height + blocks_y - 1, width + blocks_x - 1  # in blocks
        x = x[:, : tall * stride, : wide * stride]
        x = tf.pad(x, [(0, 0), (0, tall * stride - x.shape[1]), (0, wide * stride - x.shape[2]), (0, 0)])
        x = tf.reshape(x, [-1, tall, stride, wide, stride, channels])
        x = tf.reshape(tf.transpose(x, [0, 1, 3, 2, 4, 5]), [-1, tall, wide, depth])
        return convolution(x)

    return product


# --- Winograd's minimal filtering: 3 × 3 convolution of stride 1 --------------------------------------------------


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
_LEAST_WINOGRAD_CHANNELS, _LEAST_WINOGRAD_SIDE = 16, 6


def _is_for_winograd(affine: Affine, input_shape: Shape) -> bool:
    if not _is_full(affine, input_shape) or affine.kernel.shape[:2] != (3, 3):
        return False
    plain = affine.strides == affine.dilation == (1, 1)
    thick = min(affine.kernel.shape[2:]) >= _LEAST_WINOGRAD_CHANNELS
    return plain and thick and smaller_side(input_shape) >= _LEAST_WINOGRAD_SIDE


def smaller_side(shape: Shape) -> int:
    """The smaller of a map's height and width."""
    return min(shape[0] or 0, shape[1] or 0)


def _has_few_tiles(affine: Affine, input_shape: Shape, matrices: Winograd) -> bool:
    if not _is_for_winograd(affine, input_shape):
        return False
    return _places(input_shape, (matrices.tile, matrices.tile)) <= _FEW_PLACES


def _winograd_product(affine: Affine, matrices: Winograd, *, kernel_first: bool = False) -> Product:
    tile, reach = matrices.tile, matrices.tile + 2
    g = np.array(matrices.g, np.float64)
    transformed = np.einsum("ai,bj,ijco->abco", g, g, affine.kernel.astype(np.float64))
    inputs, outputs = affine.kernel.shape[2:]
    transformed = transformed.reshape(reach * reach, inputs, outputs)
    kernel = _matrix(affine, transformed.transpose(0, 2, 1) if kernel_first else transformed)
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
        if kernel_first:  # as in `_product_kernel_first`
            x = tf.linalg.matmul(kernel, x, transpose_b=True)
            x = tf.reshape(x, [reach, reach, outputs, -1, tiles_y, tiles_x])
            x = tf.stack(_combinations(matrices.a_transposed, tf.unstack(x)), axis=4)
            x = tf.stack(_combinations(matrices.a_transposed, tf.unstack(x)), axis=5)
            x = tf.transpose(x, [1, 2, 3, 4, 5, 0])
        else:
            x = tf.reshape(_matmul(x, kernel), [reach, reach, -1, tiles_y, tiles_x, outputs])
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


#: Every form, by the name that is shown. To add one is a section above, a line here and a test.
FORMS: dict[str, Form] = {
    "as it is": Form(lambda affine, input_shape: True, _tensorflows_product),
    "transposed product": Form(_is_large_dense, _product_by_transposed),
    "shifted products": Form(_has_narrow_groups, _shifted_products),
    "matrix product": Form(_is_strided_pointwise, _matrix_product),
    "kernel first": Form(_is_small_pointwise, _product_kernel_first),
    "patches": Form(_is_stem, _product_of_patches),
    "space to depth": Form(_is_strided_stem, _product_in_depth),
    "Winograd F(2×2)": Form(_is_for_winograd, lambda affine: _winograd_product(affine, F2)),
    "Winograd F(4×4)": Form(_is_for_winograd, lambda affine: _winograd_product(affine, F4)),
    "Winograd F(2×2), kernel first": Form(
        lambda affine, input_shape: _has_few_tiles(affine, input_shape, F2),
        lambda affine: _winograd_product(affine, F2, kernel_first=True),
    ),
    "Winograd F(4×4), kernel first": Form(
        lambda affine, input_shape: _has_few_tiles(affine, input_shape, F4),
        lambda affine: _winograd_product(affine, F4, kernel_first=True),
    ),
}
