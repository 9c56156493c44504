"""What explains for a cell of a notebook: the page's own service, in a thread of the kernel."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from live_gradcam.attribution.session import SessionOptions
from live_gradcam.errors import LiveGradcamError
from live_gradcam.flow.threads import DetachedThread
from live_gradcam.notebook.comm_links import CommLinks, Send
from live_gradcam.serving.hello import hello
from live_gradcam.serving.options import ServeOptions, ViewerOptions
from live_gradcam.serving.serve import make_worker, most_pixels
from live_gradcam.serving.server.colours import colour_table
from live_gradcam.serving.server.links import StartLink
from live_gradcam.serving.server.pool import Pool
from live_gradcam.serving.server.service import Limits, Service
from live_gradcam.serving.server.viewers import Viewer
from live_gradcam.serving.workers.processes import ProcessLink
from live_gradcam.serving.workers.threads import ThreadLink

if TYPE_CHECKING:
    from live_gradcam.serving.server.access import Rules
    from live_gradcam.serving.server.listening import HttpServer

#: How many views of a widget are explained at a time: a browser's tab has one or more of them.
_MOST_VIEWS = 16
_MOST_CONNECTIONS = 64
_TOKEN_BYTES = 24
_GOODBYE_SECONDS, _JOIN_SECONDS = 0.1, 5.0
#: What a socket needs; without it there are the notebook's messages.
_FOR_SOCKETS = ("starlette", "uvicorn", "websockets")

#: A status, headers and the content: of HTTP, which the page's `fetch` knows.
_Found = tuple[int, dict[str, str], bytes]


class CellViewer(Viewer):
    """A viewer whose answers the kernel sees, too.

    Args:
        on_answer: is given each answer.
    """

    def __init__(self, on_answer: Callable[[bytes], object]) -> None:
        super().__init__()
        self._on_answer = on_answer

    def show(self, answer: bytes) -> None:
        """Take an answer to a frame."""
        self._on_answer(answer)
        super().show(answer)


class CellServer:
    """The page's service for the views of a widget: by the notebook's messages, and by a socket of this machine.

    Args:
        session: what to explain with, checked. A network in memory is explained in threads of the kernel, all others in
            a process.
        viewer: how views are explained.
        send: sends to the browser.
        on_answer: is given each answer, in another thread.
        use_socket: whether browsers on this machine may use a socket.

    Attributes:
        failure: why nothing is explained any more; None while all is well.
    """

    def __init__(
        self,
        session: SessionOptions,
        viewer: ViewerOptions,
        send: Send,
        on_answer: Callable[[bytes], object],
        *,
        use_socket: bool = True,
    ) -> None:
        self.failure: str | None = None
        self._send = send
        self._use_socket = use_socket and all(find_spec(name) is not None for name in _FOR_SOCKETS)
        pixels = most_pixels(session)
        self._service = Service(
            Pool([_start_of(session, viewer)]),
            [],
            hello(ServeOptions(viewer=viewer), pixels),
            Limits(_MOST_VIEWS, pixels),
            new_viewer=partial(CellViewer, on_answer),
        )
        self._links = CommLinks(self._service, send)
        self._token = secrets.token_urlsafe(_TOKEN_BYTES)
        self._http: HttpServer | None = None
        self._rules: Rules | None = None
        self._port = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._is_stopped = asyncio.Event()
        self._answering: set[asyncio.Task[None]] = set()

    @property
    def connection(self) -> str:
        """How browsers are connected, in words."""
        by_messages = len(self._links)
        by_socket = self._service.viewers - by_messages
        ways = []
        if by_socket:
            ways.append(f"by a socket to port {self._port}")
        if by_messages:
            ways.append("by the notebook's messages")
        return f"connected {' and '.join(ways)}" if ways else "not connected"

    def take(self, message: dict[str, Any], buffers: Sequence[bytes]) -> None:
        """Take a message of a view. The first one starts the network, and is not kept waiting for it.

        Args:
            message: `type` says what it is, `link` names a view's connection, `call` a question.
            buffers: that came with it: the frame.
        """
        if self._is_stopped.is_set():
            return
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = DetachedThread(self._run, "cell", (self._loop,))
            self._thread.start()
        self._loop.call_soon_threadsafe(self._take, message, [bytes(buffer) for buffer in buffers])

    def close(self) -> None:
        """End all connections and the worker. A second call does nothing."""
        if self._loop is None or self._thread is None:
            self._is_stopped.set()
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._is_stopped.set)
        self._thread.join(_JOIN_SECONDS)

    # --- in the thread of the loop ----------------------------------------------------------------------------------

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.closing(loop):
            loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        running = asyncio.create_task(self._service.run())
        stopping = asyncio.create_task(self._is_stopped.wait())
        try:
            await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
            if running.done() and (error := running.exception()) is not None:
                self.failure = str(error)
                await self._service.close(self.failure, reconnect=False)
            await stopping
        finally:
            await self._service.close("This view is closed. Run the cell again.", reconnect=False)
            await asyncio.sleep(_GOODBYE_SECONDS)  # what was said last goes out
            running.cancel()
            stops = [] if self._http is None else [self._http.stop()]
            await asyncio.gather(running, *stops, return_exceptions=True)

    def _take(self, message: dict[str, Any], buffers: list[bytes]) -> None:
        kind, link = message["type"], message.get("link", "")
        if kind == "open":
            self._links.open(link)
        elif kind == "text":
            self._links.take(link, message["text"])
        elif kind == "frame":
            self._links.take(link, buffers[0])
        elif kind == "close":
            self._links.close(link)
        elif kind == "greet":
            self._answer(message["call"], self._greet(message["origin"]))
        elif kind == "fetch":
            self._answer(message["call"], self._fetch(message["path"]))

    def _answer(self, call: str, work: Coroutine[Any, Any, tuple[dict[str, Any], list[bytes]]]) -> None:
        async def do() -> None:
            answer, buffers = await work
            self._send({"call": call, **answer}, buffers)

        task = asyncio.get_running_loop().create_task(do())
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _greet(self, origin: str | None) -> tuple[dict[str, Any], list[bytes]]:
        """Where the socket is, for a page of this machine, whose origin it lets in."""
        if origin is None or not self._use_socket:
            return {"socket": None}, []
        try:
            if self._rules is None:
                self._rules = await self._listen()
        except LiveGradcamError:  # no port: there are the notebook's messages
            return {"socket": None}, []
        self._rules.origins.add(origin)
        return {"socket": f"ws://127.0.0.1:{self._port}/ws?token={self._token}"}, []

    async def _listen(self) -> Rules:
        from live_gradcam.serving.server.access import Rules
        from live_gradcam.serving.server.app import make_socket_app
        from live_gradcam.serving.server.listening import HttpServer, listen

        listening = listen("127.0.0.1", 0)
        self._port = listening.getsockname()[1]
        rules = Rules(self._token, (), is_open=False, is_secure=False)
        self._http = HttpServer(make_socket_app(self._service, rules), listening, _MOST_CONNECTIONS)
        await self._http.start()
        return rules

    async def _fetch(self, path: str) -> tuple[dict[str, Any], list[bytes]]:
        """What the page asks for besides: colours, and the taught model."""
        status, headers, content = await self._find(path)
        return {"status": status, "headers": headers}, [content]

    async def _find(self, path: str) -> _Found:
        asked = urlsplit(path)
        if asked.path.startswith("/colours/"):
            table = colour_table(asked.path.removeprefix("/colours/"))
            return (404, {}, b"there are no such colours") if table is None else (200, {}, table)
        viewer = self._service.find(parse_qs(asked.query).get("viewer", [""])[0])
        if asked.path != "/model" or viewer is None or viewer.station is None:
            return 404, {}, b"there is no model yet"
        try:
            name, content = await viewer.station.call("model", viewer.name)
        except LiveGradcamError as error:
            return 409, {}, str(error).encode()
        return 200, {"content-disposition": f'attachment; filename="{name}"'}, content


def _start_of(session: SessionOptions, viewer: ViewerOptions) -> StartLink:
    """What starts the worker: a process, or threads where the network cannot go to one."""
    make = partial(make_worker, session, viewer)
    if isinstance(session.model, (str, Path)):
        return partial(ProcessLink.start, make)
    return partial(ThreadLink.start, make)
