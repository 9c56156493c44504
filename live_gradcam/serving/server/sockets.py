"""A viewer behind a WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import time

from starlette.websockets import WebSocket, WebSocketDisconnect

from live_gradcam.serving.messages import pack_text
from live_gradcam.serving.server.service import FullError, Service
from live_gradcam.serving.server.viewers import Viewer

_TRY_LATER, _GOING_AWAY = 1013, 1001
_CLOSE_SECONDS = 1.0
#: What is raised where the other side has closed the connection.
_CLOSED = (WebSocketDisconnect, OSError, RuntimeError)


async def page_socket(socket: WebSocket) -> None:
    """Serve a viewer until one of both sides ends it."""
    service: Service = socket.app.state.service
    await socket.accept()
    try:
        viewer = service.connect()
    except FullError as error:
        await socket.send_text(pack_text("bye", text=str(error), reconnect=True).decode())
        await socket.close(_TRY_LATER)
        return
    tasks = [
        asyncio.create_task(_send(socket, viewer)),
        asyncio.create_task(_receive(socket, viewer, service)),
        asyncio.create_task(viewer.dropped.wait()),
    ]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        service.disconnect(viewer)
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for one in ended:
        if isinstance(one, Exception) and not isinstance(one, _CLOSED):
            raise one
    with contextlib.suppress(*_CLOSED, asyncio.TimeoutError):  # the other side has closed it, or is stuck
        await asyncio.wait_for(socket.close(_GOING_AWAY), _CLOSE_SECONDS)


async def _send(socket: WebSocket, viewer: Viewer) -> None:
    """Send what there is, until nothing more comes."""
    while messages := await viewer.outbox.take():
        viewer.stuck_since = time.monotonic()
        for message in messages:
            if isinstance(message, bytes):
                await socket.send_bytes(message)
            else:
                await socket.send_text(message)
        viewer.stuck_since = None


async def _receive(socket: WebSocket, viewer: Viewer, service: Service) -> None:
    """Take what comes, until the other side ends it."""
    while True:
        event = await socket.receive()
        if event["type"] == "websocket.disconnect":
            return
        content = event.get("bytes")
        await service.receive(viewer, event.get("text") or "" if content is None else content)
