"""Frames on their way: from the source to the thread that explains, and to the run that shows them."""

from __future__ import annotations

import threading
from collections.abc import Callable

from live_gradcam.attribution.fit_choice import Stream
from live_gradcam.flow.metrics import FrameRate
from live_gradcam.flow.slot import Slot
from live_gradcam.live_loop.options import LiveOptions
from live_gradcam.sources.capture import Capture
from live_gradcam.sources.frame import Frame
from live_gradcam.sources.source import FrameSource
from live_gradcam.surfaces.scene import LiveExplanation
from live_gradcam.surfaces.surface import Wants

_WAIT_SECONDS = 0.01
#: For so long at most the network waits for the first picture to be seen: a camera may be slower.
_PATIENCE_SECONDS = 1.0


class LiveFrames:
    """The frames of a source, and their explanations. A slot holds one of them and the newest wins.

    Args:
        source: see `sources.opening.open_source`. It is opened at once.
        options: whether frames may be dropped, and how often a source is opened again.
        wants: what the surface wants.
        opener: opens the source.

    Attributes:
        capture: reads the source. Enter it before taking anything.
        rate: how many frames per second the source gives.
        to_explain: the frames, for the thread that explains.
        results: where that puts its explanations.
        frame: the frame to show; None before the first.
        explained: the newest explanation; None before the first.
        shown: set when the first frame was shown.

    Raises:
        SourceError: the source cannot be opened.
    """

    def __init__(self, source: str, options: LiveOptions, wants: Wants, opener: Callable[[str], FrameSource]) -> None:
        self._lossless = options.every_frame
        self._smooth_display = options.smooth_display and wants.previews
        self._first_size: tuple[int, int] | None = None
        self._has_begun = threading.Event()
        self.shown = threading.Event()
        self._previews: Slot[Frame] | None = Slot() if wants.previews else None
        self.rate = FrameRate()
        self.to_explain: Slot[Frame] = Slot(keep_all=self._lossless)
        self.results: Slot[LiveExplanation] = Slot(keep_all=self._lossless or wants.every_explained)
        self.frame: Frame | None = None
        self.explained: LiveExplanation | None = None
        self.capture = Capture(
            source,
            self._deliver,
            self._end,
            reconnect=options.reconnect,
            paced=not (options.every_frame and wants.full_speed),
            opener=opener,
        )

    def _deliver(self, frame: Frame) -> None:
        self.rate.tick(frame.captured_at)
        self._first_size = self._first_size or (frame.image.shape[0], frame.image.shape[1])
        self._has_begun.set()
        if self._previews is not None:
            self._previews.put(frame)
        self.to_explain.put(frame)

    def _end(self, error: Exception | None) -> None:
        self._has_begun.set()
        if error is not None:
            self.shown.set()
        self.to_explain.close(error)
        if self._previews is not None:
            self._previews.close(error)

    def look(self) -> Stream | None:
        """What is known of the source's frames; None before the first."""
        if self._first_size is None:
            return None
        rate = None if self._lossless else self.capture.frame_rate or self.rate.fps or Stream().frame_rate
        return Stream(self._first_size, rate)

    def first_size(self) -> tuple[int, int] | None:
        """(height, width) of the first frame, waiting for it; None where none comes."""
        self._has_begun.wait()
        return self._first_size

    def let_be_seen(self) -> None:
        """Wait for a moment until the first frame is shown, where one is shown before it is explained.

        While TensorFlow is imported, nothing else of this process runs.
        """
        if self._previews is not None:
            self.shown.wait(_PATIENCE_SECONDS)

    def take(self) -> bool:
        """Take what is to be shown next, waiting for it for a moment. Returns whether there is something new.

        Raises:
            BaseException: what ended the source, or the thread that explains.
        """
        previews = self._previews if self.explained is None or self._smooth_display else None
        explained = self.results.take(0 if previews else _WAIT_SECONDS)
        if explained is not None:
            self.explained = explained
            if not self._smooth_display:
                self.frame = explained.frame
                return True
        frame = previews.take(_WAIT_SECONDS) if previews else None
        if frame is not None:
            self.frame = frame
        return frame is not None

    @property
    def map_age(self) -> float | None:
        """How many seconds older the map is than the frame, where each frame is shown at once; else None."""
        if not self._smooth_display or self.frame is None or self.explained is None:
            return None
        return max(0.0, self.frame.captured_at - self.explained.frame.captured_at)

    def close(self) -> None:
        """Let no thread wait any more."""
        self._has_begun.set()
        self.shown.set()
        for slot in (self.to_explain, self._previews, self.results):
            if slot is not None:
                slot.close()
