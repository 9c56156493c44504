"""Fitting a frame of any size into the network's input, and a heatmap back onto the frame."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from live_gradcam.choices import Fit
from live_gradcam.explanations.explanation import Region

_BAR_VALUE = 127
#: Of native inputs: their sides are multiples of this, and one is at most so many times the other.
_STEP, _MOST_LONG = 32, 4
#: How much finer than the map the cubic enlargement is, from which on a bilinear one does.
_FINER = 16


def native_size(frame_size: tuple[int, int], *, shorter_side: int) -> tuple[int, int]:
    """The network's input for a frame of its own shape.

    Args:
        frame_size: (height, width) of the frame.
        shorter_side: of the input, in pixels.

    Returns:
        (height, width), multiples of 32, by which networks divide space, and at most 4 times as long as wide.
    """
    scale = shorter_side / min(frame_size)
    longest = _MOST_LONG * shorter_side
    height, width = (max(1, round(min(side * scale, longest) / _STEP)) * _STEP for side in frame_size)
    return height, width


def fit_frame(frame: np.ndarray, size: tuple[int, int], fit: Fit) -> tuple[np.ndarray, Region]:
    """Fit a frame into the network's input.

    Args:
        frame: uint8 (H, W, 3).
        size: (height, width) of the network's input.
        fit: see `Fit`.

    Returns:
        uint8 (height, width, 3), and the region of the frame that it shows.
    """
    height, width = size
    frame_height, frame_width = frame.shape[:2]
    if fit == "stretch":
        return shrink(frame, width, height), Region(0, 0, frame_width, frame_height)
    if fit == "crop":
        scale = min(frame_width / width, frame_height / height)
        crop_width, crop_height = max(1, round(width * scale)), max(1, round(height * scale))
        x, y = (frame_width - crop_width) // 2, (frame_height - crop_height) // 2
        part = frame[y : y + crop_height, x : x + crop_width]
        return shrink(part, width, height), Region(x, y, crop_width, crop_height)
    return letterbox(frame, size, bars=_BAR_VALUE)


def letterbox(image: np.ndarray, size: tuple[int, int], *, bars: int) -> tuple[np.ndarray, Region]:
    """Put an image, in its own shape, into a size, between bars.

    Args:
        image: uint8 (H, W, 3).
        size: (height, width) in pixels.
        bars: 0…255: the grey of the bars.

    Returns:
        uint8 (height, width, 3), and the region that it shows, in the image's pixels.
    """
    height, width = size
    image_height, image_width = image.shape[:2]
    scale = max(image_width / width, image_height / height)
    inner_width = min(width, max(1, round(image_width / scale)))
    inner_height = min(height, max(1, round(image_height / scale)))
    left, top = (width - inner_width) // 2, (height - inner_height) // 2
    boxed = np.full((height, width, 3), bars, np.uint8)
    boxed[top : top + inner_height, left : left + inner_width] = shrink(image, inner_width, inner_height)
    scale_x, scale_y = image_width / inner_width, image_height / inner_height
    return boxed, Region(-left * scale_x, -top * scale_y, width * scale_x, height * scale_y)


def shrink(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resize an image, with little aliasing where it gets smaller.

    The image is halved by exact 2 × 2 means as long as it stays at least as large as asked for, and the rest is
    bilinear: the means cost a fraction of OpenCV's general area filter and keep fine patterns from flickering. Along
    the longer side of a frame that is stretched, some flicker stays. To halve that side by itself makes frames softer,
    and networks name fewer of them: top-1 of `benchmarks/fits.py` falls from 0.46 to 0.44 at 16:9, and from 0.63 to
    0.55 at 4:3 (EfficientNet-Lite0).
    """
    while image.shape[1] >= 2 * width and image.shape[0] >= 2 * height:
        even = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
        image = cv2.resize(even, (even.shape[1] // 2, even.shape[0] // 2), interpolation=cv2.INTER_AREA)
    if image.shape[:2] == (height, width):
        return np.ascontiguousarray(image)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


def enlarged(heatmap: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A heatmap at the input's size, bilinear, as Grad-CAM's paper has it: no value leaves the map's range.

    Args:
        heatmap: float32 (h, w) in 0…1.
        size: (height, width) of the network's input.

    Returns:
        float32 (height, width) in 0…1.
    """
    return cv2.resize(np.asarray(heatmap, np.float32), size[::-1], interpolation=cv2.INTER_LINEAR)


def heatmap_on_frame(heatmap: np.ndarray, region: Region, frame_size: tuple[int, int]) -> np.ndarray:
    """Lay a heatmap over the frame that it explains.

    Args:
        heatmap: float32 (h, w) in 0…1.
        region: the part of the frame that the heatmap covers.
        frame_size: (height, width) of the frame in pixels.

    Returns:
        uint8 (height, width), 0…255; what the network was not shown is 0.
    """
    on_frame = np.zeros(frame_size, np.uint8)
    patch = heatmap_patch(heatmap, region, frame_size)
    if patch is not None:
        target = on_frame[patch.rows, patch.columns]
        target[:] = cv2.resize(patch.levels, target.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return on_frame


class HeatmapPatch(NamedTuple):
    """The part of a frame where its heatmap is not 0.

    Attributes:
        rows: of the frame, in pixels.
        columns: of the frame, in pixels.
        levels: uint8 (h', w'), 0…255: the heatmap there, smooth, to be enlarged bilinearly to those rows and columns.
    """

    rows: slice
    columns: slice
    levels: np.ndarray


def heatmap_patch(heatmap: np.ndarray, region: Region, frame_size: tuple[int, int]) -> HeatmapPatch | None:
    """Where on the frame a heatmap is not 0, and the heatmap there.

    Args:
        heatmap: float32 (h, w) in 0…1.
        region: the part of the frame that the heatmap covers.
        frame_size: (height, width) of the frame in pixels.

    Returns:
        The patch; None where the map is 0 everywhere.
    """
    levels = np.clip(heatmap * 255 + 0.5, 0, 255).astype(np.uint8)
    if not levels.any():
        return None
    finer = (_FINER * heatmap.shape[1], _FINER * heatmap.shape[0])
    levels = np.asarray(cv2.resize(levels, finer, interpolation=cv2.INTER_CUBIC), np.uint8)  # saturates at 0 and 255
    height, width = frame_size
    inside = region.x >= 0 and region.y >= 0 and region.x + region.width <= width and region.y + region.height <= height
    if not inside or region.width < levels.shape[1] or region.height < levels.shape[0]:
        return HeatmapPatch(slice(0, height), slice(0, width), _cut_to_frame(levels, region, frame_size))
    row_steps, rows = _stretch(levels.max(axis=1), region.y, region.height)
    column_steps, columns = _stretch(levels.max(axis=0), region.x, region.width)
    return HeatmapPatch(rows, columns, levels[row_steps, column_steps])


def detail_on_frame(detail: np.ndarray, region: Region, frame_size: tuple[int, int]) -> np.ndarray:
    """Lay a signed map over the frame that it explains, with nothing made smoother than it is.

    Args:
        detail: float32 (h, w) in -1…1.
        region: the part of the frame that the map covers.
        frame_size: (height, width) of the frame in pixels.

    Returns:
        float32 (height, width) in -1…1; what the network was not shown is 0.
    """
    return _cut_to_frame(detail, region, frame_size)


def _stretch(levels: np.ndarray, start: float, length: float) -> tuple[slice, slice]:
    """Of steps along an axis, the stretch that is not 0 with one more on either side; and its pixels."""
    places = np.flatnonzero(levels)
    first, last = max(0, int(places[0]) - 1), min(len(levels), int(places[-1]) + 2)
    step = length / len(levels)
    return slice(first, last), slice(round(start + first * step), round(start + last * step))


def _cut_to_frame(levels: np.ndarray, region: Region, frame_size: tuple[int, int]) -> np.ndarray:
    """A map at the frame's own resolution, with 0 where the region does not reach."""
    height, width = frame_size
    x, y = round(region.x), round(region.y)
    region_width, region_height = max(1, round(region.width)), max(1, round(region.height))
    scaled = cv2.resize(levels, (region_width, region_height), interpolation=cv2.INTER_LINEAR)
    on_frame = np.zeros((height, width), levels.dtype)
    left, top, right, bottom = max(0, x), max(0, y), min(width, x + region_width), min(height, y + region_height)
    on_frame[top:bottom, left:right] = scaled[top - y : bottom - y, left - x : right - x]
    return on_frame
