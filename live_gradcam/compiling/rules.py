"""The rules by which a network is rewritten, apart from the forms of its products.

A rule is a function over the flat list of operations; it replaces operations and never touches the user's model. Each
section is one rule: what it matches, what it becomes, and why that is exact. `RULES` and `RULES_FOR_XLA` name them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from itertools import product as pairs
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from live_gradcam.compiling.activations import QUICK
from live_gradcam.compiling.affine import Affine, affine_of, bias_of, is_plain, same_padding
from live_gradcam.compiling.forms.form import strided
from live_gradcam.compiling.once import unknown_one
from live_gradcam.compiling.products import replaced
from live_gradcam.networks.graph import Network, Operation

#: Takes a network and the numbers of values that must stay; gives it rewritten, and how often the rule applied.
Rule = Callable[[Network, tuple[int, ...]], tuple[Network, int]]

# --- rule: a separable convolution is two ------------------------------------------------------------------------


def _part_separable_convolutions(network: Network, keep: tuple[int, ...]) -> tuple[Network, int]:
    """A separable convolution becomes a depthwise convolution and a 1 × 1 convolution: that is its definition."""
    operations: list[Operation] = []
    shapes = dict(network.shapes)
    count = 0
    for operation in network.operations:
        layer: Any = operation.layer
        if not is_plain(layer, keras.layers.SeparableConv2D):
            operations.append(operation)
            continue
        depthwise_kernel, pointwise_kernel = np.asarray(layer.depthwise_kernel), np.asarray(layer.pointwise_kernel)
        middle_channels = pointwise_kernel.shape[2]
        depthwise = Affine(
            "depthwise",
            depthwise_kernel,
            np.zeros(middle_channels, np.float32),
            keras.activations.linear,
            tuple(layer.strides),
            layer.padding,
            tuple(layer.dilation_rate),
        )
        pointwise = Affine("convolution", pointwise_kernel, bias_of(layer, pointwise_kernel.shape[3]), layer.activation)
        middle = max(shapes) + 1
        shapes[middle] = (*network.shapes[operation.outputs[0]][:2], middle_channels)
        operations.append(replaced(operation, depthwise, outputs=(middle,)))
        operations.append(replaced(operation, pointwise, inputs=(middle,)))
        count += 1
    return replace(network, operations=tuple(operations), shapes=shapes), count


# --- rule: batch norm into the layer before it -------------------------------------------------------------------


def _fold_batch_norms(network: Network, keep: tuple[int, ...]) -> tuple[Network, int]:
    """Batch norm over the last axis, after an affine layer with no activation whose output nothing else reads.

    It becomes the affine layer with kernel K·g and bias (b − μ)·g + β, g = γ/√(σ² + ε). Exact because at inference
    batch norm is x·g + (β − μ·g), and products are linear in the kernel.
    """
    operations = list(network.operations)
    count = 0
    for norm in network.operations:
        if not is_plain(norm.layer, keras.layers.BatchNormalization) or norm.layer.axis not in (-1, 3):
            continue
        source = norm.inputs[0]
        before = next((operation for operation in operations if source in operation.outputs), None)
        affine = affine_of(before.layer) if before else None
        alone = len(network.consumers(source)) == 1 and source not in (*keep, network.output)
        if before is None or affine is None or not alone or affine.activation is not keras.activations.linear:
            continue
        folded = replaced(before, affine.scaled(*_batch_norm_as_scale(norm.layer)), outputs=norm.outputs)
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


# --- rule: max pooling as maxima of shifted images ----------------------------------------------------------------

#: Larger windows would take more maxima than a window slides over.
_POOL_TAPS = 16


def _shift_max_pools(network: Network, keep: tuple[int, ...]) -> tuple[Network, int]:
    """A max pool becomes the maximum of the image's shifted copies, one for each place in a window: its definition.

    0.5 to 0.75 of the time of XLA's window operator on VGG16's and ResNet50's. Where maxima are equal, the gradient
    goes to the first one, as it does in TensorFlow's operator.
    """
    operations = []
    count = 0
    for operation in network.operations:
        layer: Any = operation.layer
        if is_plain(layer, keras.layers.MaxPooling2D) and np.prod(layer.pool_size) <= _POOL_TAPS:
            operation = replace(operation, call=_shifted_maxima(layer))
            count += 1
        operations.append(operation)
    return replace(network, operations=tuple(operations)), count


def _shifted_maxima(layer: Any) -> Callable[[list[Any]], list[Any]]:
    window, strides, padding = tuple(layer.pool_size), tuple(layer.strides), layer.padding

    def call(tensors: list[Any]) -> list[Any]:
        (x,) = tensors
        if padding == "same":
            pads = [same_padding(x.shape[axis + 1], window[axis], strides[axis]) for axis in range(2)]
            x = tf.pad(x, [(0, 0), *pads, (0, 0)], constant_values=x.dtype.min)
        rows, columns = ((x.shape[axis + 1] - window[axis]) // strides[axis] + 1 for axis in range(2))
        places = pairs(range(window[0]), range(window[1]))
        return [reduce(tf.maximum, [strided(x, place, (rows, columns), strides) for place in places])]

    return call


# --- rule: global means by rows -----------------------------------------------------------------------------------

#: Up to this many rows (or columns) are added one by one: more would make the program long.
_ROWS = 16


def _mean_by_rows(network: Network, keep: tuple[int, ...]) -> tuple[Network, int]:
    """A global mean adds up a map's rows, then that row's pixels: the definition, in another order.

    XLA adds one channel's pixels after the other's, in one thread, and computes what comes before the mean at that
    pace. 0.25 of the time for 56 × 56 × 144. A squeeze-excite network has a mean in each block: 0.95 of
    EfficientNetB0's time.
    """
    operations = []
    count = 0
    for operation in network.operations:
        layer: Any = operation.layer
        if is_plain(layer, keras.layers.GlobalAveragePooling2D) and None not in network.shapes[operation.inputs[0]]:
            operation = replace(operation, call=_means_of_rows(keepdims=layer.keepdims))
            count += 1
        operations.append(operation)
    return replace(network, operations=tuple(operations)), count


def _means_of_rows(*, keepdims: bool) -> Callable[[list[Any]], list[Any]]:
    def call(tensors: list[Any]) -> list[Any]:
        x = tf.cast(tensors[0], tf.float32)
        pixels = x.shape[1] * x.shape[2]
        for _ in range(2):
            x = tf.add_n(tf.unstack(x, axis=1)) if x.shape[1] <= _ROWS else tf.reduce_sum(x, axis=1)
        mean = x * (1 / pixels)
        return [mean[:, tf.newaxis, tf.newaxis] if keepdims else mean]

    return call


# --- rule: quick activations --------------------------------------------------------------------------------------


def _quicken_activations(network: Network, keep: tuple[int, ...]) -> tuple[Network, int]:
    """An activation that XLA computes slowly becomes another function of the same values: see `activations`."""
    operations = []
    count = 0
    for operation in network.operations:
        layer: Any = operation.layer
        quick = next((quick for slow, quick in QUICK.items() if slow is getattr(layer, "activation", None)), None)
        if quick is not None and isinstance(layer, Affine):
            operation = replaced(operation, replace(layer, activation=quick))
            count += 1
        elif quick is not None and is_plain(layer, keras.layers.Activation):
            operation = replace(operation, call=_elementwise(quick, tf.float32))
            count += 1
        operations.append(operation)
    return replace(network, operations=tuple(operations)), count


def _elementwise(
    function: Callable[[tf.Tensor], tf.Tensor], dtype: tf.DType | None = None
) -> Callable[[list[Any]], list[Any]]:
    return lambda tensors: [function(tensors[0] if dtype is None else tf.cast(tensors[0], dtype))]


# --- rule, after the forms are chosen: what is read twice is computed once ----------------------------------------

#: What XLA computes within whatever reads it, and what reads its input more than once.
_ELEMENTWISE = (keras.layers.Activation, keras.layers.ReLU, keras.layers.Add, keras.layers.Multiply)
_READS_TWICE = (keras.layers.LayerNormalization, keras.layers.GroupNormalization)
#: What holds a division or an exponential itself: XLA does not compute it twice.
_DEAR = (*QUICK, *QUICK.values(), keras.activations.sigmoid, keras.activations.tanh)


def compute_once(network: Network, keep: tuple[int, ...]) -> tuple[Network, int]:
    """The result of shifted products that is read more than once is divided by 1.

    XLA fuses cheap sums and products into each of their readers, and so computes the shifted products again for each:
    those of ConvNeXt three times, for a layer norm's mean, variance and result, those of MobileNetV3's blocks twice.
    `unknown_one` says why they are computed once after a division. 0.88 of ConvNeXtTiny's time, and 0.7 of the time to
    compile it; 0.84 of MobileNetV3Large's together with the means.
    """
    one = unknown_one()
    inside: set[int] = set()  # values that are computed within their readers, shifted products and all
    operations: list[Operation] = []
    shapes = dict(network.shapes)
    count = 0
    for operation in network.operations:
        layer: Any = operation.layer
        value = operation.outputs[0]
        shifts = isinstance(layer, Affine) and layer.form == "shifted products"
        goes_on = isinstance(layer, _ELEMENTWISE) and inside.intersection(operation.inputs)
        if not (shifts or goes_on) or any(dear is getattr(layer, "activation", None) for dear in _DEAR):
            operations.append(operation)
            continue
        readers = network.consumers(value)
        reads_twice = any(isinstance(reader.layer, _READS_TWICE) for reader in readers)
        if len(readers) + (value in keep) < 2 and not reads_twice:
            inside.add(value)
            operations.append(operation)
            continue
        undivided = max(shapes) + 1
        shapes[undivided] = shapes[value]
        operations.append(replace(operation, outputs=(undivided,)))
        divide = _elementwise(lambda x: x / tf.cast(one, x.dtype))
        operations.append(Operation(operation.name, keras.layers.Identity(), (undivided,), (value,), divide))
        count += 1
    return replace(network, operations=tuple(operations), shapes=shapes), count


#: What is done, in this order.
RULES: dict[str, Rule] = {
    "separable convolution parted": _part_separable_convolutions,
    "batch norm folded": _fold_batch_norms,
}
RULES_FOR_XLA: dict[str, Rule] = {
    "max pooling as shifted maxima": _shift_max_pools,
    "global mean by rows": _mean_by_rows,
    "quick activation": _quicken_activations,
}
