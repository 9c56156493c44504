"""Networks that keep the weights that their layers have now, whatever becomes of the model afterwards."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from live_gradcam.errors import ModelError
from live_gradcam.networks.classifier import Classifier
from live_gradcam.networks.graph import Call, Network, Operation
from live_gradcam.networks.model_config import is_of_keras_team


def with_weights_of_now(*networks: Network, but: Collection[str] = ()) -> list[Network]:
    """The networks with the numbers that the layers' weights are now. They take no memory before the weights change.

    Layers of other packages keep their variables: one that is a `tf.function` would remember these numbers for itself.

    Args:
        networks: of the same layers. A call that several of them have stays one call.
        but: the names of the layers whose weights are followed.
    """
    calls: dict[Call, Call] = {}
    return [replace(network, operations=tuple(_kept(network.operations, but, calls))) for network in networks]


def _kept(operations: Iterable[Operation], but: Collection[str], calls: dict[Call, Call]) -> Iterable[Operation]:
    for operation in operations:
        if operation.name in but:
            yield operation
            continue
        if operation.call not in calls:
            calls[operation.call] = _call_with(_weights_of(operation.layer), operation.call)
        yield replace(operation, call=calls[operation.call])


def _weights_of(layer: keras.Operation) -> list[tuple[Any, tf.Tensor]]:
    """Each variable of a layer with its value, which shares its memory until it is changed."""
    if not isinstance(layer, keras.Layer):
        return []
    if not all(is_of_keras_team(type(part).__module__) for part in layer._flatten_layers()):
        return []
    return [(weight, tf.convert_to_tensor(weight.value)) for weight in layer.variables]


def _call_with(weights: list[tuple[Any, tf.Tensor]], call: Call) -> Call:
    if not weights:
        return call

    def with_these(tensors: list[Any]) -> list[Any]:
        with keras.StatelessScope(weights):
            return call(tensors)

    return with_these


class WeightsOfNow:
    """What the weights of a classifier's model are now, but for those that are followed.

    Args:
        classifier: the classifier.
    """

    def __init__(self, classifier: Classifier) -> None:
        model = classifier.model
        followed = {id(weight) for name in classifier.changing for weight in model.get_layer(name).weights}
        kept = (weight for weight in model.weights if id(weight) not in followed)
        self._values = [(weight, tf.convert_to_tensor(weight.value)) for weight in kept]
        self._name = classifier.name

    def check(self) -> None:
        """Make sure that they still are.

        Raises:
            ModelError: they have changed.
        """
        if not all(np.array_equal(weight.value, value, equal_nan=True) for weight, value in self._values):
            raise ModelError(
                f"the weights of {self._name} have changed since this explainer was made, which keeps the old ones: "
                "make a new Explainer"
            )
