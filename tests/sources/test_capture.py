"""Live sources: the newest frame wins, failures reach the one who takes the frames, and everything ends in time."""

from __future__ import annotations

import itertools
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from frame_sources import GivenFrames
from mjpeg_server import MjpegServer
from video_files import make_video, number_of, numbered

from live_gradcam.choices import SOURCES
from live_gradcam.errors import SourceError, UsageError
from live_gradcam.flow.slot import Slot
from live_gradcam.sources import camera, capture, stream
from live_gradcam.sources.capture import Capture
from live_gradcam.sources.devices import camera_index, list_cameras
from live_gradcam.sources.frame import Frame
from live_gradcam.sources.image import as_bgr
from live_gradcam.sources.opening import open_source
from live_gradcam.sources.options import CameraOptions, SourceOptions
from live_gradcam.sources.playback import Playback

_PATIENCE = 20  # seconds until a test gives up; nothing waits so long unless something is broken


class NewestFrame:
    """A capture into a slot, as the live loop has it; a file plays at once, and nothing is opened again."""

    def __init__(self, source: str, opener: Callable[[str], Iterator[Frame]] | None = None, **options: Any) -> None:
        self.slot: Slot[Frame] = Slot()
        if opener is not None:
            options["opener"] = lambda uri: GivenFrames(opener(uri))
        self.capture = Capture(source, self.slot.put, self.slot.close, **{"reconnect": 0, **options})
        self.take = self.slot.take

    @property
    def dropped(self) -> int:
        return self.slot.replaced

    @property
    def ended(self) -> bool:
        return self.slot.ended

    def __enter__(self) -> NewestFrame:
        self.capture.__enter__()
        self.capture.let_play(True)
        return self

    def __exit__(self, *error: Any) -> None:
        self.capture.__exit__(*error)


def _frame(index: int) -> Frame:
    return Frame(np.full((2, 2, 3), index, np.uint8), index, Fraction(index, 25), float(index))


class _Source:
    """A source that delivers what the test gives it, when the test gives it.

    Attributes:
        released: set when the reader has closed the source.
    """

    def __init__(self) -> None:
        self.released = threading.Event()
        self._given: queue.Queue[Frame | Exception | None] = queue.Queue()
        self._wanted = threading.Semaphore(0)

    def open(self, _: str) -> Iterator[Frame]:
        try:
            while True:
                self._wanted.release()
                given = self._given.get()
                if given is None:
                    return
                if isinstance(given, Exception):
                    raise given
                yield given
        finally:
            self.released.set()

    def give(self, index: int) -> None:
        """Deliver a frame and return when the reader has put it where it is taken from."""
        assert self._wanted.acquire(timeout=_PATIENCE)
        self._given.put(_frame(index))
        assert self._wanted.acquire(timeout=_PATIENCE)
        self._wanted.release()

    def fail(self, error: Exception) -> None:
        """Fail, after what was given."""
        self._given.put(error)

    def end(self) -> None:
        """End, after what was given."""
        self._given.put(None)


def _take_all(newest: NewestFrame, taken: list[int]) -> None:
    """Take frames, and note which, until the source ends or fails."""
    while not newest.ended:
        frame = newest.take(_PATIENCE)
        assert frame or newest.ended, "neither a frame nor the end came"
        if frame:
            taken.append(frame.index)


def _capture_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("capture")]


# --- the newest frame wins ----------------------------------------------------------------------------------------


def test_the_newest_frame_wins_and_the_others_are_counted() -> None:
    source = _Source()
    with NewestFrame("0", opener=source.open) as newest:
        for index in range(5):
            source.give(index)
        frame = newest.take(_PATIENCE)
        assert frame.index == 4
        np.testing.assert_array_equal(frame.image, np.full((2, 2, 3), 4))
        assert newest.dropped == 4
        source.give(5)
        assert newest.take(_PATIENCE).index == 5
        assert newest.dropped == 4
        for index in (6, 7):
            source.give(index)
        assert newest.take(_PATIENCE).index == 7
        assert newest.dropped == 5
        source.end()


def test_no_frame_is_taken_twice() -> None:
    source = _Source()
    with NewestFrame("0", opener=source.open) as newest:
        source.give(0)
        assert newest.take(0).index == 0
        assert newest.take(0) is None
        assert newest.take(0.01) is None
        assert not newest.ended
        source.end()


