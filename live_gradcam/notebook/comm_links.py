"""Viewers behind the notebook's own messages (comms): for those whose browser cannot reach the kernel's machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from live_gradcam.serving.messages import pack_text
from live_gradcam.serving.server.service import FullError, Service
from live_gradcam.serving.server.viewers import Viewer

#: Sends a message to all views of a widget, with buffers. Any thread may call it.
Send = Callable[[dict[str, Any], Sequence[bytes]], None]


@dataclass(eq=False)
class _Link:
    """A viewer, and what goes on for them."""

    viewer: Viewer
    inbox: asyncio.Queue[bytes | str] = field(default_factory=asyncio.Queue)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    heard_at: float = field(default_factory=time.monotonic)


class CommLinks:
    """Connections by name, each of a view in a browser. All of it runs in the thread of the service's loop.

    Args:
        service: does what viewers ask for.
        send: sends to the browser.
    """

    def __init__(self, service: Service, send: Send) -> None:
        self._service = service
        self._send = send
        self._links: dict[str, _Link] = {}

    def __len__(self) -> int:
        return len(self._links)

    def open(self, name: str) -> None:
        """A view has come. Where there are too many, that which was silent for the longest time is gone."""
        if self._service.is_full and self._links:
            self.close(min(self._links, key=lambda other: self._links[other].heard_at))
        try:
            link = _Link(self._service.connect())
        except FullError as error:
            bye = pack_text("bye", text=str(error), reconnect=False).decode()
            self._send({"link": name, "texts": [bye], "isOver": True}, [])
            return
        self._links[name] = link
        link.tasks += [asyncio.create_task(self._receive_all(link)), asyncio.create_task(self._send_all(name, link))]

    def take(self, name: str, message: bytes | str) -> None:
        """Take a message of a view: a frame, or a text."""
        link = self._links.get(name)
        if link is not None:
            link.heard_at = time.monotonic()
            link.inbox.put_nowait(message)

    def close(self, name: str) -> None:
        """A view is gone. One that is not here is no mistake."""
        link = self._links.pop(name, None)
        if link is not None:
            self._service.disconnect(link.viewer)
            for task in link.tasks:
                task.cancel()

    async def _receive_all(self, link: _Link) -> None:
        while True:
            await self._service.receive(link.viewer, await link.inbox.get())

    async def _send_all(self, name: str, link: _Link) -> None:
        while messages := await link.viewer.outbox.take():
            texts = [message for message in messages if isinstance(message, str)]
            answers = [message for message in messages if isinstance(message, bytes)]
            self._send({"link": name, "texts": texts}, answers)
        self._send({"link": name, "texts": [], "isOver": True}, [])
        self.close(name)
