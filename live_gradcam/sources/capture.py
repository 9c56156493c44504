"""Live sources: a camera, a network stream, or a file that plays at its own rate, opened and opened again."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import cv2

from live_gradcam.addresses import masked
from live_gradcam.errors import SourceError, UsageError, did_you_mean
from live_gradcam.sources.frame import Frame
from live_gradcam.sources.image import as_bgr
from live_gradcam.sources.reader import VideoReader
from live_gradcam.sources.silence import silence_opencv

_log = logging.getLogger(__name__)

_OPEN_TIMEOUT_MS = 5000
_READ_TIMEOUT_MS = 4000
#: A source that gives nothing for so long has stopped, even if its driver says nothing.
_STALL_SECONDS = 4.5
_OPEN_STALL_SECONDS = 10.0
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 0.5, 10.0
#: Readers whose driver never comes back; as many as this are left behind before the next try waits for one of them.
_MOST_LOST_READERS = 3
_JOIN_SECONDS = 2 + _READ_TIMEOUT_MS / 1000
_WATCH_SECONDS = 0.1
_MICROSECOND = Fraction(1, 1_000_000)


@dataclass(frozen=True)
class CameraOptions:
    """What is asked of a camera; it gives what it can.

    Attributes:
        size: (height, width) in pixels; None for the camera's own.
        fps: frames per second; None for the camera's own.
        driver: OpenCV's name of the driver, such as "v4l2", "dshow" or "avfoundation"; None for the first that works.
    """

    size: tuple[int, int] | None = None
    fps: float | None = None
    driver: str | None = None

    def check(self) -> None:
        """Raises UsageError for a driver that this OpenCV does not have."""
        if self.driver is not None:
            _driver_number(self.driver)


def _driver_number(name: str) -> int:
    known = {cv2.videoio_registry.getBackendName(number).lower(): number for number in camera_drivers()}
    if name.lower() not in known:
        hint = did_you_mean(name, known) or f": this OpenCV has {', '.join(sorted(known))}"
        raise UsageError(f"there is no camera driver {name!r}{hint}")
    return known[name.lower()]


def camera_drivers() -> list[int]:
    """OpenCV's numbers of the drivers for cameras."""
    return list(cv2.videoio_registry.getCameraBackends())


def camera_index(source: str) -> int | None:
    """The camera that a source names ("0", "/dev/video2", "/dev/v4l/by-id/…"); None for a file or a URL."""
    device = str(Path(source).resolve()) if source.startswith("/dev/") else source
    number = device.removeprefix("/dev/video")
    return int(number) if number.isdecimal() else None


def is_url(source: str) -> bool:
    """Whether a source names a network stream."""
    return "://" in source


def is_live(source: str) -> bool:
    """Whether a source is a camera or a stream: one that does not wait, and may come back when it stops."""
    return camera_index(source) is not None or is_url(source)


def open_source(
    source: str,
    options: CameraOptions = CameraOptions(),
    *,
    paced: bool = True,
    source_rate: Fraction | None = None,
) -> Iterator[Frame]:
    """Open a source and iterate over its frames, as they come, each with the time at which it came.

    Args:
        source: a camera ("0", "/dev/video0"), a stream ("rtsp://…", "http://…", "udp://…") or a file.
        options: what is asked of a camera.
        paced: let a file play at its own rate; False for as fast as its frames are taken.
        source_rate: frames per second of a file that has no times of its own; None for what it names.

    Raises:
        SourceError: it cannot be opened, at once; it stops, when a live one does so while it is read.
        UsageError: no such driver; a rate for a live source; a pipeline of GStreamer, which is not read.
    """
    if " ! " in source and not Path(source).exists():
        raise UsageError(
            "a GStreamer pipeline is not read here: give the camera itself (0, /dev/video0) or an address (rtsp://…); "
            "or let gst-launch-1.0 run it to the end … ! mpegtsmux ! udpsink port=5000, and give udp://127.0.0.1:5000"
        )
    if is_live(source):
        if source_rate is not None:
            raise UsageError(f"--source-fps is for files without times, and {masked(source)} is live: leave it out")
        return _captured(_open_capture(source, options), source)
    reader = VideoReader(source, rate=source_rate)
    if reader.rate_note:
        _log.warning(reader.rate_note)
    return Playback(reader, paced=paced)


