"""The beginning of the trunk for overlapping tiles, computed once on the whole frame.

The first layers look at a few pixels around a place, and give the same for a place wherever the tile around it begins:
but near the tile's ends, where its padding takes the place of what lies beyond. There a tile's values come from a strip
of it, which is computed by itself. The rest is cut out of the whole frame's values: what tiles have in common is
computed once. The numbers are those of each tile by itself, to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from live_gradcam.compiling.affine import affine_of, is_plain, kind_of, same_padding
from live_gradcam.explanations.tiles import Tiling
from live_gradcam.networks.graph import Network, Operation, run
from live_gradcam.networks.split import SplitNetwork

#: What computes each place by itself.
_PLACE_BY_PLACE = (
    keras.layers.Activation,
    keras.layers.BatchNormalization,
    keras.layers.LeakyReLU,
    keras.layers.Normalization,
    keras.layers.ReLU,
    keras.layers.Rescaling,
)
#: Sharing is worth its trouble where at most this part of the tiles' columns is left to compute.
_WORTH_IT = 0.8


class _Step(NamedTuple):
    """What an operation does along the frame's longer side.

    Attributes:
        reach: how many columns of its input one of its output depends on.
        stride: how many columns its outputs are apart.
        pads: whether it pads as "same" does.
    """

    reach: int = 1
    stride: int = 1
    pads: bool = False

    def padding(self, size: int) -> tuple[int, int]:
        """Columns that it adds before and after so many."""
        return same_padding(size, self.reach, self.stride) if self.pads else (0, 0)


@dataclass(frozen=True, eq=False)
class SharedStart:
    """What tiles share.

    Columns are those along the frame's longer side.

    Attributes:
        operations: the trunk's first ones, one after the other.
        value: the number of the value that they make.
        stride: how many pixels its columns are apart.
        strip: how many pixels at each end of a tile are computed by themselves.
        before: how many of a tile's columns depend on where it begins.
        after: how many depend on where it ends.
        tiling: how the frame is cut.
    """

    operations: tuple[Operation, ...]
    value: int
    stride: int
    strip: int
    before: int
    after: int
    tiling: Tiling

    def values_of_tiles(self, frames: tf.Tensor) -> tf.Tensor:
        """The value for each tile.

        Args:
            frames: float32 (batch, *tiling.size, channels): whole frames as the network's input.

        Returns:
            float32 (batch · tiles, height, width, channels).
        """
        starts, side, axis = self.tiling.starts, self.tiling.tile[self.tiling.axis], 1 + self.tiling.axis
        inner = len(starts) - 1  # so many tiles begin inside of the frame, and so many end there

        def columns(of: tf.Tensor, begin: int, end: int) -> tf.Tensor:
            return of[:, begin:end] if axis == 1 else of[:, :, begin:end]

        begins = [columns(frames, start, start + self.strip) for start in starts[1:]]
        ends = [columns(frames, start + side - self.strip, start + side) for start in starts[:-1]]
        whole = self.values(frames)
        strips = tf.split(self.values(tf.concat([*begins, *ends], axis=0)), 2 * inner)
        tiles = []
        for position, start in enumerate(starts):
            first, last = start // self.stride, (start + side) // self.stride
            parts = []
            if position > 0:
                parts.append(columns(strips[position - 1], 0, self.before))
                first += self.before
            end = []
            if position < inner:
                strip = strips[inner + position]
                end = [columns(strip, strip.shape[axis] - self.after, strip.shape[axis])]
                last -= self.after
            tiles.append(tf.concat([*parts, columns(whole, first, last), *end], axis=axis))
        stacked = tf.stack(tiles, axis=1)
        return tf.reshape(stacked, [-1, *stacked.shape[2:]])

    def values(self, x: tf.Tensor) -> tf.Tensor:
        """The value for images of any size, float32 (batch, height, width, channels), as the network's input."""
        return run(self.operations, {self.operations[0].inputs[0]: x})[self.value]


