"""Recordings that were never finished say so; what never was one does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import run
from video_files import boxes, make_video, moving

from live_gradcam.errors import SourceError
from live_gradcam.sources.reader import VideoReader

_IMAGES = [moving(index) for index in range(20)]


def _video(path: Path, **options: str) -> Path:
    return make_video(path, _IMAGES, container_options=options)


def _without(path: Path, name: str) -> None:
    """Take a box out of a file."""
    content = path.read_bytes()
    ((begin, end),) = [(begin, end) for found, begin, end in boxes(content) if found == name]
    path.write_bytes(content[:begin] + content[end:])


def _message(path: Path) -> str:
    with pytest.raises(SourceError) as caught:
        VideoReader(path)
    message = str(caught.value)
    assert message.startswith(f"{path} is not a video that can be read (")
    return message.removeprefix(f"{path} is not a video that can be read (").removesuffix(")")


@pytest.mark.parametrize("ending", ["mp4", "mov", "m4v", "MP4"])
def test_a_recording_without_its_index(tmp_path: Path, ending: str) -> None:
    path = _video(tmp_path / f"a.{ending}", f="mov") if ending == "MP4" else _video(tmp_path / f"a.{ending}")
    _without(path, "moov")
    assert _message(path).startswith(
        "its index (moov) is missing: the recording was not finished, or only a part of it was copied"
    )


def test_a_recording_whose_camera_lost_its_power(tmp_path: Path) -> None:
    """The length of the pictures' box is written at the end; until then it is 0, or the longer form's room is left."""
    path = _video(tmp_path / "a.mp4")
    content = path.read_bytes()
    ((begin, end),) = [(begin, end) for name, begin, end in boxes(content) if name == "mdat"]
    for length in (bytes(4), b"\xff\xff\xff\xff"):
        path.write_bytes(content[:begin] + length + content[begin + 4 : end])
        assert "the recording was not finished" in _message(path)
    long = b"\0\0\0\1mdat" + (1 << 40).to_bytes(8, "big")
    path.write_bytes(content[:begin] + long + content[begin + 8 : end])
    assert "the recording was not finished" in _message(path)


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_download_that_was_cut_short(tmp_path: Path, share: float) -> None:
    path = _video(tmp_path / "a.mp4")
    content = path.read_bytes()
    begin = next(begin for name, begin, _ in boxes(content) if name == "moov")
    path.write_bytes(content[: int(begin * share)])
    assert "only a part of it was copied" in _message(path)


def test_an_index_that_is_cut(tmp_path: Path) -> None:
    path = _video(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes()[:-200])
    assert _message(path) == "its index (moov) is cut off at the file's end. Copy it again"


def test_a_file_with_its_index_first_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = _video(tmp_path / "a.mp4", movflags="faststart")
    path.write_bytes(path.read_bytes()[:-500])
    with VideoReader(path) as reader:
        assert len(list(reader.frames())) > 0
        assert reader.loss


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Invalid data found when processing input"),
        (b"just a text\n" * 100, "Invalid data found when processing input"),
        (b"\0\0\0\x18ftypisom" + bytes(2000), "Invalid data found when processing input"),
        (b"free beer for all of you who read this", "Invalid data found when processing input"),
        (bytes(5000), "Invalid data found when processing input"),
    ],
)
def test_what_never_was_a_recording(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    assert _message(path) == message


def test_it_is_one_line_before_tensorflow_starts(tmp_path: Path) -> None:
    path = _video(tmp_path / "a.mp4")
    _without(path, "moov")
    finished = run("annotate", path, "-o", tmp_path / "out.mp4")
    assert (finished.code, finished.out) == (1, "")
    (line,) = finished.err.splitlines()
    assert line.startswith(f"live-gradcam: {path} is not a video that can be read (its index (moov) is missing: ")
    assert [found.name for found in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize(("codec", "sound"), [("mjpeg", None), ("mpeg4", "libmp3lame")])
def test_an_avi_that_was_cut_short_counts_what_its_header_promises(
    tmp_path: Path, codec: str, sound: str | None
) -> None:
    images = [moving(index) for index in range(75)]
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = make_video(
        tmp_path / "a.avi", images, codec=codec, pix_fmt=pixels, audio_codec=sound, audio_seconds=3 if sound else 0
    )
    content = path.read_bytes()
    for share in (1, 0.5):
        path.write_bytes(content[: round(len(content) * share)])
        with VideoReader(path) as reader:
            count = sum(1 for _ in reader.frames())
        missing = reader.loss.missing_seconds
        assert missing == (0 if share == 1 else pytest.approx(3 - count / 25, abs=0.09))
        assert share == 1 or 0 < count < 60
