"""Bounding boxes from heatmaps: around every connected region, and steady from frame to frame."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from live_gradcam.errors import UsageError
from live_gradcam.explanations.explanation import Box, Explanation, Region
from live_gradcam.explanations.fits import heatmap_on_frame
from live_gradcam.explanations.stability import weight_of_new

#: The share of the map's maximum that belongs to the object, as in section 4.1 of the Grad-CAM paper.
DEFAULT_THRESHOLD = 0.15
#: A region of a smaller share of the largest one's area is a speck, and gets no box.
LEAST_SHARE = 0.05
#: Time constant of steady boxes, in seconds.
STEADY_SECONDS = 0.2

#: Regions are looked for on the frame scaled down to this: fine enough for any map, and in a third of a millisecond.
_LONGEST_SIDE = 160
#: A region that has a box keeps it down to this share of `LEAST_SHARE`, so that it does not come and go.
_KEEPS = 0.5
#: Boxes of two frames that overlap by less (intersection over union) are not of one region.
_LEAST_OVERLAP = 0.3
#: A region goes before one that was the larger only when it is larger by this factor.
_OVERTAKES = 1.1
_AREA = 4


@dataclass(frozen=True)
class BoxOptions:
    """What boxes there are to be.

    Attributes:
        threshold: the share of a map's maximum from which on a place belongs to a region; above 0 and below 1.
        drawn: whether they are drawn. They are in the numbers in any case.

    Raises:
        UsageError: a threshold that is not between 0 and 1.
    """

    threshold: float = DEFAULT_THRESHOLD
    drawn: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise UsageError(f"the box threshold is {self.threshold}: it must be above 0 and below 1, such as 0.15")


DEFAULT_BOXES = BoxOptions()


def find_boxes(
    heatmap: np.ndarray, region: Region, frame_size: tuple[int, int], *, threshold: float = DEFAULT_THRESHOLD
) -> tuple[Box, ...]:
    """The boxes around the connected regions of the map above a threshold (Selvaraju et al., section 4.1).

    The paper takes the largest region only, which is the first one here.

    Args:
        heatmap: float32 (h, w) in 0…1.
        region: the part of the frame that the heatmap covers.
        frame_size: (height, width) of the frame in pixels.
        threshold: share of the map's maximum, above 0 and below 1.

    Returns:
        The boxes in frame pixels, that of the region of the largest area first, without those of regions below 5 % of
        its area. A map of no evidence has none.
    """
    return _as_boxes(_regions(heatmap, region, frame_size, threshold, least_share=LEAST_SHARE))


def with_boxes(explanation: Explanation, frame_size: tuple[int, int], *, threshold: float) -> Explanation:
    """An explanation of a picture of (height, width) pixels with the boxes of each of its maps, see `find_boxes`."""
    return replace(
        explanation,
        boxes=tuple(
            find_boxes(heatmap, explanation.region, frame_size, threshold=threshold) for heatmap in explanation.heatmaps
        ),
    )


class SteadyBoxes:
    """Finds the boxes of explanations, frame after frame, and keeps them steady.

    A box goes on from the box of the frame before, in the map of the same class, that it overlaps most. Its edges are
    smoothed exponentially by time: after `seconds`, a new frame has 1 − 1/e of the weight, at any frame rate. A region
    that appears, or that moves so fast that the boxes hardly overlap, has its box at once; one that is gone has none.
    Of regions of nearly the same area, the one that was first stays first.

    Args:
        threshold: share of a map's maximum, above 0 and below 1.
        seconds: the time constant; 0 smooths nothing.

    Attributes:
        seconds: the same; it may be changed at any time.
    """

    def __init__(self, *, threshold: float = DEFAULT_THRESHOLD, seconds: float = STEADY_SECONDS) -> None:
        self._threshold = threshold
        self.seconds = seconds
        self._regions: dict[tuple, np.ndarray] = {}
        self._time = -math.inf

    def steady(
        self, explanation: Explanation, frame_size: tuple[int, int], time: float, *, maps: int | None = None
    ) -> Explanation:
        """The next explanation, or the last one again, with the boxes of its maps.

        Args:
            explanation: of the next frame.
            frame_size: (height, width) of that frame in pixels. Boxes of a frame of another size are forgotten.
            time: of the frame, in seconds, on any clock.
            maps: of how many maps, the first ones, the boxes are wanted; None for all.
        """
        weight = weight_of_new(time - self._time, self.seconds)
        followed = {}
        for target, heatmap in zip(explanation.explained[:maps], explanation.heatmaps[:maps], strict=True):
            key = (frame_size, explanation.against, target)
            found = _regions(heatmap, explanation.region, frame_size, self._threshold, least_share=_KEEPS * LEAST_SHARE)
            followed[key] = _follow(self._regions.get(key, found[:0]), found, weight)
        self._regions, self._time = followed, time
        return replace(explanation, boxes=tuple(map(_as_boxes, followed.values())))


def _regions(
    heatmap: np.ndarray, region: Region, frame_size: tuple[int, int], threshold: float, *, least_share: float
) -> np.ndarray:
    """The connected regions of a map, largest first: float (n, 5): left, top, right, bottom and area on the frame."""
    if not heatmap.any():
        return np.empty((0, 5))
    height, width = frame_size
    shrinkage = min(1.0, _LONGEST_SIDE / max(height, width))
    small = (max(1, round(height * shrinkage)), max(1, round(width * shrinkage)))
    scale_x, scale_y = width / small[1], height / small[0]
    small_region = Region(region.x / scale_x, region.y / scale_y, region.width / scale_x, region.height / scale_y)
    levels = heatmap_on_frame(heatmap / heatmap.max(), small_region, small)
    above = levels > threshold * 255
    _, _, statistics, _ = cv2.connectedComponentsWithStats(above.astype(np.uint8))
    left, top, box_width, box_height, area = statistics[1:].astype(np.float64).T  # the first is what is below
    found = np.stack(
        [
            left * scale_x,
            top * scale_y,
            (left + box_width) * scale_x,
            (top + box_height) * scale_y,
            area * scale_x * scale_y,
        ],
        axis=1,
    )
    found = found[np.argsort(-area, kind="stable")]
    return found[found[:, _AREA] >= least_share * found[:1, _AREA]]


def _follow(before: np.ndarray, found: np.ndarray, weight: float) -> np.ndarray:
    """What is shown of the regions found, after what was shown before: float (n, 5) as in `_regions`."""
    overlaps = [(_overlap(old, new), i, j) for i, old in enumerate(before) for j, new in enumerate(found)]
    successors: dict[int, int] = {}
    for overlap, i, j in sorted(overlaps, reverse=True):
        if overlap >= _LEAST_OVERLAP and i not in successors and j not in successors.values():
            successors[i] = j
    shown: list[np.ndarray] = []
    for i, j in sorted(successors.items()):
        _insert(shown, before[i] + weight * (found[j] - before[i]))
    for j, new in enumerate(found):
        if j not in successors.values() and new[_AREA] >= LEAST_SHARE * found[0, _AREA]:
            _insert(shown, new)
    return np.stack(shown) if shown else found[:0]


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """The intersection of two boxes over their union."""
    size = np.minimum(one[2:4], other[2:4]) - np.maximum(one[:2], other[:2])
    intersection = float(np.prod(np.maximum(size, 0)))
    union = float(np.prod(one[2:4] - one[:2]) + np.prod(other[2:4] - other[:2])) - intersection
    return intersection / union


def _insert(ordered: list[np.ndarray], region: np.ndarray) -> None:
    """Put a region behind those that are not clearly smaller."""
    place = len(ordered)
    while place and region[_AREA] > _OVERTAKES * ordered[place - 1][_AREA]:
        place -= 1
    ordered.insert(place, region)


def _as_boxes(regions: np.ndarray) -> tuple[Box, ...]:
    return tuple(Box(*(round(edge) for edge in edges)) for edges in regions[:, :_AREA].tolist())
