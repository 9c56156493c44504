"""The network that several viewers teach at a time: compiled once, while each has examples and a head of their own."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING

from live_gradcam.attribution.session import Session
from live_gradcam.errors import LiveGradcamError, UsageError
from live_gradcam.live_loop.teaching import Teaching
from live_gradcam.live_loop.teaching_thread import Keeping
from live_gradcam.serving.options import ViewerOptions

if TYPE_CHECKING:
    from live_gradcam.fitting.teacher import Teacher

#: How many viewers may teach one worker's network at a time.
MOST_TEACHERS = 8
#: How much of one viewer's examples is kept, in bytes: about a thousand pictures.
EXAMPLE_BYTES = 32_000_000


class Classroom:
    """Lets viewers teach a network.

    Args:
        session: of the network as it is.
        options: whether what is taught may be written.
    """

    def __init__(self, session: Session, options: ViewerOptions) -> None:
        self._session = session
        self._keep = options.keep
        self._lock = threading.Lock()
        self._places = threading.Lock()
        self._made: tuple[Teacher, Session] | None = None
        self._inside: set[Teaching] = set()
        self._leaving: set[Teaching] = set()

    @cached_property
    def is_open(self) -> bool:
        """Whether the network can be taught, as far as that is seen before anything is compiled."""
        return self._session.explainer.recall("it can be taught", self._can_be_taught)

    def _can_be_taught(self) -> bool:
        from live_gradcam.fitting.taught_session import teacher_of

        try:
            teacher_of(self._session)
        except LiveGradcamError:
            return False
        return True

    def new_teaching(self) -> Teaching:
        """What a viewer will teach with. It does nothing before it is admitted."""
        return Teaching(Keeping(folder=self._keep, most_bytes=EXAMPLE_BYTES))

    def admit(self, teaching: Teaching) -> None:
        """Let a viewer teach, who will see the network ready after some seconds.

        Raises:
            UsageError: as many viewers teach as there is room for.
        """
        with self._places:
            if teaching not in self._inside:
                self._leaving = {other for other in self._leaving if other.is_alive}  # in the middle of something
                if len(self._inside) + len(self._leaving) >= MOST_TEACHERS:
                    raise UsageError(
                        "{most} visitors teach already, and there is room for no more: try it again later",
                        most=MOST_TEACHERS,
                    )
                self._inside.add(teaching)
                teaching.__enter__()
        teaching.begin(self._make)

    def _make(self) -> tuple[Teacher, Session]:
        """A teacher without examples, and the session that all share. Called in the viewers' teaching threads."""
        from live_gradcam.fitting.taught_session import teachable

        with self._lock:
            if self._made is None:
                self._made = teachable(self._session)
            teacher, session = self._made
            return teacher.another(), session

    def dismiss(self, teaching: Teaching) -> None:
        """A viewer is gone: what was taught is forgotten. What is being fitted is not waited for."""
        with self._places:
            if teaching in self._inside:
                self._inside.discard(teaching)
                self._leaving.add(teaching)
                teaching.drop()
