"""A camera on the network for the tests: Motion JPEG over HTTP, as IP cameras serve it."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

import cv2
import numpy as np

_BOUNDARY = "frame"
_JPEG_QUALITY = 95


class MjpegServer:
    """Serves pictures in a loop, at a steady rate, to everyone who asks. Use as a context manager.

    Args:
        images: uint8 (height, width, 3), BGR; each viewer begins with the first.
        fps: pictures per second.
        port: where to listen; 0 for one that is free.

    Attributes:
        url: where the pictures are: 127.0.0.1, at a port that was free.
    """

    def __init__(self, images: Sequence[np.ndarray], *, fps: float = 25, port: int = 0) -> None:
        self._parts = [_part(_jpeg(image)) for image in images]
        self._period = 1 / fps
        self._stopping = threading.Event()
        self._flowing = threading.Event()
        self._flowing.set()
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="mjpeg", daemon=True)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/stream.mjpg"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with outer._lock:
                    outer._connections.add(self.connection)
                with suppress(OSError):  # the viewer left, or `stop` cut the connection
                    self.send_response(200)
                    self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
                    self.end_headers()
                    outer._stream(self.wfile.write)
                with outer._lock:
                    outer._connections.discard(self.connection)
                self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        return Handler

    def _stream(self, write: Callable[[bytes], object]) -> None:
        due = time.monotonic()
        for position in itertools.count():
            self._flowing.wait()
            if self._stopping.is_set():
                return
            parts = self._parts
            write(parts[position % len(parts)])
            due = max(due + self._period, time.monotonic() - 1)
            self._stopping.wait(max(0.0, due - time.monotonic()))

    def show(self, images: Sequence[np.ndarray]) -> None:
        """Go on with other pictures, also of another size."""
        self._parts = [_part(_jpeg(image)) for image in images]

    def send_garbage(self, seed: int = 0) -> None:
        """Go on with pictures that are damaged: bytes changed, cut short, or none at all."""
        generator = np.random.default_rng(seed)
        whole = cv2.imencode(".jpg", np.full((48, 64, 3), 90, np.uint8))[1].tobytes()
        changed = bytearray(whole)
        for place in generator.integers(20, len(whole), 30):
            changed[place] = int(generator.integers(256))
        self._parts = [_part(jpeg) for jpeg in (bytes(changed), whole[:200], b"", generator.bytes(500))]

    def stall(self) -> None:
        """Send nothing more, but keep the connections, as a camera does whose network is gone."""
        self._flowing.clear()

    def stop(self) -> None:
        """Cut all connections and refuse new ones. A second call does nothing."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._flowing.set()
        self._server.shutdown()
        self._server.server_close()
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def __enter__(self) -> MjpegServer:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True


def _jpeg(image: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()


def _part(jpeg: bytes) -> bytes:
    """One picture as the multipart stream carries it."""
    return f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode() + jpeg + b"\r\n"
