"""The table of sinks: what each does for an annotated recording, and what another package has to do to add one."""

from __future__ import annotations

import json
import os
from fractions import Fraction
from pathlib import Path

import cv2
import pytest
from command_line import finish, run
from fake_engine import start_fake
from other_packages import install, python_path
from video_files import make_video, number_of, numbered

from live_gradcam.choices import SINKS
from live_gradcam.errors import OutputError
from live_gradcam.sinks.encoding import Encoding
from live_gradcam.sinks.sink import Companion, Extras, Pictures
from live_gradcam.sources.pictures import PictureReader
from live_gradcam.sources.reader import VideoReader

_NAMES = {"h264": "x.mp4", "hevc": "x.mkv", "av1": "x.mp4", "vp9": "x.webm", "gif": "x.gif", "png": "x"}
_PICTURES = Pictures((48, 64), Fraction(10), Fraction(1, 10))


def test_every_codec_is_tried_here() -> None:
    assert list(SINKS.of_this_package) == list(_NAMES)


def _write(path: Path, codec: str, statement: str, *, first: str | None = None) -> Path:
    encoding = Encoding(codec)
    file = encoding.sink.open(path, _PICTURES, encoding, statement=statement if first is None else first)
    for index in range(4):
        file.write(numbered(index), Fraction(index, 10))
    file.finish(statement)
    assert file.frames_written == 4
    assert file.carried == ([], [])
    return path


def _numbers(path: Path) -> list[int]:
    if path.is_dir():
        with PictureReader(path, Fraction(10)) as reader:
            return [number_of(frame.image) for frame in reader.frames()]
    with VideoReader(path) as reader:
        return [number_of(frame.image) for frame in reader.frames()]


@pytest.mark.parametrize("codec", _NAMES)
def test_an_output_gives_its_statement_back(tmp_path: Path, codec: str) -> None:
    """Of several kibibytes, in all kinds of characters, with what looks like the beginning of a GIF's comment."""
    statement = json.dumps({"ü": "!þ猫 " * 900}, ensure_ascii=False)
    path = _write(tmp_path / _NAMES[codec], codec, statement)
    assert SINKS.load(codec).read_statement(path) == statement
    assert _numbers(path) == [0, 1, 2, 3]
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("codec", _NAMES)
def test_a_statement_that_is_another_at_the_end(tmp_path: Path, codec: str) -> None:
    path = _write(tmp_path / _NAMES[codec], codec, "it was cut short", first="it is whole")
    assert SINKS.load(codec).read_statement(path) == "it was cut short"
    assert _numbers(path) == [0, 1, 2, 3]
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("codec", _NAMES)
def test_an_output_without_a_statement(tmp_path: Path, codec: str) -> None:
    sink = SINKS.load(codec)
    assert sink.read_statement(tmp_path / _NAMES[codec]) is None  # it is not there
    assert sink.read_statement(_write(tmp_path / _NAMES[codec], codec, "")) is None


@pytest.mark.parametrize("codec", _NAMES)
def test_what_is_discarded_leaves_nothing(tmp_path: Path, codec: str) -> None:
    encoding = Encoding(codec)
    file = encoding.sink.open(tmp_path / _NAMES[codec], _PICTURES, encoding)
    file.write(numbered(0), Fraction(0))
    assert os.listdir(tmp_path) == [f"{_NAMES[codec]}.part"]
    file.discard()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("codec", [name for name in _NAMES if name != "png"])
def test_a_part_becomes_an_output(tmp_path: Path, codec: str) -> None:
    (tmp_path / "parts").mkdir()
    part = _write(tmp_path / "parts" / _NAMES[codec], codec, "")
    path = tmp_path / _NAMES[codec]
    companion = make_video(tmp_path / "in.mp4", [numbered(0)] * 4, rate=10, audio_codec="aac", audio_seconds=0.4)
    with VideoReader(companion) as reader:
        carried = SINKS.load(codec).join(
            [part], path, Fraction(1, 10), Companion(reader), Extras(reader.others), "how it was made"
        )
    assert SINKS.load(codec).read_statement(path) == "how it was made"
    assert _numbers(path) == [0, 1, 2, 3]
    assert carried.left_out == (["audio aac"] if codec == "gif" else [])
    assert carried.converted == (["audio aac → opus"] if codec == "vp9" else [])


