"""Recording what is seen: video files, one after the other, each encoded in a thread."""

from __future__ import annotations

import logging
import queue
import threading
import time
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from live_gradcam.errors import OutputError
from live_gradcam.files import claimed, keep_part_of_before, timestamped_name, writing
from live_gradcam.flow.metrics import Durations

if TYPE_CHECKING:
    from live_gradcam.sinks.writer import VideoWriter

_log = logging.getLogger(__name__)

_FRAME_RATE = Fraction(30)  # for the header: each frame has its own time
_TIME_BASE = Fraction(1, 90_000)
#: How many frames may wait for the encoder: of 4K ones, 200 MB.
_DEPTH = 8

Picture = tuple[np.ndarray, Fraction]


class Recorder:
    """Writes pictures to a file while `is_on`. Use as a context manager, which finishes the file in any case.

    Args:
        folder: where files go that nobody names.
        wait: if the encoder does not keep up, let the caller wait; False leaves frames out, and counts them.

    Attributes:
        files: what was recorded, finished.
        left_out: how many frames the encoder had no time for.
        encoding: how long a frame took.
    """

    def __init__(self, folder: Path = Path(), *, wait: bool) -> None:
        self.files: list[Path] = []
        self.left_out = 0
        self.encoding = Durations()
        self._folder = folder
        self._wait = wait
        self._path: Path | None = None
        self._claim = ExitStack()
        self._first: Fraction | None = None
        self._newest = Fraction(0)
        self._waiting: queue.Queue[Picture | None] = queue.Queue(_DEPTH)
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None

    @property
    def is_on(self) -> bool:
        """Whether pictures are being recorded."""
        return self._path is not None

    @property
    def seconds(self) -> float | None:
        """From the first picture of the recording to the newest, by their own times; None before the first."""
        return None if self._first is None else float(self._newest - self._first)

    def start(self, path: Path | None = None) -> None:
        """Record from the next picture on, in its size. What an earlier recording left that was cut short is kept.

        Args:
            path: the file; None for a new one in the folder.

        Raises:
            OutputError: the folder cannot be made, or another process is writing the file.
        """
        path = path or self._folder / timestamped_name(".mp4")
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with ExitStack() as claim:
                claim.enter_context(claimed(path))
                kept = keep_part_of_before(path)
                self._claim = claim.pop_all()
        if kept is not None:
            _log.warning("an earlier recording of %s was cut short: it is kept as %s", path, kept)
        self._path = path
        self._first = None
        self._thread = threading.Thread(target=self._encode, args=(path,), name="record", daemon=True)
        self._thread.start()

    def stop(self) -> Path | None:
        """Finish the file. Returns it, or None if there was no picture.

        Raises:
            OutputError: it cannot be written.
        """
        path, self._path = self._path, None
        if path is None or self._thread is None:
            return None
        with self._claim:
            self._waiting.put(None)
            self._thread.join()
        self._thread = None
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        return path if path in self.files else None

    def write(self, picture: np.ndarray, pts: Fraction) -> None:
        """Add a picture, if the recording is on.

        Args:
            picture: uint8 (height, width, 3), BGR; it must not change any more.
            pts: its time in seconds, by the source's clock.

        Raises:
            OutputError: the file cannot be written.
        """
        if self._path is None:
            return
        if self._failure is not None:
            self.stop()
        try:
            self._waiting.put((picture, pts), block=self._wait)
        except queue.Full:
            self.left_out += 1
            return
        self._first = pts if self._first is None else self._first
        self._newest = pts

    def _encode(self, path: Path) -> None:
        writer: VideoWriter | None = None
        first = Fraction(0)
        while (item := self._waiting.get()) is not None:
            if self._failure is not None:
                continue
            picture, pts = item
            start = time.perf_counter()
            try:
                if writer is None:
                    writer, first = _open_writer(path, picture.shape[:2]), pts
                writer.write(picture, pts - first)
            except BaseException as failure:  # raised again in the thread that gives the pictures
                self._fail(failure, writer)
            self.encoding.add(time.perf_counter() - start)
        if writer is not None and self._failure is None:
            try:
                writer.finish()
                self.files.append(path)
            except OutputError as failure:
                self._fail(failure, writer)

    def _fail(self, failure: BaseException, writer: VideoWriter | None) -> None:
        if writer is not None and isinstance(failure, OutputError):
            part = writer.keep_part()
            if part.exists():
                failure = OutputError(f"{failure}; what was recorded until then is in {part}")
        self._failure = failure

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self.stop()
        except OutputError:
            if kind is None:  # else the first failure is the one to report
                raise


def _open_writer(path: Path, size: tuple[int, int]) -> VideoWriter:
    from live_gradcam.sinks.writer import VideoWriter  # with PyAV, which a run that records nothing does without

    return VideoWriter(path, size=size, frame_rate=_FRAME_RATE, time_base=_TIME_BASE, crash_safe=True)
