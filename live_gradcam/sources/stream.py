"""A stream on the network, by its address."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from live_gradcam.addresses import masked
from live_gradcam.errors import SourceError
from live_gradcam.sources.live import LiveSource, refuse_options_of_files
from live_gradcam.sources.options import SourceOptions
from live_gradcam.sources.source import FrameSource

_OPEN_TIMEOUT_MS = 5000
#: After so long without a picture, a read fails.
READ_TIMEOUT_MS = 4000
#: UDP, which a camera offers too, loses packets.
OPTIONS = {"rtsp_flags": "prefer_tcp"}


class _Streams:
    """Opens streams."""

    is_live = True

    def matches(self, uri: str) -> bool:
        """Whether it is an address: `scheme://…`."""
        return "://" in uri

    def open(self, uri: str, options: SourceOptions) -> FrameSource:
        """Open a stream.

        Raises:
            SourceError: it does not open.
            UsageError: an option is for files.
        """
        import av  # which a run with a camera does without

        from live_gradcam.sources.header import picture_stream

        name = masked(uri)
        refuse_options_of_files(name, options)
        try:
            container = av.open(
                _for_ffmpeg(uri), options=OPTIONS, timeout=(_OPEN_TIMEOUT_MS / 1000, READ_TIMEOUT_MS / 1000)
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise SourceError(
                f"the stream {name} does not open: is it running, and is the address right?{_reason(error)}"
            ) from error
        return LiveSource(_pictures(container, picture_stream(container, name)), container.close, name)


def _for_ffmpeg(uri: str) -> str:
    """An address with its scheme in small letters: FFmpeg knows no other."""
    scheme, colon, rest = uri.partition(":")
    return f"{scheme.lower()}{colon}{rest}"


def _reason(error: Exception) -> str:
    """What is known of why a stream does not open, as a sentence that follows another; nothing where nothing is."""
    import av

    if isinstance(error, av.error.ExitError):
        return f" It gave nothing within {_OPEN_TIMEOUT_MS / 1000:g} seconds"
    said = getattr(error, "strerror", None)
    return f" FFmpeg says: {masked(said)}" if said else ""


def _pictures(container: Any, stream: Any) -> Iterator[np.ndarray]:
    """The pictures of a stream as they come, each in its own size, until none comes for too long.

    The decoder works on one picture at a time, as PyAV lets it where nobody asks for more: with several at a time it
    would hold each back. What cannot be decoded is left out.
    """
    import av

    from live_gradcam.sources.conversion import pixel_width, to_bgr

    stretch = pixel_width(stream)
    latest = time.monotonic()
    packets = container.demux(stream)
    while time.monotonic() - latest < READ_TIMEOUT_MS / 1000:
        try:
            packet = next(packets)
        except (StopIteration, av.error.FFmpegError, OSError):
            return
        try:
            pictures = packet.decode()
        except (av.error.FFmpegError, OSError):
            continue
        for picture in pictures:
            yield to_bgr(picture, stretch)
            latest = time.monotonic()


SOURCE = _Streams()
