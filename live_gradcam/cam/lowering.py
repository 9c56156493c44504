"""The same network, written the way XLA's CPU back end compiles best.

A rewrite is a small rule over the flat list of operations; it replaces operations and never touches the user's model.
Each section below is one rule: what it matches, what it becomes, and why that is exact. `lower` applies them in order.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from live_gradcam.cam.graph import Call, Network, Operation, Shape, run

_log = logging.getLogger(__name__)

#: The largest relative difference of the logits that passes for the same network.
_TOLERANCE = 1e-4


#: The rules that help every engine; the others are for XLA alone.
PORTABLE_RULES = ("separable convolution parted", "batch norm folded")


def lower(network: Network, *, keep: int, rules: Collection[str] | None = None) -> tuple[Network, dict[str, int]]:
    """Rewrite a network for XLA on a CPU, and check it against the original.

    Args:
        network: what to rewrite.
        keep: the number of the target layer's activations, a value that must stay.
        rules: the names of the rules to apply; None for all.

    Returns:
        The rewritten network, and how often each rule applied. A rewritten network whose output differs from the
        original's on a random image is dropped with a warning, and the original is returned.
    """
    rewritten = network
    rewrites: dict[str, int] = {}
    for name, rule in _RULES.items():
        if rules is not None and name not in rules:
            continue
        rewritten, count = rule(rewritten, keep)
        if count:
            rewrites[name] = count
    if not rewrites:
        return network, {}
    difference = _difference(network, rewritten)
    if not difference <= _TOLERANCE:
        _log.warning("the rewritten network differs by %.1e and is not used", difference)
        return network, {}
    return rewritten, rewrites


def _difference(network: Network, rewritten: Network) -> float:
    """The largest difference of the two outputs on a random image, relative to the largest output."""
    height, width, channels = network.shapes[network.input]
    pixels = np.random.default_rng(0).normal(0, 1, (1, height or 1, width or 1, channels or 1))
    image = tf.constant(pixels, tf.float32)
    expected, actual = (
        np.asarray(run(either.operations, {either.input: image})[either.output], np.float64)
        for either in (network, rewritten)
    )
    return float(np.abs(actual - expected).max() / max(np.abs(expected).max(), 1e-12))


# --- an affine layer as numbers, so that rules can change it ------------------------------------------------------


Kind = Literal["convolution", "depthwise", "dense"]
_KERAS_LAYERS: dict[Kind, type] = {
    "convolution": keras.layers.Conv2D,
    "depthwise": keras.layers.DepthwiseConv2D,
    "dense": keras.layers.Dense,
}


@dataclass(frozen=True, eq=False)
class _Affine:
    """A convolution or dense layer as numbers. It stands in `Operation.layer` for the Keras layer that it replaces.

    Attributes:
        kind: which product it is.
        kernel: in Keras' axes; of a depthwise convolution (height, width, channels, multiplier).
        bias: float32 (outputs,).
        activation: what follows.
        strides: (vertical, horizontal), of a convolution, as are the next two.
        padding: "same" or "valid".
        dilation: (vertical, horizontal).
    """

    kind: Kind
    kernel: np.ndarray
    bias: np.ndarray
    activation: Callable[[tf.Tensor], tf.Tensor]
    strides: tuple[int, int] = (1, 1)
    padding: str = "valid"
    dilation: tuple[int, int] = (1, 1)

    def scaled(self, factor: np.ndarray, offset: np.ndarray) -> _Affine:
        """The layer whose output is this one's times `factor` plus `offset`, both (outputs,)."""
        along = factor.reshape(self.kernel.shape[2:]) if self.kind == "depthwise" else factor
        return replace(self, kernel=self.kernel * along, bias=self.bias * factor + offset)

    def call(self, product: Product) -> Call:
        """Apply product(x), then the bias and the activation. Weights are captured, not built into the graph."""
        bias = tf.constant(self.bias, tf.float32)
        return lambda tensors: [self.activation(product(tensors[0]) + bias)]


#: The linear part of an affine layer: what its input is multiplied with.
Product = Callable[[tf.Tensor], tf.Tensor]


def _kind(layer: Any) -> Kind | None:
    """Which product a layer is; None where it is not one that the rules know exactly."""
    if isinstance(layer, _Affine):
        return layer.kind
    return next((kind for kind, keras_layer in _KERAS_LAYERS.items() if _is_plain(layer, keras_layer)), None)