def _open_capture(source: str, options: CameraOptions) -> cv2.VideoCapture:
    silence_opencv()
    index = camera_index(source)
    if index is not None:
        driver = cv2.CAP_ANY if options.driver is None else _driver_number(options.driver)
        capture = cv2.VideoCapture(index, driver)
        if not capture.isOpened():
            raise SourceError(f"camera {index} does not open: {_why_no_camera(index)}")
        _ask_for(capture, options)
        return capture
    timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _OPEN_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _READ_TIMEOUT_MS]
    capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, timeouts)
    if not capture.isOpened():
        raise SourceError(f"the stream {masked(source)} does not open: is it running, and is the address right?")
    return capture


def _ask_for(capture: cv2.VideoCapture, options: CameraOptions) -> None:
    if options.size is not None:
        # Most USB cameras give large pictures at their full rate only as JPEG.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, options.size[0])
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, options.size[1])
    if options.fps is not None:
        capture.set(cv2.CAP_PROP_FPS, options.fps)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # where the driver listens


def _why_no_camera(index: int) -> str:
    device = Path(f"/dev/video{index}")
    if sys.platform == "linux" and not device.exists():
        return f"there is no {device}; live-gradcam cameras lists what opens, and a file or URL can be given instead"
    if sys.platform == "linux" and not os.access(device, os.R_OK | os.W_OK):
        return f"no permission for {device}: add yourself to the group video, or log in again"
    return "is another program using it, or is access to cameras switched off?"


def _captured(capture: cv2.VideoCapture, source: str) -> Iterator[Frame]:
    """The frames of an open capture, until it fails."""
    start = time.monotonic()
    index = 0
    try:
        while True:
            delivered, image = capture.read()
            now = time.monotonic()
            if not delivered or image is None:
                raise SourceError(f"the source {masked(source)} stopped after {index} frames")
            yield Frame(image, index, round((now - start) / _MICROSECOND) * _MICROSECOND, now)
            index += 1
    finally:
        capture.release()


class Playback(Iterator[Frame]):
    """A file's frames, each when its time has come: the first at once, the others when it is let run.

    Args:
        reader: of the file.
        paced: False gives the frames as fast as they are taken.
    """

    def __init__(self, reader: VideoReader, *, paced: bool = True) -> None:
        self._reader = reader
        self._frames = reader.frames()
        self._first: Fraction | None = None
        self._paced = paced
        self._changed = threading.Condition()
        self._ran = 0.0  # seconds, up to `_running_since`
        self._running_since: float | None = None
        self._interrupted = False

    @property
    def frame_rate(self) -> float:
        """How many frames per second the file has."""
        return float(self._reader.frame_rate)

    def __next__(self) -> Frame:
        frame = next(self._frames, None)
        if frame is None:
            if self._reader.clock:
                _log.warning("%s: %s: its frames go on at the usual rate", self._reader.path, self._reader.clock)
            raise StopIteration
        if self._first is None:
            self._first = frame.pts
        if not self._wait_until(float(frame.pts - self._first) if self._paced else 0.0):
            raise StopIteration
        return replace(frame, captured_at=time.monotonic())

    def _wait_until(self, due: float) -> bool:
        """Wait until the file has played for so many seconds. Returns whether it is to go on."""
        with self._changed:
            while not self._interrupted:
                missing = due - self._played()
                if missing <= 0:
                    return True
                self._changed.wait(missing if self._running_since is not None else None)
        return False

    def _played(self) -> float:
        return self._ran + (time.monotonic() - self._running_since if self._running_since is not None else 0.0)

    def let_run(self, running: bool) -> None:
        """Let the file play, or hold it. Other threads may call this, and `interrupt`."""
        with self._changed:
            self._ran = self._played()
            self._running_since = time.monotonic() if running else None
            self._changed.notify_all()

    def interrupt(self) -> None:
        """End the wait for the next frame, which may be long, and the playback."""
        with self._changed:
            self._interrupted = True
            self._changed.notify_all()

    def close(self) -> None:
        """Close the file."""
        self._reader.close()


