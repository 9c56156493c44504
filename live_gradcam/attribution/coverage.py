"""Where on the network's input a map lies: layers in front of it can cut, pad and move pixels.

A map is laid over the whole input, as Grad-CAM has it, unless such a layer is on its way. Convolutions and pooling keep
to that: what they lose at the edges without padding is not counted, and so a padding in front of them, which makes up
for it, is not either.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from live_gradcam.networks.graph import Network, Operation

_log = logging.getLogger(__name__)

#: By how much, in pixels of the input, a map may be off the whole of it.
_NEGLIGIBLE = 0.5
#: How much finer a map is that is moved to its place.
_FINER = 2


class Extent(NamedTuple):
    """A stretch of the network's input along an axis, in pixels; it may reach past its ends.

    Of a mirrored axis the end comes before the start.
    """

    start: float
    end: float


Extents = tuple[Extent, Extent]  # of rows and of columns


@dataclass(frozen=True)
class Coverage:
    """What of the network's input a map covers.

    Attributes:
        extents: of its rows and columns.
        input_size: (height, width).
    """

    extents: Extents
    input_size: tuple[int, int]

    def place(self, raw_maps: np.ndarray) -> np.ndarray:
        """Maps as maps of the whole input: 0 where they do not reach, and without what lies outside.

        Args:
            raw_maps: float32 (…, h, w).

        Returns:
            float32 (…, h', w'), about twice as fine, so that interpolation loses little. What is only mirrored keeps
            its size and its numbers.
        """
        rows, columns = self._fine_matrices(raw_maps.shape[-2:])
        return rows @ raw_maps @ columns.T

    def matrices(self, map_size: tuple[int, ...], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """float32 (height, h) and (width, w): a map (h, w) between them is one of the whole input, (height, width)."""
        rows, columns = (
            _matrix(extent, length, places, after)
            for extent, length, places, after in zip(self.extents, self.input_size, map_size, size, strict=True)
        )
        return rows, columns

    def _fine_matrices(self, map_size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        if map_size not in self._made:
            height, width = (
                places
                if self._only_mirrors
                else min(length, round(_FINER * places * length / abs(extent.end - extent.start)) or 1)
                for extent, length, places in zip(self.extents, self.input_size, map_size, strict=True)
            )
            self._made[map_size] = self.matrices(map_size, (height, width))
        return self._made[map_size]

    @property
    def _only_mirrors(self) -> bool:
        whole = [(0.0, float(length)) for length in self.input_size]
        return float(np.abs(np.sort(self.extents) - whole).max()) < _NEGLIGIBLE

    @cached_property
    def _made(self) -> dict[tuple[int, ...], tuple[np.ndarray, np.ndarray]]:
        return {}


def _matrix(extent: Extent, length: int, places: int, after: int) -> np.ndarray:
    """float32 (after, places): what of each of a map's places goes into each of the whole input's, interpolated."""
    centres = (np.arange(after) + 0.5) * length / after
    inside = (centres > min(extent)) & (centres < max(extent))
    at = (centres - extent.start) * places / (extent.end - extent.start) - 0.5
    distances = np.abs(np.clip(at, 0, places - 1)[:, np.newaxis] - np.arange(places))
    return (np.maximum(0, 1 - distances) * inside[:, np.newaxis]).astype(np.float32)


def coverage_of(network: Network, target: int) -> Coverage | None:
    """What of the input a layer's map covers; None where that is the whole input.

    Where ways of different extents meet, the one counts that covers most of the input.

    Args:
        network: laid out flat.
        target: the number of the layer's activations.
    """
    from live_gradcam.networks.target_layer import makes_features

    height, width = (side or 1 for side in network.shapes[network.input][:2])
    whole = Extent(0, height), Extent(0, width)
    extents = {network.input: whole}
    maps, pixels = {network.input}, {network.input}  # what is a map, with no tokens on the way; and not of features
    for operation in network.operations:
        read = [extents[value] for value in operation.inputs if value in extents]
        if not read:
            continue
        covered = min(read, key=lambda one: _missing(one, whole))
        is_of_pixels = pixels.issuperset(operation.inputs)
        if maps.issuperset(operation.inputs) and _may_move(network, operation, is_of_pixels=is_of_pixels):
            covered = _moved(network, operation, covered)
        if is_of_pixels and not makes_features(operation.layer):
            pixels.update(operation.outputs)
        if maps.intersection(operation.inputs):
            maps.update(value for value in operation.outputs if len(network.shapes[value]) == 3)
        extents.update(dict.fromkeys(operation.outputs, covered))
        if target in operation.outputs:
            break
    covered = extents.get(target, whole)
    if _distance(covered, whole) < _NEGLIGIBLE:
        return None
    return Coverage(covered, (height, width))


def _missing(extents: Extents, whole: Extents) -> tuple[float, float]:
    """What ways that meet are ordered by: how much of the input is not covered, then how far it is from the whole."""
    shares = [
        max(0.0, min(max(one), all_.end) - max(min(one), all_.start)) / all_.end
        for one, all_ in zip(extents, whole, strict=True)
    ]
    return 1 - shares[0] * shares[1], _distance(extents, whole)


def _distance(extents: Extents, whole: Extents) -> float:
    return float(np.abs(np.subtract(extents, whole)).max())


# --- what a layer does to places ----------------------------------------------------------------------------------


def _may_move(network: Network, operation: Operation, *, is_of_pixels: bool) -> bool:
    """Whether it may take a map's pixels from other places: it has no weights, and is no pooling.

    Features keep their places where the map keeps its size: networks flip and roll pictures, in front.
    """
    if len(operation.inputs) != 1 or len(operation.outputs) != 1 or getattr(operation.layer, "weights", None):
        return False
    before, after = network.shapes[operation.inputs[0]], network.shapes[operation.outputs[0]]
    if len(before) != 3 or len(after) != 3 or None in (*before, *after) or before[2] != after[2]:
        return False
    if before[:2] == after[:2] and (not is_of_pixels or _stays_in_place(operation.layer)):
        return False
    return not _is_window(operation.layer)


def _is_window(layer: Any) -> bool:
    import keras

    from live_gradcam.networks.tensorflow_calls import TensorFlowCall

    if isinstance(layer, TensorFlowCall):
        return "pool" in layer.name
    return "Pool" in type(layer).__name__ or isinstance(layer, keras.layers.UpSampling2D)


def _stays_in_place(layer: Any) -> bool:
    """Whether it is known to leave each value where it is: most layers of Keras do."""
    import keras

    from live_gradcam.networks.batching import is_layer_of_keras

    return is_layer_of_keras(layer) and not isinstance(layer, (keras.layers.Permute, keras.layers.Reshape))


def _moved(network: Network, operation: Operation, covered: Extents) -> Extents:
    """What an operation's output covers, where its input covers this much.

    The operation is shown a picture of coordinates, and says itself where its pixels come from.
    """
    import tensorflow as tf

    height, width, channels = (side or 1 for side in network.shapes[operation.inputs[0]])
    rows, columns = np.mgrid[0:height, 0:width] + 0.5
    # Even pictures of a quarter and three quarters of the height and of the width say what becomes of these numbers.
    quarters = [np.full((height, width), share * side) for side in (height, width) for share in (0.25, 0.75)]
    images = [np.repeat(one[np.newaxis, ..., np.newaxis], channels, axis=-1) for one in (rows, columns, *quarters)]
    try:
        if network.shapes[operation.outputs[0]][:2] == (height, width) and _leaves_places(
            operation, (height, width, channels)
        ):
            return covered
        answers = [operation.call([tf.constant(image, tf.float32)])[0] for image in images]
    except Exception:  # it is for another type, say, and of the user's making
        return covered
    pictures = [np.asarray(tf.cast(answer, tf.float32))[0, ..., 0] for answer in answers]
    of_rows, inside = _as_coordinates(pictures[0], pictures[2], pictures[3], height)
    of_columns, _ = _as_coordinates(pictures[1], pictures[4], pictures[5], width)
    if not inside.any():
        return covered
    row, column = int(np.argmax(inside.sum(axis=1))), int(np.argmax(inside.sum(axis=0)))
    lines = (of_rows[:, column], inside[:, column], height), (of_columns[row], inside[row], width)
    if any(_is_even(values, are_inside) for values, are_inside, _ in lines):
        _log.warning(
            "the layer %s swaps the height and width of the picture, and the map is not turned back", operation.name
        )
        return covered
    found = []
    for axis, ((values, are_inside, length), extent) in enumerate(zip(lines, covered, strict=True)):
        start, end = _line(values, are_inside, length)
        before = after = 0.0
        if abs(end - start - len(values)) < _NEGLIGIBLE:  # it only pads or cuts
            before, after = _made_up_for(network, operation, axis, (max(0.0, -start), max(0.0, end - length)))
        scale = (extent.end - extent.start) / length
        found.append(Extent(extent.start + (start + before) * scale, extent.start + (end - after) * scale))
    return found[0], found[1]


def _leaves_places(operation: Operation, shape: tuple[int, int, int]) -> bool:
    """Whether pixels in another order give what they gave, in that order: a change of values, however it bends them.

    Args:
        operation: keeps the size of a picture.
        shape: of the picture: height, width and channels.
    """
    import tensorflow as tf

    generator = np.random.default_rng(0)
    pixels = generator.random((shape[0] * shape[1], shape[2]), np.float32)
    order = generator.permutation(len(pixels))
    in_order, reordered = (
        np.reshape(tf.cast(operation.call([tf.constant(one.reshape(1, *shape))])[0], tf.float32), (len(pixels), -1))
        for one in (pixels, pixels[order])
    )
    return np.allclose(in_order[order], reordered, rtol=1e-4, atol=1e-6, equal_nan=True)


def _as_coordinates(picture: np.ndarray, low: np.ndarray, high: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Where a picture's pixels come from along an axis, and whether they come from anywhere.

    An operation may also change values, such as scale them. It says itself how, at two of them.

    Args:
        picture: what became of the coordinates, (h, w).
        low: what became of a quarter of the side, everywhere.
        high: what became of three quarters of it.
        side: the picture's height or width before.
    """
    change = high - low
    inside = np.abs(change) > (1 - 1e-3) * np.abs(change).max(initial=1e-6)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(inside, side * (0.25 + 0.5 * (picture - low) / change), 0.0), inside


