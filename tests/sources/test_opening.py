"""One opener for all that gives frames: cameras, streams, videos, pictures, and what another package adds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from command_line import finish, run
from fake_engine import start_fake
from mjpeg_server import MjpegServer
from other_packages import install, python_path
from video_files import make_video, number_of, numbered

from live_gradcam.benchmark import file_frames
from live_gradcam.choices import SOURCES
from live_gradcam.errors import SourceError, UsageError
from live_gradcam.evaluating.pictures import plan_sources, read_pictures
from live_gradcam.sinks.image import write_image
from live_gradcam.sources import camera
from live_gradcam.sources.levels import Levels
from live_gradcam.sources.opening import open_recording, open_source
from live_gradcam.sources.options import SourceOptions
from live_gradcam.sources.reader import VideoReader
from live_gradcam.sources.source import is_recording

_TESTS = Path(__file__).parents[1]


def _shots(folder: Path, count: int = 6, *, size: int = 48) -> Path:
    folder.mkdir()
    for number in range(count):
        write_image(folder / f"{number:04d}.png", numbered(number, height=size, width=size))
    return folder


def _frames(uri: str | Path, options: SourceOptions | None = None) -> list[tuple[int, int, Fraction]]:
    """Number, index and time of each frame."""
    with open_source(uri, options or SourceOptions()) as source:
        return [(number_of(frame.image), frame.index, frame.pts) for frame in source.frames()]


# --- each kind ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [str, Path])
def test_a_video(tmp_path: Path, kind: Callable[[Path], str | Path]) -> None:
    path = make_video(tmp_path / "a.mp4", [numbered(i) for i in range(5)], rate=10)
    assert _frames(kind(path)) == [(i, i, Fraction(i, 10)) for i in range(5)]
    with open_source(kind(path)) as source:
        assert is_recording(source)
        assert (source.name, source.is_live, source.frame_rate) == (str(path), False, 10)
        assert (source.begin, source.duration, source.expected_frames) == (0, 0.5, 5)
        assert [frame.index for frame in source.frames(start=Fraction(3, 10))] == [0, 1]


@pytest.mark.parametrize("before", ["file://", "FILE://", "file://localhost"])
@pytest.mark.parametrize("kind", [str, Path])
def test_the_address_of_a_file_is_the_file(tmp_path: Path, before: str, kind: Callable[[str], str | Path]) -> None:
    if kind is Path and before.endswith("localhost"):
        pytest.skip("a path has lost the slashes that tell a host from a folder")
    path = make_video(tmp_path / "a b é.mp4", [numbered(i) for i in range(5)], rate=10)
    address = kind(f"{before}{quote(str(path))}")
    assert _frames(address) == [(i, i, Fraction(i, 10)) for i in range(5)]
    with open_recording(address) as source:
        assert (source.name, source.is_live) == (str(path), False)


@pytest.mark.parametrize("name", ["shots", "shots/%04d.png", "shots/%d.png"])
@pytest.mark.parametrize("kind", [str, Path])
def test_pictures(tmp_path: Path, name: str, kind: Callable[[Path], str | Path]) -> None:
    _shots(tmp_path / "shots")
    path = kind(tmp_path / name)
    assert _frames(path) == [(i, i, Fraction(i, 25)) for i in range(6)]
    assert _frames(path, SourceOptions(picture_fps=Fraction(10))) == [(i, i, Fraction(i, 10)) for i in range(6)]
    with open_source(path) as source:
        assert is_recording(source)
        assert (source.name, source.is_live, source.frame_rate, source.expected_frames) == (str(path), False, 25, 6)


def test_the_rate_of_pictures_means_nothing_to_a_video(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", [numbered(i) for i in range(5)], rate=10)
    with open_source(path, SourceOptions(picture_fps=Fraction(10))) as source:
        assert source.notes == [f"{path} is a video, so --picture-fps is not used"]
    with open_source(path) as source:
        assert source.notes == []


@pytest.mark.parametrize("rate", [10, 10.0, "10"])
def test_rates_of_any_numbers_are_exact(tmp_path: Path, rate: Any) -> None:
    frames = _frames(_shots(tmp_path / "shots"), SourceOptions(picture_fps=rate))
    assert [pts for _, _, pts in frames] == [Fraction(i, 10) for i in range(6)]
    assert all(isinstance(pts, Fraction) for _, _, pts in frames)
    assert SourceOptions(source_fps=29.97).source_fps == Fraction(2997, 100)  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [0, -25, 1001, float("nan"), float("inf"), "fast", Fraction(0)])
def test_rates_that_are_none_are_refused(rate: Any) -> None:
    for name in ("source_fps", "picture_fps"):
        with pytest.raises(UsageError) as caught:
            SourceOptions(**{name: rate})
        assert str(caught.value) == (
            f"--{name.replace('_', '-')} '{rate}' is not a frame rate: give a number such as 25, 29.97 or 30000/1001"
        )


def test_a_picture(tmp_path: Path) -> None:
    folder = _shots(tmp_path / "shots")
    assert _frames(str(folder / "0003.png")) == [(3, 0, Fraction(0))]


def test_levels_are_for_pictures(tmp_path: Path) -> None:
    write_image(tmp_path / "deep.png", np.full((8, 8, 3), 100, np.uint16))
    with open_source(tmp_path / "deep.png", SourceOptions(levels=Levels(0, 200))) as source:
        assert [frame.image.max() for frame in source.frames()] == [128]
        assert list(source.notes) == []
    with open_source(tmp_path / "deep.png") as source:
        assert [frame.image.max() for frame in source.frames()] == [100]
        assert [note.split(":")[0] for note in source.notes] == [
            f"{tmp_path / 'deep.png'} has values from 100 to 100 (8 of 16 bits)"
        ]
    path = make_video(tmp_path / "a.mp4", [numbered(0)])
    for source_name, what in ((str(path), f": {path} is a video"), ("7", ", and 7 is live: leave it out")):
        with pytest.raises(UsageError) as caught:
            open_source(source_name, SourceOptions(levels=Levels(0, 200)))
        assert str(caught.value) == f"--levels is for pictures{what}"


def test_a_stream() -> None:
    with MjpegServer([numbered(i) for i in range(10)], fps=50) as server, open_source(server.url) as source:
        assert (source.name, source.is_live, source.frame_rate, is_recording(source)) == (server.url, True, None, False)
        frames = source.frames()
        taken = [next(frames) for _ in range(5)]
    assert [number_of(frame.image) for frame in taken] == [frame.index for frame in taken] == list(range(5))


def test_a_stream_whose_scheme_is_in_capitals() -> None:
    with MjpegServer([numbered(i) for i in range(10)], fps=50) as server:
        address = server.url.replace("http", "HTTP", 1)
        with open_source(address) as source:
            assert number_of(next(source.frames()).image) == 0


def test_a_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    released = []

    class Camera:
        def __init__(self, *_: Any) -> None:
            self._left = 3

        def isOpened(self) -> bool:  # noqa: N802
            return True

        def set(self, *_: Any) -> None:
            pass

        def read(self) -> tuple[bool, Any]:
            self._left -= 1
            return self._left >= 0, numbered(max(0, self._left))

        def release(self) -> None:
            released.append(True)

    monkeypatch.setattr(camera.cv2, "VideoCapture", Camera)
    with open_source("3") as source:
        assert (source.name, source.is_live, is_recording(source)) == ("3", True, False)
        frames = source.frames()
        assert [number_of(next(frames).image) for _ in range(3)] == [2, 1, 0]
        with pytest.raises(SourceError, match=r"^the source 3 stopped after 3 frames$"):
            next(frames)
    assert released == [True]


# --- recordings only ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("uri", ["0", "rtsp://user:secret@host/a", "/dev/null/no"])
def test_what_is_no_recording(uri: str) -> None:
    with pytest.raises(SourceError) as caught:
        open_recording(uri)
    shown = uri.replace("secret", "***")
    assert str(caught.value) in (
        f"{shown} is live and no recording: use live-gradcam live for it",
        f"cannot read {shown}: Not a directory",
    )


def test_a_file_and_a_folder_that_are_called_like_a_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_video(Path("7.mp4"), [numbered(i) for i in range(3)]).rename("7")
    _shots(Path("8"))
    with open_recording(Path("7")) as video, open_recording(Path("8")) as pictures:
        assert [number_of(frame.image) for frame in video.frames()] == [0, 1, 2]
        assert pictures.expected_frames == 6


def test_what_nobody_can_open() -> None:
    with pytest.raises(UsageError, match=r"^the source is an empty text: "):
        open_source("")
    for name in (300 * "x", f"{300 * 'x'} ! appsink", f"{300 * 'x'}%d.png"):
        with pytest.raises((SourceError, UsageError), match=r"^(cannot read x|there are no pictures x|GStreamer)"):
            open_source(name)


# --- folders ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_folder_of_videos_is_told_to_name_one(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.mp4"):
        make_video(tmp_path / name, [numbered(0)])
    said = f"{tmp_path} is a folder of videos: give one of them, such as {tmp_path / 'a.mp4'}"
    with pytest.raises(SourceError) as caught:
        open_source(tmp_path)
    assert str(caught.value) == said
    finished = run("live", tmp_path, "--headless")
    assert (finished.code, finished.out, finished.err) == (1, "", f"live-gradcam: {said}\n")


def test_videos_among_pictures_are_left_out_and_named(tmp_path: Path) -> None:
    folder = _shots(tmp_path / "shots", 2)
    make_video(folder / "a.mp4", [numbered(9)])
    with open_source(folder) as source:
        assert [number_of(frame.image) for frame in source.frames()] == [0, 1]
        assert list(source.notes) == [f"{folder} has videos too, which are not used: a.mp4"]


# --- the commands -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_live_of_a_folder_gives_all_frames_at_their_times(tmp_path: Path, quick_network: list[str]) -> None:
    folder = _shots(tmp_path / "shots", 12, size=96)
    (folder / "0004.png").write_text("not a picture")
    recorded = tmp_path / "seen.mp4"
    finished = run(
        "live", folder, "--headless", "--every-frame", "--picture-fps", 8, "--source-fps", 3,
        "--record", recorded, "--record-clean", *quick_network,
    )  # fmt: skip
    assert finished.code == 0, finished
    assert finished.out.startswith("11 frames explained at ")
    assert [line for line in finished.err.splitlines() if "the map is empty" not in line] == [
        f"live-gradcam: {folder} has pictures, which come at --picture-fps, so --source-fps is not used",
        f"live-gradcam: {folder} is damaged: 1 picture cannot be read (0004.png)",
    ]
    with VideoReader(recorded) as reader:
        seen = [(number_of(frame.image), frame.pts) for frame in reader.frames()]
    assert seen == [(number, Fraction(number, 8)) for number in range(12) if number != 4]


def test_bench_goes_over_pictures_again_and_again(tmp_path: Path) -> None:
    stream = file_frames(_shots(tmp_path / "shots", 3), SourceOptions(picture_fps=Fraction(10)))
    frames = [next(stream) for _ in range(7)]
    assert [number_of(frame.image) for frame in frames] == [0, 1, 2, 0, 1, 2, 0]
    assert [(frame.index, frame.pts) for frame in frames] == [(i, Fraction(i, 10)) for i in range(7)]


def test_evaluate_takes_numbered_pictures(tmp_path: Path) -> None:
    folder = _shots(tmp_path / "shots", 3)
    files = plan_sources([folder / "%04d.png"])
    assert files == [folder / f"{number:04d}.png" for number in range(3)]
    assert [number_of(picture.image) for file in files for picture in read_pictures(file, None)] == [0, 1, 2]


# --- other packages -----------------------------------------------------------------------------------------------

_PACKAGE = """
import time
from fractions import Fraction

