"""The values of a picture that OpenCV reads, upright, and what its file says of them."""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np

from live_gradcam.sources.animation import is_animated
from live_gradcam.sources.levels import Pixels, on_white
from live_gradcam.sources.orientation import upright_by_exif
from live_gradcam.sources.silence import silence_opencv
from live_gradcam.sources.tiff import (
    ASSOCIATED,
    EXTRA_SAMPLES,
    ORIENTATION,
    PHOTOMETRIC,
    UNASSOCIATED,
    WHITE_IS_ZERO,
    is_tiff,
    pages,
    read_tags,
)


@dataclass(frozen=True)
class Stored:
    """What a file holds.

    Attributes:
        values: (height, width) grey, (height, width, 3) BGR; of 4 channels the last is the opacity, uint8 or uint16.
        is_premultiplied: whether the other channels are multiplied by the opacity.
        is_inverted: whether the lowest value is white.
        note: what was not read of the file; None if all was.
    """

    values: np.ndarray
    is_premultiplied: bool = False
    is_inverted: bool = False
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
        return Pixels(values, is_inverted=self.is_inverted, note=self.note)

    @property
    def _has_opacity(self) -> bool:
        return self.values.ndim == 3 and self.values.shape[2] == 4


def read_stored(content: bytes) -> Stored | None:
    """Decode a file; None if it is no picture, or one of more pixels than OpenCV takes."""
    silence_opencv()
    try:
        image, kinds, metadata = cv2.imdecodeWithMetadata(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if image is None:
        return None
    if is_tiff(content):
        return _of_tiff(image, content)
    exif = next((found for kind, found in zip(kinds, metadata, strict=True) if kind == cv2.IMAGE_METADATA_EXIF), None)
    if exif is not None:
        image = upright_by_exif(image, read_tags(io.BytesIO(exif.tobytes())).get(ORIENTATION, 1))
    return Stored(image, note="is animated: only its first picture is read" if is_animated(content) else None)


def _of_tiff(image: np.ndarray, content: bytes) -> Stored:
    """What OpenCV made of a TIFF, which it turns itself."""
    file = io.BytesIO(content)
    tags, count, notes = read_tags(file), pages(file), []
    # Who writes four channels and does not say what the last one is, as OpenCV does, means opacity.
    extra = tags.get(EXTRA_SAMPLES, UNASSOCIATED)
    is_opacity = extra in (ASSOCIATED, UNASSOCIATED) and image.dtype in (np.uint8, np.uint16)
    if image.ndim == 3 and image.shape[2] == 4 and not is_opacity:
        image = np.ascontiguousarray(image[..., :3])
        notes.append("has four channels: only the first three are read, as red, green and blue")
    if count > 1:
        notes.append(f"has {count} pages: only the first one is read")
    return Stored(
        image,
        # Of 8 bits OpenCV gives the colours multiplied, wherever the file says that there is opacity.
        is_premultiplied=extra == ASSOCIATED or (EXTRA_SAMPLES in tags and image.dtype == np.uint8),
        # It turns what has its lowest value as white only where it has 8 bits.
        is_inverted=image.dtype != np.uint8 and tags.get(PHOTOMETRIC) == WHITE_IS_ZERO,
        note=", and ".join(notes) or None,
    )
