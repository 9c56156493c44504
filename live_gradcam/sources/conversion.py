"""Decoded frames as pictures for a screen."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np

from live_gradcam.sources.levels import on_white
from live_gradcam.sources.orientation import upright

_HD_HEIGHT = 720
_BT709, _BT601 = 1, 5  # ITU-T H.273 matrix coefficients, as are these, which swscale converts from:
_KNOWN_MATRICES = frozenset({0, _BT709, 4, _BT601, 6, 7, 9})
_SQUARE_PIXELS = (Fraction(98, 100), Fraction(102, 100))


def pixel_width(stream: Any) -> Fraction:
    """How many times wider than high a stream's pixels are to be shown; 1 where it hardly matters."""
    ratio = stream.sample_aspect_ratio
    return ratio if ratio and not _SQUARE_PIXELS[0] < ratio < _SQUARE_PIXELS[1] else Fraction(1)


def to_bgr(picture: av.VideoFrame, stretch: Fraction) -> np.ndarray:
    """A decoded frame, upright as its recording asks, with square pixels, transparency laid on white.

    Frames that do not name their colour matrix have BT.709's from 720 lines up.

    Args:
        picture: from the decoder.
        stretch: see `pixel_width`.

    Returns:
        uint8 (height, width, 3), BGR, contiguous.
    """
    matrix = picture.colorspace
    if matrix not in _KNOWN_MATRICES:
        matrix = _BT709 if picture.height >= _HD_HEIGHT else _BT601
    width = max(1, round(picture.width * stretch))
    has_alpha = any(component.is_alpha for component in picture.format.components)
    pixels = "bgra" if has_alpha else "bgr24"
    image = picture.reformat(width=width, format=pixels, src_colorspace=matrix, threads=1).to_ndarray()
    if has_alpha:
        image = on_white(image)
    return upright(image, picture)
