"""What can be asked of whatever runs by a plan. Importing this does not import TensorFlow."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from live_gradcam.listings import Listing

if TYPE_CHECKING:
    from live_gradcam.attribution.plan import Plan
    from live_gradcam.choices import Fit, Precision
    from live_gradcam.compiling.lowering import LayerRewrite
    from live_gradcam.explanations.vocabulary import Vocabulary
    from live_gradcam.networks.classifier import Classifier


class Planned:
    """What its plan says of it."""

    def __repr__(self) -> str:
        words = (self.classifier.name, self.method, self.layer, f"fit {self.fit}", f"engine {self.engine}")
        return f"{type(self).__name__}({' · '.join(words)})"

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
    def layers(self) -> Listing:
        """The full names of the layers worth looking at one after the other, from the first to the last.

        A tuple, which a notebook shows with the size of each map.
        """
        from live_gradcam.networks.target_layer import layers_to_step_through

        network = self.plan.written.before
        targets = self.layer.split(",")
        lines = {}
        for step in layers_to_step_through(network):
            sides = "×".join("any" if side is None else str(side) for side in network.shapes[step.outputs[0]])
            lines[step.name] = f"{sides}, the target layer" if step.name in targets else sides
        return Listing(lines, lines)

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
