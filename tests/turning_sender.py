"""A camera that is turned: sends H.264 to an address, in a process of its own, as PyAV connects with the GIL held.

`python turning_sender.py ADDRESS FORMAT` sends pictures of 192 × 144 until it gets a line, and then of 96 × 256. Their
parameters are in-band. FORMAT is FFmpeg's name: mpegts, rtsp. It ends when nobody listens any more, or is killed.
"""

from __future__ import annotations

import itertools
import sys
import threading
import time
from fractions import Fraction
from typing import Any

import av
import numpy as np

RATE = 25
#: Height, width.
SIZE, TURNED_SIZE = (144, 192), (256, 96)
_PATIENCE = 60
_OPTIONS = {"g": "10", "bf": "0", "preset": "ultrafast", "tune": "zerolatency"}


def _prepared(encoder: Any, size: tuple[int, int]) -> Any:
    """An encoder, or a stream, for pictures of (height, width)."""
    encoder.height, encoder.width = size
    encoder.pix_fmt, encoder.time_base, encoder.options = "yuv420p", Fraction(1, RATE), _OPTIONS
    return encoder


def _connected(address: str, container_format: str) -> tuple[Any, Any]:
    """A container and its stream; who listens may not be there yet."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        container = av.open(address, "w", format=container_format, options={"rtsp_transport": "tcp"})
        stream = _prepared(container.add_stream("libx264", rate=RATE), SIZE)
        try:
            container.start_encoding()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return container, stream


def send(address: str, container_format: str) -> None:
    """Send for ever."""
    turn = threading.Event()
    threading.Thread(target=lambda: sys.stdin.readline() and turn.set(), daemon=True).start()
    container, stream = _connected(address, container_format)
    turned = _prepared(av.CodecContext.create("libx264", "w"), TURNED_SIZE)
    for index in itertools.count():
        encoder, size = (turned, TURNED_SIZE) if turn.is_set() else (stream, SIZE)
        frame = av.VideoFrame.from_ndarray(np.full((*size, 3), 90, np.uint8), format="bgr24").reformat(format="yuv420p")
        frame.pts, frame.time_base = index, Fraction(1, RATE)
        for packet in encoder.encode(frame):
            packet.stream = stream
            container.mux(packet)
        time.sleep(1 / RATE)


if __name__ == "__main__":
    send(*sys.argv[1:])