def _affine(layer: Any) -> _Affine | None:
    """The layer as numbers, or None where it has no kind. Takes a copy of its weights: ask for the kind first."""
    kind = _kind(layer)
    if isinstance(layer, _Affine) or kind is None:
        return layer if isinstance(layer, _Affine) else None
    kernel = np.asarray(layer.kernel)
    outputs = kernel.shape[2] * kernel.shape[3] if kind == "depthwise" else kernel.shape[-1]
    affine = _Affine(kind, kernel, _bias(layer, outputs), layer.activation)
    if kind == "dense":
        return affine
    dilation = tuple(layer.dilation_rate)
    return replace(affine, strides=tuple(layer.strides), padding=layer.padding, dilation=dilation)


def _is_plain(layer: Any, *kinds: type) -> bool:
    """Whether a layer is one of these classes itself (a subclass may compute something else), in float32, NHWC."""
    channels_first = getattr(layer, "data_format", None) == "channels_first"
    return type(layer) in kinds and layer.compute_dtype == "float32" and not channels_first


def _bias(layer: Any, outputs: int) -> np.ndarray:
    return np.asarray(layer.bias) if layer.use_bias else np.zeros(outputs, np.float32)


def _plain_product(affine: _Affine) -> Product:
    """The product as TensorFlow has it."""
    kernel = tf.constant(affine.kernel, tf.float32)
    if affine.kind == "dense":
        return lambda x: tf.linalg.matmul(x, kernel)
    padding = affine.padding.upper()
    if affine.kind == "depthwise":
        strides = [1, *affine.strides, 1]
        return lambda x: tf.nn.depthwise_conv2d(x, kernel, strides, padding, None, affine.dilation)
    return lambda x: tf.nn.conv2d(x, kernel, affine.strides, padding, dilations=affine.dilation)


# --- rule: a separable convolution is two ------------------------------------------------------------------------


def _part_separable_convolutions(network: Network, keep: int) -> tuple[Network, int]:
    """A separable convolution becomes a depthwise convolution and a 1 × 1 convolution: that is its definition."""
    operations: list[Operation] = []
    shapes = dict(network.shapes)
    count = 0
    for operation in network.operations:
        layer: Any = operation.layer
        if not _is_plain(layer, keras.layers.SeparableConv2D):
            operations.append(operation)
            continue
        depthwise_kernel, pointwise_kernel = np.asarray(layer.depthwise_kernel), np.asarray(layer.pointwise_kernel)
        middle_channels = pointwise_kernel.shape[2]
        depthwise = _Affine(
            "depthwise",
            depthwise_kernel,
            np.zeros(middle_channels, np.float32),
            keras.activations.linear,
            tuple(layer.strides),
            layer.padding,
            tuple(layer.dilation_rate),
        )
        pointwise = _Affine("convolution", pointwise_kernel, _bias(layer, pointwise_kernel.shape[3]), layer.activation)
        middle = max(shapes) + 1
        shapes[middle] = (*network.shapes[operation.outputs[0]][:2], middle_channels)
        operations.append(_replaced(operation, depthwise, outputs=(middle,)))
        operations.append(_replaced(operation, pointwise, inputs=(middle,)))
        count += 1
    return replace(network, operations=tuple(operations), shapes=shapes), count


def _replaced(
    operation: Operation,
    affine: _Affine,
    *,
    inputs: tuple[int, ...] | None = None,
    outputs: tuple[int, ...] | None = None,
) -> Operation:
    """The operation with an affine layer in its place, computed as TensorFlow has it until a rule knows better."""
    return Operation(
        operation.name,
        affine,
        operation.inputs if inputs is None else inputs,
        operation.outputs if outputs is None else outputs,
        affine.call(_plain_product(affine)),
    )


# --- rule: batch norm into the layer before it -------------------------------------------------------------------


