"""What can be asked of whatever runs by a plan. Importing this does not import TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from live_gradcam.listings import Listing

if TYPE_CHECKING:
    from live_gradcam.attribution.outline import Outline
    from live_gradcam.attribution.plan import Plan
    from live_gradcam.choices import Fit, Precision
    from live_gradcam.compiling.lowering import LayerRewrite
    from live_gradcam.explanations.vocabulary import Vocabulary
    from live_gradcam.networks.classifier import Classifier


class Planned:
    """What its plan says of it, and the plan's outline, for which nothing has to be built."""

    @property
    def outline(self) -> Outline:
        """What is known of the plan without TensorFlow."""
        raise NotImplementedError

    def __repr__(self) -> str:
        words = (self.outline.name, self.method, self.layer, f"fit {self.fit}", f"engine {self.engine}")
        return f"{type(self).__name__}({' · '.join(words)})"

    @property
    def plan(self) -> Plan:
        """What it runs by. It is built first, where a program of an earlier start is used."""
        raise NotImplementedError

    @property
    def classifier(self) -> Classifier:
        """The network that is explained, at the input size that was asked for."""
        return self.plan.classifier

    @property
    def method(self) -> str:
        """The method's name."""
        return self.outline.options.explained.method

    @property
    def layer(self) -> str:
        """The target layer's full name; several with commas."""
        return self.outline.layers.name

    @property
    def layers(self) -> Listing:
        """The full names of the layers worth looking at one after the other, from the first to the last.

        A tuple, which a notebook shows with the size of each map.
        """
        sizes = self.plan.steps if self.outline.steps is None else self.outline.steps
        targets = self.layer.split(",")
        lines = {name: f"{size}, the target layer" if name in targets else size for name, size in sizes.items()}
        return Listing(lines, lines)

    @property
    def weights(self) -> int:
        """How many numbers the network's weights are."""
        return self.plan.weights if self.outline.weights is None else self.outline.weights

    @property
    def relu(self) -> bool:
        """Whether maps keep only what speaks for the class."""
        return self.outline.options.explained.relu

    @property
    def fit(self) -> Fit:
        """How frames enter the network."""
        return self.outline.framing.fit

    @property
    def input_size(self) -> tuple[int, int]:
        """(height, width) in pixels of the network's input."""
        return self.outline.framing.input_size

    @property
    def engine(self) -> str:
        """The name of what runs the functions."""
        return self.outline.options.compiling.engine

    @property
    def precision(self) -> Precision:
        """In which numbers the products before the target layer are computed."""
        return self.outline.options.compiling.precision

    @property
    def vocabulary(self) -> Vocabulary:
        """What there is to name, and to ask for."""
        return self.outline.vocabulary

    @property
    def rewrites(self) -> dict[str, int]:
        """How often each rule of the lowering applied."""
        return dict(self.outline.rewrites)

    def describe_rewrites(self) -> list[LayerRewrite]:
        """What the lowering made of each layer, in running order."""
        from live_gradcam.compiling.lowering import describe_rewrites

        written = self.plan.written
        return describe_rewrites(written.before, written.network, written.tuner)
