"""One network's sessions by method, layer and fit, for any number of viewers: compiled in one thread, and kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Protocol

from live_gradcam.attribution.session import Session
from live_gradcam.choices import Fit
from live_gradcam.errors import LiveGradcamError, first_line
from live_gradcam.flow.threads import DetachedThread
from live_gradcam.live_loop.explaining_commands import FITS_TO_STEP_THROUGH
from live_gradcam.live_loop.state import Variant

#: How many compiled sessions are kept. Each has the network's weights in the form that runs, about 8 bytes a number:
#: of a small network one of each method stays, and of a large one a few.
_LEAST_KEPT, _MOST_KEPT, _KEPT_WEIGHTS = 4, 16, 100_000_000
#: For how many sizes of frames the noise floor is remembered.
_KEPT_FLOORS = 64
_WAIT_SECONDS = 0.2


#: What a session is compiled for, and a number of tiles.
_Shape = tuple[Variant, int]


def variant_of(session: Session) -> Variant:
    """What a session is compiled for."""
    return Variant(session.method, session.layer, session.fit)


class Asker(Protocol):
    """Who asks a pool for sessions, and holds one."""

    @property
    def held(self) -> Variant:
        """What the session is compiled for that it explains with."""

    def take(self, variant: Variant, session: Session) -> None:
        """What it asked for is there. Called in the pool's thread."""

    def fail(self, variant: Variant, error: BaseException) -> None:
        """What it asked for cannot be had. Called in the pool's thread."""


class SessionPool:
    """One network's sessions. What was used longest ago, and nobody holds, makes room. Use as a context manager.

    Args:
        first: the session to begin with. It stays.
        fits: the fits that can be stepped through; None for all of a camera.

    Attributes:
        first: the same.
        methods: the methods that can be asked for.
        layers: the layers to step through, from the first to the last.
        fits: the fits to step through.
    """

    def __init__(self, first: Session, fits: tuple[Fit, ...] | None = None) -> None:
        self.first = first
        self.methods = first.methods
        self.layers = first.layers
        self.fits = fits or tuple(dict.fromkeys((*FITS_TO_STEP_THROUGH, first.fit)))
        self._most_kept = min(_MOST_KEPT, max(_LEAST_KEPT, _KEPT_WEIGHTS // max(1, first.weights)))
        self._kept: OrderedDict[Variant, Session] = OrderedDict({variant_of(first): first})
        self._floors: OrderedDict[tuple[Variant, tuple[int, int]], float] = OrderedDict()
        self._asked: OrderedDict[Asker, Variant] = OrderedDict()
        self._shapes: OrderedDict[_Shape, tuple[Session, tuple[int, int]]] = OrderedDict()
        self._failures: dict[_Shape, str] = {}
        self._askers: set[Asker] = set()
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread: DetachedThread | None = None

    @property
    def kept(self) -> tuple[Variant, ...]:
        """What is compiled and kept, the one that was used longest ago first."""
        with self._changed:
            return tuple(self._kept)

    def join(self, asker: Asker) -> None:
        """What this one holds is kept from now on."""
        with self._changed:
            self._askers.add(asker)

    def leave(self, asker: Asker) -> None:
        """It holds nothing any more, and waits for nothing."""
        with self._changed:
            self._askers.discard(asker)
            self._asked.pop(asker, None)

    def ask(self, asker: Asker, variant: Variant) -> None:
        """Have a session compiled, or found. What the same one asked for before, and has not got, is forgotten."""
        with self._changed:
            if asker not in self._askers or self._is_closed:
                return
            self._asked[asker] = variant
            self._wake()

    def get_ready(self, session: Session, frame_size: tuple[int, int]) -> bool:
        """Whether a session is ready for frames of (height, width) pixels. If not, it is made so behind.

        Raises:
            LiveGradcamError: it cannot be.
        """
        if session.is_ready_for(frame_size):
            return True
        shape = variant_of(session), session.tiles_for(frame_size)
        with self._changed:
            if shape in self._failures:
                raise LiveGradcamError(self._failures[shape])
            if shape not in self._shapes and not self._is_closed:
                self._shapes[shape] = session, frame_size
                self._wake()
        return False

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = DetachedThread(self._work, "compile")
            self._thread.start()
        self._changed.notify_all()

    def noise_floor(self, session: Session, frame_size: tuple[int, int]) -> float:
        """What a session finds in noise, see `Session.noise_floor`, worked out once: not for one that is taught.

        Args:
            session: one of the pool's.
            frame_size: (height, width) of the frames.
        """
        key = variant_of(session), frame_size
        with self._changed:
            floor = self._floors.get(key)
        if floor is None:
            floor = session.noise_floor(frame_size)
        with self._changed:
            self._floors[key] = floor
            self._floors.move_to_end(key)
            while len(self._floors) > _KEPT_FLOORS:
                self._floors.popitem(last=False)
        return floor

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._asked or self._shapes or self._is_closed)
                if self._is_closed:
                    return
                asked = self._asked.popitem(last=False) if self._asked else None
                shape = None if asked else next(iter(self._shapes))
            if asked is not None:
                self._compile(*asked)
            elif shape is not None:
                self._compile_for(shape)

    def _compile(self, asker: Asker, variant: Variant) -> None:
        try:
            session = self._session(asker, variant)
        except BaseException as error:  # whoever asked decides what becomes of it
            asker.fail(variant, error)
        else:
            asker.take(variant, session)

    def _compile_for(self, shape: _Shape) -> None:
        session, frame_size = self._shapes[shape]
        try:
            session.get_ready_for(frame_size)
        except Exception as error:  # told to whoever has such frames
            self._failures[shape] = first_line(error)
        with self._changed:
            del self._shapes[shape]

    def _session(self, asker: Asker, variant: Variant) -> Session:
        with self._changed:
            session = self._kept.get(variant)
            held = {variant_of(self.first), *(other.held for other in self._askers if other is not asker)}
        if session is None:
            if len(held | {variant}) > self._most_kept:
                raise LiveGradcamError(
                    f"{len(held)} pairs of method and layer are in use, and there is no room for more: use another one "
                    "later"
                )
            session = self.first.variant(**variant._asdict())
        with self._changed:
            self._kept[variant] = session
            self._kept.move_to_end(variant)
            idle = [kept for kept in self._kept if kept not in held and kept != variant]
            for kept in idle[: max(0, len(self._kept) - self._most_kept)]:
                del self._kept[kept]
        return session

    def __enter__(self) -> SessionPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Compile nothing more. A compilation that runs is not waited for."""
        with self._changed:
            self._is_closed = True
            self._asked.clear()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(_WAIT_SECONDS)