def _fold_batch_norms(network: Network, keep: int) -> tuple[Network, int]:
    """Batch norm over the last axis, after an affine layer with no activation whose output nothing else reads.

    It becomes the affine layer with kernel K·g and bias (b − μ)·g + β, g = γ/√(σ² + ε). Exact because at inference
    batch norm is x·g + (β − μ·g), and products are linear in the kernel.
    """
    operations = list(network.operations)
    count = 0
    for norm in network.operations:
        if not _is_plain(norm.layer, keras.layers.BatchNormalization) or norm.layer.axis not in (-1, 3):
            continue
        source = norm.inputs[0]
        before = next((operation for operation in operations if source in operation.outputs), None)
        affine = _affine(before.layer) if before else None
        alone = len(network.consumers(source)) == 1 and source not in (keep, network.output)
        if before is None or affine is None or not alone or affine.activation is not keras.activations.linear:
            continue
        folded = _replaced(before, affine.scaled(*_batch_norm_as_scale(norm.layer)), outputs=norm.outputs)
        operations[operations.index(norm)] = folded
        operations.remove(before)
        count += 1
    return replace(network, operations=tuple(operations)), count


def _batch_norm_as_scale(norm: Any) -> tuple[np.ndarray, np.ndarray]:
    """(factor, offset), float32 (channels,), with norm(x) = x · factor + offset at inference."""
    mean, variance = np.asarray(norm.moving_mean, np.float64), np.asarray(norm.moving_variance, np.float64)
    gamma = np.asarray(norm.gamma, np.float64) if norm.scale else 1.0
    beta = np.asarray(norm.beta, np.float64) if norm.center else 0.0
    factor = gamma / np.sqrt(variance + norm.epsilon)
    return factor.astype(np.float32), (beta - mean * factor).astype(np.float32)


# --- rule: depthwise convolution as shifted products -------------------------------------------------------------


def _shift_depthwise_convolutions(network: Network, keep: int) -> tuple[Network, int]:
    """A depthwise convolution becomes Σ over the kernel's taps of (the padded input, shifted) · (the tap's weights).

    That is its definition. XLA's CPU back end lowers the convolution operator to scalar loops, and this to one
    vectorised loop: 11 times faster on EfficientNet-Lite0.
    """
    return _with_products(network, "depthwise", lambda affine, _: _shifted_products(affine))


def _with_products(
    network: Network, kind: Kind, choose: Callable[[_Affine, Shape], Product | None]
) -> tuple[Network, int]:
    """The network with the products that `choose(affine, input shape)` gives for the layers of a kind.

    Those for which it gives None stay.
    """
    operations = []
    count = 0
    for operation in network.operations:
        affine = _affine(operation.layer) if _kind(operation.layer) == kind else None
        product = choose(affine, network.shapes[operation.inputs[0]]) if affine is not None else None
        if affine is not None and product is not None:
            operation = replace(_replaced(operation, affine), call=affine.call(product))
            count += 1
        operations.append(operation)
    return replace(network, operations=tuple(operations)), count


def _shifted_products(affine: _Affine) -> Product:
    rows, columns, _, multiplier = affine.kernel.shape
    (stride_y, stride_x), (dilation_y, dilation_x) = affine.strides, affine.dilation
    reach_y, reach_x = (rows - 1) * dilation_y + 1, (columns - 1) * dilation_x + 1
    kernel = tf.constant(affine.kernel.reshape(rows, columns, -1), tf.float32)  # output c·multiplier + m reads input c

    def product(x: tf.Tensor) -> tf.Tensor:
        if affine.padding == "same":
            pads = [_same_padding(x.shape[1], reach_y, stride_y), _same_padding(x.shape[2], reach_x, stride_x)]
            x = tf.pad(x, [(0, 0), *pads, (0, 0)])
        if multiplier > 1:
            x = tf.repeat(x, multiplier, axis=-1)
        height, width = (x.shape[1] - reach_y) // stride_y + 1, (x.shape[2] - reach_x) // stride_x + 1

        def shifted(row: int, column: int) -> tf.Tensor:
            top, left = row * dilation_y, column * dilation_x
            bottom, right = top + (height - 1) * stride_y + 1, left + (width - 1) * stride_x + 1
            return x[:, top:bottom:stride_y, left:right:stride_x]

        return tf.add_n(
            [shifted(row, column) * kernel[row, column] for row in range(rows) for column in range(columns)]
        )

    return product


