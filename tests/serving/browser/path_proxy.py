"""A proxy that has a server below a path, and takes the path away, as nginx does."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from queue import Queue

_PART = 1 << 16
_ASKED = re.compile(rb"^(?:GET|POST|HEAD) (\S+)")
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def below_path(path: str, port: int) -> Iterator[int]:
    """Give the port at which a server is below a path, such as "/cam"; nothing is found elsewhere."""
    started: Queue[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back_reader, back_writer = await asyncio.open_connection("127.0.0.1", port)

        async def ask() -> None:
            while part := await reader.read(_PART):
                asked = _ASKED.match(part)  # a browser begins each request with a new part
                if asked and not asked[1].startswith(f"{path}/".encode()):
                    writer.write(_NOT_FOUND)
                    continue
                back_writer.write(part.replace(f" {path}/".encode(), b" /", 1) if asked else part)
            back_writer.close()

        async def answer() -> None:
            while part := await back_reader.read(_PART):
                writer.write(part)
            writer.close()

        with suppress(OSError):
            await asyncio.gather(ask(), answer())

    async def run() -> None:
        stop = asyncio.Event()
        listening = await asyncio.start_server(serve, "127.0.0.1", 0)
        started.put((listening.sockets[0].getsockname()[1], asyncio.get_running_loop(), stop))
        await stop.wait()
        listening.close()

    with ThreadPoolExecutor(1) as threads:  # Playwright has a loop of its own in this one
        running = threads.submit(asyncio.run, run())
        own_port, loop, stop = started.get(timeout=30)
        try:
            yield own_port
        finally:
            loop.call_soon_threadsafe(stop.set)
            running.result()
