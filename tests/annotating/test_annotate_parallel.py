"""Several processes, or a cluster: the result is that of one process."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import keras
import numpy as np
import pytest
from command_line import AT_ONCE, Finished, environment, finish, run, start
from fake_engine import start_fake, statement_of
from video_files import audio_packets, cut, make_video, number_of, numbered

from live_gradcam.annotating.jobs import AnnotateJob
from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.annotating.segments import Segment
from live_gradcam.annotating.segments import cut as cut_in_segments
from live_gradcam.sinks.encoding import Encoding
from live_gradcam.sources.reader import VideoReader

pytestmark = pytest.mark.slow

NUMBERS = ("n.jsonl", "n.csv", "n.npz")


def make_source(path: Path, count: int = 240, **options: Any) -> Path:
    """Of some seconds, with a key frame every second and pictures that refer to later ones, and with sound."""
    images = [numbered(index % 256, width=options.pop("width", 48), noise=12) for index in range(count)]
    codec_options = {"g": "25", "sc_threshold": "0", "bf": "3"}
    return make_video(path, images, codec_options=codec_options, audio_codec="aac", audio_seconds=count / 25, **options)


def arguments(source: Path, folder: Path, *more: Any, output: str = "out.mp4") -> list[Any]:
    lines, table, maps = (folder / name for name in NUMBERS)
    command = ["annotate", source, "-o", folder / output, "--jsonl", lines, "--csv", table, "--heatmaps", maps]
    return [*command, *more]


def complaints(finished: Finished) -> list[str]:
    """What was told, but for how far it is, which depends on how slow the machine is."""
    return [line for line in finished.err.splitlines() if " FPS" not in line]


def frames_of(path: Path) -> list[tuple[int, Fraction]]:
    with VideoReader(path) as reader:
        frames = [(number_of(frame.image), frame.pts) for frame in reader.frames()]
        assert not reader.loss
    return frames


def assert_same(one: Path, other: Path, output: str = "out.mp4") -> None:
    """The numbers byte for byte; of the output the frames' number, times and pictures, and the packets of the sound."""
    for name in NUMBERS:
        if name.endswith(".npz"):  # a zip has the time of its making in it
            with np.load(one / name) as arrays, np.load(other / name) as others:
                assert list(arrays) == list(others)
                for array in arrays:
                    assert arrays[array].tobytes() == others[array].tobytes()
        else:
            assert (one / name).read_bytes() == (other / name).read_bytes()
    with VideoReader(one / output) as first, VideoReader(other / output) as second:
        frames, others = list(first.frames()), list(second.frames())
        assert [frame.pts for frame in frames] == [frame.pts for frame in others]
        assert first.others == second.others == [] or audio_packets(one / output) == audio_packets(other / output)
        for frame, same in zip(frames, others, strict=True):
            assert np.abs(frame.image.astype(int) - same.image).mean() < 6  # encoded from other key frames on
    assert statement_of(one / output) == statement_of(other / output) is not None
    assert sorted(os.listdir(other)) == sorted([output, *NUMBERS])


def _said(finished: Finished) -> str:
    """What it said, without the lines every ten seconds of how far it is: how many there are, the machine decides."""
    return "".join(line for line in finished.err.splitlines(keepends=True) if not line.endswith(" s to go\n"))


def both(tmp_path: Path, source: Path, *more: Any, output: str = "out.mp4") -> tuple[Path, Path, Finished]:
    """Annotate with the fake engine, in one process and in two workers."""
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    finished = finish(start_fake(*arguments(source, one, *more, output=output), "--json", "-"))
    assert finished.code in (0, 1), finished
    parallel = finish(start_fake(*arguments(source, two, *more, "--workers", 2, output=output), "--json", "-"))
    assert parallel.code == finished.code
    same = ("status", "frames", "explained", "corrupt_packets", "missing_seconds", "encoder", "converted", "left_out")
    (file,), (parallel_file,) = (json.loads(one_.out)["files"] for one_ in (finished, parallel))
    assert {name: file[name] for name in same} == {name: parallel_file[name] for name in same}
    assert _said(parallel).replace(str(two), str(one)) == _said(finished)
    return one, two, parallel


# --- segments -----------------------------------------------------------------------------------------------------


