"""A viewer's frame, from the bytes that came to a picture with a time that goes on evenly."""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import cv2
import numpy as np

from live_gradcam.serving.messages import FrameBytes

#: What passes between two frames where a viewer's clock says nothing that can be, and the least and the most of it.
_USUAL_STEP, _LEAST_STEP, _MOST_STEP = 1 / 30, 1e-3, 10.0


class DecodedFrame(NamedTuple):
    """A frame of a viewer that can be explained.

    Attributes:
        id: as it came.
        flags: as they came.
        time: as it came.
        image: uint8 (height, width, 3), BGR; None where the JPEG is damaged.
        waited: seconds from when it came to when it was decoded.
        decoding: seconds that the decoding took.
    """

    id: int
    flags: int
    time: float
    image: np.ndarray | None
    waited: float
    decoding: float


def decoded(frame: FrameBytes) -> DecodedFrame:
    """Decode a frame. A camera's orientation (EXIF) is applied."""
    start = time.perf_counter()
    image = picture_of(frame.jpeg)
    return DecodedFrame(frame.id, frame.flags, frame.time, image, frame.waited, time.perf_counter() - start)


def picture_of(jpeg: bytes) -> np.ndarray | None:
    """The picture of a JPEG's bytes, uint8 (height, width, 3) BGR; None where they are damaged.

    Its size is not limited here: whoever takes bytes from outside reads the size first.
    """
    if not jpeg:
        return None
    try:
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if image is None else np.asarray(image)


class ViewerClock:
    """Makes a time that always goes on of whatever a viewer's clock says."""

    def __init__(self) -> None:
        self._said = math.nan
        self._now = 0.0

    def time_of(self, said: float) -> float:
        """The time of the next frame, in seconds from the first one on.

        Args:
            said: what the viewer's clock said: any number, or none.
        """
        step = said - self._said
        if not math.isfinite(step) or step <= 0:
            step = _USUAL_STEP
        self._said = said
        self._now += min(max(step, _LEAST_STEP), _MOST_STEP)
        return self._now