from live_gradcam.errors import SourceError
from live_gradcam.sources.frame import Frame
from live_gradcam.sources.source import FrameSource, Recording
from video_files import numbered

PERIOD = Fraction(1, 20)


class Frames(FrameSource):
    def __init__(self, uri):
        self.name = uri

    def frames(self):
        for index in range(12):
            yield Frame(numbered(index), index, index * PERIOD, time.monotonic())


class Thing(Recording):
    frame_rate, time_base = 1 / PERIOD, PERIOD

    def __init__(self, uri):
        self.name = uri

    def frames(self, *, start=None, end=None, on_packet=None):
        count = 0
        for number in range(12):
            pts = number * PERIOD
            if (start is None or pts >= start) and (end is None or pts < end):
                yield Frame(numbered(number, width=48), count, pts, time.monotonic())
                count += 1


class Opener:
    is_live = False

    def matches(self, uri):
        return uri.startswith("myproto://")

    def open(self, uri, options):
        if uri.endswith("missing"):
            raise SourceError(f"there is no {uri}")
        return Thing(uri) if uri.endswith("thing") else Frames(uri)


SOURCE = Opener()
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with a source, for the processes that the test starts in a folder of its own."""
    groups = {"live_gradcam.sources": ["myproto = my_sources:SOURCE"]}
    site = install(tmp_path / "site", "my-sources", groups=groups, modules={"my_sources": _PACKAGE})
    monkeypatch.setenv("PYTHONPATH", python_path(site, _TESTS, _TESTS.parent))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return site


@pytest.mark.slow
def test_a_source_of_another_package_in_live(installed: Path, quick_network: list[str]) -> None:
    for name in ("frames", "thing"):
        flags = ["--headless", "--every-frame", "--record", f"{name}.mp4", "--record-clean"]
        finished = run("live", f"myproto://{name}", *flags, *quick_network)
        assert finished.code == 0, finished
        assert finished.out.startswith("12 frames explained at ")
        with VideoReader(f"{name}.mp4") as reader:
            seen = [(number_of(frame.image), frame.pts) for frame in reader.frames()]
        assert seen == [(number, Fraction(number, 20)) for number in range(12)]


@pytest.mark.slow
def test_a_recording_of_another_package_in_annotate(installed: Path) -> None:
    command = ["annotate", "myproto://a/thing", "--layout", "raw", "--start", "0.1", "--levels", "0:4095"]
    finished = finish(start_fake(*command))
    assert finished.code == 0, finished
    assert [path.name for path in Path().iterdir()] == ["thing-gradcam.mp4"]
    with VideoReader("thing-gradcam.mp4") as reader:
        seen = [(number_of(frame.image), frame.pts) for frame in reader.frames()]
    assert seen == [(number + 2, Fraction(number, 20)) for number in range(10)]
    again = finish(start_fake(*command, "--resume"))
    assert (again.code, again.out) == (0, "thing-gradcam.mp4 is done already\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("frames", "myproto://frames gives frames but is no recording: use live-gradcam live for it"),
        ("missing", "there is no myproto://missing"),
    ],
)
def test_annotate_takes_recordings_only(installed: Path, name: str, said: str) -> None:
    finished = finish(start_fake("annotate", f"myproto://{name}"))
    assert (finished.code, finished.out, finished.err) == (1, "", f"live-gradcam: {said}\n")
    assert list(Path().iterdir()) == []


_EVERYWHERE = """
from itertools import islice
from pathlib import Path

