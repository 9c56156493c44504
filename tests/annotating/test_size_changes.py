"""Recordings whose frames change their size on the way: in a file each keeps its shape, between black bars."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import finish
from fake_engine import FakeEngine, annotated, start_fake
from video_files import make_video, numbered

from live_gradcam.annotating.drawing import Drawing
from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.explanations.explanation import Explanation
from live_gradcam.explanations.stability import StableExplanation
from live_gradcam.live_loop.recording import Recorder
from live_gradcam.sinks.encoding import Encoding
from live_gradcam.sinks.writer import VideoWriter
from live_gradcam.sources.reader import VideoReader

_FIRST = (64, 48)  # height and width; so narrow that nothing is written over it
_OTHER = (32, 48)
_GREY = 128


def _plain(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), _GREY, np.uint8)


def _read(path: Path) -> list[np.ndarray]:
    with VideoReader(path) as reader:
        return [frame.image for frame in reader.frames()]


def _source(path: Path, *sizes: tuple[int, int], count: int = 5) -> Path:
    """Transport streams one after the other, grey, each of (height, width)."""
    content = b""
    for size in sizes:
        part = make_video(path.with_name("part.ts"), [_plain(*size)] * count, codec_options={"bf": "0", "crf": "1"})
        content += part.read_bytes()
        part.unlink()
    path.write_bytes(content)
    return path


def _assert_boxed(image: np.ndarray, rows: slice, columns: slice) -> None:
    """Grey there and black elsewhere, away from the edge, which the codec blurs."""
    level = image.astype(int).max(axis=2)
    outside = np.ones(level.shape, bool)
    outside[max(0, rows.start - 2) : rows.stop + 2, max(0, columns.start - 2) : columns.stop + 2] = False
    assert np.abs(level[rows.start + 2 : rows.stop - 2, columns.start + 2 : columns.stop - 2] - _GREY).max() <= 12
    assert not outside.any() or level[outside].max() <= 12


@pytest.mark.parametrize(
    ("size", "rows", "columns"),
    [
        ((48, 48), slice(8, 56), slice(0, 48)),  # fits: above and below
        ((64, 32), slice(0, 64), slice(8, 40)),  # fits: left and right
        ((128, 192), slice(16, 48), slice(0, 48)),  # a quarter
        ((32, 16), slice(0, 64), slice(8, 40)),  # twice
        ((128, 96), slice(0, 64), slice(0, 48)),  # of the same shape
    ],
)
def test_the_writer_keeps_the_shape(tmp_path: Path, size: tuple[int, int], rows: slice, columns: slice) -> None:
    path = tmp_path / "out.mp4"
    encoding = Encoding(crf=1)
    with VideoWriter(
        path, size=_FIRST, frame_rate=Fraction(25), time_base=Fraction(1, 25), encoding=encoding
    ) as writer:
        for index, shape in enumerate([_FIRST, size, _FIRST]):
            writer.write(_plain(*shape), Fraction(index, 25))
    first, other, last = _read(path)
    assert first.shape == other.shape == last.shape == (*_FIRST, 3)
    _assert_boxed(first, slice(0, 64), slice(0, 48))
    _assert_boxed(other, rows, columns)
    _assert_boxed(last, slice(0, 64), slice(0, 48))


@pytest.mark.parametrize("ending", ["mp4", "mkv", "webm", "gif"])
def test_an_annotated_file_keeps_the_shape(tmp_path: Path, ending: str) -> None:
    source = _source(tmp_path / "in.ts", _FIRST, _OTHER)
    annotated(source, tmp_path / f"out.{ending}", encoding=Encoding(crf=None if ending == "gif" else 1))
    frames = _read(tmp_path / f"out.{ending}")
    assert [frame.shape for frame in frames] == [(*_FIRST, 3)] * 10
    for frame in frames[:5]:
        _assert_boxed(frame, slice(0, 64), slice(0, 48))
    for frame in frames[5:]:
        _assert_boxed(frame, slice(16, 48), slice(0, 48))


@pytest.mark.parametrize(
    ("size", "out", "rows", "columns"),
    [
        ((32, None), (32, 24), slice(8, 24), slice(0, 24)),
        ((64, 48), (64, 48), slice(16, 48), slice(0, 48)),
        # the first frame becomes twice as wide as it is, and so does the other, which is 3 to 1 then
        ((32, 48), (32, 48), slice(8, 24), slice(0, 48)),
    ],
)
def test_a_size_that_is_asked_for(
    tmp_path: Path, size: tuple[int | None, int | None], out: tuple[int, int], rows: slice, columns: slice
) -> None:
    source = _source(tmp_path / "in.ts", _FIRST, _OTHER)
    annotated(source, tmp_path / "out.mp4", size=size, encoding=Encoding(crf=1))
    frames = _read(tmp_path / "out.mp4")
    assert [frame.shape for frame in frames] == [(*out, 3)] * 10
    _assert_boxed(frames[0], slice(0, out[0]), slice(0, out[1]))
    _assert_boxed(frames[9], rows, columns)


@pytest.mark.slow
def test_workers_keep_the_shape(tmp_path: Path) -> None:
    source = _source(tmp_path / "in.ts", _FIRST, _OTHER, count=40)
    finished = finish(
        start_fake("annotate", source, "-o", tmp_path / "o.mp4", "--layout", "raw", "--crf", 1, "--workers", 2)
    )
    assert finished.code == 0, finished
    frames = _read(tmp_path / "o.mp4")
    assert [frame.shape for frame in frames] == [(*_FIRST, 3)] * 80
    _assert_boxed(frames[39], slice(0, 64), slice(0, 48))
    _assert_boxed(frames[79], slice(16, 48), slice(0, 48))


def test_a_live_recording_keeps_the_shape(tmp_path: Path) -> None:
    with Recorder(wait=True) as recorder:
        recorder.start(tmp_path / "x.mp4")
        for index, size in enumerate([_FIRST, _OTHER, _FIRST]):
            recorder.write(_plain(*size), Fraction(index, 30))
    first, other, _ = _read(tmp_path / "x.mp4")
    _assert_boxed(first, slice(0, 64), slice(0, 48))
    _assert_boxed(other, slice(16, 48), slice(0, 48))


def test_a_map_that_is_held_stays_on_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """With --stride the frames after a change are drawn under a map of one before it."""
    drawn: list[Explanation] = []

    def blend(self: Any, image: np.ndarray, explanation: Explanation, **_: Any) -> np.ndarray:
        drawn.append(explanation)
        return image

    monkeypatch.setattr("live_gradcam.drawing.overlay.Overlay.blend", blend)
    (explanation,) = FakeEngine().explain_batch([numbered(3, height=64, width=48)], 1)
    part = replace(explanation.region, x=12, y=16, width=24, height=32)
    shown = StableExplanation(replace(explanation, region=part), 1.0, (64, 48))
    drawing = Drawing(AnnotateOptions())
    for size in ((64, 48), (128, 192)):
        drawing.picture(_plain(*size), shown)
    places = [(one.region.x, one.region.y, one.region.width, one.region.height) for one in drawn]
    assert places == [(12, 16, 24, 32), (48, 32, 96, 64)]