def test_taking_waits_for_a_frame() -> None:
    source = _Source()
    with NewestFrame("0", opener=source.open) as newest:
        giver = threading.Timer(0.05, source.give, [3])
        giver.start()
        assert newest.take(_PATIENCE).image[0, 0, 0] == 3
        giver.join()
        source.end()


def test_a_source_that_ends_has_ended_when_its_last_frame_is_taken() -> None:
    source = _Source()
    with NewestFrame("0", opener=source.open) as newest:
        source.give(0)
        source.end()
        assert source.released.wait(_PATIENCE)
        assert not newest.ended
        assert newest.take(_PATIENCE).index == 0
        assert newest.take(_PATIENCE) is None  # comes back as soon as it is clear that there is no more
        assert newest.ended
        assert newest.dropped == 0


def test_a_failure_comes_after_the_frames_before_it() -> None:
    source = _Source()
    with NewestFrame("0", opener=source.open) as newest:
        source.give(0)
        source.fail(SourceError("the cable is out"))
        assert source.released.wait(_PATIENCE)
        assert newest.take(_PATIENCE).index == 0
        for _ in range(2):
            with pytest.raises(SourceError, match=r"^the cable is out$"):
                newest.take(_PATIENCE)
        assert not newest.ended  # it has failed: whoever looks only here must go on to `take`


def test_any_exception_is_handed_over_not_only_the_expected_ones() -> None:
    source = _Source()
    with NewestFrame("0", opener=source.open) as newest:
        source.fail(ZeroDivisionError("a bug"))
        with pytest.raises(ZeroDivisionError, match="a bug"):
            newest.take(_PATIENCE)


def test_a_source_that_cannot_be_released_does_not_hang_the_taker() -> None:
    class Stubborn(Iterator[Frame]):
        def __next__(self) -> Frame:
            raise StopIteration

        def close(self) -> None:
            raise OSError("still busy")

    with NewestFrame("0", opener=lambda _: Stubborn()) as newest, pytest.raises(OSError, match="still busy"):
        newest.take(_PATIENCE)


def test_any_iterator_is_a_source() -> None:
    with NewestFrame("0", opener=lambda _: iter([_frame(0), _frame(1), _frame(2)])) as newest:
        taken: list[int] = []
        _take_all(newest, taken)
        assert taken[-1] == 2
        assert len(taken) + newest.dropped == 3


def test_a_source_that_does_not_open_fails_where_it_is_opened() -> None:
    def opener(source: str) -> Iterator[Frame]:
        raise SourceError(f"{source} is not there")

    with pytest.raises(SourceError, match=r"^7 is not there$"):
        NewestFrame("7", opener=opener)


def test_a_source_that_counts_no_frames_is_opened_once() -> None:
    opened = []

    class Counting(GivenFrames):
        def __len__(self) -> int:
            return 0

    def opener(source: str) -> GivenFrames:
        opened.append(source)
        return Counting([_frame(0), _frame(1)], is_live=False)

    ended = threading.Event()
    with Capture("0", lambda _: None, lambda _: ended.set(), paced=False, opener=opener) as capture_:
        capture_.let_play(True)
        assert ended.wait(_PATIENCE)
    assert opened == ["0"]


# --- closing ------------------------------------------------------------------------------------------------------


def test_closing_releases_the_source_and_ends_the_thread() -> None:
    released = threading.Event()

    def endless(_: str) -> Iterator[Frame]:
        try:
            for index in itertools.count():
                yield _frame(index % 256)
                time.sleep(0.001)
        finally:
            released.set()

    with NewestFrame("0", opener=endless) as newest:
        assert newest.take(_PATIENCE) is not None
    assert released.is_set()
    assert _capture_threads() == []


def test_closing_does_not_wait_for_ever_for_a_source_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "_JOIN_SECONDS", 0.5)
    source = _Source()
    with NewestFrame("0", opener=source.open):
        source.give(0)
    (hanging,) = _capture_threads()  # closing came back although the source has not
    assert hanging.daemon  # and so does not keep the program from ending
    source.end()
    hanging.join(_PATIENCE)
    assert source.released.is_set()
    assert _capture_threads() == []


