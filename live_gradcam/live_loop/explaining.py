"""The thread that explains: the newest frame in, a calm explanation of it out, at most one frame in flight."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from live_gradcam.attribution.fit_choice import Look
from live_gradcam.attribution.session import Session
from live_gradcam.explanations.explanation import Explanation, Target
from live_gradcam.explanations.stability import Stabilizer
from live_gradcam.flow.metrics import Durations, FrameRate
from live_gradcam.flow.slot import Slot
from live_gradcam.live_loop.variants import Variants
from live_gradcam.sources.frame import Frame

_WAKE_SECONDS = 0.1
_JOIN_SECONDS = 10.0


@dataclass(frozen=True)
class ExplainedFrame:
    """A frame with the explanation that was computed from it.

    Attributes:
        frame: as the source gave it.
        explanation: smoothed; None for a frame that is black all over, which says nothing about anything.
        full_scale: the evidence that a heatmap's 1 stands for.
        model: the network's name.
        method: the method's name.
        layer: the target layer.
    """

    frame: Frame
    explanation: Explanation | None
    full_scale: float
    model: str
    method: str
    layer: str


class ExplainingThread:
    """Starts the session, then explains frame after frame. Use as a context manager.

    Args:
        start_session: makes the session, in the thread, with a function that says what is known of the source.
        look: that function.
        frames: where the frames come from.
        results: where the explained ones go; closed at the end, with the exception that was the end of it, if any.
        smooth: time constant of the smoothing in seconds; 0 for none.
        max_frames: after how many frames to end; None for never.

    Attributes:
        variants: the sessions; None while the first one starts.
        pinned: the classes to explain; empty for the top class.
        ready_at: when the session was ready, `time.monotonic()` seconds; infinity before.
        dropped_before: how many frames were replaced while the session started.
        count: how many frames were explained.
        rate: how many frames a second are explained.
        begun_at: when the first frame was taken, `time.monotonic()` seconds; None before.
        waiting: how long frames waited to be explained.
        explaining: how long that took.
    """

    def __init__(
        self,
        start_session: Callable[[Look], Session],
        look: Look,
        frames: Slot[Frame],
        results: Slot[ExplainedFrame],
        *,
        smooth: float = 0.0,
        max_frames: int | None = None,
    ) -> None:
        self.variants: Variants | None = None
        self.pinned: tuple[Target, ...] = ()
        self.dropped_before = 0
        self.ready_at = math.inf
        self.count = 0
        self.rate = FrameRate()
        self.begun_at: float | None = None
        self.waiting, self.explaining = Durations(), Durations()
        self._start_session = start_session
        self._look = look
        self._frames = frames
        self._results = results
        self._smooth = smooth
        self._max_frames = max_frames
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="explain", daemon=True)

    def _work(self) -> None:
        try:
            self._explain_all()
        except BaseException as error:  # raised again in the thread that takes the results
            self._results.close(error)
        else:
            self._results.close()

    def _explain_all(self) -> None:
        session = self._start_session(self._look)
        stabilizer: Stabilizer | None = None
        frame_size: tuple[int, ...] = ()
        with ExitStack() as stack:
            self.pinned = session.targets
            self.dropped_before = self._frames.replaced
            self.ready_at = time.monotonic()
            self.variants = stack.enter_context(Variants(session))
            while not self._stop.is_set() and (self._max_frames is None or self.count < self._max_frames):
                frame = self._frames.take(_WAKE_SECONDS)
                if frame is None:
                    if self._frames.ended:
                        return
                    continue
                if self.variants.error is not None:
                    raise self.variants.error
                if stabilizer is None or self.variants.current is not session or frame.image.shape[:2] != frame_size:
                    session, frame_size = self.variants.current, frame.image.shape[:2]
                    stabilizer = self._stabilizer(session, frame.image.shape[:2])
                self._explain(frame, session, stabilizer)

    def _stabilizer(self, session: Session, frame_size: tuple[int, int]) -> Stabilizer:
        return Stabilizer(session.vocabulary, seconds=self._smooth, noise_floor=session.noise_floor(frame_size))

    def _explain(self, frame: Frame, session: Session, stabilizer: Stabilizer) -> None:
        start = time.monotonic()
        self.begun_at = start if self.begun_at is None else self.begun_at
        self.waiting.add(start - frame.captured_at)
        explanation: Explanation | None = None
        full_scale = 0.0
        if frame.image.any():
            pinned = self.pinned
            raw = session.explain(frame.image, targets=pinned or stabilizer.top_class)
            stable = stabilizer.stabilize(raw, frame.image.shape[:2], frame.captured_at, pinned=len(pinned))
            explanation, full_scale = stable.explanation, stable.full_scale
        now = time.monotonic()
        self.explaining.add(now - start)
        self.count += 1
        self.rate.tick(now)
        self._results.put(ExplainedFrame(frame, explanation, full_scale, session.model, session.method, session.layer))

    def __enter__(self) -> ExplainingThread:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(_JOIN_SECONDS)
