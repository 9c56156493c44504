"""A video on one sheet: how sure the network was of what, and when, over pictures of where it saw that."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

import cv2
import numpy as np

from live_gradcam.drawing.hud import map_name
from live_gradcam.drawing.names import legible
from live_gradcam.drawing.overlay import Overlay
from live_gradcam.drawing.text import put_text
from live_gradcam.explanations.explanation import Explanation, Prediction
from live_gradcam.explanations.fits import shrink

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import LineStyleType

#: Okabe and Ito's colours, which differ to colour-blind eyes too, without the yellow, which is too pale on white; and
#: for each a dash pattern, which differs in grey as well.
_LINES: tuple[tuple[str, LineStyleType], ...] = (
    ("#0072B2", "-"),
    ("#D55E00", (0, (6, 1.5))),
    ("#009E73", (0, (1.2, 1.2))),
    ("#CC79A7", (0, (6, 1.5, 1.2, 1.5))),
    ("#E69F00", (0, (3, 1.2))),
    ("#56B4E9", (0, (6, 1.2, 1.2, 1.2, 1.2, 1.2))),
)

#: Pixels an inch: a power of two, so that pixels in inches are exact.
_DPI = 128
# All in pixels.
_WIDTH = 1600
_MARGIN = 40
_GAP = 20
_TITLE = 70
_PLOT_LEFT, _PLOT_WIDTH, _PLOT_HEIGHT = 120, 1060, 360
_ABOVE_PLOT, _BELOW_PLOT = 40, 76
_CAPTION = 64
_TALLEST = 300
# In pixels too: heights of letters.
_LARGE, _MEDIUM, _SMALL = 26, 18, 16

_LONGEST_ROW = 6
_FEWEST_COLUMNS = 4
#: Matplotlib's own font has what comes before: Latin, Greek, Cyrillic and Armenian letters.
_FROM_HERE_ON_AS_IN_VIDEOS = "\u0590"
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800)
_MOST_TICKS = 12
_HOUR = 3600


class Sampled(Protocol):
    """An explained frame of a video."""

    @property
    def pts(self) -> Fraction:
        """Its time in seconds."""

    @property
    def explanation(self) -> Explanation:
        """What was seen in it."""


_SampledT = TypeVar("_SampledT", bound=Sampled)


def thumbnail_samples(samples: Sequence[_SampledT], count: int = 12) -> list[_SampledT]:
    """Those that stand for the whole video: of as many parts of equal length, each one's middle.

    Args:
        samples: in the order of their times.
        count: how many at most.

    Returns:
        The samples that are closest to those times, each once, in the same order; all where there are not more.
    """
    if len(samples) <= count:
        return list(samples)
    times = np.array([float(sample.pts) for sample in samples])
    middles = times[0] + (np.arange(count) + 0.5) / count * (times[-1] - times[0])
    closest = np.abs(times[None] - middles[:, None]).argmin(axis=1)
    return [samples[position] for position in np.unique(closest)]


def draw_contact_sheet(
    samples: Sequence[Sampled],
    thumbnails: Sequence[tuple[np.ndarray, Sampled]],
    overlay: Overlay,
    *,
    title: str,
) -> np.ndarray:
    """Draw the probabilities of a video's main classes over its time, above pictures of some of its frames.

    A class's probability is known where it is among a frame's predictions or targets. Elsewhere it is not taken for 0:
    its line has a gap there, which the sheet says. The classes shown are those that matter most by the mean of their
    squared probability, which those have that are seen for long and those that are seen clearly; and in any case one
    that every map explains.

    Args:
        samples: of the video, one or more, in the order of their times; where frames have several maps, the first
            counts.
        thumbnails: up to 12 or so: frames, uint8 (height, width, 3) BGR, with their samples, in the order of their
            times. Each has a number, which stands at its time over the plot.
        overlay: draws the maps.
        title: the first line, shortened where it is too long.

    Returns:
        uint8 (height, 1600, 3), BGR; the height follows the thumbnails'.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of the fonts that it lists on its first run
    first, last = float(samples[0].pts), float(samples[-1].pts)
    said = partial(clock, hours=last >= _HOUR, tenths=_step(first, last) <= 1)
    columns, cell_width = _columns_for(len(thumbnails))
    pictures = [_thumbnail(image, sample.explanation, overlay, cell_width) for image, sample in thumbnails]
    row_height = max((picture.shape[0] for picture in pictures), default=0) + _CAPTION + _GAP
    pictures_top = _TITLE + _ABOVE_PLOT + _PLOT_HEIGHT + _BELOW_PLOT
    height = pictures_top + math.ceil(len(pictures) / columns) * row_height

    figure = Figure(figsize=(_WIDTH / _DPI, height / _DPI), dpi=_DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # of a sign in a name that the font lacks
        _write(figure, title, (_MARGIN, 28), _LARGE, _WIDTH - 2 * _MARGIN, weight="bold")
        _plot(figure, samples, [sample for _, sample in thumbnails], top=_TITLE + _ABOVE_PLOT)
        for position, (picture, (_, sample)) in enumerate(zip(pictures, thumbnails, strict=True)):
            row, column = divmod(position, columns)
            corner = _MARGIN + column * (cell_width + _GAP), pictures_top + row * row_height
            _place(figure, picture, sample.explanation, position + 1, said(float(sample.pts)), corner, cell_width)
        canvas.draw()
    return cv2.cvtColor(np.asarray(canvas.buffer_rgba()), cv2.COLOR_RGBA2BGR)


# --- pictures -----------------------------------------------------------------------------------------------------


def _columns_for(count: int) -> tuple[int, int]:
    """How many thumbnails there are in a row, and the pixels that each has in width."""
    rows = max(1, math.ceil(count / _LONGEST_ROW))
    columns = max(_FEWEST_COLUMNS, math.ceil(count / rows))
    return columns, (_WIDTH - 2 * _MARGIN - (columns - 1) * _GAP) // columns


def _thumbnail(image: np.ndarray, explanation: Explanation, overlay: Overlay, width: int) -> np.ndarray:
    """A frame under its map, BGR, in its own shape: as wide as there is room, or as tall."""
    blended = overlay.blend(image, explanation)
    scale = min(width / image.shape[1], _TALLEST / image.shape[0])
    return shrink(blended, max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))