def test_an_exception_in_the_loop_closes_the_source() -> None:
    source = _Source()
    source.end()
    with pytest.raises(ZeroDivisionError), NewestFrame("0", opener=source.open):
        raise ZeroDivisionError
    assert source.released.is_set()
    assert _capture_threads() == []


# --- which source -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "index"),
    [
        ("0", 0),
        ("12", 12),
        ("/dev/video0", 0),
        ("/dev/video10", 10),
        ("/dev/video", None),
        ("/dev/videos", None),
        ("/dev/null", None),
        ("-1", None),
        ("1.5", None),
        ("²", None),
        ("", None),
        ("0.mp4", None),
        ("folder/0", None),
        ("rtsp://10.0.0.1/0", None),
    ],
)
def test_which_camera_a_source_names(source: str, index: int | None) -> None:
    assert camera_index(source) == index


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="needs a folder in /dev to write in")
def test_a_camera_named_by_a_link() -> None:
    link = Path(f"/dev/shm/live-gradcam-test-camera-{os.getpid()}")  # as /dev/v4l/by-id/usb-… is one
    link.symlink_to("/dev/video3")
    try:
        assert camera_index(str(link)) == 3
    finally:
        link.unlink()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("rtsp://10.0.0.1:554/stream", True),
        ("http://127.0.0.1:8080/video.mjpg", True),
        ("udp://@:1234", True),
        ("video.mp4", False),
        ("/home/me/12:30.mp4", False),
        ("C:\\videos\\a.mp4", False),
        ("0", False),
    ],
)
def test_which_sources_are_streams(source: str, expected: bool) -> None:
    assert stream.SOURCE.matches(source) is expected


# --- files --------------------------------------------------------------------------------------------------------


def test_a_file_plays_every_frame_when_its_time_has_come(tmp_path: Path) -> None:
    ticks = [5, 6, 9, 10, 20, 25]
    images = [numbered(i) for i in range(len(ticks))]
    path = make_video(tmp_path / "f.mp4", images, ticks=ticks, time_base=Fraction(1, 100))
    playback = Playback(open_source(str(path)))
    first = next(playback)
    playback.let_run(True)
    frames = [first, *playback]
    assert [number_of(frame.image) for frame in frames] == list(range(len(ticks)))
    assert [frame.index for frame in frames] == list(range(len(ticks)))
    assert [frame.pts for frame in frames] == [Fraction(tick, 100) for tick in ticks]
    for frame in frames:  # never early; how late depends on the machine
        elapsed = frame.captured_at - frames[0].captured_at
        assert elapsed >= float(frame.pts - frames[0].pts) - 0.005


def test_a_file_that_plays_too_fast_for_its_viewer_drops_frames(tmp_path: Path) -> None:
    path = make_video(tmp_path / "f.mp4", [numbered(i) for i in range(30)], rate=200)
    taken = []
    with NewestFrame(str(path)) as newest:
        while not newest.ended:
            frame = newest.take(_PATIENCE)
            assert frame or newest.ended
            if frame:
                taken.append(frame.index)
                assert number_of(frame.image) == frame.index
                time.sleep(0.02)
    assert taken == sorted(set(taken))
    assert taken[-1] == 29
    assert len(taken) + newest.dropped == 30


def test_closing_does_not_wait_for_a_files_next_frame(tmp_path: Path) -> None:
    images = [numbered(0), numbered(1)]
    path = make_video(tmp_path / "slides.mp4", images, ticks=[0, 3600], time_base=Fraction(1))
    with NewestFrame(str(path)) as newest:
        assert newest.take(_PATIENCE).index == 0
    assert _capture_threads() == []


def test_a_file_that_does_not_exist() -> None:
    with pytest.raises(SourceError, match=r"^cannot read nowhere\.mp4: there is no such file$"):
        open_source("nowhere.mp4")


# --- cameras and streams ------------------------------------------------------------------------------------------


def _refused_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.skipif(os.path.exists("/dev/video63") or sys.platform != "linux", reason="needs a missing camera")
def test_a_camera_that_does_not_exist() -> None:
    with pytest.raises(SourceError) as caught:
        NewestFrame("63")
    assert str(caught.value) == (
        "camera 63 does not open: there is no /dev/video63; live-gradcam cameras lists those that open; or give a file "
        "or an address"
    )


