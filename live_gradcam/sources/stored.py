"""The values of a picture that OpenCV reads, upright, and what its file says of them."""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np

from live_gradcam.sources import tiff
from live_gradcam.sources.animation import is_animated
from live_gradcam.sources.avif import AvifPicture, is_avif, main_picture
from live_gradcam.sources.levels import Levels, Pixels, on_white
from live_gradcam.sources.orientation import upright_by_exif
from live_gradcam.sources.silence import silence_opencv
from live_gradcam.sources.uncommon_tiff import read_uncommon


@dataclass(frozen=True)
class Stored:
    """What a file holds.

    Attributes:
        values: (height, width) grey, (height, width, 3) BGR; or with the opacity as the last channel, uint8 or uint16
            (height, width, 2 or 4).
        is_premultiplied: whether the other channels are multiplied by the opacity.
        is_inverted: whether the lowest value is white.
        own_levels: what the file says is black and white; None if it says nothing.
        note: what was not read of the file; None if all was.
    """

    values: np.ndarray
    is_premultiplied: bool = False
    is_inverted: bool = False
    own_levels: Levels | None = None
    note: str | None = None

    @property
    def opacity(self) -> np.ndarray | None:
        """uint8 (height, width), 0 for what is seen through; None where the file has none."""
        if not self._has_opacity:
            return None
        opacity = self.values[..., -1]
        return (opacity >> 8).astype(np.uint8) if opacity.dtype == np.uint16 else np.ascontiguousarray(opacity)

    @property
    def pixels(self) -> Pixels:
        """The values, with transparency laid on white."""
        values = on_white(self.values, is_premultiplied=self.is_premultiplied) if self._has_opacity else self.values
        shades = None if self.own_levels is None else self.own_levels.shades(values)
        return Pixels(values, is_inverted=self.is_inverted, own_shades=shades, note=self.note)

    @property
    def _has_opacity(self) -> bool:
        return self.values.ndim == 3 and self.values.shape[2] in (2, 4)


def read_stored(content: bytes) -> Stored | None:
    """Decode a file; None if it is no picture, or one of more pixels than OpenCV takes.

    Raises:
        SourceError: it is a picture, of a kind that is not read.
    """
    if tiff.is_tiff(content):
        return _of_tiff(content)
    image, exif = _decoded(content)
    if image is None:
        return None
    if is_avif(content):
        return _of_avif(image, main_picture(content))
    image = upright_by_exif(image, tiff.read_tags(io.BytesIO(exif)).get(tiff.ORIENTATION, 1))
    return Stored(image, note="is animated: only its first picture is read" if is_animated(content) else None)


def _decoded(content: bytes) -> tuple[np.ndarray | None, bytes]:
    """What OpenCV makes of a file, None for nothing, and the file's EXIF."""
    silence_opencv()
    try:
        image, kinds, metadata = cv2.imdecodeWithMetadata(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None, b""
    exif = dict(zip(kinds, metadata, strict=True)).get(cv2.IMAGE_METADATA_EXIF)
    return image, b"" if exif is None else exif.tobytes()


def _of_avif(image: np.ndarray, picture: AvifPicture) -> Stored:
    image = picture.upright(image)
    if image.dtype == np.uint8 or picture.bits not in (10, 12):
        return Stored(image)
    levels = Levels(0, 2**picture.bits - 1)
    if image.ndim == 3 and image.shape[2] == 4:  # of 16 bits, by their type
        return Stored(levels.shades(image))
    return Stored(image, own_levels=levels)


def _of_tiff(content: bytes) -> Stored | None:
    file = io.BytesIO(content)
    tags, count = tiff.read_tags(file), tiff.pages(file)
    image = read_uncommon(content, tags)
    is_premultiplied = tags.get(tiff.EXTRA_SAMPLES) == tiff.ASSOCIATED
    if image is not None:
        image = upright_by_exif(image, tags.get(tiff.ORIENTATION, 1))
    else:
        image, _ = _decoded(content)  # which turns it
        if image is None:
            return None
        # Of 8 bits OpenCV gives the colours multiplied, wherever the file says that there is opacity.
        is_premultiplied |= image.dtype == np.uint8 and tiff.has_opacity(tags)
    notes = []
    channels = image.shape[2] if image.ndim == 3 else 1
    # Who writes four channels and does not say what the last one is, as OpenCV does, means opacity.
    has_opacity = tiff.has_opacity(tags) or tiff.EXTRA_SAMPLES not in tags
    if channels == 4 and not (has_opacity and image.dtype in (np.uint8, np.uint16)):
        image = np.ascontiguousarray(image[..., :3])
        notes.append("has four channels: only the first three are read, as red, green and blue")
    elif channels == 1 and tiff.has_opacity(tags):
        notes.append("has transparency that is not read")
    if count > 1:
        notes.append(f"has {count} pages: only the first one is read")
    # It turns what has its lowest value as white only where it has 8 bits.
    is_inverted = image.dtype != np.uint8 and tags.get(tiff.PHOTOMETRIC) == tiff.WHITE_IS_ZERO
    return Stored(image, is_premultiplied, is_inverted, note=", and ".join(notes) or None)
