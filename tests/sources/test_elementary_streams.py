"""Elementary streams, which have no times: their frames come at the rate that they name, or that somebody gives."""

from __future__ import annotations

import json
import logging
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from command_line import finish, run
from fake_engine import annotated, start_fake
from video_files import make_video, number_of, numbered

from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.benchmark import file_frames
from live_gradcam.errors import UsageError
from live_gradcam.evaluating.pictures import read_pictures
from live_gradcam.sources.opening import open_source
from live_gradcam.sources.options import SourceOptions
from live_gradcam.sources.playback import Playback
from live_gradcam.sources.reader import VideoReader

_COUNT = 40
_QUIET = "log-level=none"
_NAMELESS = {"x265-params": f"{_QUIET}:no-vui-timing-info=1"}


def _images(width: int = 48) -> list[np.ndarray]:
    """So narrow that nothing is written over them; libx265 spoils the memory with less than 64 pixels."""
    return [numbered(i, width=width) for i in range(_COUNT)]


def _nameless(path: Path) -> Path:
    """An elementary stream that names no rate."""
    make_video(path, _images(64), codec="libx265", rate=30, codec_options=_NAMELESS)
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.framerate is None
    return path


def _times(path: Path, rate: Fraction | None = None) -> list[tuple[int, Fraction]]:
    with VideoReader(path, rate=rate) as reader:
        return [(number_of(frame.image), frame.pts) for frame in reader.frames()]


def _every(rate: Fraction | int) -> list[tuple[int, Fraction]]:
    return [(number, number / Fraction(rate)) for number in range(_COUNT)]


@pytest.mark.slow
@pytest.mark.parametrize("rate", [Fraction(25, 2), 24, Fraction(30000, 1001), 30, 50, 60])
@pytest.mark.parametrize(("ending", "codec"), [("h264", "libx264"), ("264", "libx264"), ("hevc", "libx265")])
def test_the_rate_that_the_stream_names(tmp_path: Path, ending: str, codec: str, rate: Fraction | int) -> None:
    options = {"x265-params": _QUIET} if codec == "libx265" else {}
    written = tmp_path / f"in.{'hevc' if codec == 'libx265' else 'h264'}"
    make_video(written, _images(64), codec=codec, rate=rate, codec_options=options)
    path = written.rename(tmp_path / f"in.{ending}")
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == 25  # FFmpeg's default
    with VideoReader(path) as reader:
        assert reader.frame_rate == rate
        assert reader.notes == [
            f"{path} has no times of its own: its frames come at {float(rate):.6g} per second, as its stream says"
        ]
    assert _times(path) == _every(rate)


@pytest.mark.parametrize(("ending", "codec"), [("m2v", "mpeg2video"), ("m1v", "mpeg1video")])
def test_the_rate_that_an_mpeg_stream_names(tmp_path: Path, ending: str, codec: str) -> None:
    path = make_video(tmp_path / f"in.{ending}", _images(), codec=codec, rate=30, codec_options={"threads": "1"})
    annotated(path, tmp_path / "out.mp4")
    assert _times(tmp_path / "out.mp4") == _every(30)


def test_frames_that_say_how_long_they_are_shown(tmp_path: Path) -> None:
    """MPEG-4 counts 25 ticks a second here, and shows a frame for two of them: 12.5 frames per second."""
    path = tmp_path / "in.m4v"
    with av.open(str(path), "w", format="m4v") as container:
        stream: Any = container.add_stream("mpeg4", rate=Fraction(25, 2))
        stream.width, stream.height, stream.pix_fmt = 48, 48, "yuv420p"
        for image in _images():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    assert _times(path) == _every(Fraction(25, 2))
    assert _times(path, Fraction(30)) == _every(30)


def test_a_stream_that_names_no_rate_says_so(tmp_path: Path) -> None:
    path = _nameless(tmp_path / "in.hevc")
    with VideoReader(path) as reader:
        assert reader.notes == [
            f"{path} has no times of its own: its frames come at 25 per second, which is a guess. "
            "Give the rate with --source-fps"
        ]
    assert _times(path) == _every(25)


@pytest.mark.parametrize("rate", [Fraction(15), Fraction(30000, 1001)])
@pytest.mark.parametrize("names_one", [False, True])
def test_the_rate_that_is_given(tmp_path: Path, names_one: bool, rate: Fraction) -> None:
    path = make_video(tmp_path / "in.h264", _images(), rate=50) if names_one else _nameless(tmp_path / "in.hevc")
    assert _times(path, rate) == _every(rate)


def test_motion_jpeg_at_a_rate_that_is_given(tmp_path: Path) -> None:
    """FFmpeg makes up times of those frames, 25 per second."""
    path = make_video(tmp_path / "in.mjpeg", _images(), codec="mjpeg", pix_fmt="yuvj420p", rate=10)
    assert _times(path) == _every(25)
    assert _times(path, Fraction(10)) == _every(10)