@pytest.mark.parametrize("scheme", ["http", "rtsp", "tcp"])
def test_a_stream_that_is_refused(scheme: str) -> None:
    url = f"{scheme}://127.0.0.1:{_refused_port()}/stream"
    with pytest.raises(SourceError) as caught:
        NewestFrame(url)
    assert str(caught.value) == (
        f"the stream {url} does not open: is it running, and is the address right? FFmpeg says: Connection refused"
    )


@pytest.mark.parametrize(("status", "said"), [(404, "404 Not Found"), (401, "401 Unauthorized (authorization failed)")])
def test_a_stream_that_a_server_refuses_says_why_without_its_password(status: int, said: str) -> None:
    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(status)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        with pytest.raises(SourceError) as caught:
            NewestFrame(f"http://user:secret@127.0.0.1:{server.server_port}/a?token=secret")
        server.shutdown()
    assert str(caught.value).endswith(f"is the address right? FFmpeg says: Server returned {said}")
    assert "secret" not in str(caught.value)


def test_a_stream_that_does_not_answer_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_OPEN_TIMEOUT_MS", 500)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(SourceError) as caught:
        NewestFrame(f"http://127.0.0.1:{silent.getsockname()[1]}/stream")
    assert str(caught.value).endswith("is the address right? It gave nothing within 0.5 seconds")


_OPEN_EVERYTHING = """
import sys
from live_gradcam.errors import SourceError
from live_gradcam.sources.opening import open_source

for source in sys.argv[1:]:
    try:
        for frame in open_source(source).frames():
            pass
    except SourceError as error:
        print(error)
"""


def test_nothing_else_is_printed(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.mp4"
    garbage.write_bytes(b"\0\0\0\x18ftypisom" + bytes(2000))
    port = _refused_port()
    sources = [f"http://127.0.0.1:{port}/a", f"rtsp://127.0.0.1:{port}/a", "63", str(garbage), "nonsense://x"]
    sources += [f"file://{garbage}"]
    command = [sys.executable, "-c", _OPEN_EVERYTHING, *sources]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.stderr == ""
    assert len(run.stdout.splitlines()) == len(sources)


def test_a_network_camera() -> None:
    images = [numbered(i) for i in range(10)]
    frames = []
    with MjpegServer(images, fps=50) as server:
        with NewestFrame(server.url) as newest:
            while len(frames) < 25:
                frames.append(newest.take(_PATIENCE))
        assert _capture_threads() == []
    assert [number_of(frame.image) for frame in frames] == [frame.index % 10 for frame in frames]
    assert frames[0].image.shape == (48, 64, 3)
    assert all(a.index < b.index and a.pts < b.pts and a.captured_at < b.captured_at for a, b in pairwise(frames))
    for frame in frames:
        elapsed = frame.captured_at - frames[0].captured_at
        assert float(frame.pts - frames[0].pts) == pytest.approx(elapsed, abs=2e-6)


def test_a_network_camera_that_is_switched_off() -> None:
    taken = []
    with MjpegServer([numbered(i) for i in range(10)], fps=50) as server, NewestFrame(server.url) as newest:
        while len(taken) < 5:
            taken.append(newest.take(_PATIENCE).index)
        server.stop()
        with pytest.raises(SourceError) as caught:
            _take_all(newest, taken)
    delivered = len(taken) + newest.dropped
    assert taken[-1] == delivered - 1
    assert str(caught.value) == f"the source {server.url} stopped after {delivered} frames"
    with pytest.raises(SourceError, match="does not open"):
        NewestFrame(server.url)


@pytest.mark.slow
def test_a_network_camera_that_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "READ_TIMEOUT_MS", 1500)
    with MjpegServer([numbered(i) for i in range(10)], fps=50) as server, NewestFrame(server.url) as newest:
        assert number_of(newest.take(_PATIENCE).image) < 10
        server.stall()
        with pytest.raises(SourceError, match=r"stopped after \d+ frames$"):
            _take_all(newest, [])
    assert _capture_threads() == []


