"""A source of the server, explained and drawn, as a stream of JPEGs that OBS, browsers and OpenCV read."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from live_gradcam.serving.server.service import Service

_BOUNDARY_BYTES = 24


async def _stream(request: Request) -> Response:
    service: Service = request.app.state.service
    index = request.query_params.get("source", "0")
    if not (index.isascii() and index.isdecimal() and int(index[:9]) < len(service.sources)):
        return PlainTextResponse("there is no such source: give one to live-gradcam serve\n", 404)
    source = service.sources[int(index)]
    # Chromium looks for the boundary inside the pictures, whatever their length: a short one occurs in them.
    boundary = f"live-gradcam-{secrets.token_hex(_BOUNDARY_BYTES)}"

    async def parts() -> AsyncIterator[bytes]:
        async for jpeg in source.streams.read():
            head = f"--{boundary}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            yield head.encode() + jpeg + b"\r\n"

    return StreamingResponse(parts(), media_type=f"multipart/x-mixed-replace;boundary={boundary}")


ROUTES = [Route("/stream.mjpg", _stream)]
