"""The pictures of a report that are files of their own, so that they explain themselves without the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from live_gradcam.drawing.overlay import COLORMAPS, Overlay
from live_gradcam.drawing.text import put_text
from live_gradcam.fitting.report.backgrounds import NEUTRAL, OTHER, SAME, Answer, Backgrounds, Shown
from live_gradcam.fitting.report.charts import BLUE, INK, ORANGE, new_figure, quiet, rendered
from live_gradcam.fitting.report.maps import MeanMap
from live_gradcam.fitting.report.study import ExplainedMistake
from live_gradcam.fitting.report.words import counted, mistake_captions, percent, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

    from live_gradcam.fitting.fitted import Fitted

_DPI = 128
#: Of the pictures of mistakes, in pixels: between panels, heights of letters, and what fits a caption.
_MARGIN, _TITLE, _CAPTION, _NARROWEST = 16, 24, 18, 240
_BLACK = (24, 20, 16)
#: From this share of a mean map's maximum on, its colour has its full weight.
_FULL_WEIGHT_FROM = 0.4
#: So many objects are shown on other surroundings.
_OBJECTS = 3
#: What the bars of the picture of other surroundings are called.
ON = {
    None: "as the pictures are",
    SAME: "on surroundings of the same class",
    OTHER: "on surroundings of another class",
    NEUTRAL: "on backgrounds without any object",
}


def draw_mistake(found: ExplainedMistake, fitted: Fitted, overlay: Overlay) -> np.ndarray:
    """A mistake: the picture, and a map for each of its targets, with what they show.

    Returns:
        uint8 (height, width, 3), BGR.
    """
    title, captions = mistake_captions(found.mistake, fitted)
    panels = [_at_least(panel, _NARROWEST) for panel in (found.image, *mistake_maps(found, overlay))]
    height, width = panels[0].shape[:2]
    top = _MARGIN + 2 * _TITLE
    size = top + height + 2 * _CAPTION + _MARGIN, len(panels) * (width + _MARGIN) + _MARGIN
    sheet = np.full((*size, 3), 255, np.uint8)
    baseline = _MARGIN + _TITLE
    put_text(sheet, title, (_MARGIN, baseline), _TITLE, max_width=size[1] - 2 * _MARGIN, bold=True, colour=_BLACK)
    for place, (panel, caption) in enumerate(zip(panels, captions, strict=True)):
        left = _MARGIN + place * (width + _MARGIN)
        sheet[top : top + height, left : left + width] = panel
        baseline = top + height + round(1.6 * _CAPTION)
        put_text(sheet, caption, (left, baseline), _CAPTION, max_width=width, colour=_BLACK)
    return sheet


def _at_least(image: np.ndarray, width: int) -> np.ndarray:
    """A picture, enlarged if it is too narrow for its caption."""
    factor = width / image.shape[1]
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC) if factor > 1 else image


def mistake_maps(found: ExplainedMistake, overlay: Overlay) -> list[np.ndarray]:
    """A mistake's picture under each of its maps: uint8 (h, w, 3), BGR."""
    return [
        overlay.blend(found.image, found.explanation.of_map(position))
        for position in range(len(found.explanation.targets))
    ]


def mean_map_picture(mean: MeanMap, overlay: Overlay) -> np.ndarray:
    """The mean map of a class over the mean of its pictures: uint8 (side, side, 3), BGR."""
    strength = mean.heatmap / max(float(mean.heatmap.max()), 1e-9)
    colours = cv2.applyColorMap(np.rint(255 * strength).astype(np.uint8), COLORMAPS[overlay.colormap])
    weight = overlay.alpha * np.minimum(1, strength / _FULL_WEIGHT_FROM)[..., np.newaxis]
    return np.rint(weight * colours + (1 - weight) * mean.picture).astype(np.uint8)


