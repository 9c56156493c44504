"""Sources of the server that many watch: each is read, encoded and explained once."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable

import cv2
import numpy as np

from live_gradcam.errors import LiveGradcamError
from live_gradcam.serving.messages import (
    IN_FLIGHT,
    NEW_SOURCE,
    STILL,
    FrameBytes,
    id_of,
    pack_notice,
    pack_text,
    watched_answer,
)
from live_gradcam.serving.server.feed import Feed, title_of
from live_gradcam.serving.server.viewers import Explained, Viewer
from live_gradcam.serving.server.watchers import DrawnStreams, Watchers
from live_gradcam.sources.frame import Frame
from live_gradcam.sources.source import FrameSource

#: Larger frames are made smaller: a page shows no more, and an older phone decodes no more.
_MOST_HEIGHT, _MOST_WIDTH = 720, 1280
_QUALITY = 85
_ERROR = pack_text("error")[:-1]
_LARGEST_ID = 1 << 32

_log = logging.getLogger(__name__)


class WatchedSource(Explained):
    """A source of the server, which is explained like a viewer, and its watchers.

    Args:
        uri: see `sources.opening.open_source`.
        opener: opens it.

    Attributes:
        title: what visitors call it.
        feed: reads the source.
        streams: of what is drawn.
    """

    def __init__(self, uri: str, opener: Callable[[str], FrameSource]) -> None:
        super().__init__()
        self.title = title_of(uri)
        self.feed = Feed(uri, opener, self._encode)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._free = threading.Semaphore(IN_FLIGHT)
        self._looking = 0  # how many watch, and how many read streams
        self._is_new = True
        self._latest: Frame | None = None
        self._number = 0
        self._encoded: dict[int, bytes] = {}
        self._watchers = Watchers()
        self.streams = DrawnStreams(self._draw, self._count)
        self._outage_said = False

    def open(self) -> None:
        """Open the source.

        Raises:
            SourceError: it cannot be opened.
        """
        self.feed.open()

    def start(self) -> None:
        """Read the source from now on; to be called where the server's loop runs."""
        self._loop = asyncio.get_running_loop()
        self.feed.start()

    async def close(self) -> None:
        """Read it no more, and end its streams."""
        self._loop = None
        self.streams.close()
        await asyncio.get_running_loop().run_in_executor(None, self.feed.close)

    # --- in the thread that reads ---------------------------------------------------------------------------------

    def _encode(self, frame: Frame, is_first: bool) -> None:
        loop, self._latest = self._loop, frame
        self._is_new = self._is_new or is_first
        if loop is None or not self._looking or not self._free.acquire(blocking=False):
            return
        jpeg = _jpeg(frame.image)
        flags = (NEW_SOURCE if self._is_new else 0) | (STILL if self.feed.is_still else 0)
        try:
            loop.call_soon_threadsafe(self._offer, jpeg, float(frame.pts), flags)
        except RuntimeError:  # the loop has ended
            self._free.release()
            return
        self._is_new = False

    # --- what the worker says -------------------------------------------------------------------------------------

    def _offer(self, jpeg: bytes, time: float, flags: int) -> None:
        if self.station is None:
            self._free.release()
            return
        self._number = self._number % (_LARGEST_ID - 1) + 1
        self._encoded[self._number] = jpeg
        self.station.offer(self, FrameBytes(self._number, flags, time, jpeg))

    def show(self, answer: bytes) -> None:
        """Take an answer: it goes to those who have drawn the last one."""
        jpeg = self._encoded.get(id_of(answer))
        self._acknowledge(id_of(answer))
        if jpeg is not None:
            self._watchers.show(watched_answer(answer, jpeg, len(self._watchers)))
            self.streams.show()

    def tell(self, text: bytes) -> None:
        """Take a text message: it goes to all who watch. An error is the answer to a frame, and nobody else's."""
        if text.startswith(_ERROR):
            content = json.loads(text)
            _log.debug("%s: %s", self.title, content.get("text"))
            if content.get("id") is not None:
                self._acknowledge(content["id"])
            return
        if self.standing.note(text) and self.feed.is_still:
            self._show_latest()
        for viewer in self._watchers:
            viewer.outbox.put_text(text)

    def _acknowledge(self, number: int) -> None:
        """An answer to a frame is one to all before it."""
        for earlier in [one for one in self._encoded if one <= number or one > number + IN_FLIGHT]:
            del self._encoded[earlier]
            self._free.release()

    # --- those who watch ------------------------------------------------------------------------------------------

    def join(self, viewer: Viewer) -> None:
        """Have a viewer watch."""
        self._watchers.join(viewer)
        self._count()
        if self._outage_said:
            viewer.outbox.put_text(self._outage_notice())

    def leave(self, viewer: Viewer) -> None:
        """Have a viewer watch no more."""
        self._watchers.leave(viewer)
        self._count()

    def drawn_by(self, viewer: Viewer) -> None:
        """A viewer has drawn the last frame, and gets the newest."""
        self._watchers.drawn_by(viewer)

    def _count(self) -> None:
        """Somebody came or went. While nobody watches, nothing is explained, and a recording waits."""
        before, self._looking = self._looking, len(self._watchers) + len(self.streams)
        self.feed.let_play(self._looking > 0)
        if self._looking > before:
            self._show_latest()

    def _show_latest(self) -> None:
        """Explain the newest frame once more: no other may come, or not soon."""
        if self._latest is not None and self._loop is not None:
            self._loop.run_in_executor(None, self._encode, self._latest, False)

    def say_outage(self) -> None:
        """Tell those who watch that the source has stopped, or is back."""
        outage, failure = self.feed.outage, self.feed.failure
        is_out = outage is not None or failure is not None
        if is_out == self._outage_said:
            return
        self._outage_said = is_out
        if is_out:
            _log.warning("%s has stopped: %s", self.title, outage.reason if outage else failure)
        self.tell(self._outage_notice())

    def _outage_notice(self) -> bytes:
        is_out = self._outage_said
        words = "{source} has stopped." if is_out else "{source} is back."
        return pack_notice(words, is_error=is_out, values={"source": self.title})

    async def _draw(self) -> bytes:
        """The newest explained frame as a window shows it, a JPEG; nothing where the worker has none."""
        if self.station is None:
            return b""
        try:
            return bytes(await self.station.call("drawn", self.name))
        except LiveGradcamError as error:
            _log.debug("%s is not drawn: %s", self.title, error)
            return b""


def _jpeg(image: np.ndarray) -> bytes:
    """A JPEG of a frame, uint8 (height, width, 3) BGR, made smaller where it is too large for a page."""
    height, width = image.shape[:2]
    factor = min(1.0, _MOST_HEIGHT / height, _MOST_WIDTH / width)
    if factor < 1:
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))[1].tobytes()
