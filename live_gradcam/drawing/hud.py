"""Text and bars over the picture, legible on any background and at any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np

from live_gradcam.drawing.names import legible
from live_gradcam.drawing.overlay import Overlay
from live_gradcam.drawing.teaching_panel import TeachingPanel, draw_teaching
from live_gradcam.drawing.text import darken, put_text, text_size_for, text_width
from live_gradcam.explanations.explanation import Explanation, Prediction

#: What stands in place of the classes where a network is taught, and was taught nothing yet.
UNTAUGHT = "nothing taught yet"
#: For what matters less; on the dark panel it is legible over any picture.
_PALE = (200, 200, 200)
_RED = (60, 60, 250)
_BAR = (200, 160, 60)
_TARGET_BAR = (60, 180, 250)
#: For the class behind a group's name: the size of its letters, and the least room for it, in heights of a letter.
_FINEST_SIZE, _LEAST_FINEST = 0.85, 3
#: Of the panel in heights of a letter. A longer note makes it wider, so that nothing is cut off.
_PANEL_WIDTH = 19
#: Where all of the text does not fit, letters get smaller, down to this height in pixels. Then the last lines are left
#: out; but the keys stand closer, down to this part of the height.
_SMALLEST, _CLOSEST = 8, 0.9
_NO_ROOM_FOR_KEYS = "too small for the keys"
#: The height of a line of the panel and of what is around all of them, in heights of a letter.
_LINE, _AROUND = 1.6, 2.1
#: Of the scale of the colours in heights of a letter.
_SCALE_WIDTH, _SCALE_HEIGHT = 10, 2.2
#: The notes at the bottom take up to so many lines, and if they need more than one, letters of this share of the size.
_BOTTOM_LINES, _BOTTOM_SIZE = 3, 0.8


class BarArea(NamedTuple):
    """Where on the picture a class is drawn, in pixels: left and top inside, right and bottom just outside."""

    left: int
    top: int
    right: int
    bottom: int
    class_index: int


@dataclass(frozen=True)
class Hud:
    """The text over a live picture, besides the predictions.

    Attributes:
        notes: lines under the predictions: rates, model, method and layer, class.
        minimal_note: the line that is shown in place of them at the level "minimal".
        banner: a line in the middle, for what matters most; None for none.
        notice: a line near the bottom, for what was just done; None for none.
        recording: how long the recording is, as text; None if there is none.
        full_scale: the evidence that the strongest colour stands for; None draws no scale.
        help: the keys, the name of each and what it does. They are shown in place of all else but `recording`; empty
            for none.
        level: how much is shown, a name of `choices.HUD_LEVELS`.
        names_classes: whether the classes are listed; False for a view that names them itself.
        notes_in_a_line: whether the notes stand at the bottom, for a view that has no room for a panel.
        teaching: what the network is being taught; None where it is not.
    """

    notes: Sequence[str] = ()
    minimal_note: str = ""
    banner: str | None = None
    notice: str | None = None
    recording: str | None = None
    full_scale: float | None = None
    help: Sequence[tuple[str, str]] = ()
    level: str = "full"
    names_classes: bool = True
    notes_in_a_line: bool = False
    teaching: TeachingPanel | None = None


def map_name(explanation: Explanation, position: int = 0) -> str:
    """What a map shows: "tabby", "tabby > tiger cat" for a contrast, "against tabby" for what speaks against.

    Of a map that is 0 everywhere the name says so, as the picture cannot.
    """
    name = explanation.targets[position].label
    contrast = explanation.contrasts[position] if explanation.contrasts else None
    if contrast is not None:
        name = f"{name} > {contrast.label}"
    name = f"against {name}" if explanation.against else name
    return f"{name} (empty map)" if explanation.empty[position] else name


def draw_hud(
    image: np.ndarray,
    hud: Hud,
    explanation: Explanation | None,
    overlay: Overlay,
) -> list[BarArea]:
    """Draw the text over a live picture.

    Args:
        image: uint8 (height, width, 3), BGR; it is drawn on.
        hud: the text.
        explanation: of the picture; None while there is none.
        overlay: what the map is drawn with, for the scale of its colours.

    Returns:
        Where the bars of the classes are.
    """
    explanation = explanation and legible(explanation)
    recording = hud.recording if hud.level != "none" else None
    if hud.help:  # which covers the rest, but nobody may forget that it records
        if recording is not None:
            _draw_recording(image, recording, panel=(0, 0), above=image.shape[0])
        _draw_help(image, hud.help)
        return []
    areas: list[BarArea] = []
    corner, lines_top = (0, 0), image.shape[0]
    if hud.level == "full":
        predictions = _rows_of(explanation) if explanation is not None and hud.names_classes else []
        target = explanation.target if explanation is not None else -1
        notes = _notes_of(explanation, hud.notes) if explanation is not None and hud.names_classes else hud.notes
        areas, corner = _draw_panel(image, predictions, target, () if hud.notes_in_a_line else notes)
        if hud.notes_in_a_line and notes:
            lines_top = _draw_bottom_lines(image, notes)
        if hud.full_scale is not None and explanation is not None:
            scale_top = _draw_scale(image, explanation, overlay, hud.full_scale, beside=corner)
            lines_top = min(lines_top, scale_top)
    elif hud.level == "minimal":
        named = []
        if explanation is not None and hud.names_classes:
            named = [replace(explanation.targets[0], label=map_name(explanation))]
        areas, corner = _draw_panel(image, named, -1, [hud.minimal_note] if hud.minimal_note else [])
    if recording is not None:
        _draw_recording(image, recording, panel=corner, above=lines_top)
    if hud.teaching is not None and hud.level != "none":
        taken = 0 if recording is None else round(2.3 * text_size_for(image.shape[:2]))
        draw_teaching(image, hud.teaching, below=taken)
    if hud.notice and hud.level != "none":
        _draw_line(image, hud.notice, place=0.8, panel=corner, above=lines_top)
    if hud.banner:
        _draw_line(image, hud.banner, place=0.5, panel=corner, enlarged=1.6)
    return areas


def draw_predictions(image: np.ndarray, explanation: Explanation, *, notes: Sequence[str] = ()) -> list[BarArea]:
    """Draw the predictions as bars, and lines of notes under them, onto a picture.

    Sizes follow the picture. The bar of the class that the heatmap explains has another colour; when that class is not
    among the predictions, it gets a line of its own. A heatmap of something else than what speaks for that class is
    named in the first note.

    Args:
        image: uint8 (height, width, 3), BGR; it is drawn on.
        explanation: what to show.
        notes: lines such as the frame rate, drawn under the bars.

    Returns:
        Where the bars are.
    """
    explanation = legible(explanation)
    return _draw_panel(image, _rows_of(explanation), explanation.target, _notes_of(explanation, notes))[0]


def _rows_of(explanation: Explanation) -> list[Prediction]:
    rows = list(explanation.predictions)
    if all(prediction.index != explanation.target for prediction in rows):
        rows.append(explanation.targets[0])
    return rows


def _notes_of(explanation: Explanation, notes: Sequence[str]) -> Sequence[str]:
    """The notes, below the map's name where that says more than the highlighted bar does."""
    name = map_name(explanation)
    return notes if name == explanation.targets[0].label else [name, *notes]


