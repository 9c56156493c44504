"""`serve`: the page is served until it is stopped. Everything that this needs is put together and closed here."""

from __future__ import annotations

import asyncio
import multiprocessing
import secrets
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from live_gradcam.attribution.session import SessionOptions
from live_gradcam.errors import UsageError
from live_gradcam.flow.processes import threads_of_each
from live_gradcam.flow.stopping import StopRequest
from live_gradcam.serving.addresses import PageAddress, is_open, own_names, page_address
from live_gradcam.serving.explaining.options import checked_session
from live_gradcam.serving.options import ServeOptions, ViewerOptions
from live_gradcam.sources.levels import Levels
from live_gradcam.sources.opening import open_source, text_of

if TYPE_CHECKING:
    from live_gradcam.serving.server.links import StartLink
    from live_gradcam.serving.server.listening import HttpServer
    from live_gradcam.serving.server.service import Service
    from live_gradcam.serving.workers.host import Explains, MakeWorker

_USUAL_SESSION, _USUAL_OPTIONS = SessionOptions(), ServeOptions()
_TOKEN_BYTES = 24
_POLL_SECONDS, _GOODBYE_SECONDS = 0.05, 0.1
#: How many pixels a picture may have at least, and at most where the network's input is large.
_LEAST_PIXELS, _MOST_PIXELS = 1 << 22, 1 << 25
#: A page's upload has about twice the sides of the network's input, or somewhat more.
_PIXELS_PER_INPUT = 16
#: A browser opens a few connections for each page.
_CONNECTIONS_PER_CLIENT, _MORE_CONNECTIONS = 6, 64


def serve(
    sources: Sequence[str | Path | int] = (),
    *,
    session: SessionOptions = _USUAL_SESSION,
    options: ServeOptions = _USUAL_OPTIONS,
    on_start: Callable[[PageAddress], None] | None = None,
    stop: threading.Event | None = None,
    worker: MakeWorker | None = None,
) -> bool:
    """Serve a page that explains the camera of whoever opens it, until Ctrl-C, SIGTERM, or `stop`.

    Prints nothing. The page is there at once; it says that the network starts until that is ready.

    Args:
        sources: of this machine, which visitors can watch. See `sources.opening.open_source`.
        session: what to explain with. Its `maps` say nothing here: a viewer gets one for each class that is listed.
        options: how it is served.
        on_start: is called with the address of the page, which lets in whoever knows it.
        stop: ends it when it is set, from another thread.
        worker: makes what explains; it is sent to the process of each worker. None for the usual one.

    Returns:
        Whether Ctrl-C or SIGTERM ended it.

    Raises:
        UsageError: a package is missing; a name or a number does not exist; a network in memory; a script that calls
            it without `if __name__ == "__main__":`, which the processes that explain import.
        SourceError: a source cannot be opened.
        LiveGradcamError: the port is taken; as `start_session`.
    """
    _check_not_imported()
    check_packages(options)
    session = checked_session(session)
    options.check()
    if not isinstance(session.model, (str, Path)):
        raise UsageError("a network in memory cannot go to the processes that explain: give a name or a file")
    with ExitStack() as stack:
        service = _service([text_of(source) for source in sources], session, options, worker, stack)
        token = options.token or secrets.token_urlsafe(_TOKEN_BYTES)
        http, port = _http(service, options, token, stack)
        stopping = stack.enter_context(StopRequest())
        _run(
            lambda: _serve(
                http,
                service,
                lambda: on_start and on_start(page_address(options, port, token)),
                lambda: stopping.requested or (stop is not None and stop.is_set()),
            )
        )
    return stopping.requested


