"""What a folder is taken for: its files are known by what they are, and what is left out is said."""

from __future__ import annotations

import logging
import os
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import finish
from fake_engine import start_fake
from video_files import make_video, number_of, numbered

from live_gradcam.annotating.jobs import plan_jobs
from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.errors import SourceError
from live_gradcam.evaluating.pictures import plan_sources, read_pictures
from live_gradcam.sources.kinds import VIDEO_SUFFIXES, Kind, kind_of
from live_gradcam.sources.pictures import PictureReader
from live_gradcam.sources.reader import VideoReader

#: Endings of cameras, discs and players: how FFmpeg calls the format, and what it may hold.
_KINDS = {
    ".MTS": ("mpegts", "libx264"),
    ".M2TS": ("mpegts", "libx264"),
    ".m2t": ("mpegts", "mpeg2video"),
    ".ts": ("mpegts", "libx264"),
    ".vob": ("vob", "mpeg2video"),
    ".mpg": ("mpeg", "mpeg1video"),
    ".asf": ("asf", "wmv2"),
    ".wmv": ("asf", "wmv2"),
    ".flv": ("flv", "flv"),
    ".3gp": ("3gp", "mpeg4"),
    ".mxf": ("mxf", "mpeg2video"),
    ".ogv": ("ogv", "libvpx"),
    ".h264": ("h264", "libx264"),
    ".h265": ("hevc", "libx265"),
    ".mkv": ("matroska", "libx264"),
    ".WebM": ("webm", "libvpx"),
    ".y4m": ("yuv4mpegpipe", "rawvideo"),
}


def _video(path: Path, container: str = "mp4", codec: str = "libx264", count: int = 6) -> Path:
    images = [numbered(i, width=64) for i in range(count)]
    quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {"threads": "1"}
    whole = path.with_name(f"{path.stem}.written")
    make_video(whole, images, codec=codec, codec_options=quiet, file_format=container)
    return whole.rename(path)


def _planned(folder: Path) -> list[str]:
    return [job.source.name for job in plan_jobs([folder], folder / "out", AnnotateOptions())]


@pytest.mark.parametrize("ending", _KINDS)
def test_a_folder_that_holds_a_video_of_any_kind_is_not_empty(
    tmp_path: Path, ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = _video(tmp_path / f"a{ending}", *_KINDS[ending])
    assert path.suffix.lower() in VIDEO_SUFFIXES
    with caplog.at_level(logging.WARNING, "live_gradcam"):
        assert _planned(tmp_path) == [path.name]
    assert caplog.messages == []
    with VideoReader(path) as reader:
        assert [number_of(frame.image) for frame in reader.frames()] == list(range(6))


@pytest.mark.parametrize("name", ["clip", "a.0001", "MOVIE.TOD", "x.mp4.bak", "stream.dat"])
@pytest.mark.parametrize(("container", "codec"), [("mp4", "libx264"), ("mpeg", "mpeg2video"), ("mpegts", "libx264")])
def test_a_video_is_known_by_its_content(tmp_path: Path, name: str, container: str, codec: str) -> None:
    path = _video(tmp_path / name, container, codec, 12)
    assert kind_of(path) is Kind.VIDEO
    assert _planned(tmp_path) == [name]
    pictures = list(read_pictures(path, 5))
    assert [picture.name for picture in pictures] == [f"{name}#{i}" for i in (0, 5, 10)]


def test_what_is_neither(tmp_path: Path) -> None:
    contents = {
        "notes.txt": b"a line of text\n" * 50,
        "read.nfo": b"a line of text\n" * 50,
        "list.m3u8": b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\na.mp4\n#EXT-X-ENDLIST\n",
        "list.ffconcat": b"ffconcat version 1.0\nfile a.mp4\n",
        "page.html": b"<html><body>hello</body></html>",
        "cars.txt": b"BMW, like the first bytes of a bitmap\n" * 50,
        "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg"></svg>',
        "nothing": b"",
        "noise.bin": np.random.default_rng(0).bytes(100_000),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    assert {name: kind_of(tmp_path / name) for name in contents} == dict.fromkeys(contents, Kind.OTHER)


@pytest.mark.parametrize("encoding", [".png", ".jpg", ".bmp", ".webp", ".tif", ".pgm", ".avif"])
@pytest.mark.parametrize("name", ["photo", "x.0001", "a.THM"])
def test_a_picture_is_known_by_its_content(tmp_path: Path, encoding: str, name: str) -> None:
    image = cv2.cvtColor(numbered(5), cv2.COLOR_BGR2GRAY) if encoding == ".pgm" else numbered(5)
    (tmp_path / name).write_bytes(cv2.imencode(encoding, image)[1].tobytes())
    assert kind_of(tmp_path / name) is Kind.PICTURE
    (job,) = plan_jobs([tmp_path], None, AnnotateOptions())
    assert job.source == tmp_path
    with PictureReader(tmp_path, Fraction(25)) as reader:
        assert [number_of(frame.image) for frame in reader.frames()] == [5]
    assert plan_sources([tmp_path]) == [tmp_path / name]
    (picture,) = read_pictures(tmp_path / name, None)
    assert number_of(picture.image) == 5


@pytest.mark.parametrize("name", ["still.heic", "still.HIF", "still.avif"])
def test_a_picture_that_is_built_like_a_video_is_none(tmp_path: Path, name: str) -> None:
    assert kind_of(_video(tmp_path / name)) is Kind.PICTURE


@pytest.mark.parametrize("name", ["x.mp4", "x.MOV", "x.gif", "x.ts"])
@pytest.mark.parametrize("encoding", [".png", ".jpg"])
def test_a_picture_that_is_called_like_a_video_is_one_of_its_folder(
    tmp_path: Path, encoding: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), numbered(1))
    (tmp_path / name).write_bytes(cv2.imencode(encoding, numbered(2))[1].tobytes())
    (job,) = plan_jobs([tmp_path], None, AnnotateOptions())
    assert (job.source, caplog.messages) == (tmp_path, [])
    with PictureReader(tmp_path, Fraction(25)) as reader:
        assert [number_of(frame.image) for frame in reader.frames()] == [1, 2]


@pytest.mark.parametrize(("codec", "pix_fmt", "name"), [("apng", "rgb24", "x.mp4"), ("mjpeg", "yuvj420p", "x.mjpg")])
def test_moving_pictures_that_begin_like_a_still_one_are_a_video(
    tmp_path: Path, codec: str, pix_fmt: str, name: str
) -> None:
    images = [numbered(i) for i in range(6)]
    make_video(tmp_path / "x", images, codec=codec, pix_fmt=pix_fmt, file_format=codec).rename(tmp_path / name)
    assert kind_of(tmp_path / name) is Kind.VIDEO


def test_a_gif_is_a_video_by_its_content_too(tmp_path: Path) -> None:
    make_video(tmp_path / "moving.gif", [numbered(i) for i in range(6)], codec="gif", pix_fmt="rgb8").rename(
        tmp_path / "moving"
    )
    assert kind_of(tmp_path / "moving") is Kind.VIDEO


def test_what_is_left_out_is_counted_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("b.mp4", "a.MTS", "a-gradcam.mp4", "c.mp4.part", "._a.MTS", "cover.jpg"):
        (tmp_path / name).touch()
    for number in range(5):
        (tmp_path / f"notes {number}.txt").write_text("text")
    (tmp_path / "100MEDIA").mkdir()
    with caplog.at_level(logging.WARNING, "live_gradcam"):
        assert _planned(tmp_path) == ["a.MTS", "b.mp4"]
    assert caplog.messages == [
        f"not used from the folder {tmp_path}: 1 picture (cover.jpg); 1 earlier result (a-gradcam.mp4); "
        "1 unfinished file (c.mp4.part); 1 hidden file (._a.MTS); 1 folder (100MEDIA); "
        "5 other files (notes 0.txt, notes 1.txt, notes 2.txt, …)"
    ]


def test_a_folder_of_pictures_says_what_it_leaves_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), numbered(number))
    (tmp_path / "._1.png").write_text("what a Mac leaves behind")
    (tmp_path / "index.csv").write_text("0.png")
    with caplog.at_level(logging.WARNING, "live_gradcam"):
        (job,) = plan_jobs([tmp_path], None, AnnotateOptions())
    assert job.source == tmp_path
    said = f"not used from the folder {tmp_path}: "
    assert caplog.messages == [f"{said}1 hidden file (._1.png); 1 other file (index.csv)"]
    caplog.clear()
    _video(tmp_path / "v.mp4")
    with caplog.at_level(logging.WARNING, "live_gradcam"):
        assert [path.name for path in plan_sources([tmp_path])] == ["0.png", "1.png", "2.png"]
    assert caplog.messages == [f"{said}1 video (v.mp4); 1 hidden file (._1.png); 1 other file (index.csv)"]


