"""What the server does, whatever carries the messages: viewers come, send, watch, and go."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from live_gradcam.errors import LiveGradcamError
from live_gradcam.serving.messages import MessageError, pack_text, parse_frame, parse_text
from live_gradcam.serving.server.jpeg import check_jpeg
from live_gradcam.serving.server.pool import Pool
from live_gradcam.serving.server.viewers import TEXT_UNITS, Viewer
from live_gradcam.serving.server.watching import WatchedSource

#: Who does not take for so long what is sent is gone.
_PATIENCE_SECONDS = 20.0
_SWEEP_SECONDS = 1.0
#: How many taught models are in the server's memory at a time.
_MOST_MODELS = 4
#: How many files to be kept are in the server's memory at a time.
_MOST_UPLOADS = 4


class FullError(LiveGradcamError):
    """There is no room for another viewer."""


@dataclass(frozen=True)
class Limits:
    """What is taken of a viewer.

    Attributes:
        clients: how many viewers there may be at a time.
        pixels: how many a picture may have.
    """

    clients: int
    pixels: int


class Service:
    """Viewers, the workers that explain their frames, and the sources that they can watch.

    Args:
        pool: explains.
        sources: to watch.
        hello: what every viewer is told first, besides the names of the viewer and the sources.
        limits: what is taken of a viewer.
        keep: the folder for what viewers keep; None to keep nothing.
        new_viewer: makes a viewer.

    Attributes:
        kept_bytes: how much viewers left there.
        keeping: held while something is written there.
        uploads: a place for each file that a viewer is sending to be kept.
        models: a place for each model that is on its way to a viewer.
    """

    def __init__(
        self,
        pool: Pool,
        sources: Sequence[WatchedSource],
        hello: Mapping[str, Any],
        limits: Limits,
        keep: Path | None = None,
        new_viewer: Callable[[], Viewer] = Viewer,
    ) -> None:
        self.pool = pool
        self.sources = sources
        self.limits = limits
        self.keep = keep
        self.kept_bytes = 0
        self.keeping = asyncio.Lock()
        self.uploads = asyncio.Semaphore(_MOST_UPLOADS)
        self.models = asyncio.Semaphore(_MOST_MODELS)
        self._hello = hello
        self._new_viewer = new_viewer
        self._viewers: dict[str, Viewer] = {}
        self._closed_because: str | None = None

    # --- viewers --------------------------------------------------------------------------------------------------

    def connect(self) -> Viewer:
        """A new viewer, who is told how things are.

        Raises:
            FullError: there are as many as there may be, or the server ends.
        """
        if self._closed_because is not None:
            raise FullError(self._closed_because)
        if self.is_full:
            raise FullError("there are too many visitors at the moment: try again later")
        viewer = self._new_viewer()
        self._viewers[viewer.name] = viewer
        sources = [{"index": index, "name": source.title} for index, source in enumerate(self.sources)]
        viewer.outbox.put_text(pack_text("hello", **self._hello, viewer=viewer.name, sources=sources))
        self.pool.admit(viewer)
        return viewer

    def disconnect(self, viewer: Viewer) -> None:
        """A viewer is gone. A second call does nothing."""
        if self._viewers.pop(viewer.name, None) is None:
            return
        self._watch(viewer, None)
        self.pool.dismiss(viewer)
        viewer.outbox.close()
        viewer.dropped.set()

    @property
    def viewers(self) -> int:
        """How many viewers there are."""
        return len(self._viewers)

    @property
    def is_full(self) -> bool:
        """Whether there are as many viewers as there may be."""
        return self.viewers >= self.limits.clients

    def find(self, name: str) -> Viewer | None:
        """The viewer of that secret name."""
        return self._viewers.get(name)

    # --- what they send -------------------------------------------------------------------------------------------

    async def receive(self, viewer: Viewer, message: bytes | str) -> None:
        """Take a message of a viewer. It takes longer the more a viewer sends: so nothing piles up.

        Args:
            viewer: whose.
            message: binary or text.
        """
        await viewer.allowance.use(1 if isinstance(message, bytes) else TEXT_UNITS)
        try:
            if isinstance(message, bytes):
                self._take_frame(viewer, message)
            else:
                await self._take_text(viewer, message)
        except MessageError as error:
            viewer.outbox.put_text(pack_text("error", text=str(error), id=None))

    def _take_frame(self, viewer: Viewer, message: bytes) -> None:
        frame = parse_frame(message)
        try:
            check_jpeg(frame.jpeg, self.limits.pixels)
        except MessageError as error:
            viewer.outbox.put_text(pack_text("error", text=str(error), id=frame.id))
            return
        if viewer.watching is None and viewer.station is not None:
            viewer.station.offer(viewer, frame)

    async def _take_text(self, viewer: Viewer, message: str) -> None:
        asked = parse_text(message)
        if asked.type == "command":
            explained = viewer.looked_at
            if explained.station is not None:
                await explained.station.command(explained, asked.name, asked.argument)
        elif asked.type == "watch":
            if asked.source is not None and asked.source >= len(self.sources):
                raise MessageError("there is no such source")
            self._watch(viewer, None if asked.source is None else self.sources[asked.source])
        elif asked.type == "ready":
            if viewer.watching is not None:
                viewer.watching.drawn_by(viewer)
        else:
            viewer.say_state()

    def _watch(self, viewer: Viewer, source: WatchedSource | None) -> None:
        if viewer.watching is not None:
            viewer.watching.leave(viewer)
        viewer.watching = source
        if source is not None:
            source.join(viewer)
        viewer.say_standing()

    # --- the service itself ---------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve, until it is cancelled.

        Raises:
            LiveGradcamError: no worker can be started.
        """
        for source in self.sources:
            source.start()
            self.pool.admit(source)
        sweeping = asyncio.create_task(self._sweep())
        try:
            await self.pool.run()
        finally:
            sweeping.cancel()

    async def close(self, why: str = "The server has stopped.", *, reconnect: bool = True) -> None:
        """Say goodbye to all viewers and take no more.

        Args:
            why: what they are told.
            reconnect: whether it is worth their while to come again.
        """
        self._closed_because = why
        for viewer in self._viewers.values():
            viewer.end(why, reconnect=reconnect)
        await asyncio.gather(*(source.close() for source in self.sources))

    async def _sweep(self) -> None:
        """Drop those who stopped reading, and say what becomes of the sources."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = time.monotonic()
            for viewer in list(self._viewers.values()):
                is_stuck = viewer.stuck_since is not None and now - viewer.stuck_since > _PATIENCE_SECONDS
                if is_stuck or viewer.outbox.is_overfull:
                    self.disconnect(viewer)
            for source in self.sources:
                source.say_outage()
