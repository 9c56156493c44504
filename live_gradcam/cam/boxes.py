"""Bounding boxes from a heatmap."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from live_gradcam.cam.explanation import Region
from live_gradcam.cam.fit import heatmap_on_frame

#: The share of the map's maximum that belongs to the object, as in section 4.1 of the Grad-CAM paper.
DEFAULT_THRESHOLD = 0.15

_LONGEST_SIDE = 256


class Box(NamedTuple):
    """A rectangle in frame pixels: left and top inside, right and bottom just outside."""

    left: int
    top: int
    right: int
    bottom: int


def largest_box(
    heatmap: np.ndarray, region: Region, frame_size: tuple[int, int], *, threshold: float = DEFAULT_THRESHOLD
) -> Box | None:
    """The box around the largest connected part of the map above a threshold (Selvaraju et al., section 4.1).

    Args:
        heatmap: float32 (h, w) in 0…1.
        region: the part of the frame that the heatmap covers.
        frame_size: (height, width) of the frame in pixels.
        threshold: share of the map's maximum, 0…1.

    Returns:
        The box in frame pixels, or None for a map of no evidence.
    """
    if not heatmap.any():
        return None
    height, width = frame_size
    shrinkage = min(1.0, _LONGEST_SIDE / max(height, width))
    small = (max(1, round(height * shrinkage)), max(1, round(width * shrinkage)))
    scale_x, scale_y = width / small[1], height / small[0]
    small_region = Region(region.x / scale_x, region.y / scale_y, region.width / scale_x, region.height / scale_y)
    levels = heatmap_on_frame(heatmap / heatmap.max(), small_region, small)
    above = levels > threshold * 255
    count, _, statistics, _ = cv2.connectedComponentsWithStats(above.astype(np.uint8))
    if count < 2:
        return None
    largest = 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA]))
    left, top, box_width, box_height = statistics[largest, :4]
    return Box(
        round(left * scale_x),
        round(top * scale_y),
        round((left + box_width) * scale_x),
        round((top + box_height) * scale_y),
    )
