"""Layer, method and fit can change while frames run: the new function is compiled in the background."""

from __future__ import annotations

from live_gradcam.attribution.session import Session
from live_gradcam.choices import Fit
from live_gradcam.errors import LiveGradcamError
from live_gradcam.live_loop.pool import SessionPool, variant_of
from live_gradcam.live_loop.state import LiveState, Variant


class Variants:
    """What one viewer has chosen of a network's methods, layers and fits. Use as a context manager.

    Args:
        pool: the network's sessions.
        state: its `variant` is what was asked for last; `current` becomes that when it is compiled. If it cannot be
            compiled, it becomes that of `current` again.

    Attributes:
        pool: the same.
        current: the session to explain with.
        failure: why what was asked for last cannot be compiled; None if it can.
        error: the exception that the compiling ended with, if it was none of ours; None while all is well.
    """

    def __init__(self, pool: SessionPool, state: LiveState) -> None:
        self.current = pool.first
        self.failure: str | None = None
        self.error: BaseException | None = None
        self.pool = pool
        self._state = state
        self._state.variant = variant_of(pool.first)
        self._method = pool.first.method  # asked for last: the one after it is next, even if it could not be had

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that can be asked for."""
        return self.pool.methods

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers to step through, from the first to the last."""
        return self.pool.layers

    @property
    def fits(self) -> tuple[Fit, ...]:
        """The fits to step through."""
        return self.pool.fits

    @property
    def held(self) -> Variant:
        """What the current session is compiled for."""
        return variant_of(self.current)

    @property
    def wanted(self) -> Variant:
        """What was asked for last."""
        return self._state.variant or self.held

    @property
    def compiling(self) -> str | None:
        """What the current session is to be replaced by, in words; None when nothing is."""
        wanted, current = self.wanted, self.held
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
        self.pool.ask(self, variant)

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

    def take(self, variant: Variant, session: Session) -> None:
        """What was asked for is there: see `pool.Asker`."""
        if variant == self.wanted:
            self.current = session

    def fail(self, variant: Variant, error: BaseException) -> None:
        """What was asked for cannot be had: see `pool.Asker`."""
        if not isinstance(error, LiveGradcamError):
            self.error = error
        if variant == self.wanted:
            self.failure, self._state.variant = str(error), self.held

    def __enter__(self) -> Variants:
        self.pool.join(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.leave(self)
