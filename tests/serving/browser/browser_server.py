"""`live-gradcam serve` for the tests in the browser."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import command_line
from websockets.sync.client import connect

TOKEN = "the-token-of-the-browser-tests"
_START_SECONDS = 300.0  # of a network, beside other tests


class PageServer:
    """`live-gradcam serve`, which can go away and come back at the same address.

    Args:
        arguments: of the command.

    Attributes:
        arguments: of the next start.
        address: of the page, with the token.
    """

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self._process: subprocess.Popen[str] | None = None
        self.address = ""

    @property
    def port(self) -> int:
        """Where it listens; 0 before it was started, for a port that is free."""
        return urlsplit(self.address).port or 0

    def start(self) -> None:
        """Start it, and wait for its address."""
        given = "--port", self.port, "--token", TOKEN, "--tune", "off"
        self._process = command_line.start("serve", *self.arguments, *given)
        self.address = _address_of(self._process)

    def stop(self) -> None:
        """End it. A second call does nothing."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.communicate(timeout=command_line.SECONDS)

    @contextmanager
    def away(self) -> Iterator[None]:
        """It is not there, and comes back at the end, for others use it too."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def wait_until_ready(self) -> None:
        """Wait until the network is there: a page that waits for it draws its camera, which takes what both need."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        uri = f"ws://127.0.0.1:{self.port}/ws"
        with connect(uri, additional_headers=headers, max_size=None) as connection:
            while json.loads(connection.recv(_START_SECONDS))["type"] != "ready":
                pass


@contextmanager
def serving(*arguments: Any) -> Iterator[PageServer]:
    """A server with a network that is ready."""
    server = PageServer(*arguments)
    try:
        server.start()
        server.wait_until_ready()
        yield server
    finally:
        server.stop()


def _address_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"http://\S+token=\S+", line)
        if found:
            return found[0]
    raise AssertionError(process.communicate())
