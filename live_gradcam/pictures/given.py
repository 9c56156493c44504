"""What people have pictures in: files, arrays, PIL's images, tensors, and batches of these."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from live_gradcam.errors import UsageError, first_line
from live_gradcam.families import Choices
from live_gradcam.sources.image import read_image
from live_gradcam.sources.levels import Extent, Levels, on_white, plain

#: In which order an array has its colours.
Channels = Literal["rgb", "bgr"]
CHANNELS = Choices(
    "order of channels",
    {"rgb": "red first: PIL, Matplotlib, Keras", "bgr": "blue first: OpenCV, and frames of sources"},
)

_log = logging.getLogger(__name__)

#: How far fractions of 0…1 may lie outside of it, as resizing (bicubic, Lanczos) and brightening leave them.
_LEAST, _GREATEST = -0.25, 2
#: Fractions of 0…255 that are all below it are almost black, and may be others.
_ALMOST_BLACK = 16


@dataclass(frozen=True)
class Given:
    """One picture that is to be explained.

    Attributes:
        name: what its panels are named after: its file, or a name that it was given here.
        image: uint8 (height, width, 3), BGR; None for a file, which is read when it is its turn.
    """

    name: Path
    image: np.ndarray | None = None

    @property
    def source(self) -> Path | None:
        """The file; None for what is in memory."""
        return self.name if self.image is None else None

    def read(self, levels: Levels | None) -> np.ndarray:
        """The picture, uint8 (height, width, 3), BGR.

        Raises:
            SourceError: the file cannot be read.
        """
        return read_image(self.name, levels) if self.image is None else self.image


def is_batch(picture: Any) -> bool:
    """Whether something is several pictures: a list or another series of them, or an array of four dimensions."""
    if _is_one(picture):
        return False
    if hasattr(picture, "__array__"):
        return len(getattr(picture, "shape", ())) == 4
    return isinstance(picture, Iterable)


def _is_one(picture: Any) -> bool:
    return isinstance(picture, (str, bytes, bytearray, os.PathLike)) or _is_pil(picture)


def given(pictures: Any, channels: Channels, levels: Levels | None) -> list[Given]:
    """What is to be explained, from a batch. What is in memory is made a picture now.

    Args:
        pictures: files, arrays, PIL's images and tensors, or an array of (n, height, width, channels).
        channels: of arrays and tensors; an image of PIL knows its own.
        levels: which values are black and white; None for what the values say, in an array of several of all together.
            Those of a model are for arrays as files have them, of 8 and 16 bits: what others hold is known.

    Raises:
        UsageError: there is no such order of channels, or something is no picture.
    """
    CHANNELS.check(channels)
    if hasattr(pictures, "__array__"):
        values = _array(pictures)
        levels = _taken(values, levels) or _levels_of(values)
        pictures = values
    return [_given(picture, number, channels, levels) for number, picture in enumerate(pictures)]


def _given(picture: Any, number: int, channels: Channels, levels: Levels | None) -> Given:
    if isinstance(picture, (str, os.PathLike)):
        return Given(Path(picture))
    name = Path(f"picture-{number}")
    if _is_pil(picture):
        return Given(name, _bgr(_values_of_pil(picture), "rgb", levels))
    return Given(name, _bgr(_array(picture), channels, levels))


def _is_pil(picture: Any) -> bool:
    pil = sys.modules.get("PIL.Image")  # who has an image of it has imported it
    return pil is not None and isinstance(picture, pil.Image)


def _values_of_pil(picture: Any) -> np.ndarray:
    """As (height, width) or (height, width, 3 or 4), RGB, turned as its EXIF says: as its file is read."""
    from PIL import ImageOps

    picture = ImageOps.exif_transpose(picture)
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        return np.asarray(picture)
    has_opacity = picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info
    return np.asarray(picture.convert("RGBA" if has_opacity else "RGB"))


def _array(picture: Any) -> np.ndarray:
    """The numbers of an array or a tensor, of a type that NumPy knows.

    Raises:
        UsageError: there are none.
    """
    try:
        if hasattr(picture, "detach"):  # PyTorch's, which may be on another device, or have a gradient
            picture = picture.detach().cpu()
        values = np.asarray(picture)
        if values.dtype == bool:
            return 255 * values.astype(np.uint8)
        if values.dtype.kind in "uif":
            return values
        if values.dtype.kind == "V":  # bfloat16, which NumPy has only by name
            return values.astype(np.float32)
    except Exception as error:  # whatever another package's object says
        kind = type(picture).__name__
        raise UsageError(f"a {kind} cannot be explained, as it has no pixels: {first_line(error)}") from error
    if hasattr(picture, "__array__"):
        raise UsageError(f"an array of {values.dtype} is no picture: give one of whole numbers or of fractions")
    raise UsageError(f"a {type(picture).__name__} is no picture: give a path, an array, an image of PIL, or a tensor")


def _bgr(values: np.ndarray, channels: Channels, levels: Levels | None) -> np.ndarray:
    """A picture of its own memory, uint8 (height, width, 3), BGR.

    Raises:
        UsageError: the array has another shape, or values that may mean anything.
    """
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if not values.size:
        raise UsageError(f"the picture is empty: its array is of {values.shape}")
    if not (values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (3, 4))):
        hint = "; put the channels last" if values.ndim == 3 and values.shape[0] in (1, 3, 4) else ""
        raise UsageError(
            f"a picture has (height, width) or (height, width, channels), and an array of {values.shape} has not{hint}"
        )
    _check_numbers(values)
    levels = _taken(values, levels)
    if values.dtype != np.uint8 or levels is not None:
        values = (levels or _levels_of(values)).shades(values)
    if values.ndim == 2:
        return cv2.cvtColor(np.ascontiguousarray(values), cv2.COLOR_GRAY2BGR)
    if values.shape[2] == 4:
        values = on_white(values)
    return np.array(values[..., ::-1] if channels == "rgb" else values, order="C")


def _taken(values: np.ndarray, levels: Levels | None) -> Levels | None:
    """Some levels where they are for an array; None where they are not."""
    if levels is None or levels.of == "all":
        return levels
    types = {"pictures": (np.uint8, np.uint16), "whole": (np.uint16,), "fractions": ()}[levels.of]
    return levels if values.dtype in types else None


def _levels_of(values: np.ndarray) -> Levels:
    """Which values are black and white: 0 and 1 of fractions up to 1, else 0 and 255; of more bits what these can hold.

    What is a guess is said in a warning.

    Raises:
        UsageError: there are others, of which nobody can know it.
    """
    extent = Extent.of(values)
    is_fraction = values.dtype.kind == "f"
    overshoots = is_fraction and extent.least >= _LEAST and max(0.5, -2 * extent.least) <= extent.greatest <= _GREATEST
    if (extent.least < 0 and not overshoots) or (is_fraction and extent.greatest > 255):
        ends = extent.levels
        raise UsageError(
            f"the picture has values from {plain(extent.least)} to {plain(extent.greatest)}: say which are black and "
            f"white, as in options=PictureOptions(levels=Levels({plain(ends.low)}, {plain(ends.high)}))"
        )
    if is_fraction:
        levels = Levels(0, 1 if extent.greatest <= _GREATEST else 255)
        is_sure = extent.least >= 0 and not 1 < extent.greatest < _ALMOST_BLACK
    else:
        levels, is_sure = extent.levels, extent.is_plain or extent.greatest <= 255
    if not is_sure:
        _log.warning(
            "the picture has %s; PictureOptions(levels=Levels(LOW, HIGH)) changes that", extent.shown_with(levels)
        )
    return levels


def _check_numbers(values: np.ndarray) -> None:
    """Say where values are NaN or infinite.

    Raises:
        UsageError: all are.
    """
    count = 0 if values.dtype.kind != "f" else np.count_nonzero(~np.isfinite(values))
    if count == values.size:
        raise UsageError("the picture has no values that are numbers: all are NaN or infinite")
    if count:
        _log.warning("the picture has values that are no numbers (NaN or infinite), %d of %d", count, values.size)
