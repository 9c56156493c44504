"""What a network is being taught, drawn over the picture: the classes, how many examples they have, how good it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from live_gradcam.drawing.text import darken, put_text, text_size_for, text_width

_PALE, _ORANGE, _RED = (200, 200, 200), (60, 170, 255), (60, 60, 250)
#: How wide the panel is, in heights of a letter, and down to which height letters get smaller.
_WIDTH, _SMALLEST = 15, 8


@dataclass(frozen=True)
class TeachingRow:
    """A class that is taught.

    Attributes:
        key: what is pressed for it.
        name: what it is called.
        amount: of its examples, in words.
        mark: what is missing, in words; empty for nothing.
        is_collecting: whether examples of it are being collected.
    """

    key: str
    name: str
    amount: str
    mark: str = ""
    is_collecting: bool = False


@dataclass(frozen=True)
class TeachingPanel:
    """What is known of the teaching.

    Attributes:
        rows: the classes.
        notes: lines under them, such as the accuracy.
        typed: a line that is being typed, with what it is for; None for none.
        heading: what stands over the names and over the amounts; empty for nothing.
    """

    rows: Sequence[TeachingRow]
    notes: Sequence[str] = ()
    typed: str | None = None
    heading: tuple[str, ...] = ()


def draw_teaching(image: np.ndarray, panel: TeachingPanel, *, below: int = 0) -> None:
    """Draw the panel into the upper right corner, and what is typed into the middle.

    Args:
        image: uint8 (height, width, 3), BGR; it is drawn on.
        panel: what to draw.
        below: how many pixels at the top are taken.
    """
    lines = len(panel.rows) + sum(bool(row.mark) for row in panel.rows) + len(panel.notes) + bool(panel.heading)
    size = text_size_for(image.shape[:2])
    size = min(size, max(_SMALLEST, int((image.shape[0] - below) / (1.5 * lines + 2.5))))
    margin, row_height = round(0.7 * size), round(1.5 * size)
    width = min(_WIDTH * size, image.shape[1] // 2 - margin)
    height = min(image.shape[0] - below - 2 * margin, row_height * lines + margin)
    if width < 6 * size or height < 2 * row_height:
        return
    ground = image[below + margin : below + margin + height, image.shape[1] - margin - width : image.shape[1] - margin]
    darken(ground)
    baseline = round(1.3 * size)
    if panel.heading:
        names, amounts = panel.heading
        put_text(ground, names, (2 * size, baseline), size, max_width=width - 3 * size, colour=_PALE)
        taken = text_width(amounts, size)
        put_text(ground, amounts, (width - taken - size // 2, baseline), size, max_width=taken, colour=_PALE)
        baseline += row_height
    for row in panel.rows:
        _draw_row(ground, row, baseline, size)
        baseline += row_height
        if row.mark:
            put_text(ground, row.mark, (2 * size, baseline), size, max_width=width - 3 * size, colour=_ORANGE)
            baseline += row_height
    for note in panel.notes:
        put_text(ground, note, (size // 2, baseline), size, max_width=width - size, colour=_PALE)
        baseline += row_height
    if panel.typed is not None:
        _draw_typed(image, panel.typed)


def _draw_row(ground: np.ndarray, row: TeachingRow, baseline: int, size: int) -> None:
    width, bold = ground.shape[1], row.is_collecting
    if bold:
        centre = (round(0.8 * size), baseline - round(0.35 * size))
        cv2.circle(ground, centre, max(3, round(0.4 * size)), _RED, cv2.FILLED, cv2.LINE_AA)
    else:
        put_text(ground, row.key, (size // 2, baseline), size, max_width=size, colour=_PALE)
    taken = text_width(row.amount, size, bold=bold)
    put_text(ground, row.amount, (width - taken - size // 2, baseline), size, max_width=taken, bold=bold)
    room = width - taken - 3 * size
    put_text(ground, row.name, (2 * size, baseline), size, max_width=room, bold=bold)


def _draw_typed(image: np.ndarray, text: str) -> None:
    """What is being typed, on a dark band in the middle; of a long text the end is seen."""
    size = round(1.4 * text_size_for(image.shape[:2]))
    room = image.shape[1] - 3 * size
    while len(text) > 1 and text_width(text, size) > room:
        text = f"…{text[2:]}"
    height, width = 2 * size, text_width(text, size)
    top, left = max(0, image.shape[0] // 2 - size), max(0, (image.shape[1] - width) // 2 - size)
    band = image[top : top + height, left : left + width + 2 * size]
    darken(band)
    darken(band)
    put_text(band, text, (size, round(1.35 * size)), size, max_width=room)