def test_a_folder_with_nothing_to_take_says_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as failure:
        plan_jobs([tmp_path], None, AnnotateOptions())
    assert str(failure.value) == f"the folder {tmp_path} has no videos or pictures in it"
    (tmp_path / "notes.txt").write_text("text")
    with pytest.raises(SourceError) as failure:
        plan_jobs([tmp_path], None, AnnotateOptions())
    assert str(failure.value) == (
        f"the folder {tmp_path} has no videos or pictures in it: only 1 other file (notes.txt)"
    )
    (tmp_path / "sub").mkdir()
    with pytest.raises(SourceError) as failure:
        plan_jobs([tmp_path], None, AnnotateOptions())
    assert str(failure.value) == (
        f"the folder {tmp_path} has no videos or pictures in it: only 1 folder (sub); 1 other file (notes.txt). "
        f"Give its folders: {tmp_path}{os.sep}*{os.sep}"
    )


def test_a_folder_of_class_folders_is_given_by_its_folders(tmp_path: Path) -> None:
    for name in ("brick", "grass"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").touch()
    with pytest.raises(SourceError) as failure:
        plan_sources([tmp_path])
    assert str(failure.value) == (
        f"the folder {tmp_path} has no pictures in it: only 2 folders (brick, grass). Give its folders: "
        f"{tmp_path}{os.sep}*{os.sep}"
    )
    assert plan_sources(sorted(tmp_path.iterdir())) == [tmp_path / "brick" / "0.png", tmp_path / "grass" / "0.png"]


@pytest.mark.slow
def test_a_cameras_folder_from_the_command_line(tmp_path: Path) -> None:
    folder = tmp_path / "STREAM"
    folder.mkdir()
    _video(folder / "00000.MTS", "mpegts")
    _video(folder / "00001.MTS", "mpegts")
    (folder / "INDEX.CPI").write_bytes(b"HDMV0100" + bytes(100))
    finished = finish(start_fake("annotate", folder, "-o", tmp_path / "out"))
    assert finished.code == 0, finished
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["00000-gradcam.mp4", "00001-gradcam.mp4"]
    said = [line for line in finished.err.splitlines() if " FPS" not in line]
    assert said == [f"live-gradcam: not used from the folder {folder}: 1 other file (INDEX.CPI)"]