@dataclass(frozen=True)
class Outage:
    """A source that has stopped.

    Attributes:
        reason: what is known of it.
        attempt: which attempt to open it again is the next, or under way; from 1.
        retry_at: when it begins, in `time.monotonic()` seconds.
    """

    reason: str
    attempt: int
    retry_at: float


class _Connection:
    """A source that one thread reads until it ends, fails, or is given up."""

    def __init__(self, frames: Iterator[Frame] | None) -> None:
        self.frames = frames
        self.waiting_since: float | None = time.monotonic()
        self.delivered = 0
        self.given_up = False
        self.error: Exception | None = None
        self.ended = threading.Event()
        self.thread: threading.Thread | None = None


class Capture:
    """Reads a source all the time, in a thread of its own, and hands on each frame. Use as a context manager.

    A camera or stream that stops, or gives nothing for 4.5 seconds, is opened again after 0.5, 1, 2, … 10 seconds; its
    frames are numbered on, with the time since the first as theirs. What it gives that is no picture is left out.

    Args:
        source: see `open_source`. It is opened at once, in the caller's thread.
        deliver: what is called with each frame, uint8 BGR, in the thread that reads. It may wait.
        on_end: what is called when no more frames will come: with None at the end of a file, else with the reason.
        reconnect: how many times in a row to try to open a live source again; None for ever.
        opener: what opens the source; tests put their own here.

    Attributes:
        captured: how many frames were handed on.
        reconnects: how many times the source came back.
        outage: what is wrong with the source just now; None while it delivers.

    Raises:
        SourceError: the source cannot be opened.
    """

    def __init__(
        self,
        source: str,
        deliver: Callable[[Frame], None],
        on_end: Callable[[Exception | None], None],
        *,
        reconnect: int | None = None,
        opener: Callable[[str], Iterator[Frame]] = open_source,
    ) -> None:
        self.captured = 0
        self.reconnects = 0
        self.outage: Outage | None = None
        self._source = source
        self._deliver = deliver
        self._on_end = on_end
        self._is_live = is_live(source)
        self._reconnect = reconnect if self._is_live else 0
        self._opener = opener
        self._first_at = 0.0
        self._stop = threading.Event()
        self._lost: list[_Connection] = []
        self._connection = _Connection(opener(source))
        self._thread = threading.Thread(target=self._keep_connected, name="capture", daemon=True)

    @property
    def frame_rate(self) -> float | None:
        """How many frames per second a file plays; None for a live source, whose rate is what comes."""
        frames = self._connection.frames
        return frames.frame_rate if isinstance(frames, Playback) else None

    def let_play(self, playing: bool) -> None:
        """Let a file play on from its first frame, or hold it. Live sources do not wait."""
        frames = self._connection.frames
        if isinstance(frames, Playback):
            frames.let_run(playing)

    def __enter__(self) -> Capture:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stop.set()
        if isinstance(self._connection.frames, Playback):
            self._connection.frames.interrupt()
        deadline = time.monotonic() + _JOIN_SECONDS
        for thread in (self._thread, *(connection.thread for connection in [*self._lost, self._connection])):
            if thread is not None:
                thread.join(max(0.0, deadline - time.monotonic()))

    # --- the thread that watches ----------------------------------------------------------------------------------

    def _keep_connected(self) -> None:
        failures = 0
        while True:
            reason = self._watch(self._connection)
            if self._stop.is_set() or reason is None:
                return self._on_end(None)
            failures = 1 if self._connection.delivered else failures + 1
            self._connection.delivered = 0
            if not isinstance(reason, SourceError):  # a mistake, not an outage
                return self._on_end(reason)
            if self._reconnect is not None and failures > self._reconnect:
                return self._on_end(_last_word(reason, failures - 1))
            wait = min(_LAST_RETRY_SECONDS, _FIRST_RETRY_SECONDS * 2 ** (failures - 1))
            self.outage = Outage(masked(str(reason)), failures, time.monotonic() + wait)
            self._lost = [lost for lost in self._lost if not lost.ended.is_set()]
            if not self._stop.wait(wait) and len(self._lost) < _MOST_LOST_READERS:
                self._connection = _Connection(None)

    def _watch(self, connection: _Connection) -> Exception | None:
        """Read a connection until it is over. Returns what ended it; None for the end of a file, or of the capture."""
        if connection.given_up:
            return connection.error
        connection.thread = threading.Thread(target=self._read, args=(connection,), name="capture-reader", daemon=True)
        connection.thread.start()
        while not connection.ended.wait(_WATCH_SECONDS) and not self._stop.is_set():
            waiting_since = connection.waiting_since
            limit = _STALL_SECONDS if connection.frames is not None else _OPEN_STALL_SECONDS
            if self._is_live and waiting_since is not None and time.monotonic() - waiting_since > limit:
                connection.given_up = True
                connection.error = SourceError(f"the source {masked(self._source)} gives no more pictures")
                self._lost.append(connection)
                break
        return connection.error

    # --- the threads that read ------------------------------------------------------------------------------------

    def _read(self, connection: _Connection) -> None:
        try:
            self._read_frames(connection)
        except Exception as error:
            connection.error = connection.error or error
        finally:
            connection.ended.set()

    def _read_frames(self, connection: _Connection) -> None:
        if connection.frames is None:
            connection.frames = self._opener(self._source)
        try:
            connection.waiting_since = time.monotonic()
            for frame in connection.frames:
                connection.waiting_since = None
                if self._stop.is_set() or connection.given_up:
                    return
                image = as_bgr(frame.image)
                if image is not None:
                    self._hand_on(replace(frame, image=image), connection)
                connection.waiting_since = time.monotonic()
        finally:
            release = getattr(connection.frames, "close", None)  # generators have it, plain iterators hold no device
            if release is not None:
                release()

    def _hand_on(self, frame: Frame, connection: _Connection) -> None:
        if self.outage is not None:
            self.outage = None
            self.reconnects += 1
        if self._is_live:
            self._first_at = self._first_at if self.captured else frame.captured_at
            seconds = round((frame.captured_at - self._first_at) / _MICROSECOND) * _MICROSECOND
            frame = replace(frame, index=self.captured, pts=seconds)
        connection.delivered += 1
        self.captured += 1
        self._deliver(frame)


def _last_word(reason: SourceError, attempts: int) -> SourceError:
    if not attempts:
        return reason
    times = "time" if attempts == 1 else "times"
    return SourceError(f"{reason}, and did not come back when it was tried {attempts} {times}")


def list_cameras(highest: int = 9) -> list[tuple[int, str]]:
    """The cameras that open and deliver a picture: (index, "width × height at rate FPS").

    On Linux the device files say which to try; elsewhere the indexes up to `highest` are tried.
    """
    silence_opencv()
    if sys.platform == "linux":
        candidates = sorted(int(path.name[5:]) for path in Path("/dev").glob("video*") if path.name[5:].isdecimal())
    else:
        candidates = list(range(highest + 1))
    cameras = []
    for index in candidates:
        capture = cv2.VideoCapture(index)
        delivered, image = capture.read() if capture.isOpened() else (False, None)
        if delivered and image is not None:
            rate = capture.get(cv2.CAP_PROP_FPS)
            cameras.append((index, f"{image.shape[1]}×{image.shape[0]} at {rate:.0f} FPS"))
        capture.release()
    return cameras