def _place(
    figure: Figure,
    picture: np.ndarray,
    explanation: Explanation,
    number: int,
    time: str,
    corner: tuple[int, int],
    width: int,
) -> None:
    """Put a thumbnail, with its number, and its caption below, at a (left, top) corner."""
    left, top = corner
    bottom = top + picture.shape[0]
    from_below = round(figure.bbox.height) - bottom
    figure.figimage(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), left, from_below, origin="upper", zorder=1)
    _badge(figure, number, (left + 16, top + 16))
    facts = [explanation.targets[0].amount(), time]
    if not explanation.evidence[0] > 0:
        facts.append("no evidence")
    _write(figure, map_name(legible(explanation)), (left, bottom + 20), _MEDIUM, width, weight="bold")
    _write(figure, " · ".join(facts), (left, bottom + 46), _SMALL, width, color="0.3")


# --- the plot -----------------------------------------------------------------------------------------------------


def _plot(figure: Figure, samples: Sequence[Sampled], marked: Sequence[Sampled], *, top: int) -> None:
    height = figure.bbox.height
    bottom = 1 - (top + _PLOT_HEIGHT) / height
    axes = figure.add_axes((_PLOT_LEFT / _WIDTH, bottom, _PLOT_WIDTH / _WIDTH, _PLOT_HEIGHT / height))
    times = np.array([float(sample.pts) for sample in samples])
    are_values = samples[0].explanation.targets[0].value is not None
    _prepare_axes(axes, times[0], times[-1], are_values=are_values)
    curves = main_curves([legible(sample.explanation) for sample in samples], most=len(_LINES))
    key_left = _PLOT_LEFT + _PLOT_WIDTH + 30
    for position, ((label, curve), (colour, dashes)) in enumerate(zip(curves, _LINES, strict=False)):
        axes.plot(times, curve, color=colour, linestyle=dashes, linewidth=2, zorder=3 - position / 10)
        alone = np.where(_is_alone(curve), curve, np.nan)
        axes.plot(times, alone, color=colour, linestyle="", marker="o", markersize=4, clip_on=False)
        _draw_key(figure, label, colour, dashes, (key_left, top + 14 + 40 * position))
    if any(np.isnan(curve).any() for _, curve in curves):
        predictions = max(len(sample.explanation.predictions) for sample in samples)
        note = f"no line: not among a frame's {predictions} best" if predictions > 1 else "no line: not a frame's best"
        _write(figure, note, (key_left, top + 14 + 40 * len(curves)), _SMALL, _WIDTH - _MARGIN - key_left, color="0.3")
    for number, sample in enumerate(marked, 1):
        seconds = float(sample.pts)
        axes.axvline(seconds, color="0.6", linewidth=0.8, linestyle=":", zorder=1)
        x = _PLOT_LEFT + _PLOT_WIDTH * (seconds - axes.get_xlim()[0]) / np.ptp(axes.get_xlim())
        _badge(figure, number, (round(x), top - 18))


def main_curves(explanations: Sequence[Explanation], *, most: int) -> list[tuple[str, np.ndarray]]:
    """The probabilities of the classes that matter most, see `draw_contact_sheet`, or the values.

    Returns:
        For each class its label and float64 (explanations,), 0…1 of a probability, NaN where it is not known; the one
        that matters most first.
    """
    known = [_known(explanation) for explanation in explanations]
    labels = {index: prediction.label for frame in known for index, prediction in frame.items()}
    targets = {explanation.target for explanation in explanations}
    always = targets if len(targets) == 1 else set()
    curves = {
        index: np.array([frame[index].number if index in frame else np.nan for frame in known]) for index in labels
    }

    def weight(index: int) -> tuple[bool, float, int]:
        return index in always, float(np.nansum(curves[index] ** 2)), -index

    return [(labels[index], curves[index]) for index in sorted(curves, key=weight, reverse=True)[:most]]


