"""The views of the live window: what is drawn of an explained frame, always in the frame's own size."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from live_gradcam.drawing.hud import BarArea, draw_title, map_name
from live_gradcam.drawing.names import legible
from live_gradcam.drawing.overlay import Overlay
from live_gradcam.drawing.text import text_size_for
from live_gradcam.explanations.explanation import Box, Explanation, Region
from live_gradcam.explanations.fits import shrink

_BOX_COLOUR, _BOX_RIM = (255, 255, 255), (0, 0, 0)
_GAP = 2
#: Of a grid: what REC takes above the rows, and the notes below them, in heights of a letter.
_ABOVE_ROWS, _BELOW_ROWS = 2.3, 4.5


#: What draws a view: of the frame, its explanation, what draws the maps, and whether boxes are drawn. It gives the
#: picture, of the frame's size, and where a click means a class. The frame is not changed.
Drawer = Callable[[np.ndarray, Explanation, Overlay, bool], tuple[np.ndarray, list[BarArea]]]


def compose(
    view: str, image: np.ndarray, explanation: Explanation, overlay: Overlay, *, boxes: bool = False
) -> tuple[np.ndarray, list[BarArea]]:
    """Draw a view.

    Args:
        view: one of `choices.VIEWS`.
        image: uint8 (height, width, 3), BGR: the frame that was explained. It is not changed.
        explanation: of that frame.
        overlay: draws the maps.
        boxes: draw the boxes of the map that is shown, as the explanation has them.

    Returns:
        The picture, of the same shape, and where a click pins a class: the titles of the grid.
    """
    return DRAWERS[view](image, explanation, overlay, boxes)


def _overlay(
    image: np.ndarray, explanation: Explanation, overlay: Overlay, boxes: bool
) -> tuple[np.ndarray, list[BarArea]]:
    return _with_boxes(overlay.blend(image, explanation), explanation, boxes)


def _heatmap(
    image: np.ndarray, explanation: Explanation, overlay: Overlay, boxes: bool
) -> tuple[np.ndarray, list[BarArea]]:
    return _with_boxes(overlay.colours(explanation, image.shape[:2]), explanation, boxes)


def _raw(
    image: np.ndarray, explanation: Explanation, overlay: Overlay, boxes: bool
) -> tuple[np.ndarray, list[BarArea]]:
    return _with_boxes(image.copy(), explanation, boxes)


def _with_boxes(picture: np.ndarray, explanation: Explanation, boxes: bool) -> tuple[np.ndarray, list[BarArea]]:
    if boxes:
        draw_boxes(picture, explanation)
    return picture, []


def draw_boxes(picture: np.ndarray, explanation: Explanation) -> None:
    """Draw the boxes of an explanation's first map, that of the largest region in a thicker line.

    Args:
        picture: uint8 (height, width, 3), BGR: the explained frame; it is drawn on.
        explanation: of that frame, with its boxes.
    """
    thin = max(1, round(min(picture.shape[:2]) / 360))
    boxes = explanation.boxes[0] if explanation.boxes else ()
    for position, box in reversed(list(enumerate(boxes))):  # the largest is on top
        thickness = thin if position else 2 * thin
        corners = (box.left, box.top), (box.right - 1, box.bottom - 1)
        cv2.rectangle(picture, *corners, _BOX_RIM, thickness + 2 * thin)
        cv2.rectangle(picture, *corners, _BOX_COLOUR, thickness)


def mirrored(image: np.ndarray, explanation: Explanation) -> tuple[np.ndarray, Explanation]:
    """A frame and its explanation as in a mirror: the network saw the frame as it was."""
    region = explanation.region
    width = image.shape[1]
    return np.asarray(cv2.flip(image, 1)), replace(
        explanation,
        heatmaps=explanation.heatmaps[:, :, ::-1],
        signs=None if explanation.signs is None else explanation.signs[:, :, ::-1],
        region=replace(region, x=width - region.x - region.width),
        boxes=_moved(explanation, lambda box: Box(width - box.right, box.top, width - box.left, box.bottom)),
    )


def _side_by_side(
    image: np.ndarray, explanation: Explanation, overlay: Overlay, boxes: bool
) -> tuple[np.ndarray, list[BarArea]]:
    canvas = np.zeros_like(image)
    height, width = image.shape[:2]
    small, small_explanation = _fitted(image, explanation, (height, max(1, (width - _GAP) // 2)))
    blended = overlay.blend(small, small_explanation)
    if boxes:
        draw_boxes(blended, small_explanation)
    top = (height - small.shape[0]) // 2
    canvas[top : top + small.shape[0], : small.shape[1]] = small
    canvas[top : top + small.shape[0], width - small.shape[1] :] = blended
    return canvas, []


def _grid(
    image: np.ndarray, explanation: Explanation, overlay: Overlay, boxes: bool
) -> tuple[np.ndarray, list[BarArea]]:
    """A pane for each class, with its own map, name and probability.

    The rows are in the middle, but leave room for the notes below them, where there is any, and for REC above.
    """
    canvas, explanation = np.zeros_like(image), legible(explanation)
    height, width = image.shape[:2]
    count = len(explanation.targets)
    columns = math.ceil(math.sqrt(count))
    rows, letter = math.ceil(count / columns), text_size_for((height, width))
    cell_height, cell_width = height // rows, width // columns
    text_size = round(0.8 * letter)
    strip = 2 * text_size
    if cell_height <= 2 * strip or cell_width <= _GAP:
        return image.copy(), []
    small, small_explanation = _fitted(image, explanation, (cell_height - strip - _GAP, cell_width - _GAP))
    row_height = strip + small.shape[0] + _GAP
    spare = height - rows * row_height
    top = min(spare // 2, max(round(_ABOVE_ROWS * letter), spare - round(_BELOW_ROWS * letter)))
    left = (cell_width - small.shape[1]) // 2
    areas = []
    for position, target in enumerate(explanation.targets):
        row, column = divmod(position, columns)
        x, y = column * cell_width + left, row * row_height + top
        of_class = small_explanation.of_map(position)
        blended = overlay.blend(small, of_class)
        if boxes:
            draw_boxes(blended, of_class)
        bottom, right = y + strip + small.shape[0], x + small.shape[1]
        canvas[y + strip : bottom, x:right] = blended
        named = replace(target, label=map_name(explanation, position))
        draw_title(canvas[y : y + strip, x:right], named, text_size, is_target=position == 0)
        areas.append(BarArea(x, y, right, bottom, target.index))
    return canvas, areas


#: What draws each of `choices.VIEWS`.
DRAWERS: dict[str, Drawer] = {
    "overlay": _overlay,
    "side-by-side": _side_by_side,
    "heatmap": _heatmap,
    "raw": _raw,
    "grid": _grid,
}


def _fitted(image: np.ndarray, explanation: Explanation, size: tuple[int, int]) -> tuple[np.ndarray, Explanation]:
    """A frame, smaller, to fit into (height, width) in its own shape, and its explanation."""
    scale = min(1.0, size[0] / image.shape[0], size[1] / image.shape[1])
    return resized(image, explanation, (max(1, int(image.shape[0] * scale)), max(1, int(image.shape[1] * scale))))


def resized(image: np.ndarray, explanation: Explanation, size: tuple[int, int]) -> tuple[np.ndarray, Explanation]:
    """A frame at (height, width), and its explanation."""
    height, width = size
    explanation = rescaled(explanation, image.shape[:2], size)
    if width <= image.shape[1] and height <= image.shape[0]:
        return shrink(image, width, height), explanation
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC), explanation


def rescaled(explanation: Explanation, before: tuple[int, int], size: tuple[int, int]) -> Explanation:
    """The explanation of a frame of (height, width) `before`, for that frame at another (height, width)."""
    factor_y, factor_x = size[0] / before[0], size[1] / before[1]
    region = explanation.region
    scaled = Region(region.x * factor_x, region.y * factor_y, region.width * factor_x, region.height * factor_y)

    def moved(box: Box) -> Box:
        left, right = round(box.left * factor_x), round(box.right * factor_x)
        return Box(left, round(box.top * factor_y), right, round(box.bottom * factor_y))

    return replace(explanation, region=scaled, boxes=_moved(explanation, moved))


def _moved(explanation: Explanation, move: Callable[[Box], Box]) -> tuple[tuple[Box, ...], ...]:
    """The boxes of an explanation in another picture."""
    return tuple(tuple(map(move, boxes)) for boxes in explanation.boxes)
