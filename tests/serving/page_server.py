"""The page's server in a thread of the tests, with real sockets and real worker processes, and clients for it."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import partial
from typing import Any

import cv2
import numpy as np
from fake_worker import FakeWorker
from websockets.sync.client import ClientConnection, connect

from live_gradcam import SessionOptions
from live_gradcam.serving.addresses import PageAddress
from live_gradcam.serving.messages import Answer, FrameBytes, pack_frame, parse_answer
from live_gradcam.serving.options import ServeOptions
from live_gradcam.serving.serve import serve

TOKEN = "a-token-of-the-tests"
SECONDS = 120.0


def jpeg(level: int = 90, size: tuple[int, int] = (36, 64)) -> bytes:
    """A grey picture of (height, width) pixels."""
    return cv2.imencode(".jpg", np.full((*size, 3), level, np.uint8))[1].tobytes()


class Client:
    """A viewer behind a WebSocket.

    Args:
        connection: is open.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self._number = 0

    def send(self, **message: Any) -> None:
        """Send a text message."""
        self.connection.send(json.dumps(message))

    def send_frame(self, content: bytes, flags: int = 0) -> int:
        """Send a frame. Returns its id."""
        self._number += 1
        self.connection.send(pack_frame(FrameBytes(self._number, flags, self._number / 30, content)))
        return self._number

    def receive(self) -> Answer | dict[str, Any]:
        """The next message."""
        message = self.connection.recv(SECONDS)
        return json.loads(message) if isinstance(message, str) else parse_answer(message)

    def until(self, kind: str, matches: Callable[[dict[str, Any]], object] = lambda _: True) -> dict[str, Any]:
        """The next text message of a type that matches."""
        while True:
            message = self.receive()
            if isinstance(message, dict) and message["type"] == kind and matches(message):
                return message

    def answer(self) -> Answer:
        """The next answer."""
        while True:
            message = self.receive()
            if isinstance(message, Answer):
                return message

    def explained(self, level: int) -> Answer:
        """The answer to a grey picture that is sent now."""
        number = self.send_frame(jpeg(level))
        while (answer := self.answer()).id != number:
            pass
        return answer


class RunningServer:
    """A server that runs.

    Args:
        address: where.
        stop: ends it.
        thread: in which it runs.
    """

    def __init__(self, address: PageAddress, stop: threading.Event, thread: threading.Thread) -> None:
        self.port = address.port
        self.address = address
        self.stop = stop
        self.thread = thread

    @contextmanager
    def client(self, **keywords: Any) -> Iterator[Client]:
        """A viewer."""
        headers = keywords.pop("additional_headers", {"Authorization": f"Bearer {TOKEN}"})
        uri = f"ws://127.0.0.1:{self.port}/ws"
        with connect(uri, additional_headers=headers, max_size=None, max_queue=None, **keywords) as connection:
            yield Client(connection)

    def ask(
        self,
        path: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        *,
        context: ssl.SSLContext | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        """A request with the token, over https with a context. Returns status, headers and content."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        if self.address.is_secure:
            trust = context or ssl._create_unverified_context()
            connection = http.client.HTTPSConnection("localhost", self.port, timeout=SECONDS, context=trust)
        try:
            connection.request(method, path, body, {"Authorization": f"Bearer {TOKEN}", **(headers or {})})
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        finally:
            connection.close()


@contextmanager
def running_server(
    sources: Sequence[str] = (),
    worker: FakeWorker | None = None,
    session: SessionOptions | None = None,
    **options: Any,
) -> Iterator[RunningServer]:
    """A server that listens on a free port of this machine.

    Args:
        sources: to watch.
        worker: what explains; None for one that answers at once.
        session: of a cluster, how many threads an actor has.
        options: of `ServeOptions`.
    """
    stop, started = threading.Event(), threading.Event()
    addresses: list[PageAddress] = []
    failures: list[BaseException] = []

    def show(address: PageAddress) -> None:
        addresses.append(address)
        started.set()

    def run() -> None:
        try:
            how = replace(ServeOptions(port=0, token=TOKEN), **options)
            make = partial(FakeWorker, **vars_of(worker)) if worker else FakeWorker
            serve(sources, session=session or SessionOptions(), options=how, on_start=show, stop=stop, worker=make)
        except BaseException as failure:  # raised again by the test
            failures.append(failure)
        finally:
            started.set()

    thread = threading.Thread(target=run, name="server")
    thread.start()
    assert started.wait(SECONDS)
    try:
        if addresses:
            yield RunningServer(addresses[0], stop, thread)
    finally:
        stop.set()
        thread.join(SECONDS)
        if failures:  # which is why the connections ended
            raise failures[0]
    assert not thread.is_alive()


def vars_of(worker: FakeWorker) -> dict[str, Any]:
    """What makes such a worker again."""
    return {one.name: getattr(worker, one.name) for one in fields(worker) if not one.name.startswith("_")}