def test_a_network_camera_that_never_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_OPEN_TIMEOUT_MS", 300)
    with MjpegServer([numbered(0)]) as server:
        server.stall()
        with pytest.raises(SourceError, match=r"^the stream http://127\.0\.0\.1:\d+/stream\.mjpg does not open: "):
            NewestFrame(server.url)


@pytest.mark.skipif(bool(list(Path("/dev").glob("video*"))), reason="needs a machine without cameras")
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the devices cannot be listed")
def test_a_machine_without_cameras() -> None:
    assert list_cameras() == []


# --- sources that misbehave ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_camera_that_is_restarted_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "_FIRST_RETRY_SECONDS", 0.2)
    with MjpegServer([numbered(1)], fps=50) as server, NewestFrame(server.url, reconnect=None) as newest:
        before = newest.take(_PATIENCE)
        server.stop()
        _wait_for(lambda: newest.capture.outage is not None)
        assert "stopped after" in newest.capture.outage.reason
        _wait_for(lambda: newest.capture.outage.attempt >= 2)  # it was tried, in vain
        with MjpegServer([numbered(2)], fps=50, port=server.port):
            _wait_for(lambda: newest.capture.outage is None)
            after = _take_until(newest, lambda frame: number_of(frame.image) == 2)
        assert newest.capture.reconnects == 1
        assert after.index > before.index
        assert after.pts > before.pts  # one clock, over the outage
        assert float(after.pts - before.pts) == pytest.approx(after.captured_at - before.captured_at, abs=1e-5)
    assert _capture_threads() == []


@pytest.mark.slow
def test_a_camera_that_freezes_without_a_word_is_noticed_within_5_seconds() -> None:
    with MjpegServer([numbered(1)], fps=50) as server, NewestFrame(server.url, reconnect=None) as newest:
        newest.take(_PATIENCE)
        server.stall()
        start = time.monotonic()
        _wait_for(lambda: newest.capture.outage is not None)
        assert time.monotonic() - start < 5
    assert _capture_threads() == []


@pytest.mark.slow
def test_a_driver_that_never_comes_back_from_a_read_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "_STALL_SECONDS", 0.3)
    monkeypatch.setattr(capture, "_FIRST_RETRY_SECONDS", 0.05)
    monkeypatch.setattr(capture, "_LAST_RETRY_SECONDS", 0.05)
    freed = threading.Event()
    openings = []

    def opener(_: str) -> Iterator[Frame]:
        openings.append(len(openings))
        yield _frame(len(openings))
        if len(openings) < 3:
            freed.wait(_PATIENCE)  # a read that blocks
            yield _frame(99)  # and comes back when nobody asks any more
        for index in itertools.count():
            yield _frame(100 + index % 100)
            time.sleep(0.01)

    with NewestFrame("0", opener=opener, reconnect=None) as newest:
        _take_until(newest, lambda frame: frame.image[0, 0, 0] >= 100)
        assert len(openings) == 3
        assert newest.capture.reconnects == 2
        freed.set()
        for _ in range(20):
            assert newest.take(_PATIENCE).image[0, 0, 0] != 99
    assert _capture_threads() == []


def test_a_source_is_given_up_after_so_many_attempts_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "_FIRST_RETRY_SECONDS", 0.01)
    openings = []

    def opener(_: str) -> Iterator[Frame]:
        openings.append(time.monotonic())
        if len(openings) in (1, 3):  # the second attempt succeeds, so that counting begins again
            yield _frame(0)
        raise SourceError("no signal")

    with NewestFrame("0", opener=opener, reconnect=3) as newest:
        newest.take(_PATIENCE)
        with pytest.raises(SourceError, match=r"^no signal, and it did not come back after 3 tries$"):
            _take_all(newest, [])
    assert len(openings) == 1 + 2 + 3


@pytest.mark.slow
def test_the_attempts_come_at_ever_longer_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "_FIRST_RETRY_SECONDS", 0.1)
    monkeypatch.setattr(capture, "_LAST_RETRY_SECONDS", 0.3)
    openings = []

    def opener(_: str) -> Iterator[Frame]:
        openings.append(time.monotonic())
        if len(openings) == 1:
            yield _frame(0)
        raise SourceError("no signal")

    with NewestFrame("0", opener=opener, reconnect=4) as newest, pytest.raises(SourceError):
        _take_all(newest, [])
    waits = np.diff(openings)
    assert all(waited >= least for waited, least in zip(waits, [0.1, 0.2, 0.3, 0.3], strict=True))


