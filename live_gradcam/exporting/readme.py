"""What is written beside exported files for the person who runs them: how pixels go in, and what comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from live_gradcam.choices import FITS
from live_gradcam.networks.card import this_version

if TYPE_CHECKING:
    from live_gradcam.exporting.formats.export_format import ExportFormat
    from live_gradcam.exporting.program import Program
    from live_gradcam.networks.card import Card

_RESULTS = {
    "classes": "a probability for each class; they add up to 1",
    "labels": "a probability for each label; each is right or wrong by itself",
    "values": "values, which are no probabilities",
}

#: How a picture gets its size in Python: `explanations.fits.fit_frame`, in few lines.
_SIZED = {
    "stretch": "picture = cv2.resize(picture, ({width}, {height}), interpolation=cv2.INTER_AREA)",
    "crop": """\
scale = min(picture.shape[1] / {width}, picture.shape[0] / {height})
w, h = round({width} * scale), round({height} * scale)
x, y = (picture.shape[1] - w) // 2, (picture.shape[0] - h) // 2
picture = cv2.resize(picture[y : y + h, x : x + w], ({width}, {height}), interpolation=cv2.INTER_AREA)""",
    "letterbox": """\
scale = max(picture.shape[1] / {width}, picture.shape[0] / {height})
w, h = round(picture.shape[1] / scale), round(picture.shape[0] / scale)
x, y = ({width} - w) // 2, ({height} - h) // 2
inner, picture = picture, np.full(({height}, {width}, 3), 127, np.uint8)
picture[y : y + h, x : x + w] = cv2.resize(inner, (w, h), interpolation=cv2.INTER_AREA)""",
}

_TEXT = """\
{name}, exported by {program}

What goes in: {input}, float32 (pictures, {height}, {width}, 3)
  The colours are red, green and blue, from 0 to 255. Do not scale them: the model does that itself.
  Each picture is {width} pixels wide and {height} pixels high.
  {fit}

What comes out: {result}, float32 (pictures, {labels})
  {meaning}.
  The names are the lines of {name}.labels.txt, in this order.

Files
{files}
  {name}.labels.txt  the names
  {name}.card.json  the names, the fit, and what was measured when the model was made

In Python
{example}
"""


def readme(name: str, program: Program, card: Card, written: list[tuple[ExportFormat, float]]) -> str:
    """The text.

    Args:
        name: what the files are called.
        program: what was exported.
        card: what is known of it.
        written: its formats, each with its largest difference from the original.
    """
    from live_gradcam.exporting.program import INPUT

    height, width = program.size
    return _TEXT.format(
        name=name,
        program=this_version(),
        input=INPUT,
        height=height,
        width=width,
        fit=_fit(card.fit),
        result=program.result,
        labels=len(card.classes),
        meaning=_RESULTS[program.output],
        files="\n".join(_line(name, *each) for each in written),
        example=_example(name, program, card, written[0][0]),
    )


def _fit(fit: str | None) -> str:
    if fit is None:
        return "Nobody says how pictures were made to fit in training. Squeeze the whole picture, or take its middle."
    return f"The pictures in training were made to fit by the fit {fit}: {FITS.helps[fit]}. Do the same."


def _line(name: str, written: ExportFormat, difference: float) -> str:
    files = " and ".join(f"{name}{ending}" for ending in written.endings)
    return f"  {files}  {written.title}. Largest difference from the original on photographs: {difference:.1e}"


def _example(name: str, program: Program, card: Card, written: ExportFormat) -> str:
    height, width = program.size
    sized = _SIZED.get(card.fit or "", _SIZED["stretch"]).format(height=height, width=width)
    text = f"""\
import cv2
import numpy as np
picture = cv2.imread("cup.jpg")
{sized}
pixels = picture[np.newaxis, ..., ::-1].astype(np.float32)
{written.example.replace("FILE", f"{name}{written.endings[0]}")}
names = open("{name}.labels.txt", encoding="utf-8").read().splitlines()
print(names[numbers[0].argmax()] if len(names) > 1 else numbers[0])"""
    lines = sorted(filter(None, text.splitlines()), key=lambda line: not line.startswith("import "))
    return "\n".join(f"  {line}" for line in lines)
