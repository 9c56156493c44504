"""The live loop: the newest frame in, explained, drawn, shown and recorded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from live_gradcam.display.hud import draw_hud
from live_gradcam.display.keys import Action
from live_gradcam.display.overlay import Overlay
from live_gradcam.display.window import Window
from live_gradcam.errors import SourceError
from live_gradcam.pipelines.engine import Engine
from live_gradcam.pipelines.metrics import FrameRate
from live_gradcam.pipelines.stopping import StopRequest
from live_gradcam.video.capture import NewestFrame, camera_index, is_url, open_source
from live_gradcam.video.frame import Frame
from live_gradcam.video.writer import VideoWriter

_TAKE_SECONDS = 0.05
_RECORD_RATE = Fraction(30)
_RECORD_TIME_BASE = Fraction(1, 90_000)


@dataclass(frozen=True)
class LiveSummary:
    """What a live run did.

    Attributes:
        frames: how many were explained.
        dropped: how many were replaced by newer ones before their turn came.
        seconds: from the first explained frame to the end.
        stopped: whether Ctrl-C or SIGTERM ended it.
    """

    frames: int
    dropped: int
    seconds: float
    stopped: bool

    @property
    def fps(self) -> float:
        """Explained frames per second."""
        return self.frames / self.seconds if self.seconds else 0.0


def run_live(
    source: str,
    start_engine: Callable[[], Engine],
    overlay: Overlay,
    *,
    headless: bool = False,
    max_frames: int | None = None,
    record: Path | None = None,
    opener: Callable[[str], Iterator[Frame]] = open_source,
) -> LiveSummary:
    """Explain a source as it comes, until it ends, the user stops it or `max_frames` are explained.

    Args:
        source: see `video.capture.open_source`. It is opened before anything slow is done.
        start_engine: makes the engine. A camera or stream is read, and its frames thrown away, while it does; a file
            begins to play when the engine is ready.
        overlay: draws the map.
        headless: no window.
        max_frames: how many frames to explain at most.
        record: MP4 file for what is seen, with the frames' own times.
        opener: what opens the source.

    Raises:
        SourceError: the source does not open, or stops. What was recorded is kept.
        OutputError: the recording cannot be written.
    """
    newest = NewestFrame(source, opener=opener)
    is_live = camera_index(source) is not None or is_url(source)
    with ExitStack() as stack:
        if is_live:
            stack.enter_context(newest)
        engine = start_engine()
        stop = stack.enter_context(StopRequest())
        if not is_live:
            stack.enter_context(newest)
        window = None if headless else stack.enter_context(Window("live-gradcam"))
        recorder = stack.enter_context(_Recorder(record)) if record else None
        try:
            return _loop(newest, engine, overlay, window, recorder, stop, max_frames)
        except SourceError:
            if recorder:
                recorder.finish()  # the source's failure is no reason to lose what was recorded
            raise


def _loop(
    newest: NewestFrame,
    engine: Engine,
    overlay: Overlay,
    window: Window | None,
    recorder: _Recorder | None,
    stop: StopRequest,
    max_frames: int | None,
) -> LiveSummary:
    rate = FrameRate()
    count = 0
    begun: float | None = None
    paused = False
    dropped_before = newest.dropped  # while the engine started
    while not stop.requested and not newest.ended and (max_frames is None or count < max_frames):
        frame = newest.take(_TAKE_SECONDS)
        if frame is not None and not paused:
            begun = time.monotonic() if begun is None else begun
            explanation = engine.explain(frame.image)
            picture = overlay.blend(frame.image, explanation, in_place=True)
            fps = rate.tick(time.monotonic())
            draw_hud(picture, explanation, notes=(f"{fps:.1f} FPS", *engine.description))
            count += 1
            if recorder:
                recorder.write(picture, frame.pts)
            if window:
                window.show(picture)
        if window:
            action = window.poll()
            if action is Action.QUIT:
                break
            if action is Action.PAUSE:
                paused = not paused
    seconds = time.monotonic() - begun if begun is not None else 0.0
    return LiveSummary(count, newest.dropped - dropped_before, seconds, stop.requested)


class _Recorder:
    """A video file that begins with the first frame, whose size it keeps. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: VideoWriter | None = None
        self._first_pts = Fraction(0)

    def write(self, picture: np.ndarray, pts: Fraction) -> None:
        if self._writer is None:
            self._first_pts = pts
            self._writer = VideoWriter(
                self._path, size=picture.shape[:2], frame_rate=_RECORD_RATE, time_base=_RECORD_TIME_BASE
            )
        self._writer.write(picture, pts - self._first_pts)

    def finish(self) -> None:
        if self._writer:
            writer, self._writer = self._writer, None
            writer.finish()

    def __enter__(self) -> _Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.finish()
        elif self._writer:
            self._writer.discard()
