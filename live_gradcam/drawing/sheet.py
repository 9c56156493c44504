"""Pictures with a name under each, and the predictions as bars: as one picture, as HTML, and as a Matplotlib figure."""

from __future__ import annotations

import base64
import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from live_gradcam.drawing.hud import draw_title, map_name
from live_gradcam.drawing.names import named_legibly
from live_gradcam.drawing.overlay import Overlay
from live_gradcam.drawing.text import put_text
from live_gradcam.drawing.views import draw_boxes
from live_gradcam.errors import LiveGradcamError
from live_gradcam.explanations.explanation import Explanation, Prediction
from live_gradcam.explanations.fits import shrink
from live_gradcam.listings import FONT
from live_gradcam.sinks.image import encode_image, write_image

_GAP = 8
#: Pixels of a pane's width, in the picture and in HTML.
_LEAST_WIDTH, _MOST_WIDTH, _MOST_WIDTH_IN_HTML = 200, 320, 480
#: Height of the letters in the picture.
_TEXT = 14
_GROUND = 24
_INCHES = 3.4


class Pane(NamedTuple):
    """A picture with its name.

    Attributes:
        name: one line.
        image: uint8 (height, width, 3), BGR.
    """

    name: str
    image: np.ndarray


@dataclass(frozen=True)
class Sheet:
    """Panes in rows, and the predictions under them.

    Attributes:
        title: a line over all.
        panes: row by row.
        columns: how many panes a row has.
        predictions: what is shown as bars.
        target: the index of the class whose bar stands out.
    """

    title: str
    panes: Sequence[Pane]
    columns: int
    predictions: Sequence[Prediction] = ()
    target: int | None = None

    def picture(self) -> np.ndarray:
        """All of it as one picture on dark ground: uint8 (height, width, 3), BGR."""
        panes = [Pane(pane.name, _of_width(pane.image, _LEAST_WIDTH, _MOST_WIDTH)) for pane in self.panes]
        height, width = (max(pane.image.shape[axis] for pane in panes) for axis in (0, 1))
        strip, row = 2 * _TEXT, round(1.6 * _TEXT)
        rows, columns = math.ceil(len(panes) / self.columns), min(self.columns, len(panes))
        whole_width = columns * (width + _GAP) + _GAP
        bars = row * len(self.predictions) + _GAP if self.predictions else 0
        sheet = np.full((strip + rows * (height + strip) + bars + _GAP, whole_width, 3), _GROUND, np.uint8)
        put_text(sheet, self.title, (_GAP, round(1.4 * _TEXT)), _TEXT, max_width=whole_width - 2 * _GAP, bold=True)
        for position, pane in enumerate(panes):
            line, column = divmod(position, self.columns)
            x, y = _GAP + column * (width + _GAP), strip + line * (height + strip)
            sheet[y : y + pane.image.shape[0], x : x + pane.image.shape[1]] = pane.image
            put_text(sheet, pane.name, (x, y + height + round(1.3 * _TEXT)), _TEXT, max_width=width)
        y = sheet.shape[0] - bars
        for prediction in self.predictions:
            line_of_bar = sheet[y : y + row, _GAP : min(whole_width - _GAP, _GAP + 2 * width)]
            draw_title(line_of_bar, named_legibly(prediction), _TEXT, is_target=prediction.index == self.target)
            y += row
        return sheet

    def png(self) -> bytes:
        """The picture as a PNG file holds it."""
        return encode_image(Path("sheet.png"), self.picture())

    def save(self, path: str | Path) -> None:
        """Write it as a picture, or as a page where the name ends in .html. A file that exists is replaced.

        Raises:
            OutputError: the format is unknown, or the file cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() in (".html", ".htm"):
            from live_gradcam.files import writing

            with writing(path):
                path.write_text(f"{_PAGE}<title>{escape(self.title)}</title>\n{self.html()}\n", "utf-8")
        else:
            write_image(path, self.picture())

    def html(self) -> str:
        """All of it as HTML that needs no other file. Its letters have the colour of the page that it is put into."""
        width = max(min(_MOST_WIDTH_IN_HTML, pane.image.shape[1]) for pane in self.panes)
        width = max(width, _LEAST_WIDTH)
        columns = min(self.columns, len(self.panes))
        panes = "".join(
            f'<figure style="margin:0;min-width:0"><img src="{_as_address(pane.image)}" alt="{escape(pane.name)}" '
            'style="display:block;width:100%;height:auto;margin:0">'
            f'<figcaption style="overflow-wrap:anywhere">{escape(pane.name)}</figcaption></figure>'
            for pane in self.panes
        )
        return (
            f'<div style="{FONT};max-width:{columns * width + (columns - 1) * _GAP}px">'
            f'<div style="font-weight:600;margin:2px 0 6px;overflow-wrap:anywhere">{escape(self.title)}</div>'
            f'<div style="display:grid;grid-template-columns:repeat({columns},minmax(0,1fr));gap:{_GAP}px">'
            f"{panes}</div>"
            f"{self._bars()}</div>"
        )

    def _bars(self) -> str:
        rows = "".join(
            '<div style="position:relative;display:flex;justify-content:space-between;gap:12px;padding:1px 6px;'
            f'margin-top:3px;font-weight:{600 if prediction.index == self.target else 400}">'
            f'<div style="position:absolute;left:0;top:0;bottom:0;width:{_length(prediction):.1f}%;'
            f"background:{'rgba(240,150,40,.45)' if prediction.index == self.target else 'rgba(70,140,210,.35)'}"
            '"></div>'
            f'<span style="position:relative">{escape(_with_finest(prediction))}</span>'
            f'<span style="position:relative">{escape(prediction.amount(1))}</span></div>'
            for prediction in self.predictions
        )
        return f'<div style="max-width:480px;margin-top:8px">{rows}</div>' if rows else ""

    def plot(self) -> Any:
        """All of it as a Matplotlib figure, made by pyplot, so that a notebook shows it.

        Returns:
            The axes, an array of (rows, columns): `axes[0, 0].figure` is the figure.

        Raises:
            LiveGradcamError: Matplotlib is not installed.
        """
        if importlib.util.find_spec("matplotlib") is None:
            raise LiveGradcamError("a figure needs Matplotlib: pip install matplotlib")
        from matplotlib import pyplot

        rows, columns = math.ceil(len(self.panes) / self.columns), min(self.columns, len(self.panes))
        height, width = self.panes[0].image.shape[:2]
        size = (_INCHES * columns, (_INCHES * min(2.0, height / width) + 0.35) * rows + 0.5)
        figure, axes = pyplot.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
        for position, axis in enumerate(axes.flat):
            axis.axis("off")
            if position < len(self.panes):
                pane = self.panes[position]
                axis.imshow(pane.image[..., ::-1])
                axis.set_title(_plain(pane.name), fontsize="medium")
        best = ", ".join(f"{prediction.label} {prediction.amount(1)}" for prediction in self.predictions[:3])
        figure.suptitle(_plain(f"{self.title}\n{best}" if best else self.title))
        return axes


class ShownAsSheet:
    """What shows itself as a sheet: at the end of a notebook's cell, as a figure, and in a file."""

    def _sheet(self) -> Sheet:
        raise NotImplementedError

    def show(self) -> Any:
        """Draw it as a Matplotlib figure. In a script, `pyplot.show()` opens its window.

        Returns:
            The axes, an array of (rows, columns): `axes[0, 0].figure` is the figure.

        Raises:
            LiveGradcamError: Matplotlib is not installed.
        """
        return self._sheet().plot()

    def save(self, path: str | Path) -> None:
        """Write what a notebook shows: as a picture, or as a page that needs no other file if the name ends in .html.

        A file that exists is replaced.

        Raises:
            OutputError: the format is unknown, or the file cannot be written.
        """
        self._sheet().save(path)

    def _repr_html_(self) -> str:
        return self._sheet().html()

    def _repr_png_(self) -> bytes:
        return self._sheet().png()


