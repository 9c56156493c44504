"""The same network, written the way XLA's CPU back end compiles best.

A rewrite is a small rule over the flat list of operations; it replaces operations and never touches the user's model.
Rules apply in the order of `lower`; each says what it matches, what it becomes, and why that is exact.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from live_gradcam.cam.graph import Call, Network, Operation, run

_log = logging.getLogger(__name__)

#: The largest relative difference of the logits that passes for the same network.
_TOLERANCE = 1e-3


def lower(network: Network, *, keep: int) -> tuple[Network, dict[str, int]]:
    """Rewrite a network for XLA on a CPU, and check it against the original.

    Args:
        network: what to rewrite.
        keep: the number of the target layer's activations, a value that must stay.

    Returns:
        The rewritten network, and how often each rule applied. A rewritten network whose output differs from the
        original's on a random image is dropped with a warning, and the original is returned.
    """
    rewritten, folded = _fold_batch_norms(network, keep)
    rewritten, shifted = _shift_depthwise_convolutions(rewritten)
    rewrites = {"batch norm folded": folded, "depthwise convolution as shifted products": shifted}
    rewrites = {rule: count for rule, count in rewrites.items() if count}
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


# --- an affine layer: kernel and bias taken out, so that rules can change them ------------------------------------


@dataclass(frozen=True)
class _Affine:
    """A convolution or dense layer as numbers.

    Attributes:
        kind: which product it is.
        kernel: the layer's kernel in Keras' axes; of a depthwise convolution (height, width, channels, 1).
        bias: float32 (outputs,).
        layer: the Keras layer, for strides, padding, dilation and activation.
    """

    kind: Literal["convolution", "depthwise", "dense"]
    kernel: np.ndarray
    bias: np.ndarray
    layer: Any

    def scaled(self, factor: np.ndarray, offset: np.ndarray) -> _Affine:
        """The layer whose output is this one's times `factor` plus `offset`, both (outputs,)."""
        along_outputs = factor[:, None] if self.kind == "depthwise" else factor
        return replace(self, kernel=self.kernel * along_outputs, bias=self.bias * factor + offset)

    def call(self, product: Callable[[_Affine, tf.Tensor, tf.Tensor], tf.Tensor]) -> Call:
        """product(x, kernel) + bias, then the layer's activation. Weights are captured, not built into the graph."""
        kernel, bias = tf.constant(self.kernel, tf.float32), tf.constant(self.bias, tf.float32)
        return lambda tensors: [self.layer.activation(product(self, tensors[0], kernel) + bias)]


def _affine(layer: Any) -> _Affine | None:
    """The layer as numbers, or None where it is not one that the rules know exactly."""
    kinds: dict[type, Literal["convolution", "depthwise", "dense"]] = {
        keras.layers.Conv2D: "convolution",
        keras.layers.DepthwiseConv2D: "depthwise",
        keras.layers.Dense: "dense",
    }
    kind = kinds.get(type(layer))  # the class itself: a subclass may compute something else
    if kind is None or layer.compute_dtype != "float32" or getattr(layer, "data_format", None) == "channels_first":
        return None
    if kind == "depthwise" and layer.depth_multiplier != 1:
        return None
    kernel = np.asarray(layer.kernel)
    outputs = kernel.shape[-2] if kind == "depthwise" else kernel.shape[-1]
    bias = np.asarray(layer.bias) if layer.use_bias else np.zeros(outputs, np.float32)
    return _Affine(kind, kernel, bias, layer)


def _plain_product(affine: _Affine, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    layer = affine.layer
    if affine.kind == "dense":
        return tf.linalg.matmul(x, kernel)
    if affine.kind == "depthwise":
        return tf.nn.depthwise_conv2d(
            x, kernel, [1, *layer.strides, 1], layer.padding.upper(), None, layer.dilation_rate
        )
    return tf.nn.conv2d(x, kernel, layer.strides, layer.padding.upper(), dilations=layer.dilation_rate)


# --- rule: batch norm into the layer before it -------------------------------------------------------------------


def _fold_batch_norms(network: Network, keep: int) -> tuple[Network, int]:
    """Batch norm over the last axis, after an affine layer with no activation whose output nothing else reads.

    It becomes the affine layer with kernel K·g and bias (b − μ)·g + β, g = γ/√(σ² + ε). Exact because at inference
    batch norm is x·g + (β − μ·g), and products are linear in the kernel.
    """
    operations = list(network.operations)
    count = 0
    for norm in network.operations:
        if type(norm.layer) is not keras.layers.BatchNormalization or norm.layer.axis not in (-1, 3):
            continue
        source = norm.inputs[0]
        before = network.producer(source)
        affine = _affine(before.layer) if before else None
        alone = len(network.consumers(source)) == 1 and source not in (keep, network.output)
        if before is None or affine is None or not alone or not _is_linear(affine.layer):
            continue
        affine = affine.scaled(*_batch_norm_as_scale(norm.layer))
        folded = Operation(before.name, _Folded(affine), before.inputs, norm.outputs, affine.call(_plain_product))
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


def _is_linear(layer: Any) -> bool:
    return layer.activation is keras.activations.linear


@dataclass(frozen=True)
class _Folded:
    """Stands in `Operation.layer` for an affine layer with a batch norm folded in, so that later rules match it."""

    affine: _Affine


# --- rule: depthwise convolution as shifted products -------------------------------------------------------------


def _shift_depthwise_convolutions(network: Network) -> tuple[Network, int]:
    """A depthwise convolution becomes Σ over the kernel's taps of (the padded input, shifted) · (the tap's weights).

    That is its definition. XLA's CPU back end lowers the convolution operator to scalar loops, and this to one
    vectorised loop: 11 times faster on EfficientNet-Lite0.
    """
    operations = []
    count = 0
    for operation in network.operations:
        layer: Any = operation.layer
        affine = layer.affine if isinstance(layer, _Folded) else _affine(layer)
        if affine is not None and affine.kind == "depthwise":
            operation = replace(operation, call=affine.call(_shifted_products))
            count += 1
        operations.append(operation)
    return replace(network, operations=tuple(operations)), count


def _shifted_products(affine: _Affine, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    layer = affine.layer
    (rows, columns), (stride_y, stride_x) = affine.kernel.shape[:2], layer.strides
    dilation_y, dilation_x = layer.dilation_rate
    reach_y, reach_x = (rows - 1) * dilation_y + 1, (columns - 1) * dilation_x + 1
    if layer.padding == "same":
        pads = [_same_padding(x.shape[1], reach_y, stride_y), _same_padding(x.shape[2], reach_x, stride_x)]
        x = tf.pad(x, [(0, 0), *pads, (0, 0)])
    height, width = (x.shape[1] - reach_y) // stride_y + 1, (x.shape[2] - reach_x) // stride_x + 1

    def shifted(row: int, column: int) -> tf.Tensor:
        top, left = row * dilation_y, column * dilation_x
        bottom, right = top + (height - 1) * stride_y + 1, left + (width - 1) * stride_x + 1
        return x[:, top:bottom:stride_y, left:right:stride_x]

    return tf.add_n(
        [shifted(row, column) * kernel[row, column, :, 0] for row in range(rows) for column in range(columns)]
    )


def _same_padding(size: int, reach: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME padding (before, after) along one axis."""
    total = max(0, (-(-size // stride) - 1) * stride + reach - size)
    return total // 2, total - total // 2
