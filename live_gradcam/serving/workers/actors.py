"""Workers on the machines of a Ray cluster: actors, which are spoken with like processes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from live_gradcam.annotating.messages import WarningRelay
from live_gradcam.cluster import Cluster
from live_gradcam.errors import first_line
from live_gradcam.serving.server.links import WorkerLostError
from live_gradcam.serving.workers.host import MakeWorker, WorkerHost, result_of


class ActorLink:
    """A worker in an actor. Make it with `start`.

    Args:
        cluster: where it is.
        actor: of Ray.
    """

    def __init__(self, cluster: Cluster, actor: Any) -> None:
        self._ray = cluster.ray
        self._actor = actor
        self._warnings = WarningRelay()

    @classmethod
    async def start(cls, cluster: Cluster, make: MakeWorker) -> ActorLink:
        """Start an actor with a worker, on whichever machine has room.

        Args:
            cluster: where.
            make: makes the worker.
        """
        return cls(cluster, cluster.actor(_Actor).remote(make))

    async def call(self, name: str, *arguments: Any) -> Any:
        """See `Link`."""
        try:
            done = await self._actor.call.remote(name, arguments)
        except self._ray.exceptions.RayError as error:
            raise WorkerLostError(f"the machine that explains is gone: {first_line(error)}") from error
        return result_of(done, self._warnings)

    async def ended(self) -> None:
        """See `Link`."""
        with contextlib.suppress(self._ray.exceptions.RayError):
            await self._actor.be_there.remote()

    async def close(self) -> None:
        """See `Link`."""
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.kill(self._actor)


class _Actor:
    """A worker on the cluster. Ray begins calls in the order in which they are made."""

    def __init__(self, make: MakeWorker) -> None:
        self._host = WorkerHost(make)

    async def call(self, name: str, arguments: tuple[Any, ...]) -> Any:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        self._host.ask(name, arguments, lambda result: loop.call_soon_threadsafe(done.set_result, result))
        return await done

    async def be_there(self) -> None:
        """Never answers while the actor is there."""
        await asyncio.Event().wait()