#: How a page begins that is a file of its own: a browser's own colours, light or dark.
_PAGE = '<!doctype html>\n<meta charset="utf-8"><meta name="color-scheme" content="light dark">\n'


def panels_sheet(image: np.ndarray, explanation: Explanation, overlay: Overlay, *, boxes: bool = False) -> Sheet:
    """The article's three panels, picture, heatmap and overlay, a row of them for each map, and the predictions.

    Args:
        image: uint8 (height, width, 3), BGR.
        explanation: of that picture.
        overlay: draws the maps.
        boxes: draw the maps' boxes over the overlays, as the explanation has them.
    """
    panes = []
    for position in range(len(explanation.targets)):
        of_map = explanation.of_map(position)
        name = map_name(of_map)
        blended = blended_with(image, of_map, overlay, boxes=boxes)
        colours = overlay.colours(of_map, (image.shape[0], image.shape[1]))
        panes += [Pane("picture", image), Pane(f"heatmap of {name}", colours), Pane("overlay", blended)]
    target = explanation.targets[0]
    words = (f"{map_name(explanation)} {target.amount(1)}", explanation.model, explanation.method, explanation.layer)
    title = " · ".join(word for word in words if word)
    return Sheet(title, panes, 3, bars_of(explanation), target.index)


def blended_with(image: np.ndarray, explanation: Explanation, overlay: Overlay, *, boxes: bool = False) -> np.ndarray:
    """The first map over a picture, with its boxes where they are wanted: uint8 (height, width, 3), BGR."""
    blended = overlay.blend(image, explanation)
    if boxes:
        draw_boxes(blended, explanation)
    return blended


def bars_of(explanation: Explanation) -> tuple[Prediction, ...]:
    """The best predictions, and the explained class where it is none of them."""
    rows = explanation.predictions
    target = explanation.targets[0]
    return rows if any(row.index == target.index for row in rows) else (*rows, target)


def _length(prediction: Prediction) -> float:
    """Of a bar, in per cent; a value has no full length."""
    return 0.0 if prediction.value is not None else 100 * min(1.0, max(0.0, prediction.probability))


def _with_finest(prediction: Prediction) -> str:
    finest = prediction.finest
    same = finest is None or finest.label == prediction.label
    return prediction.label if same or finest is None else f"{prediction.label} ({finest.label})"


def _of_width(image: np.ndarray, least: int, most: int) -> np.ndarray:
    """A picture at a width within limits."""
    width = min(most, max(least, image.shape[1]))
    if width == image.shape[1]:
        return image
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    if width < image.shape[1]:
        return shrink(image, width, height)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)


def _as_address(image: np.ndarray) -> str:
    """A picture in an address: a JPEG, as a photograph of that size is ten times as large without loss."""
    done, encoded = cv2.imencode(".jpg", _of_width(image, 1, _MOST_WIDTH_IN_HTML), [cv2.IMWRITE_JPEG_QUALITY, 90])
    assert done
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}"


def _plain(text: str) -> str:
    """A text in which Matplotlib reads no formula."""
    return text.replace("$", r"\$")
