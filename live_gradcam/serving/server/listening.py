"""The socket that the server listens on, and what speaks HTTP and WebSocket on it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from live_gradcam.errors import LiveGradcamError, UsageError
from live_gradcam.serving.messages import MESSAGE_BYTES

#: Who does not ask for anything for so long after connecting is sent away.
_SILENCE_SECONDS = 10.0
#: A connection whose other side takes nothing for so long is cut by the system.
_UNREAD_MILLISECONDS = 20_000
#: What the system holds of what was sent and not read yet: more would only grow old there.
_SEND_BUFFER_BYTES = 256 << 10
_GRACE_SECONDS = 1
_BACKLOG = 128


class KeyPair(NamedTuple):
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


def listen(host: str, port: int) -> socket.socket:
    """Open the socket.

    Args:
        host: a name or a number of this machine.
        port: 0 for any that is free.

    Raises:
        UsageError: this machine does not have the address, or it lacks its network interface.
        LiveGradcamError: the port is taken, or not allowed.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError:
        raise UsageError(f"--host {host} is no address of this machine") from None
    listening = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere it lets another program have the same port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)  # connections inherit both
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MILLISECONDS)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise _reason(error, host, port) from None
    return listening


def _reason(error: OSError, host: str, port: int) -> LiveGradcamError:
    if error.errno == errno.EADDRINUSE:
        return LiveGradcamError(f"port {port} is taken by another program: give another one, such as --port {port + 1}")
    if error.errno == errno.EADDRNOTAVAIL:
        return UsageError(f"--host {host} is no address of this machine")
    if error.errno == errno.EINVAL and ":" in host and "%" not in host:  # fe80::…: there is one on each interface
        return UsageError(f"--host {host} needs its network interface after it, such as {host}%eth0")
    return LiveGradcamError(f"port {port} cannot be listened on: {error.strerror or error}")


class _Impatient(H11Protocol):
    """HTTP whose clients are to ask for something."""

    _was_idle = True

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.loop.call_later(_SILENCE_SECONDS, self._look)

    def _look(self) -> None:
        if self.transport.is_closing() or self.transport.get_protocol() is not self:  # it speaks WebSocket now
            return
        is_idle = self.cycle is None or self.cycle.response_complete
        if is_idle and self._was_idle:
            self.transport.close()
            return
        self._was_idle = is_idle
        self.loop.call_later(_SILENCE_SECONDS, self._look)


class _Server(uvicorn.Server):
    """Leaves signals to the program."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpServer:
    """Serves an app on a socket.

    Args:
        app: what is served.
        listening: the socket.
        most_connections: how many there may be at a time.
        keys: for https; None for http.

    Raises:
        UsageError: the certificate or its key cannot be used.
    """

    def __init__(
        self, app: ASGIApp, listening: socket.socket, most_connections: int, keys: KeyPair | None = None
    ) -> None:
        self._listening = listening
        config = uvicorn.Config(
            app,
            http=_Impatient,
            ws_max_size=MESSAGE_BYTES,
            ws_per_message_deflate=False,  # JPEGs and maps do not get smaller, and it costs milliseconds
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,  # of addresses with tokens
            server_header=False,
            proxy_headers=False,
            limit_concurrency=most_connections,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            ssl_certfile=keys.certificate if keys else None,
            ssl_keyfile=keys.key if keys else None,
        )
        try:
            config.load()  # here, as nobody would see what fails in the server's own task
        except OSError as error:  # ssl.SSLError is one
            raise UsageError(
                f"--certfile and --keyfile cannot be used ({error.strerror or error}): give a certificate and its own "
                "key, both as PEM"
            ) from error
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to serve."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._listening]))
        while not self._server.started and not self._task.done():
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """End all connections, and serve no more."""
        self._server.should_exit = True
        if self._task is not None:
            with contextlib.suppress(asyncio.TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(self._task, 2 * _GRACE_SECONDS)