def segments(source: Path, output: str = "out.mp4", workers: int = 2, **options: Any) -> list[Segment]:
    return cut_in_segments(AnnotateJob(source, source.with_name(output)), AnnotateOptions(**options), workers)


def test_a_recording_is_cut_at_key_frames(tmp_path: Path) -> None:
    source = make_source(tmp_path / "in.mp4")
    assert segments(source) == [  # each a quarter of 9.6 s, or longer
        Segment(None, Fraction(3), 0, 75),
        Segment(Fraction(3), Fraction(6), 75, 75),
        Segment(Fraction(6), Fraction(9), 150, 75),
        Segment(Fraction(9), None, 225, None),
    ]
    assert segments(source, start=Fraction("3.5"), end=Fraction("5.5")) == [
        Segment(Fraction("3.5"), Fraction(5), 0, 37),
        Segment(Fraction(5), Fraction("5.5"), 37, None),
    ]
    assert len(segments(source, workers=100)) == 10  # none shorter than a second


@pytest.mark.parametrize("output", ["out.gif", "out.mp4"])
def test_what_is_not_cut(tmp_path: Path, output: str) -> None:
    source = make_source(tmp_path / "in.mp4")
    options: dict[str, Any] = {} if output == "out.gif" else {"output_fps": Fraction(10)}
    assert segments(source, output, **options) == [Segment(None, None, 0, None)]
    assert segments(source, encoding=Encoding("h264")) != [Segment(None, None, 0, None)]


# --- processes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        ["--smooth", 0.4, "--box", "--batch", 2],
        ["--stride", 3, "--batch", 2, "--start", "1.3", "--end", "8.1", "-c", 4, "-c", 9, "--size", "96x"],
        ["--output-fps", 12, "--view", "panels", "--codec", "vp9"],
    ],
    ids=str,
)
def test_two_workers_give_what_one_process_gives(tmp_path: Path, options: list[Any]) -> None:
    source = make_source(tmp_path / "in.mp4")
    output = "out.webm" if "vp9" in options else "out.mp4"
    one, two, _ = both(tmp_path, source, *options, output=output)
    assert_same(one, two, output)


@pytest.mark.parametrize("ending", ["mkv", "gif"])
def test_other_files_of_two_workers(tmp_path: Path, ending: str) -> None:
    source = make_source(tmp_path / "in.mkv")
    one, two, _ = both(tmp_path, source, "--view", "raw", output=f"out.{ending}")
    assert [number for number, _ in frames_of(two / f"out.{ending}")] == list(range(240))
    assert frames_of(one / f"out.{ending}") == frames_of(two / f"out.{ending}")
    assert (one / "n.jsonl").read_bytes() == (two / "n.jsonl").read_bytes()


def test_the_timecode_of_the_first_frame(tmp_path: Path) -> None:
    """Of a track in MP4; it moves on with the span's start."""
    source = make_source(tmp_path / "in.mp4", metadata={"timecode": "01:00:59:20"})
    for output in both(tmp_path, source, "--view", "raw", "--start", "1")[:2]:
        with av.open(str(output / "out.mp4")) as container:
            assert container.streams.video[0].metadata["timecode"] == "01:01:00:20"


def test_a_variable_frame_rate_with_two_workers(tmp_path: Path) -> None:
    ticks = np.cumsum(np.random.default_rng(0).choice([300, 3600, 7000], 200)) + 5000
    source = make_source(tmp_path / "in.mp4", 200, ticks=[int(tick) for tick in ticks], time_base=Fraction(1, 90_000))
    one, two, _ = both(tmp_path, source, "--view", "raw")
    assert_same(one, two)
    assert frames_of(source) == frames_of(two / "out.mp4")


