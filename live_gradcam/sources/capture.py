"""A source that is read all the time, in a thread of its own, and opened again when it stops."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType

from live_gradcam.addresses import masked
from live_gradcam.errors import SourceError
from live_gradcam.flow.threads import DetachedThread
from live_gradcam.sources.frame import Frame
from live_gradcam.sources.image import as_bgr
from live_gradcam.sources.live import seconds_since
from live_gradcam.sources.opening import open_source
from live_gradcam.sources.playback import Playback
from live_gradcam.sources.source import FrameSource
from live_gradcam.sources.stream import READ_TIMEOUT_MS

#: A source that gives nothing for so long has stopped, even if its driver says nothing.
_STALL_SECONDS = 4.5
_OPEN_STALL_SECONDS = 10.0
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 0.5, 10.0
#: Readers whose driver never comes back; as many as this are left behind before the next try waits for one of them.
_MOST_LOST_READERS = 3
_JOIN_SECONDS = 2 + READ_TIMEOUT_MS / 1000
_WATCH_SECONDS = 0.1


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

    def __init__(self, source: FrameSource | None) -> None:
        self.source = source
        self.waiting_since: float | None = time.monotonic()
        self.delivered = 0
        self.given_up = False
        self.error: Exception | None = None
        self.ended = threading.Event()
        self.thread: threading.Thread | None = None


class Capture:
    """Reads a source all the time, in a thread of its own, and hands on each frame. Use as a context manager.

    A live source that stops, or gives nothing for 4.5 seconds, is opened again after 0.5, 1, 2, … 10 seconds; its
    frames are numbered on, with the time since the first as theirs. Any other plays when it is let play. What a source
    gives that is no picture is left out.

    Args:
        source: see `open_source`. It is opened at once, in the caller's thread.
        deliver: what is called with each frame, uint8 BGR, in the thread that reads. It may wait.
        on_end: what is called when no more frames will come: with None at the end of a recording, else with the reason.
        reconnect: how many times in a row to try to open a live source again; None for ever.
        paced: False lets a recording play as fast as its frames are taken.
        opener: what opens the source.

    Attributes:
        frame_rate: how many frames per second a recording plays; None for a live source, whose rate is what comes.
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
        paced: bool = True,
        opener: Callable[[str], FrameSource] = open_source,
    ) -> None:
        self.captured = 0
        self.reconnects = 0
        self.outage: Outage | None = None
        self._uri = source
        self._deliver = deliver
        self._on_end = on_end
        self._opener = opener
        self._first_at = 0.0
        self._stop = threading.Event()
        self._lost: list[_Connection] = []
        opened = opener(source)
        self._connection = _Connection(opened)
        self._playback = None if opened.is_live else Playback(opened, paced=paced)
        self._reconnect = reconnect if opened.is_live else 0
        self.frame_rate = None if opened.is_live or opened.frame_rate is None else float(opened.frame_rate)
        self._thread = threading.Thread(target=self._keep_connected, name="capture", daemon=True)

    def let_play(self, playing: bool) -> None:
        """Let a recording play on from its first frame, or hold it. Live sources do not wait."""
        if self._playback is not None:
            self._playback.let_run(playing)

    def __enter__(self) -> Capture:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stop.set()
        if self._playback is not None:
            self._playback.interrupt()
        deadline = time.monotonic() + _JOIN_SECONDS
        self._thread.join(_JOIN_SECONDS)  # it may just have opened the source again
        for connection in [*self._lost, self._connection]:
            if connection.thread is not None:
                connection.thread.join(max(0.0, deadline - time.monotonic()))

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
        """Read a connection until it is over. Returns what ended it; None for its last frame, or a stop."""
        if connection.given_up:
            return connection.error
        connection.thread = DetachedThread(self._read, "capture-reader", (connection,))
        connection.thread.start()
        while not connection.ended.wait(_WATCH_SECONDS) and not self._stop.is_set():
            waiting_since = connection.waiting_since
            limit = _STALL_SECONDS if connection.source is not None else _OPEN_STALL_SECONDS
            stalls = waiting_since is not None and time.monotonic() - waiting_since > limit
            if stalls and self._playback is None:
                connection.given_up = True
                connection.error = SourceError(f"the source {masked(self._uri)} gives no more pictures")
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
        source = connection.source if connection.source is not None else self._opener(self._uri)
        connection.waiting_since = time.monotonic()
        connection.source = source
        try:
            for frame in self._playback or source.frames():
                connection.waiting_since = None
                if self._stop.is_set() or connection.given_up:
                    return
                image = as_bgr(frame.image)
                if image is not None:
                    self._hand_on(replace(frame, image=image), connection)
                connection.waiting_since = time.monotonic()
        finally:
            source.close()

    def _hand_on(self, frame: Frame, connection: _Connection) -> None:
        if self.outage is not None:
            self.outage = None
            self.reconnects += 1
        if self._playback is None:
            self._first_at = self._first_at if self.captured else frame.captured_at
            frame = replace(frame, index=self.captured, pts=seconds_since(self._first_at, frame.captured_at))
        connection.delivered += 1
        self.captured += 1
        self._deliver(frame)


def _last_word(reason: SourceError, attempts: int) -> SourceError:
    if not attempts:
        return reason
    tries = "try" if attempts == 1 else "tries"
    return SourceError(f"{reason}, and it did not come back after {attempts} {tries}")