def _known(explanation: Explanation) -> dict[int, Prediction]:
    """By class, what the explanation says of its probability."""
    contrasts = [contrast for contrast in explanation.contrasts if contrast is not None]
    return {one.index: one for one in (*explanation.predictions, *explanation.targets, *contrasts)}


def _is_alone(curve: np.ndarray) -> np.ndarray:
    """Where a value has no neighbour that a line could lead to."""
    unknown = np.isnan(np.concatenate([[np.nan], curve, [np.nan]]))
    return ~unknown[1:-1] & unknown[:-2] & unknown[2:]


def _prepare_axes(axes: Axes, first: float, last: float, *, are_values: bool) -> None:
    step = _step(first, last)
    ticks = [step * number for number in range(math.ceil(first / step), math.floor(last / step) + 1)] or [first]
    axes.set_xlim((first, last) if last > first else (first - 0.5, first + 0.5))
    axes.set_xticks(ticks, [clock(tick, hours=last >= _HOUR, tenths=step < 1) for tick in ticks])
    if not are_values:
        axes.set_ylim(0, 1)
        shares = np.linspace(0, 1, 5)
        axes.set_yticks(shares, [f"{100 * share:.0f} %" for share in shares])
    axes.tick_params(labelsize=_points(_SMALL))
    axes.set_ylabel("value" if are_values else "probability", fontsize=_points(_SMALL))
    axes.grid(axis="y", alpha=0.3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _step(first: float, last: float) -> float:
    """From tick to tick, in seconds."""
    return next((step for step in _STEPS if (last - first) / step <= _MOST_TICKS), _STEPS[-1])


def clock(seconds: float, *, hours: bool = False, tenths: bool = False) -> str:
    """A time as m:ss, from an hour on as h:mm:ss.

    Args:
        seconds: not negative.
        hours: show them, even if there are none.
        tenths: show them; otherwise what follows the whole second is cut off.
    """
    total = round(10 * seconds) if tenths else 10 * math.floor(seconds + 1e-6)
    whole, tenth = divmod(total, 10)
    minutes, second = divmod(whole, 60)
    fraction = f".{tenth}" if tenths else ""
    if hours or whole >= _HOUR:
        return f"{minutes // 60}:{minutes % 60:02d}:{second:02d}{fraction}"
    return f"{minutes}:{second:02d}{fraction}"


# --- text ---------------------------------------------------------------------------------------------------------


def _write(
    figure: Figure, text: str, place: tuple[int, int], size: int, room: int, *, weight: str = "normal", color: str = "0"
) -> None:
    """Write a line that begins at (x, y of its middle), in pixels from the top left, shortened to the room there is."""
    if max(text, default="") >= _FROM_HERE_ON_AS_IN_VIDEOS:
        _write_as_in_videos(figure, text, place, size, room, bold=weight == "bold", grey=round(255 * float(color)))
        return
    line = figure.text(
        place[0] / _WIDTH,
        1 - place[1] / figure.bbox.height,
        " ".join(text.split()),
        fontsize=_points(size),
        weight=weight,
        color=color,
        verticalalignment="center",
        parse_math=False,
    )
    left = line.get_text()
    while left and line.get_window_extent().width > room:
        left = left[:-1]
        line.set_text(f"{left.rstrip()}…")


def _write_as_in_videos(
    figure: Figure, text: str, place: tuple[int, int], size: int, room: int, *, bold: bool, grey: int
) -> None:
    """Write a line in what the text in videos is written with, which knows more scripts than Matplotlib's font."""
    strip = np.full((2 * size, room, 3), 255, np.uint8)
    put_text(strip, text, (0, round(1.35 * size)), size, max_width=room, bold=bold, colour=(grey, grey, grey))
    from_below = round(figure.bbox.height) - place[1] - size
    figure.figimage(strip, place[0], from_below, origin="upper", zorder=1)


def _badge(figure: Figure, number: int, place: tuple[int, int]) -> None:
    """A number in a disc around (x, y), in pixels from the top left."""
    figure.text(
        place[0] / _WIDTH,
        1 - place[1] / figure.bbox.height,
        str(number),
        fontsize=_points(14),
        weight="bold",
        color="white",
        horizontalalignment="center",
        verticalalignment="center_baseline",
        bbox={"boxstyle": "circle,pad=0.25", "facecolor": "0.2", "edgecolor": "white"},
    )


def _draw_key(figure: Figure, label: str, colour: str, dashes: LineStyleType, place: tuple[int, int]) -> None:
    """A piece of a class's line, and its name."""
    from matplotlib.lines import Line2D

    x, y = place
    length, gap = 56, 12
    height = 1 - y / figure.bbox.height
    ends = [x / _WIDTH, (x + length) / _WIDTH]
    piece = Line2D(ends, [height, height], color=colour, linestyle=dashes, linewidth=2, transform=figure.transFigure)
    figure.add_artist(piece)
    _write(figure, label, (x + length + gap, y), _MEDIUM, _WIDTH - _MARGIN - x - length - gap)


def _points(pixels: int) -> float:
    return pixels * 72 / _DPI
