"""The article's three panels side by side: overlay, picture, heatmap."""

from __future__ import annotations

import cv2
import numpy as np

from live_gradcam.drawing.hud import map_name
from live_gradcam.drawing.names import legible
from live_gradcam.drawing.overlay import Overlay
from live_gradcam.drawing.text import put_text
from live_gradcam.drawing.views import draw_boxes
from live_gradcam.explanations.explanation import Explanation

#: What a small picture's shortest side is enlarged to, unless its longest becomes longer than this.
_SHORTEST_SIDE, _LONGEST_SIDE = 240, 2048
_GAP = 8


def three_panels(image: np.ndarray, explanation: Explanation, overlay: Overlay, *, boxes: bool = False) -> np.ndarray:
    """Overlay, picture and heatmap of an explained picture side by side, under a line with the label.

    Args:
        image: uint8 (height, width, 3), BGR. One smaller than 240 pixels is enlarged, so that the label fits; one that
            is long and narrow until its longer side has 2048.
        explanation: of that picture.
        overlay: draws the map.
        boxes: draw the map's boxes over the overlay, as the explanation has them.

    Returns:
        uint8 (height', width', 3), BGR.
    """
    panels = [overlay.blend(image, explanation), image, overlay.colours(explanation, image.shape[:2])]
    if boxes:
        draw_boxes(panels[0], explanation)
    scale = min(_SHORTEST_SIDE / min(image.shape[:2]), _LONGEST_SIDE / max(image.shape[:2]))
    if scale > 1:
        panels = [cv2.resize(panel, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC) for panel in panels]
    height, width = panels[0].shape[:2]
    size = max(14, round(min(width / 16, height / 12)))
    strip = 2 * size
    sheet = np.zeros((strip + height, 3 * width + 2 * _GAP, 3), np.uint8)
    for position, panel in enumerate(panels):
        left = position * (width + _GAP)
        sheet[strip:, left : left + width] = panel
    title = f"{map_name(legible(explanation))}  {explanation.targets[0].amount(1)}"
    put_text(sheet, title, (size // 2, round(1.35 * size)), size, max_width=sheet.shape[1] - size, bold=True)
    return sheet
