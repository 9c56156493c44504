"""What commands act on: a run whose explanation a person can change, and one that is shown and written, too."""

from __future__ import annotations

from typing import Protocol

from live_gradcam.choices import Fit
from live_gradcam.explanations.explanation import Explanation
from live_gradcam.explanations.vocabulary import Vocabulary
from live_gradcam.live_loop.state import LiveState


class VariantChoice(Protocol):
    """What can be asked for of a network while frames run: see `variants.Variants`."""

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that can be asked for."""

    @property
    def fits(self) -> tuple[Fit, ...]:
        """The fits to step through."""

    def ask(self, *, method: str | None = None, layer: str | None = None, fit: Fit | None = None) -> None:
        """Ask for another method, layer or fit; None keeps what was asked for last."""

    def step_layer(self, step: int) -> None:
        """Ask for the layer so many steps further towards the prediction."""

    def step_method(self) -> None:
        """Ask for the next method."""

    def step_fit(self) -> None:
        """Ask for the next way in which frames enter the network."""


class Lessons(Protocol):
    """What a network is taught with: see `teaching.Teaching`."""

    def collect(self, index: int) -> None:
        """The next frame is an example of a class."""

    def hold(self, index: int) -> None:
        """Collect examples of a class until `release`."""

    def release(self) -> None:
        """Collect no more."""

    def rename(self, index: int | None, name: str) -> None:
        """Name a class; None for the one that was collected last."""

    def class_to_name(self, index: int | None) -> int:
        """The class that a name is for; None stands for the one that was collected last."""

    def undo(self) -> None:
        """Take the last burst back."""

    def save(self) -> None:
        """Write the model and the examples."""


class ExplainedRun(Protocol):
    """A run whose explanation a person can change."""

    @property
    def state(self) -> LiveState:
        """What a person has chosen."""

    @property
    def variants(self) -> VariantChoice | None:
        """The network's methods, layers and fits; None while it starts."""

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The classes that can be asked for; None while the network starts."""

    @property
    def maps(self) -> int:
        """How many classes can be explained at a time."""

    @property
    def explanation(self) -> Explanation | None:
        """The newest explanation; None before the first, of a black frame, and where nothing is taught yet."""

    @property
    def teaching(self) -> Lessons:
        """What the network is taught."""

    def teach(self, wanted: bool) -> None:
        """Teach the network, or go back to the one that the run was started with."""


class ShownRun(ExplainedRun, Protocol):
    """A run that is shown and written, too."""

    @property
    def is_recording(self) -> bool:
        """Whether what is seen is being recorded."""

    def notify(self, notice: str) -> None:
        """Show a line for a few seconds."""

    def quit(self) -> None:
        """End the run."""

    def pause(self, paused: bool) -> None:
        """Hold the picture, or go on."""

    def record(self, wanted: bool) -> None:
        """Start to record into a new file, or stop."""

    def take_snapshot(self) -> None:
        """Write what is seen, the frame, and its numbers."""
