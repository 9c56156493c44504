"""A stream on the network, by its address."""

from __future__ import annotations

import cv2

from live_gradcam.addresses import masked
from live_gradcam.errors import SourceError
from live_gradcam.sources.live import LiveSource, refuse_options_of_files
from live_gradcam.sources.options import SourceOptions
from live_gradcam.sources.silence import silence_opencv
from live_gradcam.sources.source import FrameSource

_OPEN_TIMEOUT_MS = 5000
#: After so long without a picture, a read fails.
READ_TIMEOUT_MS = 4000


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
        name = masked(uri)
        refuse_options_of_files(name, options)
        silence_opencv()
        timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _OPEN_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_TIMEOUT_MS]
        capture = cv2.VideoCapture(uri, cv2.CAP_FFMPEG, timeouts)
        if not capture.isOpened():
            raise SourceError(f"the stream {name} does not open: is it running, and is the address right?")
        return LiveSource(capture, name)


SOURCE = _Streams()
