"""The picture that travels through the program."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np


@dataclass(frozen=True)
class Frame:
    """One picture of a video or a camera.

    Attributes:
        image: uint8 (height, width, 3), BGR.
        index: 0, 1, 2, … in the source's order.
        pts: presentation time in seconds: exact from a file, since the capture began from a live source.
        captured_at: `time.monotonic()` seconds at which the picture arrived.
        duration: how long it is shown, in seconds; None where the source does not say it.
    """

    image: np.ndarray
    index: int
    pts: Fraction
    captured_at: float
    duration: Fraction | None = None