def test_a_mistake_is_no_outage() -> None:
    def opener(_: str) -> Iterator[Frame]:
        yield _frame(0)
        raise ZeroDivisionError("a bug")

    with NewestFrame("0", opener=opener, reconnect=None) as newest:
        newest.take(_PATIENCE)
        with pytest.raises(ZeroDivisionError, match="a bug"):
            newest.take(_PATIENCE)


def test_a_mistake_after_an_outage_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "_FIRST_RETRY_SECONDS", 0.01)
    openings = []

    def opener(_: str) -> Iterator[Frame]:
        openings.append(len(openings))
        if len(openings) == 1:
            yield _frame(0)
        raise SourceError("no signal") if len(openings) < 3 else ZeroDivisionError("a bug")

    with NewestFrame("0", opener=opener, reconnect=None) as newest:
        newest.take(_PATIENCE)
        with pytest.raises(ZeroDivisionError, match=r"^a bug$"):
            newest.take(_PATIENCE)


def test_a_stream_that_changes_its_size() -> None:
    with MjpegServer([np.full((48, 64, 3), 90, np.uint8)], fps=50) as server, NewestFrame(server.url) as newest:
        assert newest.take(_PATIENCE).image.shape == (48, 64, 3)
        server.show([np.full((96, 80, 3), 200, np.uint8)])
        other = _take_until(newest, lambda frame: abs(frame.image.mean() - 200) < 3)
        assert other.image.shape == (96, 80, 3)


def test_a_stream_that_is_turned_keeps_the_shape_of_what_it_shows() -> None:
    with MjpegServer([_circle(360, 640)], fps=50) as server, NewestFrame(server.url) as newest:
        assert _extent(newest.take(_PATIENCE).image) == (201, 201)
        server.show([_circle(640, 240)])
        turned = _take_until(newest, lambda frame: frame.image.shape != (360, 640, 3))
        assert turned.image.shape == (640, 240, 3)
        assert _extent(turned.image) == (201, 201)
        assert newest.capture.reconnects == 0


def _circle(height: int, width: int) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    return cv2.circle(image, (width // 2, height // 2), 100, (255, 255, 255), cv2.FILLED)


def _extent(image: np.ndarray) -> tuple[int, int]:
    """(height, width) of what is white in a picture."""
    rows, columns = np.nonzero(image[:, :, 0] > 127)
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


@pytest.mark.slow
def test_a_stream_without_a_picture_that_can_be_decoded_has_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "READ_TIMEOUT_MS", 500)
    with MjpegServer([numbered(0)], fps=50) as server, NewestFrame(server.url) as newest:
        newest.take(_PATIENCE)
        server.send_garbage()
        with pytest.raises(SourceError, match=r"stopped after \d+ frames?$"):
            _take_all(newest, [])


@pytest.mark.slow
def test_damaged_pictures_in_a_stream_are_survived() -> None:
    with (
        MjpegServer([np.full((48, 64, 3), 90, np.uint8)], fps=50) as server,
        NewestFrame(server.url, reconnect=None) as newest,
    ):
        newest.take(_PATIENCE)
        server.send_garbage()
        time.sleep(1)
        server.show([np.full((48, 64, 3), 200, np.uint8)])
        _take_until(newest, lambda frame: abs(frame.image.mean() - 200) < 3)


def test_whatever_a_camera_gives_becomes_bgr() -> None:
    grey = np.array([[10, 20]], np.uint8)
    np.testing.assert_array_equal(as_bgr(grey), [[[10] * 3, [20] * 3]])
    np.testing.assert_array_equal(as_bgr(grey[:, :, None]), [[[10] * 3, [20] * 3]])
    np.testing.assert_array_equal(as_bgr(np.array([[[1, 2, 3, 200]]], np.uint8)), [[[1, 2, 3]]])
    np.testing.assert_array_equal(as_bgr(np.array([[[256, 512, 65535]]], np.uint16)), [[[1, 2, 255]]])
    for no_picture in (None, np.zeros((0, 4, 3), np.uint8), np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2), float)):
        assert as_bgr(no_picture) is None


