"""Workers in processes of this machine: one socket each, on which calls and results are pickled."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import pickle
import socket
import struct
import threading
from functools import partial
from typing import Any

from live_gradcam.annotating.messages import WarningRelay
from live_gradcam.flow.processes import WorkerProcess, leave_signals_to_parent, without_interrupts
from live_gradcam.serving.server.links import WorkerLostError
from live_gradcam.serving.workers.host import MakeWorker, WorkerHost, result_of

_LENGTH = struct.Struct("<Q")
_BUFFER_BYTES = 1 << 20
_JOIN_SECONDS = 1.0
_log = logging.getLogger(__name__)

_LOST = "the process that explains is gone, perhaps because the memory was full"


class ProcessLink:
    """A worker in a process of its own, which ends with this one. Make it with `start`."""

    def __init__(self, process: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._process = process
        self._reader, self._writer = reader, writer
        self._numbers = itertools.count()
        self._open: dict[int, asyncio.Future[Any]] = {}
        self._warnings = WarningRelay()
        self._is_lost = False
        self._receiving = asyncio.get_running_loop().create_task(self._receive())

    @classmethod
    async def start(cls, make: MakeWorker) -> ProcessLink:
        """Start a process with a worker.

        Args:
            make: makes the worker.
        """
        ours, theirs = socket.socketpair()
        process = WorkerProcess(
            target=_work, args=(theirs, make, not _log.isEnabledFor(logging.DEBUG)), name="explain", daemon=True
        )
        with without_interrupts():
            process.start()
        theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours, limit=_BUFFER_BYTES)
        return cls(process, reader, writer)

    async def call(self, name: str, *arguments: Any) -> Any:
        """See `Link`."""
        if self._is_lost:
            raise WorkerLostError(_LOST)
        number = next(self._numbers)
        future = self._open[number] = asyncio.get_running_loop().create_future()
        content = pickle.dumps((number, name, arguments), pickle.HIGHEST_PROTOCOL)
        self._writer.writelines((_LENGTH.pack(len(content)), content))
        try:
            return result_of(await future, self._warnings)
        finally:
            self._open.pop(number, None)

    async def ended(self) -> None:
        """See `Link`."""
        await asyncio.wait([self._receiving])

    async def close(self) -> None:
        """See `Link`."""
        self._receiving.cancel()
        for future in self._open.values():  # nobody waits for them any more: no worker is lost
            future.cancel()
        self._lose()
        self._process.kill()  # it has nothing to finish, and may be in the middle of a compilation
        await asyncio.get_running_loop().run_in_executor(None, self._process.join, _JOIN_SECONDS)

    async def _receive(self) -> None:
        try:
            while True:
                (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
                number, done = pickle.loads(await self._reader.readexactly(length))
                future = self._open.get(number)
                if future is not None and not future.done():
                    future.set_result(done)
        except (asyncio.IncompleteReadError, OSError):
            self._lose()

    def _lose(self) -> None:
        self._is_lost = True
        self._writer.close()
        for future in self._open.values():
            if not future.done():
                future.set_exception(WorkerLostError(_LOST))


def _work(connection: socket.socket, make: MakeWorker, quiet: bool) -> None:
    """Of the process: do what is asked on a socket until its other end is gone."""
    leave_signals_to_parent()
    if quiet:  # a decoder complains there of visitors' pictures; warnings of ours are sent back
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    connection.setblocking(True)
    sending = threading.Lock()

    def answer(number: int, done: Any) -> None:
        content = pickle.dumps((number, done), pickle.HIGHEST_PROTOCOL)
        with sending:
            connection.sendall(_LENGTH.pack(len(content)) + content)

    host = WorkerHost(make)
    with connection, connection.makefile("rb", buffering=_BUFFER_BYTES) as asked:
        while head := asked.read(_LENGTH.size):
            if len(head) < _LENGTH.size:
                break
            number, name, arguments = pickle.loads(asked.read(_LENGTH.unpack(head)[0]))
            host.ask(name, arguments, partial(answer, number))
    os._exit(0)  # whatever TensorFlow is doing
