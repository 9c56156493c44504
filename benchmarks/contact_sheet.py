"""The pictures of the README: every method on four photographs, and maps of several resolutions with their cost.

    python benchmarks/contact_sheet.py                    # writes methods.jpg, resolution.jpg and fit.jpg into docs

The third picture shows frames of the tour as the network sees them squeezed (left) and as tiles (right).

The photographs are scikit-image's (the extra `test`). The second picture's times are medians of explained frames, taken
in turn on this machine; the ratios under it are to the first column.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from skimage import data

from live_gradcam.choices import METHODS
from live_gradcam.compiling.runtime import set_compiler_flags
from live_gradcam.drawing.hud import map_name
from live_gradcam.drawing.overlay import Overlay
from live_gradcam.drawing.text import put_text
from live_gradcam.sources.reader import VideoReader

if TYPE_CHECKING:
    from live_gradcam import Classifier

_DOCS = Path(__file__).parents[1] / "docs"
_PHOTOGRAPHS = ("chelsea", "coffee", "rocket", "astronaut")
_PANE, _STRIP, _GAP, _TEXT = (192, 256), 26, 4, 17
_WIDE_PANE = (216, 384)
_TOUR_FRAMES = (250, 330)
_ROUNDS = 15
#: Title and settings of each column of the second picture.
_RESOLUTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("224 × 224", {}),
    ("--input-size 448", {"input_size": (448, 448)}),
    ("--fit native", {"fit": "native"}),
    ("native, --input-size 384", {"fit": "native", "input_size": (384, 384)}),
    ("--layer block12_add,head_relu6", {"layer": "block12_add,head_relu6"}),
)


def main() -> None:
    """Write the pictures."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    set_compiler_flags()  # before TensorFlow is imported
    from live_gradcam import Explainer, load_classifier

    classifier = load_classifier()
    photographs = [np.ascontiguousarray(getattr(data, name)()[..., ::-1]) for name in _PHOTOGRAPHS]
    overlay = Overlay()
    first = Explainer(classifier, maps=1)

    top = [first(photograph).predictions[0].index for photograph in photographs]
    panes = []
    for method in METHODS:
        explainer = first.variant(method=method, layer=first.layer)
        # Nothing speaks against what a photograph shows, so that it is asked what speaks against the next one's class.
        asked = top[1:] + top[:1] if method == "counterfactual" else top
        explanations = [explainer(p, target=target) for p, target in zip(photographs, asked, strict=True)]
        titles = [f"{method}: {map_name(e)}" if e.against else method for e in explanations]
        drawn = zip(photographs, explanations, titles, strict=True)
        panes.append([pane(overlay.blend(p, e), title) for p, e, title in drawn])
    write("methods.jpg", [[row[k] for row in panes] for k in range(len(photographs))], columns=5)

    explainers = [Explainer(classifier, maps=1, **settings) for _, settings in _RESOLUTIONS]
    columns = []
    for (title, _), explainer, cost in zip(_RESOLUTIONS, explainers, costs(explainers, photographs[0]), strict=True):
        explanations = [explainer(photograph) for photograph in photographs]
        height, width = explanations[0].heatmaps.shape[1:]
        columns.append([pane(overlay.blend(p, e), title) for p, e in zip(photographs, explanations, strict=True)])
        print(f"{title}: a map of {height} × {width}, {cost:.2f} × the time of the first")
    write("resolution.jpg", [[column[k] for column in columns] for k in range(len(photographs))], columns=5)

    write_fits(classifier, overlay)


def write_fits(classifier: Classifier, overlay: Overlay) -> None:
    """Write the third picture."""
    from live_gradcam import Explainer

    fits = [Explainer(classifier, maps=1, fit=fit) for fit in ("stretch", "tiles")]
    rows = []
    for frame in tour_frames():
        explanations = [explainer(frame) for explainer in fits]
        titles = [f"{e.fit}: {e.predictions[0].label} {100 * e.predictions[0].probability:.0f} %" for e in explanations]
        panes = zip(explanations, titles, strict=True)
        rows.append([pane(overlay.blend(frame, e), title, size=_WIDE_PANE) for e, title in panes])
    write("fit.jpg", rows, columns=2)


def tour_frames() -> list[np.ndarray]:
    """Some frames of the tour, uint8 (720, 1280, 3) BGR."""
    with VideoReader(Path(__file__).parents[1] / "videos" / "tour.mp4") as reader:
        return [frame.image for frame in reader.frames() if frame.index in _TOUR_FRAMES]


def costs(explainers: list[Any], frame: np.ndarray) -> list[float]:
    """The median time of an explained frame of each, in turn, over that of the first."""
    times: list[list[float]] = [[] for _ in explainers]
    for turn in range(-1, _ROUNDS):
        for explainer, values in zip(explainers, times, strict=True):
            start = time.perf_counter()
            explainer(frame)
            if turn >= 0:  # the turn before compiles
                values.append(time.perf_counter() - start)
    medians = [float(np.median(values)) for values in times]
    return [median / medians[0] for median in medians]


def pane(picture: np.ndarray, title: str, *, size: tuple[int, int] = _PANE) -> np.ndarray:
    """A picture cut to the pane's (height, width) from its middle, under its title."""
    height, width = size
    scale = max(height / picture.shape[0], width / picture.shape[1])
    scaled = max(width, round(picture.shape[1] * scale)), max(height, round(picture.shape[0] * scale))
    picture = cv2.resize(picture, scaled, interpolation=cv2.INTER_AREA)
    top, left = (scaled[1] - height) // 2, (scaled[0] - width) // 2
    titled = np.zeros((height + _STRIP, width, 3), np.uint8)
    titled[_STRIP:] = picture[top : top + height, left : left + width]
    put_text(titled, title, (4, _STRIP - 8), _TEXT, max_width=width - 8)
    return titled


def write(name: str, rows: list[list[np.ndarray]], *, columns: int) -> None:
    """All rows of panes under each other, each broken into lines of so many panes."""
    lines = [row[start : start + columns] for row in rows for start in range(0, len(row), columns)]
    height, width = rows[0][0].shape[:2]
    sheet = np.full((len(lines) * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, 3), 255, np.uint8)
    for y, line in enumerate(lines):
        for x, picture in enumerate(line):
            sheet[y * (height + _GAP) :, x * (width + _GAP) :][:height, :width] = picture
    cv2.imwrite(str(_DOCS / name), sheet, [cv2.IMWRITE_JPEG_QUALITY, 85])
    print(f"{_DOCS / name}: {sheet.shape[1]} × {sheet.shape[0]}")


if __name__ == "__main__":
    main()
