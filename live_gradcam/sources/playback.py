"""Recordings that play at their own pace, as if they came live."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from live_gradcam.sources.frame import Frame
from live_gradcam.sources.source import FrameSource, is_recording

_log = logging.getLogger(__name__)


def noted_frames(source: FrameSource) -> Iterator[Frame]:
    """The frames of a source; its notes go into the log as they come."""
    said = 0
    for frame in source.frames():
        if len(source.notes) > said:
            said = _say(source, said)
        yield frame
    _say(source, said)


def _say(source: FrameSource, said: int) -> int:
    """Log the notes that are new. Returns how many there are."""
    for note in source.notes[said:]:
        _log.warning("%s", note)
    return len(source.notes)


class Playback(Iterator[Frame]):
    """A source's frames, each when its time has come: the first at once, the others when it is let run.

    Args:
        source: is not live.
        paced: False gives the frames as fast as they are taken.
    """

    def __init__(self, source: FrameSource, *, paced: bool = True) -> None:
        self._source = source
        self._frames = noted_frames(source)
        self._first: Fraction | None = None
        self._paced = paced
        self._changed = threading.Condition()
        self._ran = 0.0  # seconds, up to `_running_since`
        self._running_since: float | None = None
        self._interrupted = False

    def __next__(self) -> Frame:
        frame = next(self._frames, None)
        if frame is None:
            self._say_what_was_wrong()
            raise StopIteration
        if self._first is None:
            self._first = frame.pts
        if not self._wait_until(float(frame.pts - self._first) if self._paced else 0.0):
            raise StopIteration
        return replace(frame, captured_at=time.monotonic())

    def _say_what_was_wrong(self) -> None:
        source = self._source
        if is_recording(source) and source.clock:
            _log.warning("%s: %s; its frames go on at the usual rate", source.name, source.clock)
        if is_recording(source) and source.loss:
            _log.warning("%s is damaged: %s", source.name, source.loss)

    def _wait_until(self, due: float) -> bool:
        """Wait until the source has played for so many seconds. Returns whether it is to go on."""
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
        """Let the source play, or hold it. Other threads may call this, and `interrupt`."""
        with self._changed:
            self._ran = self._played()
            self._running_since = time.monotonic() if running else None
            self._changed.notify_all()

    def interrupt(self) -> None:
        """End the wait for the next frame, which may be long, and the playback."""
        with self._changed:
            self._interrupted = True
            self._changed.notify_all()
