"""Charts, each drawn once: as a picture on white, and as SVG that takes the page's colours, light or dark."""

from __future__ import annotations

import io
import logging
import math
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from live_gradcam.fitting.report.markup import Html

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from live_gradcam.fitting.fitted import Epoch

#: Okabe and Ito's, which differ to colour-blind eyes too.
BLUE, ORANGE = "#0072b2", "#d55e00"
INK, FAINT = "#101418", "#8a9199"
#: How a colour is called in the page's style.
_IN_PAGE = {INK: "currentColor", FAINT: "var(--faint)", BLUE: "var(--blue)", ORANGE: "var(--orange)"}
#: (width, height) in inches: as wide as a phone, so that its text needs no shrinking.
_SIZE = (4.4, 3.5)
#: Around what is drawn, in inches.
_PAD = 0.07
_DPI = 200
_BINS = 10
#: Of the normal distribution, for intervals that hold the truth 19 times out of 20.
_Z = 1.96


@dataclass(frozen=True, eq=False)
class Chart:
    """A chart.

    Attributes:
        svg: for the page.
        image: uint8 (height, width, 3), BGR, on white.
    """

    svg: Html
    image: np.ndarray


@dataclass(frozen=True)
class Bin:
    """Answers of about the same confidence.

    Attributes:
        count: how many.
        confidence: their mean, 0…1.
        accuracy: the share that is right.
        low: of the interval that holds the true share 19 times out of 20 (Wilson 1927).
        high: of that interval.
    """

    count: int
    confidence: float
    accuracy: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        """The numbers as plain values."""
        numbers = {"confidence": self.confidence, "accuracy": self.accuracy, "low": self.low, "high": self.high}
        return {"count": self.count, **{name: round(number, 4) for name, number in numbers.items()}}


def reliability(confidence: np.ndarray, right: np.ndarray) -> tuple[Bin, ...]:
    """How often answers are right, by how sure they are, in ten bins of equal width; empty ones are left out.

    Args:
        confidence: float (n,), 0…1.
        right: bool (n,).
    """
    places = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    bins = []
    for place in np.unique(places):
        inside = places == place
        count, accuracy = int(inside.sum()), float(right[inside].mean())
        middle = (accuracy + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
        half = _Z / (1 + _Z**2 / count) * np.sqrt(accuracy * (1 - accuracy) / count + _Z**2 / (4 * count**2))
        low, high = max(0.0, float(middle - half)), min(1.0, float(middle + half))
        bins.append(Bin(count, float(confidence[inside].mean()), accuracy, low, high))
    return tuple(bins)


def reliability_chart(bins: Sequence[Bin]) -> Chart:
    """How often answers are right over how sure they are, with the number of answers."""

    def draw(axes: Axes) -> None:
        sure, right = ([100 * getattr(one, name) for one in bins] for name in ("confidence", "accuracy"))
        reach = [[100 * (one.accuracy - one.low) for one in bins], [100 * (one.high - one.accuracy) for one in bins]]
        axes.plot([0, 100], [0, 100], color=FAINT, linestyle="--", linewidth=1)
        axes.errorbar(sure, right, yerr=np.maximum(reach, 0), color=BLUE, marker="o", markersize=5, capsize=3)
        axes.set(xlim=(10 * np.floor(min([50.0, *sure]) / 10) - 2, 102), ylim=(-2, 110), yticks=range(0, 101, 20))
        axes.set(xlabel="how sure it was, %", ylabel="how often it was right, %")
        for one in bins:
            place = (100 * one.confidence, 100 * one.high)
            axes.annotate(str(one.count), place, (0, 4), textcoords="offset points", color=INK, ha="center", fontsize=8)

    return _chart(draw)


def curve_chart(curve: Sequence[Epoch]) -> Chart:
    """The loss over the steps of training."""
    is_of_values = curve[0].val_accuracy is None

    def draw(axes: Axes) -> None:
        epochs = [one.epoch for one in curve]
        losses = [math.nan if one.loss is None else one.loss for one in curve]
        axes.plot(epochs, losses, color=BLUE, marker="o", markersize=4, label="trained on")
        held_out = [one.val_loss for one in curve]
        axes.plot(epochs, held_out, color=ORANGE, marker="s", markersize=4, linestyle="--", label="held out")
        axes.set(xlabel="epoch", ylabel="mean squared error" if is_of_values else "loss, nats", ylim=(0, None))
        axes.locator_params(axis="x", integer=True)
        axes.legend(frameon=False, labelcolor=INK)

    return _chart(draw)


def scatter_chart(true: np.ndarray, predicted: np.ndarray, name: str) -> Chart:
    """What was predicted over what is true.

    Args:
        true: float (n,).
        predicted: float (n,).
        name: of the number.
    """

    def draw(axes: Axes) -> None:
        both = np.concatenate([true, predicted])
        low, high = float(both.min()), float(both.max())
        room = 0.04 * (high - low) or 1
        ends = low - room, high + room
        axes.plot(ends, ends, color=FAINT, linestyle="--", linewidth=1)
        axes.plot(true, predicted, color=BLUE, linestyle="", marker="o", markersize=4, alpha=0.6, markeredgewidth=0)
        axes.set(xlim=ends, ylim=ends)
        axes.set_xlabel(f"{name}, true", parse_math=False)
        axes.set_ylabel(f"{name}, predicted", parse_math=False)

    return _chart(draw)


def _chart(draw: Callable[[Axes], None]) -> Chart:
    import matplotlib

    with quiet(), matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "live-gradcam", "font.size": 10}):
        figure = new_figure(_SIZE)
        axes = figure.add_subplot()
        _prepare(axes)
        draw(axes)
        image = rendered(figure, _DPI)
        figure.patch.set_alpha(0)
        axes.patch.set_alpha(0)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return Chart(_for_page(text.getvalue()), image)


def new_figure(size: tuple[float, float]) -> Figure:
    """An empty figure of (width, height) inches, drawn without a window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=size, facecolor="white", layout=ConstrainedLayoutEngine(w_pad=_PAD, h_pad=_PAD))
    FigureCanvasAgg(figure)
    return figure


def rendered(figure: Figure, dpi: int) -> np.ndarray:
    """A figure as pixels: uint8 (height, width, 3), BGR."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi)
    return np.asarray(cv2.imdecode(np.frombuffer(file.getvalue(), np.uint8), cv2.IMREAD_COLOR), np.uint8)


@contextmanager
def quiet() -> Iterator[None]:
    """Let matplotlib list its fonts on its first run, and draw names in scripts that they lack, and say nothing."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def _prepare(axes: Axes) -> None:
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("bottom", "left"))
        spine.set_color(FAINT)
    axes.tick_params(color=FAINT, labelcolor=INK)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_color(INK)
    axes.grid(color=FAINT, alpha=0.25, linewidth=0.8)


def _for_page(text: str) -> Html:
    """An SVG file as a part of a page, which gives it its colours and its font."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    start = text.index(">")
    opening = re.sub(r' (width|height)="[^"]*"', "", text[:start]) + ' class="chart" aria-hidden="true"'
    text = opening + text[start:]
    for colour, name in _IN_PAGE.items():
        text = text.replace(colour, name)
    return Html(text)
