"""The mean gradient over space, which is all that Grad-CAM asks for, without the gradient at every place.

Σᵢⱼ ∂y/∂A_ijk is ∂y/∂eₖ, where eₖ is added to channel k at every place. Such an offset passes through pooling, dropout
and global pooling unchanged (max(x + e) = max(x) + e, and means likewise), and through flattening and a dense layer as
e times the kernel summed over places. So the head is differentiated down to the last value that an offset reaches in
that way, and no further. On VGG16 that is the sum before fc1's ReLU, and a matrix of 512 × 4096 takes the place of one
of 25088 × 4096.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from live_gradcam.compiling.affine import Affine, AffineCall, affine_of, is_of, kind_of
from live_gradcam.compiling.products import call_of
from live_gradcam.networks.batching import keeps_images_apart
from live_gradcam.networks.graph import Network, Operation, Shape
from live_gradcam.networks.outputs import activation_of, only_moves_numbers
from live_gradcam.networks.split import SplitNetwork

_OFFSETS_PASS = (
    keras.layers.AveragePooling2D,
    keras.layers.Dropout,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.Identity,
    keras.layers.MaxPooling2D,
    keras.layers.SpatialDropout2D,
)


@dataclass(frozen=True)
class OffsetPath:
    """How far an offset of the activations' channels reaches into the head as an offset.

    Attributes:
        before: the head's operations up to the point.
        after: the head's other operations.
        point: the number of the value to differentiate by: (height, width, channels), (channels,) or (outputs,).
        kernel: float32 (channels, outputs): what a dense layer on the way makes of an offset; None without one.
        places: the activations' height × width.
        takes_rows: whether rows that are not the batch's may be put through `after`: the point has no space left,
            nothing but it is read, and no row has to do with another.
    """

    before: tuple[Operation, ...]
    after: tuple[Operation, ...]
    point: int
    kernel: np.ndarray | None
    places: int
    takes_rows: bool

    def from_activations(self, split: SplitNetwork) -> OffsetPath:
        """The path of no step, which differentiates by the activations themselves."""
        return OffsetPath((), split.head, split.target, None, self.places, takes_rows=False)

    def mean_gradient(self, gradient: tf.Tensor) -> tf.Tensor:
        """The mean of ∂y/∂A over space, float32 (batch, 1, 1, channels), of ∂y/∂point (batch, …)."""
        if self.kernel is not None:
            total = tf.linalg.matmul(gradient, tf.constant(self.kernel), transpose_b=True)
        else:
            total = tf.reduce_sum(tf.reshape(gradient, [tf.shape(gradient)[0], -1, gradient.shape[-1]]), axis=1)
        return total[:, tf.newaxis, tf.newaxis] / self.places


def offset_path(network: Network, split: SplitNetwork) -> OffsetPath:
    """Follow an offset of the target layer's channels into the head."""
    places = _places(network.shapes[split.target])
    chain = _chain(split)
    passed = list(takewhile(lambda operation: is_of(operation.layer, *_OFFSETS_PASS, keras.layers.Flatten), chain))
    flattening = next((operation for operation in passed if _flattens_places(network, operation)), None)
    if flattening is not None:
        dense = chain[len(passed)] if len(passed) < len(chain) else None
        affine = affine_of(dense.layer) if dense is not None and kind_of(dense.layer) == "dense" else None
        if dense is not None and affine is not None:
            return _through_dense(network, split, passed, dense, affine, places)
        passed = passed[: passed.index(flattening)]
    point = passed[-1].outputs[0] if passed else split.target
    after = split.head[len(passed) :]
    takes_rows = _places(network.shapes[point]) == 1 and _takes_rows(point, after)
    return OffsetPath(tuple(passed), after, point, None, places, takes_rows)


def is_pooled_head(network: Network, split: SplitNetwork) -> bool:
    """Whether nothing follows the activations but global pooling and one dense layer, or what amounts to them.

    Args:
        network: without its final activation, not rewritten.
        split: the same, cut.
    """
    path = offset_path(network, split)
    computing = [operation for operation in path.after if not only_moves_numbers(operation.layer)]
    if path.kernel is not None or not path.takes_rows or len(computing) > 2:
        return False
    affine = affine_of(computing[0].layer) if computing else None
    final = computing[1:]  # an activation of its own, which is left out of the network
    return (
        affine is not None
        and affine.activation is keras.activations.linear
        and all(activation_of(operation.layer) not in (None, "linear") for operation in final)
    )


def _takes_rows(point: int, after: Sequence[Operation]) -> bool:
    """Whether the operations read nothing but the point, and compute each row by itself."""
    made = {point, *(value for operation in after for value in operation.outputs)}
    return all(made.issuperset(operation.inputs) for operation in after) and keeps_images_apart(
        operation.layer for operation in after if not isinstance(operation.layer, Affine)
    )


def _chain(split: SplitNetwork) -> list[Operation]:
    """The operations that follow from the activations as long as there is only one way to go."""
    chain: list[Operation] = []
    value = split.target
    while value != split.output:
        readers = [operation for operation in split.head if value in operation.inputs]
        if len(readers) != 1 or len(readers[0].inputs) != 1 or len(readers[0].outputs) != 1:
            break
        chain.append(readers[0])
        value = readers[0].outputs[0]
    return chain


def _places(shape: Shape) -> int:
    """How many places a value (…, channels) has; 1 for a vector."""
    return math.prod(size or 0 for size in shape[:-1])


def _flattens_places(network: Network, operation: Operation) -> bool:
    """Whether it is a flattening of a map that is larger than 1 × 1."""
    shape = network.shapes[operation.inputs[0]]
    return isinstance(operation.layer, keras.layers.Flatten) and _places(shape) > 1


def _through_dense(
    network: Network, split: SplitNetwork, passed: list[Operation], dense: Operation, affine: Affine, places: int
) -> OffsetPath:
    """The point is the dense layer's sum, before its activation, which is parted from it."""
    total = max(network.shapes) + 1
    call = dense.call if isinstance(dense.call, AffineCall) else call_of(affine)
    linear = replace(dense, outputs=(total,), call=call.without_activation())
    activation: Any = affine.activation
    activate = Operation(dense.name, activation, (total,), dense.outputs, lambda tensors: [activation(tensors[0])])
    channels = network.shapes[split.target][-1] or 0
    kernel = affine.kernel.reshape(-1, channels, affine.kernel.shape[-1]).sum(axis=0)
    rest = split.head[len(passed) + 1 :]
    takes_rows = _takes_rows(dense.outputs[0], rest)
    return OffsetPath((*passed, linear), (activate, *rest), total, kernel, places, takes_rows)
