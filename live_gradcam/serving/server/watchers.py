"""Those who look at a source of the server: pages, which draw its maps themselves, and streams of drawn pictures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass

from live_gradcam.serving.server.viewers import Viewer


@dataclass
class _Watcher:
    """One who watches.

    Attributes:
        is_ready: whether the last frame is drawn.
        seen: the number of the newest frame that was sent.
    """

    is_ready: bool = True
    seen: int = 0


class Watchers:
    """Viewers who watch: each gets the newest frame when the last one is drawn, and nobody waits for another."""

    def __init__(self) -> None:
        self._watchers: dict[Viewer, _Watcher] = {}
        self._number = 0
        self._newest = b""

    def __len__(self) -> int:
        return len(self._watchers)

    def __iter__(self) -> Iterator[Viewer]:
        return iter(self._watchers)

    def join(self, viewer: Viewer) -> None:
        """Have a viewer watch."""
        self._watchers[viewer] = _Watcher()

    def leave(self, viewer: Viewer) -> None:
        """Have a viewer watch no more."""
        self._watchers.pop(viewer, None)

    def show(self, message: bytes) -> None:
        """Send a frame with its answer to those who have drawn the last one; the others get it when they have."""
        self._number, self._newest = self._number + 1, message
        for viewer, watcher in self._watchers.items():
            if watcher.is_ready:
                self._send(viewer, watcher)

    def drawn_by(self, viewer: Viewer) -> None:
        """A viewer has drawn the last frame, and gets the newest."""
        watcher = self._watchers[viewer]
        watcher.is_ready = True
        if watcher.seen != self._number:
            self._send(viewer, watcher)

    def _send(self, viewer: Viewer, watcher: _Watcher) -> None:
        watcher.is_ready, watcher.seen = False, self._number
        viewer.outbox.put_answer(self._newest)


class DrawnStreams:
    """Streams of explained frames as a window shows them. Each is drawn once for all; a slow reader misses some.

    Args:
        draw: draws the newest explained frame; gives a JPEG, or nothing where it cannot.
        on_change: is called when a reader has come or gone.
    """

    def __init__(self, draw: Callable[[], Awaitable[bytes]], on_change: Callable[[], None]) -> None:
        self._draw = draw
        self._on_change = on_change
        self._readers: set[asyncio.Event] = set()
        self._drawing: asyncio.Task[None] | None = None
        self._newest = b""
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._readers)

    def show(self) -> None:
        """A frame is explained: draw it, unless the last one is still being drawn or nobody reads."""
        if self._readers and self._drawing is None:
            self._drawing = asyncio.create_task(self._draw_newest())

    def close(self) -> None:
        """End all streams."""
        self._is_closed = True
        for changed in self._readers:
            changed.set()

    async def read(self) -> AsyncIterator[bytes]:
        """The JPEGs of one reader, the newest each time."""
        changed = asyncio.Event()
        self._readers.add(changed)
        self._on_change()
        try:
            while True:
                await changed.wait()
                changed.clear()
                if self._is_closed:
                    return
                yield self._newest
        finally:
            self._readers.discard(changed)
            self._on_change()

    async def _draw_newest(self) -> None:
        try:
            jpeg = await self._draw()
        finally:
            self._drawing = None
        if jpeg:
            self._newest = jpeg
            for changed in self._readers:
                changed.set()