def _draw_panel(
    image: np.ndarray, rows: Sequence[Prediction], target: int, notes: Sequence[str]
) -> tuple[list[BarArea], tuple[int, int]]:
    """The bars and the notes in the upper left corner. Returns where the bars are, and where it ends: right, bottom."""
    text_size, lines = text_size_for(image.shape[:2]), _lines_within(image.shape[0])
    rows, notes = rows[:lines], notes[: max(0, lines - len(rows))]
    lines = len(rows) + len(notes)
    if not lines or image.shape[1] < 5.4 * text_size or image.shape[0] < 3 * text_size:
        return [], (0, 0)
    text_size = min(text_size, max(_SMALLEST, int(image.shape[0] / (_LINE * lines + _AROUND))))
    row, margin = round(_LINE * text_size), round(0.7 * text_size)
    widest = max((text_width(note, text_size) for note in notes), default=0)
    width = min(image.shape[1] - 2 * margin, max(_PANEL_WIDTH * text_size, widest + margin))
    height = min(image.shape[0] - 2 * margin, row * lines + margin)
    panel = image[margin : margin + height, margin : margin + width]
    darken(panel)
    baseline = margin // 2 + round(1.15 * text_size)
    areas = []
    for prediction in rows:
        _draw_bar(panel, baseline, row, text_size, prediction, is_target=prediction.index == target)
        bottom = margin + baseline + round(0.4 * text_size)
        areas.append(BarArea(margin, bottom - row, margin + width, bottom, prediction.index))
        baseline += row
    for note in notes:
        put_text(panel, note, (margin // 2, baseline), text_size, max_width=width - margin)
        baseline += row
    return areas, (margin + width, margin + height)


def _lines_within(height: int) -> int:
    """How many lines of the smallest letters a panel has room for in so many pixels."""
    return max(0, int((height / _SMALLEST - _AROUND) / _LINE))


def draw_title(strip: np.ndarray, prediction: Prediction, text_size: int, *, is_target: bool) -> None:
    """Draw a class's name, probability and bar into the strip over its map, uint8 (height, width, 3) BGR."""
    baseline = round(1.15 * text_size)
    _draw_bar(strip, baseline, round(1.6 * text_size), text_size, prediction, is_target=is_target)


def _draw_bar(
    panel: np.ndarray, baseline: int, row: int, text_size: int, prediction: Prediction, *, is_target: bool
) -> None:
    inset = text_size // 3
    room = panel.shape[1] - 2 * inset
    bottom, top = baseline + round(0.4 * text_size), baseline + round(0.4 * text_size) - max(2, row // 8)
    if prediction.value is None:  # which has no full length
        length, colour = round(room * prediction.probability), _TARGET_BAR if is_target else _BAR
        cv2.rectangle(panel, (inset, top), (inset + max(1, length), bottom), colour, cv2.FILLED)
    probability = prediction.amount()
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
    if prediction.finest is not None and prediction.finest.label != prediction.label:
        _put_finest(panel, prediction, (inset, baseline), text_size, max_width=label_room, bold=is_target)


def _put_finest(
    panel: np.ndarray,
    prediction: Prediction,
    origin: tuple[int, int],
    text_size: int,
    *,
    max_width: int,
    bold: bool,
) -> None:
    """Write the most probable class of a group behind its name, smaller and paler, where there is room for it."""
    assert prediction.finest is not None
    size = round(_FINEST_SIZE * text_size)
    gap = text_width(prediction.label, text_size, bold=bold) + text_size // 2
    if max_width - gap >= _LEAST_FINEST * size:
        x, baseline = origin
        place = x + gap, baseline
        put_text(panel, prediction.finest.label, place, size, max_width=max_width - gap, colour=_PALE)


def _draw_scale(
    image: np.ndarray, explanation: Explanation, overlay: Overlay, full_scale: float, *, beside: tuple[int, int]
) -> int:
    """The colours from no evidence to the strongest, with the number that the strongest stands for.

    It is smaller where it would be drawn over the panel, which ends at (right, bottom) `beside`.

    Returns:
        Where it begins, in pixels from the top.
    """
    size = text_size_for(image.shape[:2])
    margin = round(0.7 * size)
    across, below = image.shape[1] - margin - beside[0], image.shape[0] - margin - beside[1]
    if below < round(_SCALE_HEIGHT * size):
        size = min(size, across // _SCALE_WIDTH)
    width, thickness, height = _SCALE_WIDTH * size, max(4, size // 2), round(_SCALE_HEIGHT * size)
    if size < _SMALLEST or image.shape[1] < width + 2 * margin or image.shape[0] < 4 * height:
        return image.shape[0]
    panel = image[-margin - height : -margin or None, -margin - width : -margin or None]
    darken(panel)
    inset = size // 3
    room = width - 2 * inset
    ramp = np.linspace(0, 255, room).astype(np.intp)
    colours = overlay.scale_of(explanation)[ramp].reshape(1, room, 3)
    panel[height - inset - thickness : height - inset, inset : inset + room] = colours
    baseline = round(1.1 * size)
    strongest = f"{full_scale:.2g}"
    meaning = "0  against" if explanation.against else "0  evidence"
    put_text(panel, meaning, (inset, baseline), size, max_width=room - text_width(strongest, size) - inset)
    put_text(panel, strongest, (width - inset - text_width(strongest, size), baseline), size, max_width=room)
    return image.shape[0] - margin - height


def _draw_recording(image: np.ndarray, text: str, *, panel: tuple[int, int], above: int) -> None:
    """The mark of a recording, in the upper right corner.

    Where the panel, which ends at (right, bottom), leaves no room for it, it is below the panel, and ends `above` so
    many pixels. Without room there it is a dot in the corner, beside all text. A tiny picture has none.
    """
    size = text_size_for(image.shape[:2])
    margin, height = round(0.7 * size), round(1.6 * size)
    width = text_width(text, size) + round(2.2 * size)
    left, top = image.shape[1] - margin - width, margin
    if left < panel[0] + margin:
        left, top = margin, panel[1] + margin // 2
    if left + width > image.shape[1] or top + height > above:
        centre = image.shape[1] - margin // 2 - 1, margin // 2
        if min(image.shape[:2]) >= 4 * margin:
            cv2.circle(image, centre, margin // 2 - 1, _RED, cv2.FILLED, cv2.LINE_AA)
        return
    ground = image[top : top + height, left : left + width]
    darken(ground)
    cv2.circle(ground, (round(0.9 * size), height // 2), max(3, round(0.4 * size)), _RED, cv2.FILLED, cv2.LINE_AA)
    put_text(ground, text, (round(1.7 * size), round(1.15 * size)), size, max_width=width)


def _draw_bottom_lines(image: np.ndarray, notes: Sequence[str]) -> int:
    """Notes in the lower left corner, beside the scale of the colours: in one line, or in a few smaller ones.

    Returns:
        Where they begin, in pixels from the top.
    """
    size = text_size_for(image.shape[:2])
    margin = round(0.7 * size)
    room = image.shape[1] - 12 * size - 3 * margin
    if room < 4 * size or image.shape[0] < 4 * round(1.6 * size):
        return image.shape[0]
    lines = _joined(notes, size, room)
    if len(lines) > 1:
        size = max(_SMALLEST, round(_BOTTOM_SIZE * size))
        lines = _joined(notes, size, room)[:_BOTTOM_LINES]
    row = round(1.6 * size)
    top, width = image.shape[0] - margin - row * len(lines), min(room, max(text_width(line, size) for line in lines))
    panel = image[max(0, top) : image.shape[0] - margin, margin : margin + width + size]
    darken(panel)
    for number, line in enumerate(lines):
        put_text(panel, line, (size // 2, round(1.15 * size) + number * row), size, max_width=room)
    return max(0, top)


def _joined(notes: Sequence[str], size: int, room: int) -> list[str]:
    """Notes with points between them, in as many lines as they need in so many pixels."""
    lines = [notes[0]]
    for note in notes[1:]:
        longer = f"{lines[-1]} · {note}"
        if text_width(longer, size) <= room:
            lines[-1] = longer
        else:
            lines.append(note)
    return lines


def _draw_line(
    image: np.ndarray,
    text: str,
    *,
    place: float,
    panel: tuple[int, int] = (0, 0),
    above: int | None = None,
    enlarged: float = 1.0,
) -> None:
    """A line on a dark band, centred, at a place from 0 (top) to 1 (bottom), or higher, to end `above` so many pixels.

    Over the panel, which ends at (right, bottom), it is so dark that the text below it is not read with it.
    """
    size = round(enlarged * text_size_for(image.shape[:2]))
    room = image.shape[1] - 2 * size
    height = round(2 * size)
    if room < size or image.shape[0] < height:
        return
    width = min(room, text_width(text, size, bold=True))
    lowest = image.shape[0] - height if above is None else min(image.shape[0], above) - height
    top = max(0, min(lowest, round(place * image.shape[0]) - height // 2))
    left = (image.shape[1] - width) // 2
    band = image[top : top + height, max(0, left - size) : left + width + size]
    darken(band)
    if top < panel[1] and left - size < panel[0]:
        darken(band)
        darken(band)
    put_text(band, text, (min(size, left), round(1.35 * size)), size, max_width=width, bold=True)


def _draw_help(image: np.ndarray, keys: Sequence[tuple[str, str]]) -> None:
    """The keys, each on a line with what it does."""
    height, width = image.shape[:2]
    size = min(text_size_for((height, width)), round(height / (1.5 * (len(keys) + 2))))
    widest = max(text_width(name, size, bold=True) for name, _ in keys) + max(
        text_width(what, size) for _, what in keys
    )
    size = max(_SMALLEST, min(size, int(size * width / (widest + 3 * size))))
    row, margin = min(1.7 * size, (height - size) / (len(keys) + 1)), size
    if row < _CLOSEST * size:
        return _draw_line(image, _NO_ROOM_FOR_KEYS, place=0.5)
    panel_height = min(height, round(row * len(keys) + size))
    names_width = max(text_width(name, size, bold=True) for name, _ in keys) + size
    helps_width = max(text_width(what, size) for _, what in keys)
    panel_width = min(width, names_width + helps_width + 2 * margin)
    top, left = (height - panel_height) // 2, (width - panel_width) // 2
    panel = image[top : top + panel_height, left : left + panel_width]
    darken(panel)
    darken(panel)
    for line, (name, what) in enumerate(keys):
        baseline = round(size * 1.2 + line * row)
        put_text(panel, name, (margin, baseline), size, max_width=names_width, bold=True)
        put_text(panel, what, (margin + names_width, baseline), size, max_width=panel_width - names_width - 2 * margin)
