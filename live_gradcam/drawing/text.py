"""Text in pictures, and the dark ground that makes it legible."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from live_gradcam.drawing.scripts import BOLD, FONT, REGULAR, width_in, write_in, writing_of

_WHITE = (255, 255, 255)
_PANEL_DARKNESS = 0.35


def put_text(
    image: np.ndarray,
    text: str,
    origin: tuple[int, int],
    size: int,
    *,
    max_width: int,
    bold: bool = False,
    colour: tuple[int, int, int] = _WHITE,
) -> None:
    """Write a line, shortened with an ellipsis where it is too long.

    Args:
        image: uint8 (height, width, 3), BGR; it is drawn on.
        text: any Unicode text, in the order in which it is typed; letters that no font here has become question
            marks, and other signs are left out.
        origin: left end of the baseline, in pixels.
        size: height of the font in pixels.
        max_width: the room there is, in pixels.
        bold: in heavier letters.
        colour: BGR.
    """
    shown = text
    while text and text_width(shown, size, bold=bold) > max_width:
        text = text[:-1]
        shown = f"{text.rstrip()}…"
    shown, font = writing_of(shown, bold=bold)
    if font is None:
        cv2.putText(image, shown, origin, colour, FONT, size, BOLD if bold else REGULAR)
    else:
        write_in(font, image, shown, origin, size, colour)


@lru_cache(maxsize=1024)
def text_width(text: str, size: int, *, bold: bool = False) -> int:
    """The width of a line in pixels."""
    text, font = writing_of(text, bold=bold)
    if font is not None:
        return width_in(font, text, size)
    return int(cv2.getTextSize((1, 1), text, (0, 0), FONT, size, BOLD if bold else REGULAR)[2])


def text_size_for(frame_size: tuple[int, int]) -> int:
    """Font height in pixels for a frame of (height, width): readable at 320×240, in proportion at 4K."""
    height, width = frame_size
    return max(11, round(min(height / 32, width / 42)))


def darken(panel: np.ndarray) -> None:
    """Make a part of a picture so dark that white text is legible on it."""
    cv2.convertScaleAbs(panel, panel, alpha=_PANEL_DARKNESS)
