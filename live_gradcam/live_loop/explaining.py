"""The thread that explains: the newest frame in, a stable explanation of it out, at most one frame in flight."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from live_gradcam.attribution.session import Session
from live_gradcam.flow.metrics import Durations, FrameRate
from live_gradcam.flow.threads import DetachedThread
from live_gradcam.live_loop.frames import LiveFrames
from live_gradcam.live_loop.state import LiveState
from live_gradcam.live_loop.steady import Networks, SteadyExplainer
from live_gradcam.live_loop.teaching import Teaching
from live_gradcam.live_loop.variants import Variants
from live_gradcam.sources.frame import Frame

_WAKE_SECONDS = 0.1
_JOIN_SECONDS = 10.0


@dataclass
class ExplainingStatus:
    """How far the thread that explains is. It writes this, and others read it.

    Attributes:
        explainer: explains the frames; None while the first session starts.
        ready_at: when the first session was ready, `time.monotonic()` seconds; infinity before.
        dropped_before: how many frames were replaced while it started.
        begun_at: when the first frame was taken, `time.monotonic()` seconds; None before.
        count: how many frames are explained.
        rate: how many frames per second are explained.
        waiting: how long frames waited to be explained.
        explaining: how long that took.
    """

    explainer: SteadyExplainer | None = None
    ready_at: float = math.inf
    dropped_before: int = 0
    begun_at: float | None = None
    count: int = 0
    rate: FrameRate = field(default_factory=FrameRate)
    waiting: Durations = field(default_factory=Durations)
    explaining: Durations = field(default_factory=Durations)

    @property
    def variants(self) -> Variants | None:
        """The network's methods, layers and fits; None while it starts."""
        return None if self.explainer is None else self.explainer.variants

    @property
    def seconds(self) -> float:
        """Since the first frame was taken to be explained."""
        return 0.0 if self.begun_at is None else time.monotonic() - self.begun_at

    def dropped(self, replaced: int) -> int:
        """How many frames were never explained since the session was ready, of all that were replaced."""
        return 0 if self.explainer is None else replaced - self.dropped_before


class ExplainingThread:
    """Starts the session, then explains frame after frame. Use as a context manager.

    Args:
        start: makes the session, in the thread.
        frames: where the frames come from, and where their explanations go; that is closed at the end, with the
            exception that was the end of it, if any.
        state: which classes, with which method, layer and fit, and how smooth.
        teaching: what the network is taught, if it is.
        max_frames: how many frames to explain; None for no end.

    Attributes:
        status: how far it is.
    """

    def __init__(
        self,
        start: Callable[[], Session],
        frames: LiveFrames,
        state: LiveState,
        teaching: Teaching,
        *,
        max_frames: int | None = None,
    ) -> None:
        self.status = ExplainingStatus()
        self._start = start
        self._frames = frames
        self._state = state
        self._teaching = teaching
        self._max_frames = max_frames
        self._stop = threading.Event()
        self._thread = DetachedThread(self._work, "explain")

    def _work(self) -> None:
        try:
            self._explain_all()
        except BaseException as error:  # raised again in the thread that takes the results
            self._frames.results.close(error)
        else:
            self._frames.results.close()

    def _explain_all(self) -> None:
        first = self._start()
        with (
            Networks(first) as networks,
            SteadyExplainer(networks, self._state, self._teaching) as explainer,
        ):
            self._state.pinned = first.targets
            self.status.dropped_before = self._frames.to_explain.replaced
            self.status.ready_at = time.monotonic()
            self.status.explainer = explainer
            while not self._is_over():
                frame = self._frames.to_explain.take(_WAKE_SECONDS)
                if frame is None:
                    if self._frames.to_explain.ended:
                        return
                    continue
                for error in (explainer.choose().error, self._teaching.error):
                    if error is not None:
                        raise error
                self._explain(frame, explainer)

    def _is_over(self) -> bool:
        return self._stop.is_set() or (self._max_frames is not None and self.status.count >= self._max_frames)

    def _explain(self, frame: Frame, explainer: SteadyExplainer) -> None:
        status, start = self.status, time.monotonic()
        status.begun_at = start if status.begun_at is None else status.begun_at
        status.waiting.add(start - frame.captured_at)
        explained = explainer.explain(frame)
        now = time.monotonic()
        status.explaining.add(now - start)
        status.count += 1
        status.rate.tick(now)
        self._frames.results.put(explained)

    def __enter__(self) -> ExplainingThread:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(_JOIN_SECONDS)
