"""What OpenCV reads as it comes: the frames of an open camera or stream."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction

import cv2

from live_gradcam.errors import SourceError, UsageError
from live_gradcam.sources.frame import Frame
from live_gradcam.sources.options import SourceOptions
from live_gradcam.sources.source import FrameSource
from live_gradcam.sources.times import frames_in_words

_MICROSECOND = Fraction(1, 1_000_000)


def seconds_since(start: float, now: float) -> Fraction:
    """The time between two moments in `time.monotonic()` seconds, in whole microseconds."""
    return round((now - start) / _MICROSECOND) * _MICROSECOND


class LiveSource(FrameSource):
    """A camera or stream that OpenCV has opened.

    Args:
        capture: is open.
        name: what messages call it.
    """

    is_live = True

    def __init__(self, capture: cv2.VideoCapture, name: str) -> None:
        self.name = name
        self._capture = capture

    def frames(self) -> Iterator[Frame]:
        """The frames as they come, each with the time since the first was asked for.

        Raises:
            SourceError: no more come.
        """
        start = time.monotonic()
        index = 0
        while True:
            delivered, image = self._capture.read()
            now = time.monotonic()
            if not delivered or image is None:
                raise SourceError(f"the source {self.name} stopped after {frames_in_words(index)}")
            yield Frame(image, index, seconds_since(start, now), now)
            index += 1

    def close(self) -> None:
        """Give the device or the connection back."""
        self._capture.release()


def refuse_options_of_files(name: str, options: SourceOptions) -> None:
    """Make sure that nothing is asked of a live source that only files can give.

    Raises:
        UsageError: a frame rate or levels are.
    """
    if options.source_fps is not None:
        raise UsageError(f"--source-fps is for files without times, and {name} is live: leave it out")
    if options.levels is not None and options.levels.of == "all":
        raise UsageError(f"--levels is for pictures, and {name} is live: leave it out")
