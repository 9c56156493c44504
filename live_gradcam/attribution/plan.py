"""What an explainer runs by: everything that is known before the first function is compiled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from live_gradcam.attribution.framing import Framing
from live_gradcam.attribution.methods.method import Method
from live_gradcam.attribution.one_pass import OnePass
from live_gradcam.attribution.options import ExplainerOptions
from live_gradcam.attribution.outline import Outline
from live_gradcam.attribution.target_layers import TargetLayers
from live_gradcam.compiling.compilation import check_engine
from live_gradcam.compiling.engines.engine import Engine
from live_gradcam.compiling.tuning import Tuner
from live_gradcam.explanations.vocabulary import Vocabulary
from live_gradcam.networks.batching import takes_batches
from live_gradcam.networks.classifier import Classifier
from live_gradcam.networks.graph import Network
from live_gradcam.networks.target_layer import layers_to_step_through
from live_gradcam.networks.weights_now import WeightsOfNow


@dataclass(frozen=True, eq=False)
class Written:
    """A network as it was, and as it runs.

    Attributes:
        before: the user's model laid out flat, without its final activation.
        network: the same, as it runs.
        rewrites: how often each rule of the lowering applied.
        tuner: chose the forms of its layers, and remembers times.
    """

    before: Network
    network: Network
    rewrites: dict[str, int]
    tuner: Tuner


@dataclass(frozen=True, eq=False)
class Plan:
    """What an explainer runs by.

    Attributes:
        classifier: the user's, at the input size that was asked for.
        options: what was asked for.
        written: the network.
        layers: where the maps are taken.
        vocabulary: what there is to name, and to ask for.
        one_pass: the functions to compile.
        weights_now: the weights that all of this was made of; None in training, where they may change.
    """

    classifier: Classifier
    options: ExplainerOptions
    written: Written
    layers: TargetLayers
    vocabulary: Vocabulary
    one_pass: OnePass
    weights_now: WeightsOfNow | None = None

    @cached_property
    def engine(self) -> Engine:
        """What runs the functions."""
        return check_engine(self.options.compiling.engine, self.options.compiling.precision)

    @cached_property
    def outline(self) -> Outline:
        """What is known of it without TensorFlow."""
        fitting = self.options.fitting
        return Outline(
            name=self.classifier.name,
            options=self.options,
            framing=Framing(fitting.fit, self.classifier.input_size, fitting.tiles),
            layers=self.layers,
            vocabulary=self.vocabulary,
            maps=self.one_pass.maps,
            against=self.one_pass.method.against,
            rewrites=self.written.rewrites,
            takes_batches=takes_batches(self.written.before),
        )

    @property
    def framing(self) -> Framing:
        """How frames enter."""
        return self.outline.framing

    @cached_property
    def steps(self) -> dict[str, str]:
        """The layers worth looking at one after the other, from the first to the last, with sizes as "7×7"."""
        network = self.written.before
        shapes = {step.name: network.shapes[step.outputs[0]] for step in layers_to_step_through(network)}
        return {
            name: "×".join("any" if side is None else str(side) for side in shape) for name, shape in shapes.items()
        }

    @property
    def weights(self) -> int:
        """How many numbers the network's weights are."""
        return int(self.classifier.model.count_params())

    def with_method(self, method: Method, options: ExplainerOptions) -> Plan:
        """The same network with another method, whose options differ in nothing that the network depends on."""
        return replace(self, options=options, one_pass=self.one_pass.with_method(method))
