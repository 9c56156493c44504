"""How the server speaks with a worker, wherever that runs: a process of this machine, or an actor on another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from live_gradcam.errors import LiveGradcamError


class WorkerLostError(LiveGradcamError):
    """The worker is gone, and what was asked of it is not answered."""


class Link(Protocol):
    """A worker that runs elsewhere. What is asked of it for a viewer is done in the order in which it is asked."""

    async def call(self, name: str, *arguments: Any) -> Any:
        """What a method of the worker gives.

        Args:
            name: of a method of `explaining.worker.Worker`; "explain" takes a `FrameBytes`, which it decodes first.
            arguments: for it.

        Raises:
            WorkerLostError: the worker is gone.
            LiveGradcamError: what the method raised.
        """

    async def ended(self) -> None:
        """Wait until the worker is gone, whatever the reason."""

    async def close(self) -> None:
        """End the worker at once. A second call does nothing."""


#: Starts a worker, whose network is not loaded yet, and gives the link to it. Raises LiveGradcamError.
StartLink = Callable[[], Awaitable[Link]]
