"""A viewer's frames, one after another: explained with the network and for the classes that are wanted, and steady."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, ExitStack, nullcontext

from live_gradcam.attribution.session import Session
from live_gradcam.explanations.stability import Stabilizer, StableExplanation
from live_gradcam.explanations.vocabulary import Vocabulary
from live_gradcam.live_loop.pool import SessionPool, variant_of
from live_gradcam.live_loop.state import LiveState
from live_gradcam.live_loop.teaching import Teaching
from live_gradcam.live_loop.variants import Variants
from live_gradcam.sources.frame import Frame
from live_gradcam.surfaces.scene import LiveExplanation


class Networks:
    """The network that is explained, and the same network while it is taught. Use as a context manager.

    Args:
        first: the session of the network. It may be the one that is taught.

    Attributes:
        own: the sessions of the network that is explained.
    """

    def __init__(self, first: Session) -> None:
        self.own = SessionPool(first)
        self._taught: SessionPool | None = None
        self._head = threading.RLock()

    def taught(self, session: Session) -> SessionPool:
        """The pool of the network that is taught, of which there is one.

        Args:
            session: its first session.
        """
        with self._head:
            if self._taught is None:
                if session is self.own.first:
                    self.own.fits = (session.fit,)  # examples and frames must enter alike
                self._taught = self.own if session is self.own.first else SessionPool(session, (session.fit,))
            return self._taught

    def turn(self, pool: SessionPool) -> AbstractContextManager[object]:
        """What to explain a frame within: with the network that is taught one at a time, each with a head of its own.

        Args:
            pool: whose session explains.
        """
        return self._head if pool is self._taught else nullcontext()

    def __enter__(self) -> Networks:
        return self

    def __exit__(self, *_: object) -> None:
        self.own.close()
        if self._taught is not None:
            self._taught.close()


class SteadyExplainer:
    """Explains a viewer's frames. Use as a context manager.

    All but the constructor belongs to the thread that explains; `variants` can be asked from others, too. Those of
    several viewers may explain at a time.

    Args:
        networks: what explains. Several viewers can share them.
        state: which classes, with which method, layer and fit, and how smooth; whether the network is being taught.
        teaching: what the viewer teaches it.

    Attributes:
        variants: of the network that is used now.
        generation: another number whenever the same frame would have another answer: the session or the head is new.
    """

    def __init__(self, networks: Networks, state: LiveState, teaching: Teaching) -> None:
        self._networks, self._state, self._teaching = networks, state, teaching
        self._stack = ExitStack()
        self._own = self.variants = Variants(networks.own, state)
        self._taught: Variants | None = None
        if teaching.session is networks.own.first:
            networks.taught(teaching.session)
            self._taught = self._own
        self.generation = 0
        self._session: Session = networks.own.first
        self._size = (0, 0)
        self._stabilizer: Stabilizer | None = None

    @property
    def is_taught(self) -> bool:
        """Whether the network that is used now is the one that is taught."""
        return self.variants is self._taught

    @property
    def vocabulary(self) -> Vocabulary:
        """What can be named now, and asked for."""
        return self._teaching.vocabulary if self.is_taught else self.variants.current.vocabulary

    def choose(self) -> Variants:
        """Use the network that is wanted: its own, or the one that is taught, once that is ready."""
        session = self._teaching.session
        if self._taught is None and session is not None and self._state.teaching:
            self._taught = self._stack.enter_context(Variants(self._networks.taught(session), self._state))
        wanted = self._taught if self._taught is not None and self._state.teaching else self._own
        if wanted is not self.variants:
            self.variants = wanted
            self._state.pinned, self._state.variant = (), variant_of(wanted.current)
        return wanted

    def forget(self) -> None:
        """The next frame is of another source: nothing is smoothed across."""
        self._stabilizer = None

    def refresh(self) -> Session:
        """Take over what was compiled or fitted since the last frame. Returns the session for the next one."""
        variants = self.choose()
        with self._networks.turn(variants.pool):
            return self._take_over(variants)

    def _take_over(self, variants: Variants) -> Session:
        session = variants.current
        is_new_head = self.is_taught and self._teaching.swap(session)
        if is_new_head or session is not self._session:
            self._session, self._stabilizer = session, None
            self.generation += 1
        return session

    def explain(self, frame: Frame, *, is_still: bool = False) -> LiveExplanation:
        """Explain a frame.

        Args:
            frame: its time is `captured_at`. A frame that is black all over is not explained, nor is any while the
                network is taught and nothing is taught yet.
            is_still: the frame is a picture by itself: nothing is smoothed.
        """
        variants = self.choose()
        with self._networks.turn(variants.pool):
            return self._explain(frame, self._take_over(variants), is_still=is_still)

    def _explain(self, frame: Frame, session: Session, *, is_still: bool) -> LiveExplanation:
        stable, is_untaught = None, self.is_taught and self._teaching.is_empty
        size = (frame.image.shape[0], frame.image.shape[1])
        stabilizer = self._stabilizer
        if stabilizer is None or is_still or size != self._size:
            self._size, stabilizer = size, self._new_stabilizer(session, size)
        stabilizer.seconds = 0.0 if is_still else self._state.smooth
        self._stabilizer = None if is_still else stabilizer
        if frame.image.any():
            stable = self._explained(frame, session, stabilizer)
        if is_untaught:
            stable = None  # it is sure of "nothing", whatever the frame shows
        return LiveExplanation(frame, stable, session.model, session.method, session.layer, is_untaught)

    def _new_stabilizer(self, session: Session, size: tuple[int, int]) -> Stabilizer:
        vocabulary = self.vocabulary
        if any(target.index in vocabulary.hidden for target in self._state.pinned):
            self._state.pinned = ()  # of a class that the network has no more
        floor = session.noise_floor(size) if self.is_taught else self._networks.own.noise_floor(session, size)
        return Stabilizer(vocabulary, seconds=self._state.smooth, noise_floor=floor)

    def _explained(self, frame: Frame, session: Session, stabilizer: Stabilizer) -> StableExplanation:
        pinned = self._state.pinned
        explanation = session.explain_frame(frame.image, pinned or stabilizer.top_class)
        self._teaching.see(frame, explanation.features)
        return stabilizer.stabilize(explanation, self._size, frame.captured_at, pinned=len(pinned))

    def __enter__(self) -> SteadyExplainer:
        self._stack.enter_context(self._own)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