@pytest.mark.parametrize("damage", ["cut", "overwritten"])
def test_a_damaged_recording_with_two_workers(tmp_path: Path, damage: str) -> None:
    source = make_source(tmp_path / "in.mp4", 120, container_options={"movflags": "+faststart"})
    if damage == "cut":
        cut(source, 0.6)
    else:
        content = bytearray(source.read_bytes())
        for at in range(len(content) // 2, len(content) // 2 + 6000, 7):
            content[at] ^= 0xFF
        source.write_bytes(bytes(content))
    one, two, finished = both(tmp_path, source)
    assert finished.code == 1
    assert_same(one, two)


@pytest.mark.versions
def test_a_batch_with_two_workers(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name, count in (("a.mp4", 60), ("b.mkv", 10)):
        make_source(folder / name, count)
    (folder / "none.avi").write_text("not a video")
    finished = finish(start_fake("annotate", folder, "-o", out, "--jsonl", out, "--workers", 2, "--json", "-"))
    assert finished.code == 1
    assert len(finished.err.splitlines()) == 1
    assert "none.avi is not a video" in finished.err
    files = json.loads(finished.out)["files"]
    assert {Path(file["source"]).name: (file["status"], file.get("frames")) for file in files} == {
        "none.avi": ("failed", None),
        "a.mp4": ("done", 60),
        "b.mkv": ("done", 10),
    }
    assert sorted(os.listdir(out)) == ["a-gradcam.mp4", "a.jsonl", "b-gradcam.mp4", "b.jsonl"]


def test_a_span_without_frames_with_two_workers(tmp_path: Path) -> None:
    source, out = make_source(tmp_path / "in.mp4", 50), tmp_path / "out"
    finished = finish(start_fake("annotate", source, "-o", out / "x.mp4", "--start", 7, "--workers", 2))
    said = "has no readable frame that begins at --start 7 s or later: give an earlier time"
    assert finished.err == f"live-gradcam: {source} {said}\n"
    assert (finished.code, os.listdir(out)) == (1, [])


def test_what_is_where_the_parts_of_two_workers_go(tmp_path: Path) -> None:
    """Parts of a run that was killed are removed; all else is kept, and the recording is not begun."""
    source = make_source(tmp_path / "in.mp4")
    parts = tmp_path / "out.mp4.parts"
    parts.mkdir()
    (parts / "000000.mp4").write_text("of a run that was killed")
    (parts / "keep.txt").write_text("precious")
    refused = finish(start_fake(*arguments(source, tmp_path, "--workers", 2)))
    assert (refused.code, len(complaints(refused))) == (1, 1), refused.err
    assert "out.mp4.parts has files of your own" in refused.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4.parts"]
    assert (parts / "keep.txt").read_text() == "precious"
    (parts / "keep.txt").unlink()
    done = finish(start_fake(*arguments(source, tmp_path, "--workers", 2)))
    assert done.code == 0, done.err
    assert not parts.exists()


def test_an_engine_that_does_not_start_in_two_workers(tmp_path: Path) -> None:
    source, out = make_source(tmp_path / "in.mp4", 50), tmp_path / "out"
    finished = finish(start_fake("annotate", source, "-o", out / "x.mp4", "--input-size", 64, "--workers", 2))
    assert (finished.code, finished.err) == (2, "live-gradcam: the network runs at no other size\n")
    assert os.listdir(out) == []


# --- a network, on this machine and on a cluster -- ----------------------------------------------------------------

#: With all that depends on the frames before: smoothing, boxes that are steady, maps that are held, groups of frames.
#: Encoded so well that what is lost of the source's noise stays far below what `assert_same` allows.
OPTIONS = ["--smooth", 0.4, "--box", "--stride", 3, "--batch", 2, "--start", 1, "--end", "8.5", "--threads", 1]
OPTIONS += ["--crf", 12, "--tune", "off"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, quick_network: list[str]) -> tuple[Path, Path]:
    """A recording, and the folder with what one process makes of it."""
    folder = tmp_path_factory.mktemp("alone")
    source = make_source(tmp_path_factory.mktemp("source") / "in.mp4", width=96)
    finished = run(*arguments(source, folder, *OPTIONS, *quick_network))
    assert (finished.code, complaints(finished)) == (0, [])
    return source, folder


def test_two_workers_with_a_network(tmp_path: Path, alone: tuple[Path, Path], quick_network: list[str]) -> None:
    source, expected = alone
    finished = run(*arguments(source, tmp_path, *OPTIONS, *quick_network, "--workers", 2))
    assert (finished.code, complaints(finished)) == (0, [])
    assert_same(expected, tmp_path)


def test_what_two_workers_have_to_say_is_said_once(tmp_path: Path) -> None:
    image = keras.Input((32, 48, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3, kernel_initializer="ones", name="last")(image))
    dense = keras.layers.Dense(1, kernel_initializer=keras.initializers.Constant(-1.0))
    keras.Model(image, dense(x)).save(tmp_path / "falling.keras")
    source = make_source(tmp_path / "in.mp4", 100)
    command = ["annotate", source, "-m", tmp_path / "falling.keras", "-o", tmp_path / "out.mp4", "--overwrite"]
    command += AT_ONCE
    for workers in (1, 2):
        finished = run(*command, "--workers", workers, "--fit", "stretch")
        assert finished.code == 0
        for said in (
            "is a guess: set yours",
            "the map is empty: at last nothing speaks for value",
            "with unit pixels, a guess",
        ):
            assert finished.err.count(said) == 1, finished.err


RAY = Path(sys.executable).with_name("ray")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def cluster() -> Iterator[tuple[str, dict[str, str]]]:
    """The address of a cluster of two cores, and what is in the environment of those that may use it."""
    pytest.importorskip("ray")
    address = f"127.0.0.1:{free_port()}"
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # a socket's path must be short
    access = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
    options = ["--num-cpus=2", "--node-ip-address=127.0.0.1", f"--port={address.partition(':')[2]}"]
    head = subprocess.Popen(
        [RAY, "start", "--head", "--block", *options, "--include-dashboard=false", f"--temp-dir={folder}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(**access),
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not can_connect(address):
            assert head.poll() is None
            time.sleep(0.2)
        yield address, access
    finally:
        os.killpg(head.pid, signal.SIGKILL)
        head.wait()
        for number in of_cluster(folder):
            os.kill(number, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


def can_connect(address: str) -> bool:
    host, _, port = address.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def command_lines() -> dict[int, str]:
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:  # it has just ended
                continue
    return found


def of_cluster(folder: Path) -> list[int]:
    """Processes that still work for a cluster whose files lie in a folder."""
    return [number for number, line in command_lines().items() if str(folder) in line and number != os.getpid()]


def actors() -> list[int]:
    """The workers at work, by what Ray calls their processes."""
    return [number for number, line in command_lines().items() if line.startswith("ray::_Actor.run")]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_a_cluster_that_loses_a_worker_half_way(
    tmp_path: Path, alone: tuple[Path, Path], quick_network: list[str], cluster: Any
) -> None:
    source, expected = alone
    address, access = cluster
    process = start(*arguments(source, tmp_path, *OPTIONS, *quick_network, "--cluster", address), **access)
    deadline = time.monotonic() + 100
    while len(actors()) != 2 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()
    time.sleep(0.5)
    victim = actors()[0]
    os.kill(victim, signal.SIGKILL)
    finished = finish(process)
    assert (finished.code, complaints(finished)) == (0, [])
    assert victim not in command_lines()
    assert_same(expected, tmp_path)


@pytest.mark.versions
def test_a_cluster_that_is_not_there(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    source = make_source(tmp_path / "in.mp4", 10)
    address = f"127.0.0.1:{free_port()}"
    begun = time.monotonic()
    finished = run("annotate", source, "-o", tmp_path / "out.mp4", "--cluster", address)
    assert finished.code == 1
    assert finished.err.startswith(f"live-gradcam: the cluster {address} cannot be reached: ")
    assert len(finished.err.splitlines()) == 1
    assert time.monotonic() - begun < 60
    assert os.listdir(tmp_path) == ["in.mp4"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--workers", 2, "--cluster", "auto"],
            "--workers and --cluster do not go together: give one of them",
        ),
        (
            ["--workers", 2, "--codec", "png"],
            "a folder of pictures is written by one process: leave out --workers and --cluster",
        ),
        (
            ["--cluster", "local", "--codec", "png"],
            "a folder of pictures is written by one process: leave out --workers and --cluster",
        ),
    ],
)
def test_workers_that_do_not_go(tmp_path: Path, flags: list[Any], message: str) -> None:
    source = make_source(tmp_path / "in.mp4", 10)
    finished = finish(start_fake("annotate", source, "-o", tmp_path / "out", *flags))
    assert (finished.code, finished.out, finished.err) == (2, "", f"live-gradcam: {message}\n")
    assert os.listdir(tmp_path) == ["in.mp4"]
