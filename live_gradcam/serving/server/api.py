"""For programs: a picture is posted, and its explanation comes back as JSON."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from live_gradcam.errors import LiveGradcamError, UsageError
from live_gradcam.serving.messages import MESSAGE_BYTES, MessageError
from live_gradcam.serving.server.bodies import BodyError, read_body
from live_gradcam.serving.server.jpeg import check_jpeg
from live_gradcam.serving.server.links import WorkerLostError
from live_gradcam.serving.server.service import Service

#: How many pictures may wait: those that look into a camera go first.
_MOST_WAITING = 8
_PARAMETERS = "class", "token"

DESCRIPTION: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {
        "title": "live-gradcam",
        "version": "1",
        "description": "What a network sees in a picture, and where. Give the token of the printed address: as "
        "?token=…, or as Authorization: Bearer ….",
    },
    "paths": {
        "/api/explain": {
            "post": {
                "summary": "Explain a picture",
                "parameters": [
                    {
                        "name": "class",
                        "in": "query",
                        "required": False,
                        "description": "The class to explain: its index or its label. Repeat it for several, up "
                        "to the number of serve --topk, which is 5 by default. Default: the top class.",
                        "schema": {"type": "array", "items": {"type": "string"}},
                        "style": "form",
                        "explode": True,
                    }
                ],
                "requestBody": {
                    "required": True,
                    "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}},
                },
                "responses": {
                    "200": {
                        "description": "What live-gradcam explain --json gives: see docs/json.md",
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    },
                    "400": {"description": "No JPEG, too many pixels, no such class or parameter, or too many classes"},
                    "403": {"description": "No token"},
                    "413": {"description": f"More than {MESSAGE_BYTES} bytes"},
                    "503": {"description": "The network is starting, or too many pictures wait: try again later"},
                },
                "security": [{"token": []}, {"bearer": []}],
            }
        }
    },
    "components": {
        "securitySchemes": {
            "token": {"type": "apiKey", "in": "query", "name": "token"},
            "bearer": {"type": "http", "scheme": "bearer"},
        }
    },
}


class PictureQueue:
    """Where the pictures of programs wait: they are explained one after another, and few may wait."""

    def __init__(self) -> None:
        self.waiting = 0
        self.turn = asyncio.Lock()


async def _explain(request: Request) -> Response:
    service: Service = request.app.state.service
    waiting: PictureQueue = request.app.state.pictures
    classes = request.query_params.getlist("class")
    for name in request.query_params:
        if name not in _PARAMETERS:
            return _error(400, f"there is no parameter {name!r}: give class, which may be repeated")
    try:
        jpeg = await read_body(request, MESSAGE_BYTES)
        check_jpeg(jpeg, service.limits.pixels)
    except BodyError as error:
        return _error(error.response.status_code, str(error))
    except MessageError as error:
        return _error(400, str(error))
    if waiting.waiting >= _MOST_WAITING:
        return _error(503, "too many pictures wait: try again later")
    waiting.waiting += 1
    try:
        async with waiting.turn:
            return JSONResponse(await service.pool.call("explain_once", jpeg, classes))
    except WorkerLostError as error:
        return _error(503, str(error))
    except LiveGradcamError as error:
        return _error(400 if isinstance(error, UsageError) else 500, str(error))
    finally:
        waiting.waiting -= 1


def _error(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status)


async def _describe(_: Request) -> Response:
    return JSONResponse(DESCRIPTION)


ROUTES = [
    Route("/api/explain", _explain, methods=["POST"]),
    Route("/api/openapi.json", _describe),
]
