"""What is read as it comes: the frames of an open camera or stream."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

import numpy as np

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
    """A camera or stream that is open.

    Args:
        pictures: what it shows, as it comes, until it stops; see `FrameSource.frames`.
        close: gives the device or the connection back.
        name: what messages call it.
    """

    is_live = True

    def __init__(self, pictures: Iterable[np.ndarray], close: Callable[[], object], name: str) -> None:
        self.name = name
        self._pictures = pictures
        self._close = close

    def frames(self) -> Iterator[Frame]:
        """The frames as they come, each with the time since the first was asked for.

        Raises:
            SourceError: no more come.
        """
        start = time.monotonic()
        index = 0
        for image in self._pictures:
            now = time.monotonic()
            yield Frame(image, index, seconds_since(start, now), now)
            index += 1
        raise SourceError(f"the source {self.name} stopped after {frames_in_words(index)}")

    def close(self) -> None:
        """Give the device or the connection back."""
        self._close()


def refuse_options_of_files(name: str, options: SourceOptions) -> None:
    """Make sure that nothing is asked of a live source that only files can give.

    Raises:
        UsageError: a frame rate or levels are.
    """
    if options.source_fps is not None:
        raise UsageError(f"--source-fps is for files without times, and {name} is live: leave it out")
    if options.levels is not None and options.levels.of == "all":
        raise UsageError(f"--levels is for pictures, and {name} is live: leave it out")
