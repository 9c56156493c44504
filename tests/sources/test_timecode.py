"""Timecodes of recordings that begin later, or have another rate."""

from __future__ import annotations

from fractions import Fraction

import pytest

from live_gradcam.sources.timecode import with_timecode_of

NTSC = Fraction(30_000, 1001)


@pytest.mark.parametrize(
    ("timecode", "skipped", "rate", "new_rate", "expected"),
    [
        ("01:00:59:20", Fraction(1), Fraction(25), Fraction(25), "01:01:00:20"),
        ("01:00:59:20", Fraction("0.5"), Fraction(25), Fraction(25), "01:01:00:08"),  # its 13th frame is the first
        ("23:59:59:24", Fraction(1, 25), Fraction(25), Fraction(25), "00:00:00:00"),
        ("00:00:00;00", 1799 / NTSC, NTSC, NTSC, "00:00:59;29"),  # the last number of a minute
        ("00:00:00;00", 1800 / NTSC, NTSC, NTSC, "00:01:00;02"),  # and the next: 00 and 01 are left out
        ("00:00:00;00", 17_982 / NTSC, NTSC, NTSC, "00:10:00;00"),  # but not of a tenth minute
        ("00:09:59;29", 1 / NTSC, NTSC, NTSC, "00:10:00;00"),
        ("00:01:00;02", Fraction(0), NTSC, NTSC, "00:01:00;02"),
        ("00:00:00;00", 3600 / (2 * NTSC), 2 * NTSC, 2 * NTSC, "00:01:00;04"),
        ("00:00:00:20", Fraction(0), Fraction(25), Fraction(50), "00:00:00:40"),
        ("00:00:00;15", Fraction(0), NTSC, Fraction(24), "00:00:00:12"),  # 24 per second drop no numbers
    ],
)
def test_the_timecode_of_another_first_frame(
    timecode: str, skipped: Fraction, rate: Fraction, new_rate: Fraction, expected: str
) -> None:
    metadata = {"title": "A film", "TIMECODE": timecode}
    assert with_timecode_of(metadata, skipped, rate, new_rate) == {"title": "A film", "timecode": expected}


def test_what_is_no_timecode_is_left_out() -> None:
    assert with_timecode_of({"timecode": "noon"}, Fraction(0), NTSC, NTSC) == {}
