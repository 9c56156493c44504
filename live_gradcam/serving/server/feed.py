"""A source of the server, read in a thread of its own; a recording begins again when it ends."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

from live_gradcam.flow.threads import DetachedThread
from live_gradcam.sources.capture import Capture, Outage
from live_gradcam.sources.devices import camera_index
from live_gradcam.sources.frame import Frame
from live_gradcam.sources.source import FrameSource

#: A recording is opened again after this at the earliest, however short it is.
_SHORTEST_ROUND_SECONDS = 0.5
_CLOSE_SECONDS = 1.0


class Feed:
    """A source that is read all the time.

    Args:
        uri: see `sources.opening.open_source`.
        opener: opens it.
        deliver: is called with each frame and whether it is the first of a round, in the thread that reads.

    Attributes:
        failure: why it is not read any more; None while it is.
        is_still: whether it was a single picture, of which no more comes.
    """

    def __init__(self, uri: str, opener: Callable[[str], FrameSource], deliver: Callable[[Frame, bool], None]) -> None:
        self._uri = uri
        self._opener = opener
        self._deliver = deliver
        self._capture: Capture | None = None
        self._is_first = True
        self._is_playing = False
        self._is_started = False
        self._closing = threading.Event()
        self.failure: Exception | None = None
        self.is_still = False

    @property
    def outage(self) -> Outage | None:
        """What is wrong with the source just now; None while it delivers."""
        return self._capture.outage if self._capture is not None else None

    def open(self) -> None:
        """Open the source.

        Raises:
            SourceError: it cannot be opened.
        """
        self._capture = self._opened()

    def start(self) -> None:
        """Read it from now on."""
        assert self._capture is not None
        self._is_started = True
        self._capture.__enter__()

    def let_play(self, playing: bool) -> None:
        """Let a recording play on, or hold it. Live sources do not wait."""
        self._is_playing = playing
        if self._capture is not None:
            self._capture.let_play(playing)

    def close(self) -> None:
        """Stop reading. A driver that does not come back is left behind after a second. A second call does nothing."""
        self._closing.set()
        capture, self._capture = self._capture, None
        if capture is not None:
            if not self._is_started:
                capture.__enter__()  # what ends it closes the source
            ending = DetachedThread(capture.__exit__, "capture-end", (None, None, None))
            ending.start()
            ending.join(_CLOSE_SECONDS)

    def _opened(self) -> Capture:
        self._is_first = True
        capture = Capture(self._uri, self._take, self._begin_again, opener=self._opener)
        capture.let_play(self._is_playing)
        return capture

    def _take(self, frame: Frame) -> None:
        self._deliver(frame, self._is_first)
        self._is_first = False

    def _begin_again(self, reason: Exception | None) -> None:
        """The recording has ended, or the source failed for good. Called in the thread of the capture."""
        if reason is not None or self._capture is None:
            self.failure = reason
            return
        if self._capture.captured <= 1:
            self.is_still = True
            return
        if self._closing.wait(_SHORTEST_ROUND_SECONDS):
            return
        try:
            capture = self._opened()
        except Exception as error:  # whatever became of the file
            self.failure = error
            return
        self._capture = capture
        if self._closing.is_set():
            return
        capture.__enter__()
        capture.let_play(self._is_playing)


def title_of(uri: str) -> str:
    """What visitors call a source: nothing that tells them of folders, users or machines behind the server."""
    if camera_index(uri) is not None:
        return f"camera {camera_index(uri)}"
    with contextlib.suppress(ValueError):
        address = urlsplit(uri)
        if address.scheme and address.netloc:
            return address.hostname or address.scheme
    return uri.rstrip("/\\").replace("\\", "/").rpartition("/")[2] or uri
