"""A worker in threads of this process, for a network in memory, which cannot leave it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from live_gradcam.annotating.messages import WarningRelay
from live_gradcam.serving.workers.host import MakeWorker, WorkerHost, result_of

_JOIN_SECONDS = 3.0


class ThreadLink:
    """A worker in threads of this process. Make it with `start`."""

    def __init__(self, host: WorkerHost) -> None:
        self._host = host
        self._warnings = WarningRelay()
        self._is_over = asyncio.Event()

    @classmethod
    async def start(cls, make: MakeWorker) -> ThreadLink:
        """Start the threads.

        Args:
            make: makes the worker.
        """
        return cls(WorkerHost(make, is_apart=False))

    async def call(self, name: str, *arguments: Any) -> Any:
        """See `Link`."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()

        def answered(result: Any) -> None:
            if not done.done():  # nobody waits for it any more
                done.set_result(result)

        def answer(result: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(answered, result)

        self._host.ask(name, arguments, answer)
        return result_of(await done, self._warnings)

    async def ended(self) -> None:
        """See `Link`."""
        await self._is_over.wait()

    async def close(self) -> None:
        """See `Link`."""
        if not self._is_over.is_set():
            self._is_over.set()
            self._host.ask("stop", (), lambda _: None)
            await asyncio.get_running_loop().run_in_executor(None, self._host.end, _JOIN_SECONDS)
