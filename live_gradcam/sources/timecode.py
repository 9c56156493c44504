"""SMPTE timecodes, by which editors find a frame: "01:00:00:00", and "01:00:00;00" where numbers are dropped."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

_TAG = "timecode"
_TIMECODE = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.])(\d\d+)")


def timecode_of(stream: Any) -> dict[str, str]:
    """The tag of a stream of pictures that says its first frame's timecode; nothing where it has none."""
    return {key: text for key, text in stream.metadata.items() if key.lower() == _TAG}


def with_timecode_of(
    metadata: Mapping[str, str], skipped: Fraction, rate: Fraction, new_rate: Fraction
) -> dict[str, str]:
    """What a recording says of itself, with the timecode of another first frame, at another rate.

    Args:
        metadata: by the names of its tags; the timecode is the one of the recording's first frame.
        skipped: seconds before the new first frame.
        rate: frames per second of the recording.
        new_rate: those of the output.
    """
    kept = {key: text for key, text in metadata.items() if key.lower() != _TAG}
    text = next((metadata[key] for key in metadata if key.lower() == _TAG), "")
    found = _TIMECODE.fullmatch(text)
    if found is not None and round(min(rate, new_rate)) > 0:
        kept[_TAG] = _later(found, math.ceil(skipped * rate), rate, new_rate)
    return kept


def _later(found: re.Match[str], frames: int, rate: Fraction, new_rate: Fraction) -> str:
    """A timecode some frames later. Drop-frame leaves out 2 numbers of 30 a minute, but not of each tenth minute."""
    per_second = round(rate)
    dropped = per_second // 15 if found[4] != ":" else 0
    minutes = int(found[1]) * 60 + int(found[2])
    count = (minutes * 60 + int(found[3])) * per_second + int(found[5]) - dropped * (minutes - minutes // 10) + frames
    tens, rest = divmod(count, 600 * per_second - 9 * dropped)
    number = count + 9 * dropped * tens + dropped * (max(0, rest - dropped) // (60 * per_second - dropped))
    seconds, frame = divmod(number, per_second)
    mark = found[4] if round(new_rate) % 30 == 0 else ":"
    return (
        f"{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{mark}"
        f"{frame * round(new_rate) // per_second:02}"
    )
