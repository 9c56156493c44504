"""Layer, method and fit can change while frames run: the new function is compiled in the background."""

from __future__ import annotations

import threading
from collections import OrderedDict

from live_gradcam.attribution.session import Session
from live_gradcam.choices import Fit
from live_gradcam.errors import LiveGradcamError
from live_gradcam.flow.slot import Slot
from live_gradcam.flow.threads import DetachedThread
from live_gradcam.live_loop.state import LiveState, Variant

#: How many compiled sessions are kept. Each has the network's weights in the form that runs, about 8 bytes a number:
#: of a small network one of each method stays, and of a large one a few.
_LEAST_KEPT, _MOST_KEPT, _KEPT_WEIGHTS = 4, 16, 100_000_000
_WAKE_SECONDS = 0.2
#: Without native, which is compiled for the first frame; the one that a run begins with is stepped through too.
FITS_TO_STEP_THROUGH: tuple[Fit, ...] = ("tiles", "crop", "stretch", "letterbox")


def variant_of(session: Session) -> Variant:
    """What a session is compiled for."""
    return Variant(session.method, session.layer, session.fit)


class Variants:
    """One network's sessions by method, layer and fit; one of them is current. Use as a context manager.

    Args:
        first: the session to begin with.
        state: its `variant` is what was asked for last; `current` becomes that when it is compiled. If it cannot be
            compiled, it becomes that of `current` again.

    Attributes:
        current: the session to explain with.
        methods: the methods that can be asked for.
        layers: the layers to step through, from the first to the last.
        fits: the fits to step through.
        failure: why what was asked for last cannot be compiled; None if it can.
        error: the exception that ended the compiling, if it was none of ours; None while all is well.
    """

    def __init__(self, first: Session, state: LiveState) -> None:
        self.current = first
        self.methods = first.methods
        self.layers = first.layers
        self.fits = tuple(dict.fromkeys((*FITS_TO_STEP_THROUGH, first.fit)))
        self.failure: str | None = None
        self.error: BaseException | None = None
        self._first = first
        self._state = state
        self._state.variant = variant_of(first)
        self._method = first.method  # asked for last: the one after it is next, even if it could not be had
        self._most_kept = min(_MOST_KEPT, max(_LEAST_KEPT, _KEPT_WEIGHTS // max(1, first.weights)))
        self._kept: OrderedDict[Variant, Session] = OrderedDict({variant_of(first): first})
        self._asked: Slot[Variant] = Slot()
        self._stop = threading.Event()
        self._thread = DetachedThread(self._work, "compile")

    @property
    def wanted(self) -> Variant:
        """What was asked for last."""
        return self._state.variant or variant_of(self.current)

    @property
    def kept(self) -> tuple[Variant, ...]:
        """What is compiled and kept, the one that was used longest ago first."""
        return tuple(self._kept)

    @property
    def compiling(self) -> str | None:
        """What the current session is to be replaced by, in words; None when nothing is."""
        wanted, current = self.wanted, variant_of(self.current)
        if wanted.layer != current.layer:
            return wanted.layer
        if wanted.method != current.method:
            return wanted.method
        return wanted.fit if wanted.fit != current.fit else None

    def ask(self, *, method: str | None = None, layer: str | None = None, fit: Fit | None = None) -> None:
        """Ask for another method, layer or fit; None keeps what was asked for last."""
        wanted = self.wanted
        variant = Variant(method or wanted.method, layer or wanted.layer, fit or wanted.fit)
        self._method = method or self._method
        self._state.variant, self.failure = variant, None
        self._asked.put(variant)

    def step_layer(self, step: int) -> None:
        """Ask for the layer so many steps further towards the prediction."""
        position = self.layers.index(self.wanted.layer) if self.wanted.layer in self.layers else len(self.layers)
        self.ask(layer=self.layers[min(len(self.layers) - 1, max(0, position + step))])

    def step_method(self) -> None:
        """Ask for the next method."""
        self.ask(method=self.methods[(self.methods.index(self._method) + 1) % len(self.methods)])

    def step_fit(self) -> None:
        """Ask for the next way in which frames enter the network."""
        self.ask(fit=self.fits[(self.fits.index(self.wanted.fit) + 1) % len(self.fits)])

    def _work(self) -> None:
        try:
            self._compile_what_is_asked()
        except BaseException as error:  # raised again in the thread that explains
            self.error = error

    def _compile_what_is_asked(self) -> None:
        while not self._stop.is_set():
            variant = self._asked.take(_WAKE_SECONDS)
            if variant is None or variant != self.wanted:
                continue
            try:
                session = self._kept.get(variant) or self._first.variant(**variant._asdict())
            except LiveGradcamError as error:
                if variant == self.wanted:
                    self.failure, self._state.variant = str(error), variant_of(self.current)
                continue
            self._kept[variant] = session
            self._kept.move_to_end(variant)
            if variant == self.wanted:
                self.current = session
            while len(self._kept) > self._most_kept:
                self._kept.popitem(last=False)

    def __enter__(self) -> Variants:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._asked.close()
        self._thread.join(_WAKE_SECONDS)  # which a compilation outlasts
