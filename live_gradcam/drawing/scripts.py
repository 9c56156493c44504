"""Text that OpenCV cannot write: from right to left, with letters that join, or in scripts that its fonts lack.

OpenCV puts one letter after the other, from left to right. Pillow shapes and orders text, where it finds libfribidi, in
any font of this machine; matplotlib knows which ones there are, and brings one for Hebrew and Arabic.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

#: OpenCV's own font, and its weights.
FONT, REGULAR, BOLD = cv2.FontFace("sans"), 400, 600
#: Unicode's names of the directions in which OpenCV does not write.
_FROM_THE_RIGHT = frozenset({"R", "AL", "AN"})
#: A font that has a sign for everything, which says only what script it is.
_NO_FONT = "last resort"


@lru_cache(maxsize=4096)
def is_simple(text: str) -> bool:
    """Whether OpenCV writes the letters of a text as they are read."""
    return text.isascii() or all(_has(character) for character in text if _is_letter(character))


@lru_cache(maxsize=4096)
def is_legible(text: str) -> bool:
    """Whether the letters of a text can be written on this machine; of a text without any, whether something can."""
    if is_simple(text):
        return text.isascii() or bool(writing_of(text, bold=False)[0])
    return font_of(text, bold=False) is not None


@lru_cache(maxsize=1024)
def writing_of(text: str, *, bold: bool) -> tuple[str, str | None]:
    """How a text is written: the text, and the file of the font for it; None for OpenCV's.

    Signs such as emoji are left out where no font has them. Letters never are.
    """
    if all(map(_has, text)):
        return text, None
    font = font_of(text, bold=bold, signs=True)
    if font is not None:
        return text, font
    font = None if is_simple(text) else font_of(text, bold=bold)

    def is_written(character: str) -> bool:
        if font is None:
            return _is_letter(character) or (_has(character) and not _chooses_a_form(character))
        return ord(character) in _letters_of(font)

    return " ".join("".join(filter(is_written, text)).split()), font


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LM" and not _chooses_a_form(character)


def _chooses_a_form(character: str) -> bool:
    """Whether a character is none that is seen: it says how others look, such as emoji in colours."""
    return unicodedata.category(character) == "Cf" or unicodedata.name(character, "").startswith("VARIATION SELECTOR")


@lru_cache(maxsize=4096)
def _has(character: str) -> bool:
    """Whether OpenCV writes a character where it belongs. For one that it lacks it writes a question mark."""
    if character.isascii():
        return True
    is_from_the_right = unicodedata.bidirectional(character) in _FROM_THE_RIGHT
    return not is_from_the_right and not np.array_equal(_written(character), _written("?"))


def _written(character: str) -> np.ndarray:
    image = np.zeros((32, 48, 3), np.uint8)
    cv2.putText(image, character, (8, 24), (255, 255, 255), FONT, 20, REGULAR)
    return image


@lru_cache(maxsize=1024)
def font_of(text: str, *, bold: bool, signs: bool = False) -> str | None:
    """The file of a font of this machine that has all letters of a text; None for none, or without libfribidi.

    With `signs` it has all other signs of the text too.
    """
    from PIL import features

    if not features.check("raqm"):
        return None
    letters = {
        ord(character)
        for character in f"{text}…"
        if _is_letter(character) or character in " …" or (signs and not _chooses_a_form(character))
    }
    return next((file for file in _font_files(bold) if letters <= _letters_of(file)), None)


def _font_files(bold: bool) -> Iterator[str]:
    """The fonts of this machine, first those without serifs; of each family first the one of the wanted weight."""
    from matplotlib import font_manager

    wanted = 700 if bold else 400

    def order(font: font_manager.FontEntry) -> tuple[bool, bool, str, int, str]:
        weight = font.weight if isinstance(font.weight, int) else font_manager.weight_dict.get(font.weight, 400)
        return font.name != "DejaVu Sans", "sans" not in font.name.lower(), font.name, abs(weight - wanted), font.fname

    for font in sorted(font_manager.fontManager.ttflist, key=order):
        if font.style == "normal" and _NO_FONT not in font.name.lower():
            yield font.fname


@lru_cache(maxsize=4096)
def _letters_of(file: str) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(file).get_charmap())
    except (OSError, RuntimeError):  # which is listed, but gone, or damaged
        return frozenset()


@lru_cache(maxsize=64)
def _loaded(file: str, size: int) -> FreeTypeFont:
    from PIL import ImageFont

    return ImageFont.truetype(file, size, layout_engine=ImageFont.Layout.RAQM)


def width_in(font: str, text: str, size: int) -> int:
    """The width of a line in a font, in pixels."""
    return round(_loaded(font, size).getlength(text))


def write_in(
    font: str, image: np.ndarray, text: str, origin: tuple[int, int], size: int, colour: tuple[int, int, int]
) -> None:
    """Write a line in a font, see `text.put_text`. What is outside the picture is cut off."""
    letters, offset = _letters(font, text, size)
    left, top = origin[0] + offset[0], origin[1] + offset[1]
    bottom, right = top + letters.shape[0], left + letters.shape[1]
    ground = image[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
    seen = letters[max(0, -top) :, max(0, -left) :][: ground.shape[0], : ground.shape[1]]
    ground[:] = np.rint(ground + seen * (np.array(colour, np.float32) - ground))


@lru_cache(maxsize=256)
def _letters(font: str, text: str, size: int) -> tuple[np.ndarray, tuple[int, int]]:
    """A line as float32 (height, width, 1), 0…1, and where its (left, top) corner is from the line's origin."""
    from PIL import Image, ImageDraw

    left, top, right, bottom = map(round, _loaded(font, size).getbbox(text, anchor="ls"))
    image = Image.new("L", (max(1, right - left), max(1, bottom - top)))
    ImageDraw.Draw(image).text((-left, -top), text, fill=255, font=_loaded(font, size), anchor="ls")
    return np.asarray(image, np.float32)[:, :, None] / 255, (left, top)
