"""All workers: who is with which, and where those go on whose worker is lost."""

from __future__ import annotations

import asyncio
from typing import Any

from live_gradcam.serving.messages import pack_notice, pack_text
from live_gradcam.serving.server.links import StartLink, WorkerLostError
from live_gradcam.serving.server.station import STARTING, Station
from live_gradcam.serving.server.viewers import Explained

_POLL_SECONDS = 0.25


class Pool:
    """The stations. A viewer stays with one, that which has the fewest viewers when it comes.

    Args:
        starts: each starts a worker.
    """

    def __init__(self, starts: list[StartLink]) -> None:
        self._stations = [Station(start, self._fill_up, self._move_on) for start in starts]

    async def run(self) -> None:
        """Have the workers run, for ever. The first is started alone: what it times is remembered for the others.

        Raises:
            LiveGradcamError: the first cannot be started.
        """
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(self._poll()),
            asyncio.create_task(self._stations[0].run(must_start=True)),
        ]
        try:
            first_is_ready = asyncio.create_task(self._stations[0].ready.wait())
            tasks.append(first_is_ready)
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if first_is_ready.done():
                tasks.remove(first_is_ready)
                tasks += [asyncio.create_task(station.run()) for station in self._stations[1:]]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)  # workers are ended

    def admit(self, viewer: Explained) -> None:
        """Give a viewer a worker: one that is ready, if any is."""
        self._emptiest(self._stations).admit(viewer)

    def dismiss(self, viewer: Explained) -> None:
        """A viewer is gone."""
        if viewer.station is not None:
            viewer.station.dismiss(viewer)

    async def call(self, name: str, *arguments: Any) -> Any:
        """What a method of any worker gives that is not about a viewer.

        Raises:
            WorkerLostError: no worker is ready.
            LiveGradcamError: what the method raised.
        """
        ready = [station for station in self._stations if station.is_ready]
        if not ready:
            raise WorkerLostError(STARTING)
        return await self._emptiest(ready).call(name, *arguments)

    def _emptiest(self, stations: list[Station]) -> Station:
        return min(stations, key=lambda station: (not station.is_ready, len(station.viewers)))

    def _fill_up(self, station: Station) -> None:
        """A worker is ready: let it have its share of the viewers. Those who teach stay where their examples are."""
        others = [other for other in self._stations if other is not station]
        while others:
            fullest = max(others, key=lambda other: (not other.is_ready and bool(other.viewers), len(other.viewers)))
            movable = [viewer for viewer in fullest.viewers if not (viewer.state or {}).get("teaching")]
            if not movable or (fullest.is_ready and len(fullest.viewers) <= len(station.viewers) + 1):
                return
            frame = fullest.dismiss(movable[-1])
            station.admit(movable[-1], frame)

    def _move_on(self, station: Station) -> None:
        """A worker is lost: let its viewers go on with the others, or wait for it to be started again."""
        others = [other for other in self._stations if other.is_ready]
        for viewer in list(station.viewers):
            if not others:
                viewer.tell(pack_text("starting", text="The network stopped. It is starting again."))
                continue
            frame = station.dismiss(viewer)
            viewer.tell(pack_notice("The network stopped. Another one goes on.", is_error=True))
            self._emptiest(others).admit(viewer, frame)

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            for station in self._stations:
                station.poll()
