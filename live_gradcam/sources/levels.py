"""Which of a picture's values are black and white, where it has other values than a screen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from live_gradcam.errors import UsageError

_SHADES = 256
#: What levels are for: all that is read, so that a video is refused; all pictures; or, of the pictures that have other
#: values than 8 bits and whose files say nothing of it, those with whole numbers, or those with fractions.
Which = Literal["all", "pictures", "whole", "fractions"]
#: How many bits the sensors of cameras, X-ray detectors and microscopes give, and files hold.
_DEPTHS = (8, 10, 12, 14, 16, 24, 32, 64)


@dataclass(frozen=True)
class Levels:
    """The values that are shown as black and as white; those between become shades in proportion.

    Attributes:
        low: is black, as is all below it.
        high: is white, as is all above it.
        of: what they are for.

    Raises:
        UsageError: `low` is not below `high`, or one of them is no number.
    """

    low: float
    high: float
    of: Which = "all"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise UsageError(f"the levels {self} are not LOW:HIGH: give two numbers, the lower one first, like 0:4095")

    @classmethod
    def parse(cls, text: str) -> Levels:
        """The levels that "LOW:HIGH" means.

        Raises:
            UsageError: it means none.
        """
        low, _, high = text.partition(":")
        try:
            return cls(float(low), float(high))
        except ValueError:
            raise UsageError(f"the levels {text!r} are not LOW:HIGH: give two numbers, like 0:4095") from None

    @classmethod
    def of_card(cls, levels: Mapping[str, Any] | None) -> Levels | None:
        """Those that a model's card has, as `networks.card.Card.levels`; None for none."""
        return None if levels is None else cls(**levels)

    def __str__(self) -> str:
        return f"{plain(self.low)}:{plain(self.high)}"

    def shades(self, values: np.ndarray) -> np.ndarray:
        """What values are shown as, uint8 of the same shape.

        Whole numbers become shades as when bits are cut off; fractions the nearest shade. What is no number is black.
        """
        if values.dtype in (np.uint8, np.uint16):
            table = self._shades(np.arange(np.iinfo(values.dtype).max + 1))
            return np.asarray(table[values])
        return self._shades(values)

    def _shades(self, values: np.ndarray) -> np.ndarray:
        above, width = values.astype(np.float64) - self.low, self.high - self.low
        is_whole = np.issubdtype(values.dtype, np.integer)
        shades = np.floor(above * _SHADES / width) if is_whole else np.rint(above * (_SHADES - 1) / width)
        return np.clip(np.nan_to_num(shades, nan=0), 0, _SHADES - 1).astype(np.uint8)


@dataclass(frozen=True)
class Extent:
    """The values that a picture, or several, have.

    Attributes:
        dtype: of the values.
        least: the lowest one.
        greatest: the highest one.
    """

    dtype: np.dtype
    least: float
    greatest: float

    @classmethod
    def of(cls, values: np.ndarray) -> Extent:
        """That of an array, without what is no number or not finite."""
        finite = values if np.issubdtype(values.dtype, np.integer) else values[np.isfinite(values)]
        return cls(values.dtype, float(finite.min()), float(finite.max())) if finite.size else cls(values.dtype, 0, 0)

    def with_(self, other: Extent) -> Extent:
        """That of both."""
        dtype = np.promote_types(self.dtype, other.dtype)
        return Extent(dtype, min(self.least, other.least), max(self.greatest, other.greatest))

    @property
    def levels(self) -> Levels:
        """Of whole numbers from 0 on all that their bits can hold; of fractions of 1, 0 to 1; else from end to end."""
        if self.least < 0 or (not self.is_whole and self.greatest > 1):
            return Levels(self.least, self.greatest if self.greatest > self.least else self.least + 1)
        return Levels(0, 2**self._bits - 1 if self.is_whole else 1)

    @property
    def is_plain(self) -> bool:
        """Whether nothing needs to be said: 8 bits, or 16 bits of which the highest is in use."""
        return self.dtype == np.uint8 or (self.dtype == np.uint16 and self.greatest >= 2**15)

    @property
    def is_whole(self) -> bool:
        """Whether they are whole numbers by their type."""
        return np.issubdtype(self.dtype, np.integer)

    @property
    def _bits(self) -> int:
        return next(depth for depth in _DEPTHS if self.greatest < 2**depth)

    def shown_with(self, levels: Levels) -> str:
        """What the values are, and how they are shown with some levels."""
        is_part = self.is_whole and self.least >= 0 and self._bits < 8 * self.dtype.itemsize
        bits = f" ({self._bits} of {8 * self.dtype.itemsize} bits)" if is_part else ""
        return (
            f"values from {plain(self.least)} to {plain(self.greatest)}{bits}: {plain(levels.low)} is shown as black "
            f"and {plain(levels.high)} as white"
        )

    def __str__(self) -> str:
        return f"{self.shown_with(self.levels)}; --levels LOW:HIGH changes that"