def test_what_is_no_picture_is_left_out() -> None:
    images = [np.zeros((2, 2, 3), np.uint8), np.zeros((0, 0, 3), np.uint8), np.full((2, 2), 7, np.uint8)]
    source = (Frame(image, index, Fraction(index), float(index)) for index, image in enumerate(images))
    slot: Slot[Frame] = Slot(keep_all=True)
    with Capture("0", slot.put, slot.close, opener=lambda _: GivenFrames(source)):
        assert [slot.take(_PATIENCE).image.shape for _ in range(2)] == [(2, 2, 3), (2, 2, 3)]
        assert slot.take(_PATIENCE) is None


def test_a_slot_that_keeps_all_lets_the_giver_wait() -> None:
    slot: Slot[int] = Slot(keep_all=True)
    given = []

    def give() -> None:
        for number in range(1, 6):
            slot.put(number)
            given.append(number)

    giver = threading.Thread(target=give)
    giver.start()
    time.sleep(0.1)
    assert given == [1]
    assert [slot.take(_PATIENCE) for _ in range(4)] == [1, 2, 3, 4]
    slot.close()  # lets the giver go
    giver.join(_PATIENCE)
    assert not giver.is_alive()
    assert slot.replaced == 0


@pytest.mark.slow
def test_a_file_waits_at_its_first_frame_and_can_be_held(tmp_path: Path) -> None:
    path = make_video(tmp_path / "f.mp4", [numbered(i) for i in range(20)], rate=20)
    frames: queue.Queue[Frame] = queue.Queue()
    with Capture(str(path), frames.put, lambda _: None) as held:
        assert frames.get(timeout=_PATIENCE).index == 0
        with pytest.raises(queue.Empty):
            frames.get(timeout=0.3)
        held.let_play(True)
        last = frames.get(timeout=_PATIENCE).index
        assert last == 1
        held.let_play(False)
        with suppress(queue.Empty):
            while True:  # those that were on their way
                last = frames.get(timeout=0.5).index
        held.let_play(True)
        assert frames.get(timeout=_PATIENCE).index == last + 1  # nothing was missed


def test_a_file_can_be_read_as_fast_as_it_is_taken(tmp_path: Path) -> None:
    path = make_video(tmp_path / "f.mp4", [numbered(i) for i in range(20)], ticks=range(20), time_base=Fraction(60))
    assert len(list(Playback(open_source(path), paced=False))) == 20
    assert len(list(open_source(path).frames())) == 20


def test_what_is_asked_of_a_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[Any, Any] = {}

    class Camera:
        def __init__(self, index: int, driver: int) -> None:
            asked.update(index=index, driver=driver)

        def isOpened(self) -> bool:  # noqa: N802
            return True

        def set(self, name: int, value: float) -> None:
            asked[name] = value

        def read(self) -> tuple[bool, None]:
            return False, None

        def release(self) -> None:
            pass

    monkeypatch.setattr(camera.cv2, "VideoCapture", Camera)
    open_source("3", SourceOptions(CameraOptions((720, 1280), 25, None)))
    assert (asked["index"], asked["driver"]) == (3, camera.cv2.CAP_ANY)
    assert asked[camera.cv2.CAP_PROP_FRAME_WIDTH] == 1280
    assert asked[camera.cv2.CAP_PROP_FRAME_HEIGHT] == 720
    assert asked[camera.cv2.CAP_PROP_FPS] == 25


def test_a_camera_driver_that_does_not_exist() -> None:
    with pytest.raises(UsageError, match=r"^there is no camera driver 'v4l3'"):
        CameraOptions(driver="v4l3").check()


def test_which_sources_are_live() -> None:
    openers = [SOURCES.load(name) for name in SOURCES.of_this_package]
    first = [next(opener for opener in openers if opener.matches(source)) for source in ("0", "rtsp://x", "film.mp4")]
    assert [opener.is_live for opener in first] == [True, True, False]


def _wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def _take_until(newest: NewestFrame, condition: Callable[[Frame], bool]) -> Frame:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        frame = newest.take(_PATIENCE)
        if frame is not None and condition(frame):
            return frame
    raise AssertionError("no such frame came")
