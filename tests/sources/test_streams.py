"""Real streams on the network: RTSP from GStreamer's server, and MPEG-TS by UDP."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from queue import Queue
from typing import Any

import av
import numpy as np
import pytest
from command_line import run
from turning_sender import SIZE, TURNED_SIZE
from video_files import make_video, number_of, numbered

from live_gradcam.sources import stream
from live_gradcam.sources.capture import Capture
from live_gradcam.sources.frame import Frame
from live_gradcam.sources.reader import VideoReader

pytestmark = pytest.mark.slow

_SYSTEM_PYTHON = "/usr/bin/python3"
_SERVER = Path(__file__).parents[1] / "gstreamer_rtsp.py"
_TURNING = Path(__file__).parents[1] / "turning_sender.py"
_PACKAGES = "gir1.2-gst-rtsp-server-1.0 python3-gi"
_PATIENCE = 120
_RATE = 25
_HEIGHT, _WIDTH = 144, 192
_NUMBER = slice(_HEIGHT // 3, 2 * _HEIGHT // 3)
#: BGR, as their places in a picture: top left, top right, bottom left, bottom right.
_COLOURS = ((0, 0, 220), (0, 200, 0), (220, 0, 0), (235, 235, 235))
#: Of eight bits of 4:2:0 that a codec rounds.
_TOLERANCE = 16
_OFTEN_FROM_NEW = {"g": "10", "bf": "0", "preset": "ultrafast", "crf": "18"}


def _has_server() -> bool:
    return (
        Path(_SYSTEM_PYTHON).exists()
        and not subprocess.run([_SYSTEM_PYTHON, str(_SERVER), "--check"], capture_output=True).returncode
    )


_needs_server = pytest.mark.skipif(not _has_server(), reason=f"needs apt-get install {_PACKAGES}; .ci/run does that")


def _picture(index: int) -> np.ndarray:
    """A picture with a colour in each corner and a number across its middle."""
    image = np.zeros((_HEIGHT, _WIDTH, 3), np.uint8)
    for place, colour in zip(_corners(image), _COLOURS, strict=True):
        image[place] = colour
    image[_NUMBER] = numbered(index % 256, height=_HEIGHT // 3, width=_WIDTH)
    return image


def _corners(image: np.ndarray) -> list[tuple[slice, slice]]:
    half, third = image.shape[1] // 2, image.shape[0] // 3
    return [
        (rows, columns) for rows in (slice(third), slice(-third, None)) for columns in (slice(half), slice(half, None))
    ]


def _check(image: np.ndarray) -> int:
    """Make sure that a picture is one of `_picture`, whole and with its colours; returns its number."""
    assert image.shape == (_HEIGHT, _WIDTH, 3)
    for place, colour in zip(_corners(image), _COLOURS, strict=True):
        inner = image[place][8:-8, 8:-8].reshape(-1, 3)
        assert np.abs(inner.mean(axis=0) - colour).max() < _TOLERANCE, (inner.mean(axis=0), colour)
    return number_of(image[_NUMBER])


def _follow(numbers: Sequence[int]) -> bool:
    """Whether no picture is left out: they count to 255 and begin again."""
    return all((after - before) % 256 == 1 for before, after in pairwise(numbers))


def _wait_for_outage(source: Capture) -> None:
    deadline = time.monotonic() + _PATIENCE
    while source.outage is None:
        assert time.monotonic() < deadline, "the source is gone, and nobody sees it"
        time.sleep(0.01)


# --- RTSP ---------------------------------------------------------------------------------------------------------


class _RtspServer:
    """GStreamer's server in a process of its own. Use as a context manager.

    Attributes:
        url: of the stream; the same after `restart`.
    """

    def __init__(self, recording: Path) -> None:
        self._recording = recording
        self._port = 0

    def restart(self) -> None:
        """Start it, at the port that it had before."""
        command = [_SYSTEM_PYTHON, str(_SERVER), str(self._recording), str(self._port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._port = int(self._process.stdout.readline())
        self.url = f"rtsp://127.0.0.1:{self._port}/stream"

    def kill(self) -> None:
        """End it without a goodbye, as a camera ends that has no power."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> _RtspServer:
        self.restart()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two minutes, longer than any test looks."""
    path = tmp_path_factory.mktemp("streams") / "camera.mp4"
    return make_video(path, _Pictures(120 * _RATE), rate=_RATE, codec_options=_OFTEN_FROM_NEW)


class _Pictures(Sequence[np.ndarray]):
    """So many of `_picture`, made when they are asked for."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < self._count:
            raise IndexError(index)
        return _picture(index)


@contextmanager
def _captured(url: str) -> Iterator[tuple[Capture, Queue[Frame]]]:
    """A capture and all its frames; what ends it is an error here."""
    frames: Queue[Frame] = Queue()
    ended: list[Exception | None] = []
    with Capture(url, frames.put, ended.append) as source:
        yield source, frames
        assert ended == []


def _take(frames: Queue[Frame], count: int) -> list[Frame]:
    return [frames.get(timeout=_PATIENCE) for _ in range(count)]


@_needs_server
def test_rtsp_every_picture_comes_whole_and_in_order(recording: Path) -> None:
    with _RtspServer(recording) as server, _captured(server.url) as (_, frames):
        taken = _take(frames, 2 * _RATE)
    assert [frame.index for frame in taken] == list(range(2 * _RATE))
    numbers = [_check(frame.image) for frame in taken]
    assert _follow(numbers), numbers
    assert all(before.pts < after.pts for before, after in pairwise(taken))


