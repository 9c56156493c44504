"""What the command line's texts stand for: sizes, levels, batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from live_gradcam.errors import UsageError

if TYPE_CHECKING:
    from live_gradcam.sources.levels import Levels

_LARGEST_BATCH = 64
#: Of an output, in pixels.
_LEAST_SIDE, _LARGEST_SIDE = 16, 16384
_SMALLEST_INPUT, _LARGEST_INPUT = 32, 4096


def parse_levels(text: str | None) -> Levels | None:
    """Which values are black and white, of "LOW:HIGH"."""
    from live_gradcam.sources.levels import Levels

    return None if text is None else Levels.parse(text)


def parse_size(text: str) -> tuple[int, int]:
    """(height, width) of "WIDTHxHEIGHT"."""
    width, separator, height = text.lower().partition("x")
    if not (separator and width.isdecimal() and height.isdecimal() and int(width) >= 2 and int(height) >= 2):
        raise UsageError(f"the size {text!r} is not of the form WIDTHxHEIGHT, such as 1280x720")
    return int(height), int(width)


def parse_input_size(text: str) -> tuple[int, int]:
    """(height, width) of "N" or "WIDTHxHEIGHT", at least 32 pixels each."""
    height, width = (int(text), int(text)) if text.isdecimal() else parse_size(text)
    if min(height, width) < _SMALLEST_INPUT or max(height, width) > _LARGEST_INPUT:
        raise UsageError(f"the input size {text!r} is not from {_SMALLEST_INPUT} to {_LARGEST_INPUT} pixels")
    return height, width


def parse_batch(text: str) -> int | None:
    """A number of frames; None for "auto"."""
    if text == "auto":
        return None
    if not (text.isdecimal() and 1 <= int(text) <= _LARGEST_BATCH):
        raise UsageError(f"the batch {text!r} is not auto, nor a number of frames from 1 to {_LARGEST_BATCH}")
    return int(text)


def parse_output_size(text: str) -> tuple[int | None, int | None]:
    """(height, width) of "1280x720", "1280x" or "x720": None for the side that follows from the other."""
    width, separator, height = text.lower().partition("x")
    sides = [int(side) if side.isdecimal() else 0 if side else None for side in (width, height)]
    if not separator or sides == [None, None]:
        raise UsageError(f"the size {text!r} is not WIDTHxHEIGHT: give it like 1280x720, 1280x or x720")
    if any(side is not None and not _LEAST_SIDE <= side <= _LARGEST_SIDE for side in sides):
        raise UsageError(
            f"the size {text!r} is not possible: each side must have {_LEAST_SIDE} to {_LARGEST_SIDE} pixels"
        )
    return sides[1], sides[0]
