"""Times, frame rates and numbers of frames as people write them."""

from __future__ import annotations

from fractions import Fraction

from live_gradcam.errors import UsageError

_HIGHEST_RATE = 1000


def parse_time(value: str | float | Fraction | None, flag: str) -> Fraction | None:
    """Seconds of "75", "1:15" or "0:01:15.5", or of a number; None of None.

    Args:
        value: what is given. A float means what it is written as: 0.1 is a tenth.
        flag: of the command line, for the error.

    Raises:
        UsageError: it is not a time from 0 on, or what follows a colon is not below 60.
    """
    if value is None:
        return None
    parts = str(value).split(":")
    try:
        numbers = [Fraction(part) for part in parts]
    except (ValueError, ZeroDivisionError):
        numbers = []
    is_time = 0 < len(numbers) <= 3 and all(number >= 0 for number in numbers)
    if not is_time or any(number >= 60 for number in numbers[1:]):  # after a colon: 75 s would be another minute
        raise UsageError(
            f"{flag} {str(value)!r} is not a time: give seconds, m:ss or h:mm:ss, such as 75, 1:15 or 0:01:15.5"
        )
    return sum((number * 60**place for place, number in enumerate(reversed(numbers))), Fraction(0))


def parse_rate(value: str | float | Fraction, flag: str) -> Fraction:
    """Frames per second of "25", "29.97" or "30000/1001", or of a number.

    Args:
        value: what is given. A float means what it is written as: 29.97 is 2997/100.
        flag: of the command line, for the error.

    Raises:
        UsageError: it is not a frame rate.
    """
    try:
        rate = Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= _HIGHEST_RATE:
        raise UsageError(f"{flag} {str(value)!r} is not a frame rate: give a number such as 25, 29.97 or 30000/1001")
    return rate


def frames_in_words(count: int) -> str:
    """A number of frames: "1 frame", "25 frames"."""
    return "1 frame" if count == 1 else f"{count} frames"