from live_gradcam.benchmark import file_frames
from live_gradcam.choices import SOURCES
from live_gradcam.evaluating.pictures import plan_sources, read_pictures

print(SOURCES.helps["myproto"])
print([frame.index for frame in islice(file_frames("myproto://frames"), 14)])
(file,) = plan_sources([Path("myproto://a/thing")])
print([picture.name for picture in read_pictures(file, 5)])
"""


@pytest.mark.slow
def test_a_source_of_another_package_in_bench_and_evaluate(installed: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _EVERYWHERE], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "from the package my-sources",
        str(list(range(14))),
        "['thing#0', 'thing#5', 'thing#10']",
    ]
    assert "Also, from other packages: myproto." in " ".join(run("live", "--help", COLUMNS="300").out.split())
    finished = run("explain", "myproto://a/thing")
    assert finished.code == 2
    assert finished.err.startswith("live-gradcam: myproto://a/thing is an address, and explain reads files")


def test_a_package_that_cannot_be_imported_stops_no_other_source(installed: Path) -> None:
    (installed / "my_sources.py").write_text("import nowhere_to_be_found")
    code = "from live_gradcam.sources.opening import open_source; print(open_source('a.png').expected_frames)"
    write_image("a.png", numbered(0))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
    assert done.stderr == (
        "the kind of source myproto from the package my-sources cannot be loaded: "
        "No module named 'nowhere_to_be_found'\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("class Opener:\n    is_live = False\n    def matches(self, uri):\n        raise OSError('no network')\n"
         "SOURCE = Opener()", "no network"),
        ("SOURCE = object()", "'object' object has no attribute 'matches'"),
    ],
)  # fmt: skip
def test_a_source_that_fails_when_it_is_asked_stops_no_other(installed: Path, content: str, why: str) -> None:
    groups = {"live_gradcam.sources": ["bad = bad:SOURCE", "myproto = my_sources:SOURCE"]}
    install(installed, "my-sources", groups=groups, modules={"bad": content})
    make_video(Path("a.mp4"), [numbered(i, width=48) for i in range(3)])
    said = f"live-gradcam: the kind of source bad from the package my-sources is left out: it fails with {why}\n"
    for source in ("a.mp4", "myproto://a/thing"):
        finished = finish(start_fake("annotate", source, "--layout", "raw"))
        assert (finished.code, finished.err) == (0, said), finished


def test_the_kinds_of_sources() -> None:
    assert SOURCES.of_this_package == ("camera", "stream", "pictures", "video")
    for name in SOURCES.of_this_package:
        opener = SOURCES.load(name)
        assert opener.is_live is (name in ("camera", "stream"))
        assert (
            next(uri for uri in ("0", "rtsp://host/a", "a.png", "a.mp4") if opener.matches(uri))
            == {
                "camera": "0",
                "stream": "rtsp://host/a",
                "pictures": "a.png",
                "video": "0",  # it takes everything, and is asked last
            }[name]
        )
