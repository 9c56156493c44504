"""The thread that explains: the newest frame in, a stable explanation of it out, at most one frame in flight."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from live_gradcam.attribution.session import Session
from live_gradcam.explanations.stability import Stabilizer, StableExplanation
from live_gradcam.flow.metrics import Durations, FrameRate
from live_gradcam.flow.threads import DetachedThread
from live_gradcam.live_loop.frames import LiveFrames
from live_gradcam.live_loop.state import LiveState
from live_gradcam.live_loop.teaching import Teaching
from live_gradcam.live_loop.variants import Variants, variant_of
from live_gradcam.sources.frame import Frame
from live_gradcam.surfaces.scene import LiveExplanation

_WAKE_SECONDS = 0.1
_JOIN_SECONDS = 10.0


@dataclass
class ExplainingStatus:
    """How far the thread that explains is. It writes this, and others read it.

    Attributes:
        variants: the sessions; None while the first one starts.
        ready_at: when the first session was ready, `time.monotonic()` seconds; infinity before.
        dropped_before: how many frames were replaced while it started.
        begun_at: when the first frame was taken, `time.monotonic()` seconds; None before.
        count: how many frames are explained.
        rate: how many frames per second are explained.
        waiting: how long frames waited to be explained.
        explaining: how long that took.
    """

    variants: Variants | None = None
    ready_at: float = math.inf
    dropped_before: int = 0
    begun_at: float | None = None
    count: int = 0
    rate: FrameRate = field(default_factory=FrameRate)
    waiting: Durations = field(default_factory=Durations)
    explaining: Durations = field(default_factory=Durations)

    @property
    def seconds(self) -> float:
        """Since the first frame was taken to be explained."""
        return 0.0 if self.begun_at is None else time.monotonic() - self.begun_at

    def dropped(self, replaced: int) -> int:
        """How many frames were never explained since the session was ready, of all that were replaced."""
        return 0 if self.variants is None else replaced - self.dropped_before


class _Choice:
    """Chooses the network: the one that the run was started with, or the one that is taught.

    Args:
        first: of the one that the run was started with; it may be the one that is taught.
        state: whether the network is being taught.
        teaching: has the session of the network that is taught, once it is ready.
        stack: closes what is opened here.
    """

    def __init__(self, first: Variants, state: LiveState, teaching: Teaching, stack: ExitStack) -> None:
        self._first, self._state, self._teaching, self._stack = first, state, teaching, stack
        self._taught = _of_one_fit(first) if first.current is teaching.session else None
        self._now = first

    @property
    def is_taught(self) -> bool:
        """Whether the choice is the network that is taught."""
        return self._now is self._taught

    def variants(self) -> Variants:
        """Those of the network for the next frame."""
        session = self._teaching.session
        if self._taught is None and session is not None and self._state.teaching:
            self._taught = _of_one_fit(self._stack.enter_context(Variants(session, self._state)))
        wanted = self._taught if self._taught is not None and self._state.teaching else self._first
        if wanted is not self._now:
            self._now = wanted
            self._state.pinned, self._state.variant = (), variant_of(wanted.current)
        return wanted


def _of_one_fit(variants: Variants) -> Variants:
    """The variants of a network that is taught: its examples and its frames must enter alike."""
    variants.fits = (variants.current.fit,)
    return variants


class ExplainingThread:
    """Starts the session, then explains frame after frame. Use as a context manager.

    Args:
        start: makes the session, in the thread.
        frames: where the frames come from, and where their explanations go; that is closed at the end, with the
            exception that was the end of it, if any.
        state: which classes, and with which method, layer and fit.
        teaching: what the network is taught, if it is.
        smooth: time constant of the smoothing in seconds; 0 for none.
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
        smooth: float = 0.0,
        max_frames: int | None = None,
    ) -> None:
        self.status = ExplainingStatus()
        self._start = start
        self._frames = frames
        self._state = state
        self._teaching = teaching
        self._smooth = smooth
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
        with ExitStack() as stack:
            variants = stack.enter_context(Variants(first, self._state))
            choice = _Choice(variants, self._state, self._teaching, stack)
            self._state.pinned = first.targets
            self.status.dropped_before = self._frames.to_explain.replaced
            self.status.ready_at = time.monotonic()
            self.status.variants = variants
            session, size = first, (0, 0)
            stabilizer: Stabilizer | None = None
            while not self._is_over():
                frame = self._frames.to_explain.take(_WAKE_SECONDS)
                if frame is None:
                    if self._frames.to_explain.ended:
                        return
                    continue
                self.status.variants = variants = choice.variants()
                for error in (variants.error, self._teaching.error):
                    if error is not None:
                        raise error
                is_new_head = choice.is_taught and self._teaching.swap()
                is_same = variants.current is session and frame.image.shape[:2] == size
                if stabilizer is None or is_new_head or not is_same:
                    session, size = variants.current, (frame.image.shape[0], frame.image.shape[1])
                    vocabulary = self._teaching.vocabulary if choice.is_taught else session.vocabulary
                    self._unpin(vocabulary.hidden)
                    noise_floor = session.noise_floor(size)
                    stabilizer = Stabilizer(vocabulary, seconds=self._smooth, noise_floor=noise_floor)
                self._explain(frame, session, stabilizer)

    def _unpin(self, hidden: frozenset[int]) -> None:
        """Pin no class that the network has no more."""
        if any(target.index in hidden for target in self._state.pinned):
            self._state.pinned = ()

    def _is_over(self) -> bool:
        return self._stop.is_set() or (self._max_frames is not None and self.status.count >= self._max_frames)

    def _explain(self, frame: Frame, session: Session, stabilizer: Stabilizer) -> None:
        status, start = self.status, time.monotonic()
        status.begun_at = start if status.begun_at is None else status.begun_at
        status.waiting.add(start - frame.captured_at)
        stable: StableExplanation | None = None
        if frame.image.any():
            pinned = self._state.pinned
            explanation = session.explain_frame(frame.image, pinned or stabilizer.top_class)
            self._teaching.see(frame, explanation.features)
            size = frame.image.shape[:2]
            stable = stabilizer.stabilize(explanation, size, frame.captured_at, pinned=len(pinned))
        now = time.monotonic()
        status.explaining.add(now - start)
        status.count += 1
        status.rate.tick(now)
        self._frames.results.put(LiveExplanation(frame, stable, session.model, session.method, session.layer))

    def __enter__(self) -> ExplainingThread:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(_JOIN_SECONDS)
