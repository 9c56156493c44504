"""What can be said of a model without explaining a frame: its layers, and what the lowering makes of them."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from live_gradcam.attribution.session.loading import load
from live_gradcam.attribution.session.options import SessionOptions
from live_gradcam.compiling.runtime import set_compiler_flags
from live_gradcam.errors import ModelError
from live_gradcam.networks.catalog import find_source
from live_gradcam.silence import quiet_tensorflow

if TYPE_CHECKING:
    from live_gradcam.compiling.lowering import LayerRewrite
    from live_gradcam.networks.classifier import Classifier

_log = logging.getLogger(__name__)


def describe_model(options: SessionOptions, *, let_tensorflow_talk: bool = False) -> Classifier:
    """A model as every command uses it: what it takes, what it gives, and the card of its file.

    Args:
        options: which model, and what the user says about it.
        let_tensorflow_talk: let TensorFlow's own messages through.

    Raises:
        LiveGradcamError: as `load_classifier`.
    """
    find_source(options.model)  # what has predictions alone is described too
    set_compiler_flags()
    notes: list[str] = []
    with quiet_tensorflow(enabled=not let_tensorflow_talk):
        classifier = load(options, notes.append)
    for note in notes:
        _log.warning(note)
    return classifier


def explain_lowering(options: SessionOptions, *, let_tensorflow_talk: bool = False) -> list[LayerRewrite]:
    """What the lowering makes of each layer of a model, in running order.

    Args:
        options: which model, and how much to time.
        let_tensorflow_talk: let TensorFlow's own messages through.

    Raises:
        LiveGradcamError: as `start_session`.
    """
    options.check()
    set_compiler_flags()
    with quiet_tensorflow(enabled=not let_tensorflow_talk):
        from live_gradcam.attribution.explainer import Explainer

        explainer = Explainer(load(options, _say_nothing), layer=options.layer, maps=1, tune=options.tune)
        return explainer.describe_rewrites()


@dataclass(frozen=True)
class LayerRow:
    """A layer of a model.

    Attributes:
        name: its full name, as `--layer` takes it.
        kind: the class of the layer.
        shape: of its output, without the batch.
        is_candidate: whether it can be the target layer.
        is_default: whether it is by default.
    """

    name: str
    kind: str
    shape: tuple[int | None, ...]
    is_candidate: bool
    is_default: bool


def list_layers(options: SessionOptions, *, let_tensorflow_talk: bool = False) -> list[LayerRow]:
    """The layers of a model in running order, nested ones opened.

    Args:
        options: which model, and the layer to mark.
        let_tensorflow_talk: let TensorFlow's own messages through.

    Raises:
        LiveGradcamError: as `start_session`, or a `layer` that cannot be the target.
    """
    if not options.is_of_catalog:
        options = replace(options, labels=None)  # what its classes are called does not matter
    options.check()
    with quiet_tensorflow(enabled=not let_tensorflow_talk):
        from live_gradcam.networks.graph import flatten
        from live_gradcam.networks.target_layer import candidate_layers, default_targets, find_layer

        if not options.is_of_catalog:  # its numbers and pixels do not matter
            options = replace(options, preprocessing="raw", output="values")
        classifier = load(options, _say_nothing)
        network = flatten(classifier.model, classifier.input_size)
        targets = []
        if options.layer:
            targets = [find_layer(network, options.layer)]
        else:
            with suppress(ModelError):  # such a model is listed too, so that a layer can be named
                targets = default_targets(network)
        candidates = candidate_layers(network)
        return [
            LayerRow(
                operation.name,
                type(operation.layer).__name__,
                network.shapes[operation.outputs[0]],
                operation in candidates,
                operation in targets,
            )
            for operation in network.operations
        ]


def _say_nothing(note: str) -> None:
    """For what asks a network for no answer."""