@dataclass(frozen=True)
class Pixels:
    """A picture's values as its file has them.

    Attributes:
        values: (height, width) grey, or (height, width, 3) BGR; of any type of number.
        is_inverted: whether the lowest value is white.
        own_shades: uint8, like `values`: what the file itself says they are to be shown as; None if it says nothing.
        note: what was not read of the file; None if all was.
    """

    values: np.ndarray
    is_inverted: bool = False
    own_shades: np.ndarray | None = None
    note: str | None = None

    @property
    def need_levels(self) -> bool:
        """Whether it is not known how they are to be shown: they are not 8 bits, and the file says nothing."""
        return self.values.dtype != np.uint8 and self.own_shades is None

    def taken(self, levels: Levels | None) -> Levels | None:
        """Some levels where they are for this picture; None where they are not."""
        if levels is None or levels.of in ("all", "pictures"):
            return levels
        which = "whole" if np.issubdtype(self.values.dtype, np.integer) else "fractions"
        return levels if self.need_levels and levels.of == which else None

    def too_light(self, levels: Levels | None) -> str:
        """What is to be said of a picture that does not look like those that levels were found for; "" for nothing."""
        levels = self.taken(levels)
        if levels is None or levels.of in ("all", "pictures"):
            return ""
        greatest = Extent.of(self.values).greatest
        if greatest <= levels.high:
            return ""
        return (
            f"has values up to {plain(greatest)}, and the model was fitted with {plain(levels.high)} as white; "
            "--levels LOW:HIGH changes that"
        )

    def shown(self, levels: Levels | None) -> np.ndarray:
        """The picture as a screen shows it, uint8 (height, width, 3), BGR.

        Args:
            levels: what is black and white; None for what is known, unless they need some.
        """
        levels = self.taken(levels)
        if levels is not None:
            shades = levels.shades(self.values)
        else:
            shades = self.values if self.own_shades is None else self.own_shades
        shades = 255 - shades if self.is_inverted else shades
        return cv2.cvtColor(shades, cv2.COLOR_GRAY2BGR) if shades.ndim == 2 else shades


def on_white(values: np.ndarray, *, is_premultiplied: bool = False) -> np.ndarray:
    """A picture with transparency laid on white.

    Args:
        values: uint8 or uint16 (height, width, 2 or 4), of which the last channel is the opacity.
        is_premultiplied: whether the others are multiplied by it already.

    Returns:
        The same type: (height, width) of two channels, (height, width, 3) of four.
    """
    white = np.iinfo(values.dtype).max
    opacity = values[..., -1:].astype(np.float32) / white
    colours = values[..., :-1] if is_premultiplied else values[..., :-1] * opacity
    mixed = np.rint(colours + white * (1 - opacity))
    if is_premultiplied:  # by a file that may say what cannot be
        mixed = mixed.clip(0, white)
    mixed = mixed.astype(values.dtype)
    return mixed[..., 0] if mixed.shape[-1] == 1 else mixed


def for_pictures_only(source: Path | str) -> UsageError:
    """What is wrong where levels are asked for of a video."""
    return UsageError(f"--levels is for pictures: {source} is a video")


def plain(number: float) -> str:
    """A number as a person writes it: 4095, -1000, 0.25."""
    return str(int(number)) if abs(number) < 1e15 and number == int(number) else f"{number:.6g}"
