"""What can be asked of whatever runs by a plan. Importing this does not import TensorFlow."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from live_gradcam.attribution.plan import Plan
    from live_gradcam.choices import Fit, Precision
    from live_gradcam.compiling.lowering import LayerRewrite
    from live_gradcam.explanations.vocabulary import Vocabulary
    from live_gradcam.networks.classifier import Classifier


class Planned:
    """What its plan says of it."""

    @property
    def plan(self) -> Plan:
        """What it runs by."""
        raise NotImplementedError

    @property
    def classifier(self) -> Classifier:
        """The network that is explained, at the input size that was asked for."""
        return self.plan.classifier

    @property
    def method(self) -> str:
        """The method's name."""
        return self.plan.options.explained.method

    @property
    def layer(self) -> str:
        """The target layer's full name; several with commas."""
        return self.plan.layers.name

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """The full names of the layers worth looking at one after the other, from the first to the last."""
        from live_gradcam.networks.target_layer import layers_to_step_through

        return tuple(dict.fromkeys(step.name for step in layers_to_step_through(self.plan.written.before)))

    @property
    def relu(self) -> bool:
        """Whether maps keep only what speaks for the class."""
        return self.plan.options.explained.relu

    @property
    def fit(self) -> Fit:
        """How frames enter the network."""
        return self.plan.framing.fit

    @property
    def engine(self) -> str:
        """The name of what runs the functions."""
        return self.plan.options.compiling.engine

    @property
    def precision(self) -> Precision:
        """In which numbers the products before the target layer are computed."""
        return self.plan.options.compiling.precision

    @property
    def vocabulary(self) -> Vocabulary:
        """What there is to name, and to ask for."""
        return self.plan.vocabulary

    @property
    def rewrites(self) -> dict[str, int]:
        """How often each rule of the lowering applied."""
        return self.plan.written.rewrites

    @property
    def tune_s(self) -> float:
        """Seconds spent on timing forms of layers."""
        return self.plan.written.tuner.seconds

    def describe_rewrites(self) -> list[LayerRewrite]:
        """What the lowering made of each layer, in running order."""
        from live_gradcam.compiling.lowering import describe_rewrites

        written = self.plan.written
        return describe_rewrites(written.before, written.network, written.tuner)