@_needs_server
def test_rtsp_is_taken_up_again_after_its_server_was_killed(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "READ_TIMEOUT_MS", 1500)
    with _RtspServer(recording) as server, _captured(server.url) as (source, frames):
        before = _take(frames, 10)
        server.kill()
        _wait_for_outage(source)
        before += _take(frames, frames.qsize())
        server.restart()
        after = _take(frames, 2 * _RATE)
        assert source.outage is None
        assert source.reconnects == 1
    assert [frame.index for frame in [*before, *after]] == list(range(len(before) + len(after)))
    assert all(one.pts < two.pts for one, two in pairwise([*before, *after]))
    for numbers in ([_check(frame.image) for frame in part] for part in (before, after)):
        assert _follow(numbers), numbers
    assert _check(after[0].image) < _check(before[-1].image)  # the server begins again


@_needs_server
def test_rtsp_is_explained_and_recorded(recording: Path, tmp_path: Path, quick_network: list[str]) -> None:
    seen = tmp_path / "seen.mp4"
    with _RtspServer(recording) as server:
        finished = run(
            "live", server.url, "--headless", "--max-frames", 20, "--record", seen, "--record-clean",
            "--json", tmp_path / "summary.json", *quick_network,
        )  # fmt: skip
    assert (finished.code, finished.err) == (0, "")
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["frames"], summary["reconnects"]) == (20, 0)
    with VideoReader(seen) as reader:
        numbers = [_check(frame.image) for frame in reader.frames()]
    assert len(numbers) == 20
    assert all(before != after for before, after in pairwise(numbers))


@_needs_server
def test_rtsp_that_is_not_there(recording: Path) -> None:
    with _RtspServer(recording) as server:
        wrong = server.url.replace("127.0.0.1", "user:secret@127.0.0.1").replace("/stream", "/other")
        finished = run("live", wrong, "--headless")
    shown = wrong.replace("secret", "***")
    said = f"live-gradcam: the stream {shown} does not open: is it running, and is the address right? "
    said += "FFmpeg says: Server returned 404 Not Found\n"
    assert (finished.code, finished.out, finished.err) == (1, "", said)


# --- UDP ----------------------------------------------------------------------------------------------------------


@contextmanager
def _sender(port: int) -> Iterator[None]:
    """Sends pictures to a port of this machine, whether somebody listens or not."""
    stop = threading.Event()

    def send() -> None:
        with av.open(f"udp://127.0.0.1:{port}?pkt_size=1316", "w", format="mpegts") as output:
            stream: Any = output.add_stream("libx264", rate=_RATE, options={**_OFTEN_FROM_NEW, "tune": "zerolatency"})
            stream.height, stream.width, stream.pix_fmt = _HEIGHT, _WIDTH, "yuv420p"
            index = 0
            while not stop.wait(1 / _RATE):
                frame = av.VideoFrame.from_ndarray(_picture(index), format="bgr24").reformat(format="yuv420p")
                frame.pts, frame.time_base = index, Fraction(1, _RATE)
                output.mux(stream.encode(frame))
                index += 1

    thread = threading.Thread(target=send, name="sender")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_udp() -> None:
    port = _free_port()
    with _sender(port), _captured(f"udp://127.0.0.1:{port}") as (_, frames):
        taken = _take(frames, 2 * _RATE)
    assert [frame.index for frame in taken] == list(range(2 * _RATE))
    numbers = [_check(frame.image) for frame in taken]
    assert _follow(numbers), numbers


def test_udp_is_taken_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "READ_TIMEOUT_MS", 1500)
    port = _free_port()
    with _captured_while_sent(port) as (source, frames):
        _wait_for_outage(source)
        _take(frames, frames.qsize())
        with _sender(port):
            numbers = [_check(frame.image) for frame in _take(frames, _RATE)]
        assert source.reconnects == 1
    assert _follow(numbers), numbers


@contextmanager
def _captured_while_sent(port: int) -> Iterator[tuple[Capture, Queue[Frame]]]:
    """A capture whose sender ends as soon as it has begun."""
    with _sender(port):
        captured = _captured(f"udp://127.0.0.1:{port}")
        opened = captured.__enter__()
    try:
        yield opened
    finally:
        captured.__exit__(None, None, None)


# --- another size on the way ----------------------------------------------------------------------------------------


@contextmanager
def _turning(address: str, container_format: str) -> Iterator[subprocess.Popen[str]]:
    """A camera that is turned when it is told a line."""
    command = [sys.executable, str(_TURNING), address, container_format]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(("scheme", "container_format"), [("udp", "mpegts"), ("rtsp", "rtsp")])
def test_a_stream_that_is_turned_keeps_the_shape_of_what_it_shows(
    scheme: str, container_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{scheme}://127.0.0.1:{_free_port()}/stream"
    listening = {"rtsp_flags": "prefer_tcp+listen", "listen_timeout": str(_PATIENCE)}  # FFmpeg as the server
    monkeypatch.setattr(stream, "OPTIONS", listening)
    monkeypatch.setattr(stream, "_OPEN_TIMEOUT_MS", 1000 * _PATIENCE)
    with _turning(address, container_format) as camera, _captured(address) as (source, frames):
        assert {frame.image.shape for frame in _take(frames, 10)} == {(*SIZE, 3)}
        print("turn", file=camera.stdin, flush=True)
        shapes = [frame.image.shape for frame in _take(frames, 3 * _RATE)]
        assert source.reconnects == 0
    assert list(dict.fromkeys(shapes)) == [(*SIZE, 3), (*TURNED_SIZE, 3)]