def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    SINKS.load("png").check_replaced(tmp_path / "x")
    (tmp_path / "x" / "holiday.png").touch()
    with pytest.raises(OutputError) as failure:
        SINKS.load("png").check_replaced(tmp_path / "x")
    assert str(failure.value) == f"{tmp_path / 'x'} is a folder that live-gradcam did not write: choose another name"
    for ours in ("provenance.json", "frames.csv", "000000.png", ".DS_Store"):
        (tmp_path / "x" / ours).touch()
    with pytest.raises(OutputError, match=r"x has other files too \(holiday\.png\): move them, or choose another name"):
        SINKS.load("png").check_replaced(tmp_path / "x")
    (tmp_path / "x" / "holiday.png").unlink()
    SINKS.load("png").check_replaced(tmp_path / "x")
    (tmp_path / "x" / ".git").mkdir()
    with pytest.raises(OutputError, match=r"x has other files too \(\.git\)"):
        SINKS.load("png").check_replaced(tmp_path / "x")


# --- from another package -----------------------------------------------------------------------------------------

_MEMBER = '''
import cv2
import numpy as np
from live_gradcam.errors import UsageError
from live_gradcam.files import part_path, publish, remove_part
from live_gradcam.sinks.sink import Carried

class Strip:
    """All frames in one picture, side by side."""

    noun, endings, most_fps, joins = "strip", (".strip",), 30, False

    def check_quality(self, name, crf, preset):
        if crf is not None:
            raise UsageError(f"{name} has no --crf: leave it out")

    def check_replaced(self, path):
        pass

    def open(self, path, pictures, encoding, extras=None, statement=""):
        return OpenStrip(path)

    def join(self, parts, path, time_base, companion, extras, statement):
        part_path(path).write_bytes(parts[0].read_bytes() + statement.encode())
        publish(path)
        return Carried([], [])

    def read_statement(self, path):
        if not path.is_file():
            return None
        _, found, statement = path.read_bytes().partition(b"IEND\\xaeB`\\x82")
        return statement.decode() or None if found else None

class OpenStrip:
    encoder = "strip"
    carried = Carried([], [])

    def __init__(self, path):
        self.path, self.images = path, []

    @property
    def frames_written(self):
        return len(self.images)

    def write(self, image, pts):
        self.images.append(image.copy())

    def write_packet(self, packet):
        pass

    def finish(self, statement):
        part_path(self.path).write_bytes(cv2.imencode(".png", np.hstack(self.images))[1].tobytes() + statement.encode())
        publish(self.path)

    def discard(self):
        remove_part(self.path)

SINK = Strip()
'''


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with a sink, as pip installs it."""
    groups = {"live_gradcam.sinks": ["strip = stranger:SINK"]}
    site = install(tmp_path / "site", "stranger", groups=groups, modules={"stranger": _MEMBER})
    monkeypatch.setenv("PYTHONPATH", python_path(site))


@pytest.mark.slow
@pytest.mark.usefixtures("stranger")
@pytest.mark.parametrize("workers", [[], ["--workers", 2]])
def test_a_sink_of_another_package(tmp_path: Path, workers: list[object]) -> None:
    source = make_video(tmp_path / "in.mp4", [numbered(index, width=48) for index in range(6)], rate=10)
    for name, flags in (("by-its-ending.strip", []), ("named.strip", ["--codec", "strip"])):
        command = ["annotate", source, "-o", tmp_path / name, "--view", "raw", *flags, *workers]
        finished = finish(start_fake(*command))
        assert (finished.code, finished.err) == (0, ""), finished
        strip = cv2.imread(str(tmp_path / name))
        assert [number_of(strip[:, 48 * index : 48 * (index + 1)].copy()) for index in range(6)] == list(range(6))
        finished = finish(start_fake(*command, "--resume"))
        assert (finished.code, finished.out) == (0, f"{tmp_path / name} is done already\n")


@pytest.mark.slow
@pytest.mark.usefixtures("stranger")
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--codec", "strap"], "there is no codec 'strap'; did you mean strip?"),
        (["--codec", "strip", "--crf", 3], "strip has no --crf: leave it out"),
        (["--codec", "strip", "--output-fps", 31], "a strip shows at most 30 frames per second: add --output-fps 25"),
        (["-o", "x.mp4", "--codec", "strip"], "x.mp4 cannot hold strip, only h264 or hevc or av1 or vp9: call it"),
    ],
)
def test_what_is_wrong_with_it_is_a_line(tmp_path: Path, flags: list[object], message: str) -> None:
    source = make_video(tmp_path / "in.mp4", [numbered(0, width=48)] * 3, rate=10)
    finished = finish(start_fake("annotate", source, *flags))
    assert finished.code == 2
    assert finished.err.startswith(f"live-gradcam: {message}")
    assert len(finished.err.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("stranger")
def test_it_is_in_the_help() -> None:
    assert "h264|hevc|av1|vp9|gif|png|strip" in run("annotate", "--help", COLUMNS="200").out
