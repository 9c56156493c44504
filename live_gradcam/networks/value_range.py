"""What the numbers of a network's inputs stand for, where nobody says it. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from live_gradcam.errors import UsageError
from live_gradcam.networks.preprocessing import Preprocessing

#: The usual ranges (black, white), each with the least and the most that pictures in it have to reach.
_USUAL = (((0, 1), (0.1, 0.6)), ((-1, 1), (-0.7, 0.7)), ((0, 255), (64, 96)))


@dataclass(frozen=True)
class ValueRange:
    """What black and white are, as numbers.

    Attributes:
        black: the number.
        white: the number.
        is_usual: whether the numbers are pixels of 0…255, 0…1 or −1…1. Else they are the lowest and the highest ones
            that there are, so that the colours can be off.
    """

    black: float
    white: float
    is_usual: bool

    @classmethod
    def of(cls, images: np.ndarray) -> ValueRange:
        """The range of some pictures, which are best looked at together.

        Args:
            images: (n, height, width, channels), as a network takes them.

        Raises:
            UsageError: they hold numbers that are not finite.
        """
        return cls.between(float(images.min()), float(images.max()), is_of_bytes=images.dtype == np.uint8)

    @classmethod
    def between(cls, lowest: float, highest: float, *, is_of_bytes: bool = False) -> ValueRange:
        """The range of pictures whose numbers reach from the lowest to the highest.

        Numbers that would be a dark or a pale picture in a usual range are of some other range as likely as not.

        Raises:
            UsageError: they are not finite.
        """
        if not np.isfinite((lowest, highest)).all():
            raise UsageError("the pictures hold numbers that are not finite: look for NaN in the data")
        if is_of_bytes:
            return cls(0, 255, is_usual=True)
        for (black, white), (least, most) in _USUAL:
            if black <= lowest <= least and most <= highest <= white:
                return cls(black, white, is_usual=True)
        return cls(lowest, highest if highest > lowest else lowest + 1, is_usual=False)

    @property
    def recipe(self) -> Preprocessing:
        """What makes such inputs of pixels."""
        return Preprocessing.of_range(self.black, self.white)
