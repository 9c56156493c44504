"""The TIFFs that OpenCV reads wrongly and FFmpeg reads: with a plane for each colour, or of grey and opacity."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

import cv2
import numpy as np

from live_gradcam.errors import SourceError
from live_gradcam.sources import tiff

if TYPE_CHECKING:
    import av

#: The values that FFmpeg reads of planes: how many bits they have, and of what kind they are.
_IN_PLANES = frozenset({(16, tiff.UNSIGNED), (32, tiff.FRACTIONS)})
_GREY_AND_OPACITY = {"ya8": "u1", "ya16le": "<u2", "ya16be": ">u2"}


def read_uncommon(content: bytes, tags: Mapping[int, int]) -> np.ndarray | None:
    """Read a TIFF's first picture as it is stored.

    Returns:
        (height, width, 2) grey and opacity, (height, width, 3 or 4) BGR or BGRA; None of what OpenCV reads better.

    Raises:
        SourceError: its colours lie apart, which OpenCV would mix up, and FFmpeg does not read it either.
    """
    kind = tags.get(tiff.BITS, 1), tags.get(tiff.SAMPLE_FORMAT, tiff.UNSIGNED)
    is_apart, channels = tags.get(tiff.PLANES) == tiff.APART, tags.get(tiff.CHANNELS, 1)
    if is_apart and channels > 2 and kind[0] != 8:
        frame = _frame(content, tags) if kind in _IN_PLANES else None
        if frame is None or not frame.format.name.startswith("gbr"):
            raise SourceError(
                "it is damaged, or holds each colour in a plane of its own in a way that is not read: "
                "save it with PlanarConfiguration 1"
            )
        image = frame.to_ndarray()
        return cv2.cvtColor(image, cv2.COLOR_RGB2BGR if image.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    if not is_apart and channels == 2 and tags.get(tiff.PHOTOMETRIC) == tiff.BLACK_IS_ZERO:
        frame = _frame(content, tags) if tiff.has_opacity(tags) else None
        return None if frame is None else _grey_and_opacity(frame)
    return None


def _frame(content: bytes, tags: Mapping[int, int]) -> av.VideoFrame | None:
    """The picture as FFmpeg reads it; None if it does not, or has tiles, which FFmpeg mixes up."""
    if tiff.TILE_WIDTH in tags:
        return None
    import av

    try:
        with av.open(io.BytesIO(content), "r", format="tiff_pipe") as container:
            return next(container.decode(video=0), None)
    except av.error.FFmpegError:
        return None


def _grey_and_opacity(frame: av.VideoFrame) -> np.ndarray | None:
    dtype = _GREY_AND_OPACITY.get(frame.format.name)
    if dtype is None:
        return None
    rows = np.frombuffer(bytes(frame.planes[0]), np.dtype(dtype)).reshape(frame.height, -1)  # which are filled up
    values = rows[:, : 2 * frame.width].reshape(frame.height, frame.width, 2)
    return values.astype(values.dtype.newbyteorder("="))
