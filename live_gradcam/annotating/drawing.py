"""Annotated frames, in the layout that was asked for."""

from __future__ import annotations

import numpy as np

from live_gradcam.annotating.options import PANELS, AnnotateOptions
from live_gradcam.drawing.hud import Hud, draw_hud
from live_gradcam.drawing.panels import three_panels
from live_gradcam.drawing.views import compose, draw_boxes, rescaled, resized
from live_gradcam.explanations.explanation import Explanation
from live_gradcam.explanations.stability import StableExplanation


class Drawing:
    """Draws annotated frames.

    If the frames change their size, each is drawn in its own shape. Its map may come from a frame of another size,
    and is stretched over it.

    Args:
        options: the layout, the size and the colours.
    """

    def __init__(self, options: AnnotateOptions) -> None:
        self._options = options
        self._first_size: tuple[int, int] | None = None
        self._overlay = options.overlay()

    def picture(self, image: np.ndarray, shown: StableExplanation) -> np.ndarray:
        """An annotated frame, uint8 (height', width', 3) BGR; the frame's own image may be drawn on."""
        explanation = shown.explanation
        if image.shape[:2] != shown.frame_size:
            explanation = rescaled(explanation, shown.frame_size, image.shape[:2])
        size = self._size(image)
        if size != image.shape[:2]:
            image, explanation = resized(image, explanation, size)
        if self._options.layout == PANELS:
            maps = (explanation.of_map(k) for k in range(len(explanation.targets)))
            return np.concatenate([self._panels(image, one, shown.full_scale) for one in maps])
        view = "grid" if len(explanation.targets) > 1 else self._options.layout
        if view == "side-by-side":  # in a file there is room for both at full size
            return np.hstack([image.copy(), self._in_view("overlay", image, explanation, shown.full_scale)])
        return self._in_view(view, image, explanation, shown.full_scale)

    def _panels(self, image: np.ndarray, explanation: Explanation, full_scale: float) -> np.ndarray:
        """The three panels of one map."""
        picture = three_panels(image, explanation, self._overlay, boxes=self._options.boxes.drawn)
        draw_hud(picture, Hud(full_scale=full_scale, names_classes=False), explanation, self._overlay)
        return picture

    def _in_view(self, view: str, image: np.ndarray, explanation: Explanation, full_scale: float) -> np.ndarray:
        boxes = self._options.boxes.drawn
        if view == "overlay":
            picture = self._overlay.blend(image, explanation, in_place=True)
            if boxes:
                draw_boxes(picture, explanation)
        else:
            picture, _ = compose(view, image, explanation, self._overlay, boxes=boxes)
        hud = Hud(full_scale=None if view == "raw" else full_scale, names_classes=view != "grid")
        draw_hud(picture, hud, explanation, self._overlay)
        return picture

    def _size(self, image: np.ndarray) -> tuple[int, int]:
        """(height, width) of the frame to draw on."""
        height, width = image.shape[:2]
        self._first_size = self._first_size or (height, width)
        if self._options.size is None:
            return height, width
        wanted_height, wanted_width = self._options.size
        if wanted_width is not None and wanted_height is not None:
            return _within((wanted_height, wanted_width), (height, width), self._first_size)
        if wanted_width is None:
            wanted_width = round(width * (wanted_height or height) / height)
        if wanted_height is None:
            wanted_height = round(height * wanted_width / width)
        return max(2, wanted_height), max(2, wanted_width)


def _within(room: tuple[int, int], size: tuple[int, int], first_size: tuple[int, int]) -> tuple[int, int]:
    """The largest (height, width) that a frame may have within `room`.

    The first frame fills the room, even if that changes its shape. The others are stretched as it is.
    """
    height, width = (side * space / first for side, space, first in zip(size, room, first_size, strict=True))
    scale = min(room[0] / height, room[1] / width)
    return max(2, round(scale * height)), max(2, round(scale * width))
