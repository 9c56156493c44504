"""One worker, its viewers and their turns; it is started again whenever it is lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from live_gradcam.errors import LiveGradcamError
from live_gradcam.serving.messages import FrameBytes, pack_notice, pack_text
from live_gradcam.serving.server.links import Link, StartLink, WorkerLostError
from live_gradcam.serving.server.turns import Turns
from live_gradcam.serving.server.viewers import Explained

#: How many frames a worker has besides those that it explains: it decodes them meanwhile.
_AHEAD = 1
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 0.2, 10.0
#: What a worker takes longer for, it does not come back from: a frame of a new size is compiled within this.
_LONGEST_CALL_SECONDS = 120.0

#: What is said to those who ask for something too early.
STARTING = "the network is still starting: try again in a moment"

_log = logging.getLogger(__name__)


class Station:
    """A worker and its place in the server.

    Args:
        start: starts the worker.
        on_ready: is called when the worker is ready.
        on_lost: is called when it is lost, before it is started again.

    Attributes:
        is_ready: whether the worker's network is there.
        viewers: whose frames it explains.
        ready: set when the worker is ready for the first time.
    """

    def __init__(
        self, start: StartLink, on_ready: Callable[[Station], None], on_lost: Callable[[Station], None]
    ) -> None:
        self.is_ready = False
        self.ready = asyncio.Event()
        self.viewers: list[Explained] = []
        self._start = start
        self._on_ready, self._on_lost = on_ready, on_lost
        self._link: Link | None = None
        self._turns: Turns[Explained] = Turns()
        self._callers = 1  # how many frames the worker explains at a time
        self._explaining: dict[asyncio.Task[None], Explained] = {}
        self._calls: dict[object, float] = {}
        self._background: set[asyncio.Task[None]] = set()

    async def run(self, *, must_start: bool = False) -> None:
        """Have the worker run, for ever: it is started again whenever it is lost.

        Args:
            must_start: whether a first start that fails is the end of all.

        Raises:
            LiveGradcamError: the first start failed.
        """
        wait = _FIRST_RETRY_SECONDS
        while True:
            try:
                await self._run_once()
                wait = _FIRST_RETRY_SECONDS
            except LiveGradcamError as error:
                if must_start and not self.ready.is_set():
                    raise
                _log.warning("a network does not start, and is tried again: %s", error)
                wait = min(_LAST_RETRY_SECONDS, 2 * wait)
            await asyncio.sleep(wait)

    async def _run_once(self) -> None:
        self._link = link = await self._start()
        try:
            await link.call("start")
            self._callers = await link.call("callers")
            self.is_ready = True
            self.ready.set()
            for viewer in self.viewers:
                self._spawn(self._open(viewer))
            self._on_ready(self)
            self._fill()
            await link.ended()
            self.is_ready = False
            _log.warning("a worker is gone; another one is started")
            self._on_lost(self)
        finally:
            self.is_ready, self._link = False, None
            await link.close()

    # --- viewers --------------------------------------------------------------------------------------------------

    def admit(self, viewer: Explained, frame: FrameBytes | None = None) -> None:
        """Explain a viewer's frames from now on.

        Args:
            viewer: is with no other station any more.
            frame: of the viewer, that waited there.
        """
        viewer.station = self
        self.viewers.append(viewer)
        if self.is_ready:
            self._spawn(self._open(viewer))
        else:
            viewer.tell(pack_text("starting", text="The network is starting."))
        if frame is not None:
            self.offer(viewer, frame)

    def dismiss(self, viewer: Explained) -> FrameBytes | None:
        """Explain a viewer's frames no more. Returns the one that waited."""
        viewer.station = None
        self.viewers.remove(viewer)
        if self.is_ready:
            self._spawn(self._close(viewer.name))
        return self._turns.leave(viewer)

    def offer(self, viewer: Explained, frame: FrameBytes) -> None:
        """Explain a frame when it is its turn, unless a newer one of the viewer comes before."""
        self._turns.offer(viewer, frame, time.monotonic())
        self._fill()

    async def command(self, viewer: Explained, name: str, argument: Any) -> None:
        """Have a viewer's command done."""
        try:
            viewer.take(await self.call("command", viewer.name, name, argument))
        except LiveGradcamError as error:
            viewer.tell(pack_notice(error.words, is_error=True, values=error.values))

    async def call(self, name: str, *arguments: Any) -> Any:
        """What a method of the worker gives.

        Raises:
            WorkerLostError: the worker is not ready, or lost.
            LiveGradcamError: what the method raised.
        """
        link = self._link
        if link is None or not self.is_ready:
            raise WorkerLostError(STARTING)
        call = object()
        self._calls[call] = time.monotonic()
        try:
            return await link.call(name, *arguments)
        finally:
            del self._calls[call]

    def poll(self) -> None:
        """Ask for what has changed for viewers who wait for something, and have the worker ended where it hangs."""
        if not self.is_ready:
            return
        for viewer in self.viewers:
            if viewer.is_pending:
                viewer.is_pending = False  # until the worker says so again
                self._spawn(self._poll(viewer))
        begun = min(self._calls.values(), default=None)
        if begun is not None and time.monotonic() - begun > _LONGEST_CALL_SECONDS and self._link is not None:
            _log.warning("a worker does not answer any more, and is ended")
            self._spawn(self._link.close())

    # --- what goes on meanwhile -----------------------------------------------------------------------------------

    async def _open(self, viewer: Explained) -> None:
        for text in await self.call("open", viewer.name, viewer.state):
            viewer.tell(text)

    async def _close(self, name: str) -> None:
        await self.call("close", name)

    async def _poll(self, viewer: Explained) -> None:
        viewer.take(await self.call("poll", viewer.name))

    def _fill(self) -> None:
        """Give the worker the frames that it explains at a time, and the next, which it decodes meanwhile.

        Of one viewer it has no more than with one frame at a time: each would be older when it is explained.
        """
        while self.is_ready and len(self._explaining) < self._callers + _AHEAD:
            counts = Counter(self._explaining.values())
            served = [viewer for viewer, count in counts.items() if count >= 1 + _AHEAD]
            next_ = self._turns.next(time.monotonic(), served)
            if next_ is None:
                return
            task = asyncio.get_running_loop().create_task(self._explain(*next_))
            self._explaining[task] = next_[0]
            task.add_done_callback(self._explained)

    def _explained(self, task: asyncio.Task[None]) -> None:
        self._explaining.pop(task, None)
        if not task.cancelled():
            task.result()
            self._fill()

    async def _explain(self, viewer: Explained, frame: FrameBytes) -> None:
        try:
            viewer.take(await self.call("explain", viewer.name, frame))
        except LiveGradcamError as error:
            viewer.tell(pack_text("error", text=str(error), id=frame.id))

    def _spawn(self, work: Any) -> None:
        """Do something meanwhile. A worker that is lost on the way is dealt with elsewhere."""

        async def do() -> None:
            with contextlib.suppress(WorkerLostError):
                try:
                    await work
                except LiveGradcamError as error:
                    _log.warning("%s", error)

        task = asyncio.get_running_loop().create_task(do())
        self._background.add(task)
        task.add_done_callback(self._background.discard)
