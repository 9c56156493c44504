"""Text and bars over the picture, legible on any background and at any size."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from live_gradcam.cam.explanation import Explanation, Prediction

_WHITE = (255, 255, 255)
_BAR = (200, 160, 60)
_TARGET_BAR = (60, 180, 250)
_PANEL_DARKNESS = 0.35
_REGULAR, _BOLD = 400, 600
_FONT = cv2.FontFace("sans")


def draw_hud(image: np.ndarray, explanation: Explanation, *, notes: Sequence[str] = ()) -> None:
    """Draw the predictions as bars, and lines of notes under them, onto a picture.

    Sizes follow the picture. The bar of the class that the heatmap explains has another colour; when that class is not
    among the predictions, it gets a line of its own.

    Args:
        image: uint8 (height, width, 3), BGR; it is drawn on.
        explanation: what to show.
        notes: lines such as the frame rate, drawn under the bars.
    """
    text_size = _text_size(image.shape[:2])
    row, margin = round(1.6 * text_size), round(0.7 * text_size)
    width = min(image.shape[1] - 2 * margin, 19 * text_size)
    rows = list(explanation.predictions)
    if all(prediction.index != explanation.target for prediction in rows):
        rows.append(explanation.targets[0])
    height = min(image.shape[0] - 2 * margin, row * (len(rows) + len(notes)) + margin)
    if width < 4 * text_size or height < row:
        return
    panel = image[margin : margin + height, margin : margin + width]
    _darken(panel)
    baseline = margin // 2 + round(1.15 * text_size)
    for prediction in rows:
        _draw_bar(panel, baseline, row, text_size, prediction, is_target=prediction.index == explanation.target)
        baseline += row
    for note in notes:
        put_text(panel, note, (margin // 2, baseline), text_size, max_width=width - margin)
        baseline += row


def put_text(
    image: np.ndarray, text: str, origin: tuple[int, int], size: int, *, max_width: int, bold: bool = False
) -> None:
    """Write a line in white, shortened with an ellipsis where it is too long.

    Args:
        image: uint8 (height, width, 3), BGR; it is drawn on.
        text: any Unicode text; what the built-in fonts lack becomes a question mark.
        origin: left end of the baseline, in pixels.
        size: height of the font in pixels.
        max_width: the room there is, in pixels.
        bold: in heavier letters.
    """
    weight = _BOLD if bold else _REGULAR
    shown = text
    while text and text_width(shown, size, bold=bold) > max_width:
        text = text[:-1]
        shown = f"{text.rstrip()}…"
    cv2.putText(image, shown, origin, _WHITE, _FONT, size, weight)


def text_width(text: str, size: int, *, bold: bool = False) -> int:
    """The width of a line in pixels."""
    return int(cv2.getTextSize((1, 1), text, (0, 0), _FONT, size, _BOLD if bold else _REGULAR)[2])


def _text_size(frame_size: tuple[int, int]) -> int:
    """Font height in pixels for a frame of (height, width): readable at 320×240, in proportion at 4K."""
    height, width = frame_size
    return max(11, round(min(height / 32, width / 42)))


def _darken(panel: np.ndarray) -> None:
    cv2.convertScaleAbs(panel, panel, alpha=_PANEL_DARKNESS)


def _draw_bar(
    panel: np.ndarray, baseline: int, row: int, text_size: int, prediction: Prediction, *, is_target: bool
) -> None:
    inset = text_size // 3
    room = panel.shape[1] - 2 * inset
    bottom, top = baseline + round(0.4 * text_size), baseline + round(0.4 * text_size) - max(2, row // 8)
    length = round(room * prediction.probability)
    cv2.rectangle(panel, (inset, top), (inset + max(1, length), bottom), _TARGET_BAR if is_target else _BAR, cv2.FILLED)
    probability = f"{100 * prediction.probability:.0f} %"
    probability_width = text_width(probability, text_size, bold=is_target)
    put_text(
        panel,
        probability,
        (inset + room - probability_width, baseline),
        text_size,
        max_width=probability_width,
        bold=is_target,
    )
    label_room = room - probability_width - text_size // 2
    put_text(panel, prediction.label, (inset, baseline), text_size, max_width=label_room, bold=is_target)