def shared_start(network: Network, split: SplitNetwork, tiling: Tiling) -> SharedStart | None:
    """Find what tiles share; None where that is nothing, or not worth it."""
    best = None
    chain: list[Operation] = []
    steps: list[_Step] = []
    value, side = split.input, tiling.tile[tiling.axis]
    for operation in split.trunk:
        step = _step(network, operation, tiling.axis)
        readers = network.consumers(value)
        if readers != [operation] or len(operation.outputs) != 1 or step is None or value in split.targets:
            break
        chain.append(operation)
        steps.append(step)
        value = operation.outputs[0]
        ends = _ends(steps, tiling)
        if ends is None:
            continue
        strip, before, after = ends
        computed = tiling.size[tiling.axis] + 2 * (tiling.count - 1) * strip
        if computed <= _WORTH_IT * tiling.count * side:
            stride = int(np.prod([one.stride for one in steps]))
            best = SharedStart(tuple(chain), value, stride, strip, before, after, tiling)
    return best


def _step(network: Network, operation: Operation, axis: int) -> _Step | None:
    """What an operation does along an axis; None where that is not known."""
    if is_plain(operation.layer, *_PLACE_BY_PLACE):
        return _Step() if getattr(operation.layer, "axis", -1) in (-1, 3, (-1,), (3,)) else None
    if kind_of(operation.layer) not in ("convolution", "depthwise"):
        return None
    affine = affine_of(operation.layer)
    assert affine is not None  # it has a kind
    reach = (affine.kernel.shape[axis] - 1) * affine.dilation[axis] + 1
    return _Step(reach, affine.strides[axis], affine.padding == "same")


def _ends(steps: Sequence[_Step], tiling: Tiling) -> tuple[int, int, int] | None:
    """(strip, before, after) of `SharedStart`; None where the columns of frame, tiles and strips do not lie alike."""
    side, length = tiling.tile[tiling.axis], tiling.size[tiling.axis]
    stride = int(np.prod([step.stride for step in steps]))
    if any(start % stride for start in tiling.starts) or not _pad_alike(steps, (side, length)):
        return None
    clean = _clean(steps, side, before=False, after=False)
    if not clean.any() or len(clean) * stride != side:
        return None
    before, after = int(np.argmax(clean)), int(np.argmax(clean[::-1]))
    for strip in range(stride, side, stride):
        begin = _clean(steps, strip, before=True, after=False)
        end = _clean(steps, strip, before=False, after=True)
        if (
            len(begin) > 0
            and len(begin) >= max(before, after)
            and begin[:before].all()
            and end[len(end) - after :].all()
        ):
            return (strip, before, after) if _pad_alike(steps, (side, strip)) else None
    return None


def _pad_alike(steps: Sequence[_Step], sizes: Sequence[int]) -> bool:
    """Whether all steps pad images of these sizes alike."""
    sizes = list(sizes)
    for step in steps:
        pads = [step.padding(size) for size in sizes]
        if len(set(pads)) > 1:
            return False
        sizes = [(size + sum(pads[0]) - step.reach) // step.stride + 1 for size in sizes]
    return True


def _clean(steps: Sequence[_Step], size: int, *, before: bool, after: bool) -> np.ndarray:
    """Which columns of the result do not depend on what lies beyond an image: bool (columns,).

    Args:
        steps: what is done.
        size: of the image, in columns.
        before: whether the image really begins there, so that its padding is the tile's.
        after: whether it really ends there.
    """
    clean = np.ones(size, bool)
    for step in steps:
        first, last = step.padding(len(clean))
        padded = np.concatenate([np.full(first, before), clean, np.full(last, after)])
        count = (len(padded) - step.reach) // step.stride + 1
        clean = np.array([padded[at * step.stride : at * step.stride + step.reach].all() for at in range(count)])
    return clean
