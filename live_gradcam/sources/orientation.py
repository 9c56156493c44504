"""Pictures as they are to be shown: turned and mirrored as a recording's display matrix says."""

from __future__ import annotations

import math
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type


def upright(image: np.ndarray, picture: av.VideoFrame) -> np.ndarray:
    """Turn a picture by quarters, and mirror it, as its frame asks.

    The matrix (ISO/IEC 14496-12, 8.3.2; FFmpeg's libavutil/display.h) shows the pixel (p, q), counted to the right and
    downwards, at (a·p + c·q, b·p + d·q), moved to where the picture is. Where the determinant a·d - b·c is negative, it
    mirrors, as the front cameras of telephones do. Other turns than quarters become the nearest ones.

    Args:
        image: uint8 (height, width, 3) as it is stored.
        picture: the frame that it is of.

    Returns:
        uint8 (height', width', 3), contiguous.
    """
    side_data: Any = picture.side_data
    matrix = side_data.get(Type.DISPLAYMATRIX)
    if matrix is None:
        return image
    a, b, _, c, d = np.frombuffer(bytes(matrix), "=i4")[:5].astype(float)
    across, down = math.hypot(a, c), math.hypot(b, d)
    if not across or not down:  # it would show a line
        return image
    if abs(a) / across >= abs(b) / down:
        turned, is_mirrored, is_upside_down = image, a < 0, d < 0
    else:  # rows become columns
        turned, is_mirrored, is_upside_down = image.transpose(1, 0, 2), c < 0, b < 0
    return np.ascontiguousarray(turned[:: -1 if is_upside_down else 1, :: -1 if is_mirrored else 1])
