"""A viewer who sends and asks by POST, where WebSockets are refused: the same messages."""

from __future__ import annotations

import asyncio
import time

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from live_gradcam.serving.messages import MESSAGE_BYTES, pack_posted
from live_gradcam.serving.server.bodies import BodyError, read_body
from live_gradcam.serving.server.service import FullError, Service
from live_gradcam.serving.server.viewers import Viewer

#: How long an answer waits for something to say; proxies end what says nothing for longer.
_WAIT_SECONDS = 15.0


async def _open(request: Request) -> Response:
    service: Service = request.app.state.service
    try:
        viewer = service.connect()
    except FullError as error:
        return PlainTextResponse(f"{error}\n", 503)
    viewer.stuck_since = time.monotonic()
    return _messages(await viewer.outbox.take())


async def _send(request: Request) -> Response:
    viewer = _viewer(request)
    if viewer is None:
        return _unknown()
    try:
        content = await read_body(request, MESSAGE_BYTES)
    except BodyError as error:
        return error.response
    is_text = request.headers.get("content-type", "").partition(";")[0].strip() == "application/json"
    try:
        message = content.decode() if is_text else content
    except UnicodeDecodeError:
        return PlainTextResponse("the message is no text\n", 400)
    await request.app.state.service.receive(viewer, message)
    return Response(status_code=204)


async def _receive(request: Request) -> Response:
    viewer = _viewer(request)
    if viewer is None:
        return _unknown()
    viewer.stuck_since = None
    try:
        return _messages(await asyncio.wait_for(viewer.outbox.take(), _WAIT_SECONDS))
    except asyncio.TimeoutError:
        return _messages([])
    finally:
        viewer.stuck_since = time.monotonic()
        if viewer.outbox.is_closed:
            request.app.state.service.disconnect(viewer)


async def _close(request: Request) -> Response:
    viewer = _viewer(request)
    if viewer is not None:
        request.app.state.service.disconnect(viewer)
    return Response(status_code=204)


def _viewer(request: Request) -> Viewer | None:
    service: Service = request.app.state.service
    return service.find(request.query_params.get("viewer", ""))


def _unknown() -> Response:
    return PlainTextResponse("there is no such viewer: open again\n", 404)


def _messages(messages: list[bytes | str]) -> Response:
    return Response(pack_posted(messages), media_type="application/octet-stream")


ROUTES = [
    Route("/post/open", _open, methods=["POST"]),
    Route("/post/send", _send, methods=["POST"]),
    Route("/post/receive", _receive, methods=["POST"]),
    Route("/post/close", _close, methods=["POST"]),
]
