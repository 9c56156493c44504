"""What visitors take with them, and what they leave: taught models, and snapshots where the server keeps them."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from live_gradcam.errors import LiveGradcamError
from live_gradcam.files import timestamped_name
from live_gradcam.serving.server.bodies import BodyError, read_body
from live_gradcam.serving.server.service import Service

#: A name that means nothing to any system: no folder, no hidden file, no device.
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}(\.[a-z0-9-]{1,20})?\.(jpg|png|json|webm|mp4)")
_MOST_BYTES = 64 << 20
_PART_BYTES = 256 << 10
#: What all visitors together may leave while the server runs.
_MOST_BYTES_IN_ALL = 4 << 30
#: A film takes minutes by a slow Wi-Fi. Who sends nothing for so long is gone.
_MOST_SECONDS, _SILENT_SECONDS = 600.0, 20.0


async def _model(request: Request) -> Response:
    service: Service = request.app.state.service
    viewer = service.find(request.query_params.get("viewer", ""))
    if viewer is None:
        return PlainTextResponse("there is no such viewer\n", 404)
    explained = viewer.looked_at
    if explained.station is None:
        return PlainTextResponse("there is no model yet\n", 404)
    if service.models.locked():
        return PlainTextResponse("others take their models at this moment: try again\n", 503)
    await service.models.acquire()
    try:
        name, content = await explained.station.call("model", explained.name)
    except LiveGradcamError as error:
        service.models.release()
        return PlainTextResponse(f"{error}\n", 409)
    except BaseException:
        service.models.release()
        raise
    return _Model(name, content, service.models)


class _Model(Response):
    """A model on its way: few are held at a time, and each until the visitor has read it."""

    def __init__(self, name: str, content: bytes, places: asyncio.Semaphore) -> None:
        safe = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
        headers = {"content-disposition": f'attachment; filename="{safe}"', "content-length": str(len(content))}
        super().__init__(media_type="application/octet-stream", headers=headers)
        self._content = memoryview(content)
        self._places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            for place in range(0, len(self._content), _PART_BYTES):
                part = bytes(self._content[place : place + _PART_BYTES])
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._places.release()


async def _keep(request: Request) -> Response:
    service: Service = request.app.state.service
    if service.find(request.query_params.get("viewer", "")) is None:
        return PlainTextResponse("there is no such viewer\n", 404)
    if service.keep is None:
        return PlainTextResponse("this server keeps nothing\n", 403)
    name = request.query_params.get("name", "")
    if not _NAME.fullmatch(name):
        return PlainTextResponse(
            "a name has letters, digits, _ and -, and ends in .jpg, .png, .json, .webm or .mp4\n", 400
        )
    async with service.uploads:  # a few at a time: each may be large
        try:
            content = await read_body(request, _MOST_BYTES, seconds=_MOST_SECONDS, silent_seconds=_SILENT_SECONDS)
        except BodyError as error:
            return error.response
        async with service.keeping:
            return await _kept(service, service.keep, name, content)


async def _kept(service: Service, folder: Path, name: str, content: bytes) -> Response:
    if service.kept_bytes + len(content) > _MOST_BYTES_IN_ALL:
        return PlainTextResponse("this server keeps no more\n", 507)
    try:
        kept = await asyncio.get_running_loop().run_in_executor(None, _write, folder, name, content)
    except OSError as error:
        return PlainTextResponse(f"it cannot be written: {error.strerror}\n", 507)
    service.kept_bytes += len(content)
    return JSONResponse({"name": kept})


def _write(folder: Path, name: str, content: bytes) -> str:
    """Write a new file, under a name of now and the visitor's. Returns the name."""
    while True:
        path = folder / timestamped_name(f"-{name}")
        with suppress(FileExistsError):  # never in the place of another one
            path.touch(exist_ok=False)
            break
    try:
        path.write_bytes(content)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return path.name


ROUTES = [
    Route("/model", _model),
    Route("/keep", _keep, methods=["POST"]),
]