@pytest.mark.parametrize("given", [None, Fraction(10)])
def test_a_span_of_a_stream_without_times(tmp_path: Path, given: Fraction | None) -> None:
    path = make_video(tmp_path / "in.mjpeg", _images(), codec="mjpeg", pix_fmt="yuvj420p")
    rate = given or Fraction(25)
    with VideoReader(path, rate=given) as reader:
        assert reader.key_times(None) is None
        part = [(number_of(frame.image), frame.pts) for frame in reader.frames(start=30 / rate, end=35 / rate)]
    assert part == _every(rate)[30:35]


def test_a_file_with_times_keeps_them(tmp_path: Path) -> None:
    path = make_video(tmp_path / "in.mp4", _images(), rate=30)
    assert _times(path, Fraction(10)) == _every(30)
    with VideoReader(path) as reader:
        assert reader.notes == []
    with VideoReader(path, rate=Fraction(10)) as reader:
        assert reader.notes == [f"{path} has times of its own, so --source-fps is not used"]


@pytest.mark.slow
def test_annotate_says_which_rate_was_taken(tmp_path: Path) -> None:
    path = make_video(tmp_path / "in.h264", _images(), rate=30)
    command = ["annotate", path, "-o", tmp_path / "out.mp4", "--jsonl", tmp_path / "n.jsonl", "--layout", "raw"]
    finished = finish(start_fake(*command))
    assert finished.code == 0, finished
    taken = f"live-gradcam: {path} has no times of its own: its frames come at"
    assert [line for line in finished.err.splitlines() if " FPS" not in line] == [
        f"{taken} 30 per second, as its stream says"
    ]
    assert _times(tmp_path / "out.mp4") == _every(30)
    last = (tmp_path / "n.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["time"] == round(39 / 30, 6)
    for more in (["--source-fps", "15"], ["--source-fps", "15", "--workers", 2]):
        finished = finish(start_fake(*command, "--overwrite", *more))
        assert finished.code == 0, finished
        assert [line for line in finished.err.splitlines() if " FPS" not in line] == [
            f"{taken} 15 per second, as --source-fps says"
        ]
        assert _times(tmp_path / "out.mp4") == _every(15)


def test_another_rate_is_another_result(tmp_path: Path) -> None:
    """So that --resume makes it again, but not what was made before there was a choice."""
    assert "source_fps" not in AnnotateOptions().to_json()
    assert AnnotateOptions(source_fps=Fraction(15)).to_json()["source_fps"] == 15


def test_pictures_have_a_flag_of_their_own(tmp_path: Path) -> None:
    from live_gradcam.sinks.image import write_image

    folder = tmp_path / "shots"
    folder.mkdir()
    for number, image in enumerate(_images()[:3]):
        write_image(folder / f"{number}.png", image)
    summary = annotated(folder, tmp_path / "out.mp4", source_fps=Fraction(10))
    assert summary.notes == [f"{folder} has pictures, which come at --picture-fps, so --source-fps is not used"]
    assert annotated(folder, tmp_path / "out.mp4").notes == []


def test_live_bench_and_evaluate_say_it_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = make_video(tmp_path / "in.h264", _images(), rate=30)
    said = f"{path} has no times of its own: its frames come at {{}} per second, as {{}} says"
    with caplog.at_level(logging.WARNING, "live_gradcam"):
        frames = list(Playback(open_source(str(path), SourceOptions(source_fps=Fraction(20))), paced=False))
        assert [frame.pts for frame in frames] == [Fraction(i, 20) for i in range(_COUNT)]
        stream = file_frames(path)
        times = [next(stream).pts for _ in range(2 * _COUNT)]
        assert times == [Fraction(i, 30) for i in range(2 * _COUNT)]
    assert caplog.messages == [said.format(20, "--source-fps"), said.format(30, "its stream")]


def test_evaluate_takes_one_frame_a_second_of_the_named_rate(tmp_path: Path) -> None:
    path = make_video(tmp_path / "in.h264", _images(), rate=10).rename(tmp_path / "in.mpg")
    assert [picture.name for picture in read_pictures(path, None)] == [f"in.mpg#{i}" for i in (0, 10, 20, 30)]


def test_a_live_source_has_its_own_rate() -> None:
    with pytest.raises(UsageError, match=r"^--source-fps is for files without times, and 7 is live: leave it out$"):
        open_source("7", SourceOptions(source_fps=Fraction(10)))


@pytest.mark.slow
def test_a_rate_that_is_none(tmp_path: Path) -> None:
    path = make_video(tmp_path / "in.h264", _images()[:3])
    for command in ("annotate", "live"):
        finished = run(command, path, "--source-fps", "fast")
        assert (finished.code, finished.out) == (2, "")
        assert finished.err == (
            "live-gradcam: --source-fps 'fast' is not a frame rate: give a number such as 25, 29.97 or 30000/1001\n"
        )
