"""Pictures as they are to be shown: turned and mirrored as a recording's display matrix says, or a picture's EXIF."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import av


def upright(image: np.ndarray, picture: av.VideoFrame) -> np.ndarray:
    """Turn a picture by quarters, and mirror it, as its frame asks.

    The matrix (ISO/IEC 14496-12, 8.3.2; FFmpeg's libavutil/display.h) shows the pixel (p, q), counted to the right and
    downwards, at (a·p + c·q, b·p + d·q), moved to where the picture is. Where the determinant a·d - b·c is negative, it
    mirrors, as the front cameras of telephones do. Other turns than quarters become the nearest ones.

    Args:
        image: (height, width, ...) as it is stored.
        picture: the frame that it is of.

    Returns:
        The same type (height', width', ...), contiguous.
    """
    from av.sidedata.sidedata import Type  # a picture's reader needs no PyAV

    try:
        side_data: Any = picture.side_data
    except ValueError:  # of a kind that PyAV does not know, such as EXIF; then mirrors are not told either
        return np.ascontiguousarray(np.rot90(image, round(picture.rotation / 90)))
    matrix = side_data.get(Type.DISPLAYMATRIX)
    if matrix is None:
        return image
    a, b, _, c, d = np.frombuffer(bytes(matrix), "=i4")[:5].astype(float)
    across, down = math.hypot(a, c), math.hypot(b, d)
    if not across or not down:  # it would show a line
        return image
    if abs(a) / across >= abs(b) / down:
        return _turned(image, is_mirrored=a < 0, is_upside_down=d < 0)
    return _turned(image.swapaxes(0, 1), is_mirrored=c < 0, is_upside_down=b < 0)  # rows become columns


def upright_by_exif(image: np.ndarray, orientation: int) -> np.ndarray:
    """Turn a picture by quarters, and mirror it, as its EXIF's Orientation asks (EXIF 2.3, tag 274).

    Args:
        image: (height, width, ...) as it is stored.
        orientation: 1 to 8; another number is none.

    Returns:
        The same type (height', width', ...), contiguous.
    """
    image = image.swapaxes(0, 1) if orientation in (5, 6, 7, 8) else image
    return _turned(image, is_mirrored=orientation in (2, 3, 6, 7), is_upside_down=orientation in (3, 4, 7, 8))


def _turned(image: np.ndarray, *, is_mirrored: bool, is_upside_down: bool) -> np.ndarray:
    return np.ascontiguousarray(image[:: -1 if is_upside_down else 1, :: -1 if is_mirrored else 1])