def _run(serving: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run it to its end; in a thread of its own where this one has a loop already, as that of a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(serving())
        return
    with ThreadPoolExecutor(1) as beside:
        beside.submit(lambda: asyncio.run(serving())).result()


def _check_not_imported() -> None:
    """Refuse to serve in a process that was started to explain, and imports the script that serves.

    Raises:
        UsageError: this is such a process.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # as `multiprocessing` finds it out itself
        raise UsageError(
            'serve starts processes, which import your script: put what serves under if __name__ == "__main__":'
        )


def check_packages(options: ServeOptions) -> None:
    """Make sure that the packages are there.

    Raises:
        UsageError: one is not.
    """
    needed = ["segno", "starlette", "uvicorn", "websockets"]
    if options.https and options.certfile is None:
        needed.append("trustme")
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise UsageError(f"serve needs {', '.join(missing)}: pip install 'live-gradcam[serve]'")
    if options.cluster is not None:
        from live_gradcam.cluster import check_cluster

        check_cluster()


def _service(
    sources: list[str], session: SessionOptions, options: ServeOptions, worker: MakeWorker | None, stack: ExitStack
) -> Service:
    """What does the work; the sources are opened, and closed with the stack."""
    from live_gradcam.serving.hello import hello
    from live_gradcam.serving.server.pool import Pool
    from live_gradcam.serving.server.service import Limits, Service
    from live_gradcam.serving.server.watching import WatchedSource

    watched = []
    reading = replace(options.reading, levels=options.reading.levels or Levels.of_card(session.card_levels))
    for source in sources:
        one = WatchedSource(source, partial(open_source, options=reading))
        one.open()
        stack.callback(one.feed.close)
        watched.append(one)
    pixels = most_pixels(session)
    return Service(
        Pool(_starts(session, options, worker, stack)),
        watched,
        hello(options, pixels),
        Limits(options.max_clients, pixels),
        options.keep,
    )


def most_pixels(session: SessionOptions) -> int:
    """How many pixels a visitor's picture may have."""
    height, width = session.input_size or (0, 0)
    return min(_MOST_PIXELS, max(_LEAST_PIXELS, _PIXELS_PER_INPUT * height * width))


def _starts(
    session: SessionOptions, options: ServeOptions, worker: MakeWorker | None, stack: ExitStack
) -> list[StartLink]:
    """What starts each worker."""
    viewer = replace(options.viewer, keep=options.keep)
    if options.cluster is not None:
        from live_gradcam.cluster import Cluster
        from live_gradcam.serving.workers.actors import ActorLink

        cluster = stack.enter_context(closing(Cluster(options.cluster, session.threads)))
        make = worker or partial(make_worker, replace(session, threads=cluster.cores), viewer)
        return [partial(ActorLink.start, cluster, make)] * cluster.count
    from live_gradcam.serving.workers.processes import ProcessLink

    threads = session.threads
    if threads is None and options.workers > 1:
        threads = threads_of_each(options.workers)
    make = worker or partial(make_worker, replace(session, threads=threads), viewer)
    return [partial(ProcessLink.start, make)] * options.workers


def make_worker(session: SessionOptions, viewer: ViewerOptions) -> Explains:
    """Of the worker's process: this one never imports what explains."""
    from live_gradcam.serving.explaining.worker import Worker

    return Worker(session, viewer)


def _http(service: Service, options: ServeOptions, token: str, stack: ExitStack) -> tuple[HttpServer, int]:
    """What serves the pages, and the port that it listens on."""
    from live_gradcam.serving.server.access import Rules
    from live_gradcam.serving.server.app import make_app
    from live_gradcam.serving.server.listening import HttpServer, KeyPair, listen

    listening = stack.enter_context(closing(listen(options.host, options.port)))
    names = own_names(options)
    keys, authority = None, None
    if options.certfile is not None and options.keyfile is not None:
        keys = KeyPair(options.certfile, options.keyfile)
    elif options.https:
        from live_gradcam.serving.certificates import own_certificate

        own = stack.enter_context(own_certificate(names))
        keys, authority = KeyPair(own.certificate, own.key), own.authority
    rules = Rules(token, names, is_open=is_open(options.host), is_secure=options.is_secure)
    most_connections = options.max_clients * _CONNECTIONS_PER_CLIENT + _MORE_CONNECTIONS
    server = HttpServer(make_app(service, rules, authority), listening, most_connections, keys)
    return server, listening.getsockname()[1]


async def _serve(
    http: HttpServer, service: Service, on_start: Callable[[], object], is_stopped: Callable[[], bool]
) -> None:
    """Serve until it is stopped. All connections and workers are ended then."""
    running = asyncio.create_task(service.run())
    try:
        await http.start()
        on_start()
        while not is_stopped() and not running.done():
            await asyncio.sleep(_POLL_SECONDS)
    finally:
        await service.close()
        await asyncio.sleep(_GOODBYE_SECONDS)  # what was said last goes out
        has_failed = running.done()
        running.cancel()
        await asyncio.gather(http.stop(), asyncio.gather(running, return_exceptions=True))
    if has_failed:
        running.result()
