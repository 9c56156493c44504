"""Live sources: a camera, a network stream, or a file that plays at its own rate. The newest frame wins."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import cv2

from live_gradcam.errors import SourceError
from live_gradcam.video.frame import Frame
from live_gradcam.video.reader import VideoReader
from live_gradcam.video.silence import silence_opencv

_OPEN_TIMEOUT_MS = 5000
_READ_TIMEOUT_MS = 5000
_JOIN_SECONDS = 2 + _READ_TIMEOUT_MS / 1000
_MICROSECOND = Fraction(1, 1_000_000)


def camera_index(source: str) -> int | None:
    """The camera that a source names ("0", "/dev/video2", "/dev/v4l/by-id/…"); None for a file or a URL."""
    device = str(Path(source).resolve()) if source.startswith("/dev/") else source
    number = device.removeprefix("/dev/video")
    return int(number) if number.isdecimal() else None


def is_url(source: str) -> bool:
    """Whether a source names a network stream."""
    return "://" in source


def open_source(source: str) -> Iterator[Frame]:
    """Open a source and iterate over its frames, as they come, each with the time at which it came.

    Args:
        source: a camera ("0", "/dev/video0"), a stream ("rtsp://…", "http://…", "udp://…") or a file, which plays at
            its own rate.

    Raises:
        SourceError: it cannot be opened, at once; it stops, when a live one does so while it is read.
    """
    index = camera_index(source)
    if index is None and not is_url(source):
        return _Playback(VideoReader(source))
    return _captured(_open_capture(source, index), source)


def _open_capture(source: str, index: int | None) -> cv2.VideoCapture:
    silence_opencv()
    if index is not None:
        capture = cv2.VideoCapture(index)
        if not capture.isOpened():
            raise SourceError(f"camera {index} does not open: {_why_no_camera(index)}")
        return capture
    timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _OPEN_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _READ_TIMEOUT_MS]
    capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, timeouts)
    if not capture.isOpened():
        raise SourceError(f"the stream {source} does not open: is it running, and is the address right?")
    return capture


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
                raise SourceError(f"the source {source} stopped after {index} frames")
            yield Frame(image, index, round((now - start) / _MICROSECOND) * _MICROSECOND, now)
            index += 1
    finally:
        capture.release()


class _Playback(Iterator[Frame]):
    """A file's frames, each when its time has come."""

    def __init__(self, reader: VideoReader) -> None:
        self._reader = reader
        self._frames = reader.frames()
        self._begun: float | None = None
        self._interrupted = threading.Event()

    def __next__(self) -> Frame:
        frame = next(self._frames)
        now = time.monotonic()
        if self._begun is None:
            self._begun = now - float(frame.pts)
        if self._interrupted.wait(max(0.0, self._begun + float(frame.pts) - now)):
            raise StopIteration
        return replace(frame, captured_at=time.monotonic())

    def interrupt(self) -> None:
        """End the wait for the next frame, which may be long, and the playback. Other threads may call this."""
        self._interrupted.set()

    def close(self) -> None:
        """Close the file."""
        self._reader.close()


class NewestFrame:
    """Reads a source all the time in a thread of its own and keeps only the newest frame.

    That is what bounds the latency: drivers and streams queue frames that nobody takes. Use as a context manager.

    Args:
        source: see `open_source`. It is opened at once, in the caller's thread.
        opener: what opens it; tests put their own sources here.

    Attributes:
        dropped: how many frames were replaced by newer ones before they were taken.

    Raises:
        SourceError: the source cannot be opened.
    """

    def __init__(self, source: str, *, opener: Callable[[str], Iterator[Frame]] = open_source) -> None:
        self.dropped = 0
        self._frames = opener(source)
        self._changed = threading.Condition()
        self._newest: Frame | None = None
        self._error: Exception | None = None
        self._ended = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="capture", daemon=True)

    def _read(self) -> None:
        try:
            self._keep_newest()
        except Exception as error:  # handed to the thread that takes the frames
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _keep_newest(self) -> None:
        try:
            for frame in self._frames:
                if self._stop.is_set():
                    break
                with self._changed:
                    self.dropped += self._newest is not None
                    self._newest = frame
                    self._changed.notify_all()
        finally:
            release = getattr(self._frames, "close", None)  # generators have it, plain iterators hold no device
            if release is not None:
                release()

    def take(self, timeout: float) -> Frame | None:
        """The newest frame not taken yet, waiting for one if need be.

        Args:
            timeout: the longest wait in seconds.

        Returns:
            The frame, or None when none came in time. See `ended` for whether more may come.

        Raises:
            Exception: whatever stopped the source, once the frames before it are taken.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._ended, timeout)
            frame, self._newest = self._newest, None
            if frame is None and self._error is not None:
                raise self._error
            return frame

    @property
    def ended(self) -> bool:
        """Whether the source has ended and its last frame been taken."""
        with self._changed:
            return self._ended and self._newest is None and self._error is None

    def __enter__(self) -> NewestFrame:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stop.set()
        if isinstance(self._frames, _Playback):
            self._frames.interrupt()
        self._thread.join(_JOIN_SECONDS)


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