def _same_padding(size: int, reach: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME padding (before, after) along one axis."""
    total = max(0, (-(-size // stride) - 1) * stride + reach - size)
    return total // 2, total - total // 2


# --- rule: 3 × 3 convolution by Winograd's minimal filtering -----------------------------------------------------


@dataclass(frozen=True)
class _Winograd:
    """The matrices of F(m × m, 3 × 3): output tile Aᵀ[(G k Gᵀ) ⊙ (Bᵀ d B)]A of the input tile d and the kernel k.

    Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, section 4
    (https://arxiv.org/abs/1509.09308). Exact in real numbers; in float32 the error grows with m.
    """

    tile: int
    b_transposed: tuple[tuple[float, ...], ...]
    g: tuple[tuple[float, ...], ...]
    a_transposed: tuple[tuple[float, ...], ...]


_F2 = _Winograd(
    tile=2,
    b_transposed=((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
    g=((1, 0, 0), (1 / 2, 1 / 2, 1 / 2), (1 / 2, -1 / 2, 1 / 2), (0, 0, 1)),
    a_transposed=((1, 1, 1, 0), (0, 1, -1, -1)),
)
_F4 = _Winograd(
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

#: Where it was measured to win over XLA's own convolution: at this many channels in and out, for maps from the first
#: size on F(2 × 2), from the second on F(4 × 4), up to the third, beyond which the transforms cost more memory traffic
#: than the products save (benchmarks/winograd.py).
_WINOGRAD_CHANNELS = 48
_F2_FROM, _F4_FROM, _F4_TO = 12, 24, 160


def _winograd_convolutions(network: Network, keep: int) -> tuple[Network, int]:
    """A 3 × 3 convolution of stride 1 becomes transforms by additions and one batched product of fewer numbers."""
    return _with_products(network, "convolution", _winograd_where_it_wins)


def _winograd_where_it_wins(affine: _Affine, input_shape: Shape) -> Product | None:
    if (
        not affine.strides == affine.dilation == (1, 1)
        or affine.kernel.shape[:2] != (3, 3)
        or affine.kernel.shape[2] != input_shape[-1]
    ):
        return None  # the last: a grouped convolution
    side = min(input_shape[0] or 0, input_shape[1] or 0)
    if min(affine.kernel.shape[2:]) < _WINOGRAD_CHANNELS or not _F2_FROM <= side <= _F4_TO:
        return None
    return _winograd_product(affine, _F4 if side >= _F4_FROM else _F2)


def _winograd_product(affine: _Affine, form: _Winograd) -> Product:
    tile, reach = form.tile, form.tile + 2
    g = np.array(form.g, np.float64)
    transformed = np.einsum("ai,bj,ijco->abco", g, g, affine.kernel.astype(np.float64))
    inputs, outputs = affine.kernel.shape[2:]
    kernel = tf.constant(transformed.reshape(reach * reach, inputs, outputs), tf.float32)
    border = 1 if affine.padding == "same" else 0

    def product(x: tf.Tensor) -> tf.Tensor:
        height, width = x.shape[1] - 2 + 2 * border, x.shape[2] - 2 + 2 * border
        tiles_y, tiles_x = -(-height // tile), -(-width // tile)
        below, beside = tiles_y * tile - height + border, tiles_x * tile - width + border
        x = tf.pad(x, [(0, 0), (border, below), (border, beside), (0, 0)])

        # Bᵀ d B: rows first, for all columns at once, then columns, for all rows at once: few operations to compile.
        rows = [x[:, row : row + tile * (tiles_y - 1) + 1 : tile] for row in range(reach)]
        x = tf.stack(_combinations(form.b_transposed, rows))
        columns = [x[:, :, :, column : column + tile * (tiles_x - 1) + 1 : tile] for column in range(reach)]
        x = tf.stack(_combinations(form.b_transposed, columns), axis=1)

        x = tf.linalg.matmul(tf.reshape(x, [reach * reach, -1, inputs]), kernel)
        x = tf.reshape(x, [reach, reach, -1, tiles_y, tiles_x, outputs])

        # Aᵀ m A in the same way, and the tiles put side by side: (batch, tiles_y, tile, tiles_x, tile, outputs).
        x = tf.stack(_combinations(form.a_transposed, tf.unstack(x)), axis=3)
        x = tf.stack(_combinations(form.a_transposed, tf.unstack(x)), axis=4)
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


#: What is done, in this order.
_RULES: dict[str, Callable[[Network, int], tuple[Network, int]]] = {
    "separable convolution parted": _part_separable_convolutions,
    "batch norm folded": _fold_batch_norms,
    "depthwise convolution as shifted products": _shift_depthwise_convolutions,
    "3×3 convolution by Winograd": _winograd_convolutions,
}
