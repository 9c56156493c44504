"""Whether a network answers for each image of a batch as for that image alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras

from live_gradcam.networks.graph import Network

#: Where Keras keeps its own layers. What is `keras.ops` may do anything with the axis of the batch.
_KERAS_LAYERS = "keras.src.layers."
_OF_THE_USERS_MAKING = (keras.layers.Lambda,)


def keeps_images_apart(layers: Iterable[Any]) -> bool:
    """Whether all are layers that Keras has, which compute each image of a batch by itself. False: nobody knows."""
    return all(is_layer_of_keras(layer) for layer in layers)


def takes_batches(network: Network) -> bool:
    """Whether several images may be put through it at a time.

    One that is made for a single image may reshape, or take the mean of, what it takes for that image.

    Args:
        network: as it was before it was rewritten.
    """
    return network.batch != 1 or keeps_images_apart(operation.layer for operation in network.operations)


def is_layer_of_keras(layer: Any) -> bool:
    """Whether a layer does what Keras says of its class: no subclass, no function or `call` of the user's."""
    is_known = type(layer).__module__.startswith(_KERAS_LAYERS) and "call" not in vars(layer)
    return is_known and not isinstance(layer, _OF_THE_USERS_MAKING)
