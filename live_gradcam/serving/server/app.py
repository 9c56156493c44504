"""The addresses of the server, and what is behind each."""

from __future__ import annotations

import logging
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from live_gradcam.serving.server import api, keeping, mjpeg, posts
from live_gradcam.serving.server.access import Access, Rules, error_answer
from live_gradcam.serving.server.colours import colour_table
from live_gradcam.serving.server.service import Service
from live_gradcam.serving.server.sockets import page_socket

_PAGE = Path(__file__).parent.parent / "page"
#: The page's files stay with the browser, which asks whether they have changed.
_KEPT_BY_BROWSER = {"cache-control": "no-cache"}

_log = logging.getLogger(__name__)


class _PageFiles(StaticFiles):
    """The files of the page."""

    def file_response(self, *arguments: object, **keywords: object) -> Response:
        response = super().file_response(*arguments, **keywords)  # type: ignore[arg-type]
        response.headers.update(_KEPT_BY_BROWSER)
        return response


async def _page(_: Request) -> Response:
    return FileResponse(_PAGE / "index.html", headers=_KEPT_BY_BROWSER)


async def _icon(_: Request) -> Response:
    return FileResponse(_PAGE / "icon.svg", headers=_KEPT_BY_BROWSER)


async def _colours(request: Request) -> Response:
    table = colour_table(request.path_params["name"])
    if table is None:
        return PlainTextResponse("there are no such colours\n", 404)
    return Response(table, media_type="application/octet-stream", headers=_KEPT_BY_BROWSER)


async def _failed(request: Request, error: Exception) -> Response:
    """There is no such address, or it does not take this method."""
    assert isinstance(error, HTTPException)  # it is asked for these alone
    answer = error_answer(request.scope, error.status_code, error.detail)
    answer.headers.update(error.headers or {})
    return answer


class _Careful:
    """What is not expected is logged as a line, and answered as little as possible."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            _log.warning("unexpected %s: %s", type(error).__name__, error, exc_info=_log.isEnabledFor(logging.DEBUG))


def make_app(service: Service, rules: Rules, certificate: bytes | None = None) -> ASGIApp:
    """The whole server, without its sockets.

    Args:
        service: does what viewers ask for.
        rules: who gets in.
        certificate: what a phone installs so that it trusts the server, PEM; None where there is none.
    """

    async def certificate_file(_: Request) -> Response:
        if certificate is None:
            return PlainTextResponse("there is no certificate to install\n", 404)
        return Response(certificate, media_type="application/x-x509-ca-cert")

    app = Starlette(
        routes=[
            Route("/", _page),
            Route("/favicon.ico", _icon),
            Mount("/page", GZipMiddleware(_PageFiles(directory=_PAGE, check_dir=False))),
            WebSocketRoute("/ws", page_socket),
            Route("/colours/{name}", _colours),
            Route("/ca.pem", certificate_file),
            *posts.ROUTES,
            *keeping.ROUTES,
            *api.ROUTES,
            *mjpeg.ROUTES,
        ],
        exception_handlers={HTTPException: _failed},
    )
    app.state.service = service
    app.state.pictures = api.PictureQueue()
    return Access(_Careful(app), rules)


def make_socket_app(service: Service, rules: Rules) -> ASGIApp:
    """The connection alone, for a page that comes from elsewhere, such as a notebook.

    Args:
        service: does what viewers ask for.
        rules: who gets in.
    """
    app = Starlette(routes=[WebSocketRoute("/ws", page_socket)])
    app.state.service = service
    return Access(_Careful(app), rules)