def _is_even(values: np.ndarray, inside: np.ndarray) -> bool:
    """Whether pixels along an axis, more than one, all come from one coordinate."""
    there = values[inside]
    return len(there) > 1 and float(np.ptp(there)) < _NEGLIGIBLE


def _line(values: np.ndarray, inside: np.ndarray, length: int) -> tuple[float, float]:
    """Where a picture begins and ends, in pixels of the one that it is made of, by its pixels' coordinates.

    Args:
        values: of each pixel along an axis, where it comes from.
        inside: whether it comes from anywhere.
        length: of the picture that it is made of, which is what is given where one pixel alone is known.
    """
    places = np.flatnonzero(inside)
    first, last = places[len(places) // 4], places[-1 - len(places) // 4]
    if first == last:
        return 0.0, float(length)
    step = (values[last] - values[first]) / (last - first)
    start = values[first] - step * (first + 0.5)
    return float(start), float(start + step * len(values))


def _made_up_for(
    network: Network, operation: Operation, axis: int, padding: tuple[float, float]
) -> tuple[float, float]:
    """How much of a padding only makes up for what the next layer's windows lose at the edges."""
    readers = network.consumers(operation.outputs[0])
    lost = min((_lost_without_padding(reader.layer, axis) for reader in readers), default=0)
    return min(padding[0], lost), min(padding[1], lost)


def _lost_without_padding(layer: Any, axis: int) -> int:
    """How many pixels along an axis windows without padding lose at either edge; 0 for what has none.

    A window stands for as many pixels as its stride, around its middle: windows that lie side by side, as patches do,
    lose none. Half a pixel counts as one, since windows of 7 pixels at every second one are padded by 3.
    """
    if getattr(layer, "padding", None) != "valid":
        return 0
    size = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None) or 1
    apart, dilation = getattr(layer, "strides", None) or 1, getattr(layer, "dilation_rate", None) or 1
    size, apart, dilation = (int(np.broadcast_to(one, 2)[axis]) for one in (size, apart, dilation))
    reach = (size - 1) * dilation + 1
    return max(0, (reach - apart + 1) // 2)