def draw_mean_maps(means: Sequence[MeanMap], overlay: Overlay) -> np.ndarray:
    """The mean map of each class, over the mean of its pictures.

    Returns:
        uint8 (height, width, 3), BGR.
    """
    columns = min(5, len(means))
    rows = -(-len(means) // columns)
    with quiet():
        figure = new_figure((2.3 * max(columns, 2), 2.6 * rows + 0.5))
        figure.suptitle("Where it looks, on average", fontsize=12, weight="bold", color=INK)
        grid = np.ravel(figure.subplots(rows, columns, squeeze=False))
        for axes in grid[len(means) :]:
            axes.set_axis_off()
        for axes, mean in zip(grid, means, strict=False):
            _show(
                axes, mean_map_picture(mean, overlay), f"{shortened(mean.name, 28)}\n{counted(mean.count, 'picture')}"
            )
        return rendered(figure, _DPI)


def draw_backgrounds(found: Backgrounds, overlay: Overlay) -> np.ndarray:
    """What other surroundings do, in one picture: how often the answer is right, and some of the objects.

    Returns:
        uint8 (height, width, 3), BGR.
    """
    shown = found.shown[:_OBJECTS]
    with quiet():
        figure = new_figure((10, 2.4 + 2.45 * len(shown)))
        figure.suptitle("Does it look at the object, or at what is around it?", fontsize=15, weight="bold", color=INK)
        figure.supxlabel(
            f"{counted(found.count(), 'object')}, each judged by a head that never saw its picture. "
            "Red: what speaks most for the class that was said.",
            fontsize=10,
            color=INK,
        )
        top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.6, 2.45 * len(shown))).ravel()
        _draw_bars(top, found)
        other = OTHER if any(one.swapped.on(OTHER) for one in shown) else NEUTRAL
        grid = bottom.subplots(len(shown), 4, squeeze=False)
        for row, one in zip(grid, shown, strict=True):
            for half, kind in enumerate((None, other)):
                _draw_object(row[2 * half : 2 * half + 2], one, kind, found.classes, overlay)
        return rendered(figure, _DPI)


def _draw_bars(figure: SubFigure, found: Backgrounds) -> None:
    kinds = [kind for kind in ON if found.accuracy(kind) is not None]
    shares = [found.accuracy(kind) or 0.0 for kind in kinds]
    axes = figure.subplots()
    axes.barh(range(len(kinds)), shares, color=[ORANGE if kind == OTHER else BLUE for kind in kinds], height=0.72)
    axes.set(xlim=(0, 1), ylim=(len(kinds) - 0.5, -0.5))
    axes.set_yticks(range(len(kinds)), [ON[kind] for kind in kinds], fontsize=11, color=INK)
    for place, (kind, share) in enumerate(zip(kinds, shares, strict=True)):
        text = f"{percent(share)} right"
        if kind == OTHER and found.follows is not None:
            text += f"; {percent(found.follows)} named the class of the surroundings"
        is_inside = share > 0.6
        axes.text(
            share + (-0.01 if is_inside else 0.01),
            place,
            text,
            verticalalignment="center_baseline",
            horizontalalignment="right" if is_inside else "left",
            color="white" if is_inside else INK,
            fontsize=11,
            weight="bold",
        )
    axes.tick_params(left=False, bottom=False, labelbottom=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_object(
    panels: Sequence[Axes], one: Shown, kind: str | None, classes: Sequence[str], overlay: Overlay
) -> None:
    """An object on some surroundings, and where the head looked, with what it said."""
    answers = one.swapped.answers
    place = next((place for place, answer in enumerate(answers) if answer.kind == kind), None)
    if place is None:
        for axes in panels:
            axes.set_axis_off()
        return
    answer, (image, explanation) = answers[place], one.pictures[place]
    _show(panels[0], image, shortened(surroundings_of(one, answer, classes)))
    is_right = answer.said == one.swapped.index
    said = f"{'✓' if is_right else '✗'} {shortened(classes[answer.said], 24)} {percent(answer.probability)}"
    _show(panels[1], overlay.blend(image, explanation), said, colour=BLUE if is_right else ORANGE)


def surroundings_of(one: Shown, answer: Answer, classes: Sequence[str]) -> str:
    """What an object is, and what is around it."""
    name = classes[one.swapped.index]
    if answer.kind is None:
        return f"{name}, unchanged"
    return f"{name}, in another place" if answer.donor is None else f"{name}, surroundings of {classes[answer.donor]}"


def _show(axes: Axes, image: np.ndarray, caption: str, colour: str = INK) -> None:
    axes.imshow(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), interpolation="antialiased")
    axes.set_axis_off()
    axes.set_title(caption, fontsize=10, color=colour, weight="normal" if colour == INK else "bold", parse_math=False)
