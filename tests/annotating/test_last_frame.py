"""The last frame is shown for as long as the source shows it: a GIF rests there before it begins again."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from fake_engine import annotated
from PIL import Image

_SHORT, _LONG = 100, 2000  # milliseconds


@pytest.fixture
def resting(tmp_path: Path) -> Path:
    """A GIF of five frames; the last one stays for 2 s."""
    first, *others = [Image.new("RGB", (160, 120), (40 * index, 80, 200)) for index in range(5)]
    path = tmp_path / "in.gif"
    first.save(path, save_all=True, append_images=others, duration=[_SHORT] * 4 + [_LONG], loop=0)
    return path


def _seconds(path: Path) -> float:
    with av.open(str(path)) as container:
        assert container.duration is not None
        return container.duration / av.time_base


@pytest.mark.parametrize("name", ["out.gif", "out.mp4", "out.mkv", "out.webm"])
def test_the_last_frame_stays_as_long_as_in_the_source(tmp_path: Path, resting: Path, name: str) -> None:
    annotated(resting, tmp_path / name)
    assert _seconds(tmp_path / name) == pytest.approx(2.4, abs=0.001)


@pytest.mark.parametrize(
    ("options", "seconds"), [({"end": Fraction(1)}, 1.0), ({"output_fps": Fraction(10)}, 2.4)], ids=["end", "fps"]
)
def test_it_ends_with_the_span_and_is_repeated_at_a_fixed_rate(
    tmp_path: Path, resting: Path, options: dict[str, Any], seconds: float
) -> None:
    summary = annotated(resting, tmp_path / "out.mp4", **options)
    assert _seconds(tmp_path / "out.mp4") == pytest.approx(seconds, abs=0.001)
    assert summary.frames == (24 if "output_fps" in options else 5)
