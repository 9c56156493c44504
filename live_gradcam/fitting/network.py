"""From a network to the same network with another head: cut before its last layer, and put together again."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import keras
import numpy as np

from live_gradcam.errors import ModelError
from live_gradcam.networks.classifier import Classifier
from live_gradcam.networks.graph import Network, Operation, flatten, run
from live_gradcam.networks.preprocessing import PREPROCESSINGS, Preprocessing
from live_gradcam.networks.split import ancestors_of_output
from live_gradcam.networks.tensorflow_calls import TensorFlowCall

if TYPE_CHECKING:
    from live_gradcam.fitting.head import Head

#: The names of the layers that are put behind and before the backbone.
HEAD, BACKBONE, IMAGE = "head", "backbone", "image"
_LUMA_OF_RGB = (0.299, 0.587, 0.114)  # ITU-R BT.601


def pooled_model(classifier: Classifier) -> keras.Model:
    """A network up to the vector that its last layer reads: its features.

    Args:
        classifier: the network. Its layers are shared, not copied.

    Returns:
        A model from the network's own input, (batch, height, width, channels), to (batch, d).

    Raises:
        ModelError: the network's graph cannot be seen, it has no pooled features in front of its last layer, or it
            calls functions that no file can hold.
    """
    model = classifier.model
    network = flatten(model, classifier.input_size)
    last = _last_with_weights(classifier, network)
    value = last.inputs[0]
    if any(isinstance(operation.layer, TensorFlowCall) for operation in _before(network, value)):
        raise ModelError(
            f"{classifier.name} uses functions of tf in its call, which a fitted file cannot hold: use keras.ops there"
        )
    shape = network.shapes[value]
    if len(shape) not in (1, 3) or math.prod(side or 0 for side in shape) != shape[-1] or _is_flattened(network, value):
        raise ModelError(
            f"{classifier.name} has no pooled features in front of its last layer, so no head can be fitted to it: "
            "use a network that ends in global pooling, such as efficientnet-lite0"
        )
    if any(layer is last.layer for layer in model.layers) and len(last.layer._inbound_nodes) == 1:
        image, vector = model.inputs[0], last.layer.input
    else:  # it is in a model within the model
        image = keras.Input((*classifier.input_size, model.inputs[0].shape[-1]), name="pixels")
        needed = _before(network, value)
        vector = run(needed, {network.input: image})[value]
    if len(shape) == 3:
        vector = keras.layers.Reshape((shape[-1],), name="features")(vector)
    return keras.Model(image, vector, name=BACKBONE)


def _last_with_weights(classifier: Classifier, network: Network) -> Operation:
    needed = ancestors_of_output(network)
    for operation in reversed(network.operations):
        if needed.intersection(operation.outputs) and getattr(operation.layer, "weights", None):
            return operation
    raise ModelError(f"{classifier.name} has no layer with weights, so there is nothing to fit")


def _before(network: Network, value: int) -> list[Operation]:
    """The operations that lead to a value."""
    needed, found = {value}, []
    for operation in reversed(network.operations):
        if needed.intersection(operation.outputs):
            needed.update(operation.inputs)
            found.append(operation)
    return found[::-1]


def _is_flattened(network: Network, value: int) -> bool:
    """Whether a map of several places was laid out as one vector on the way to a value."""
    for operation in _before(network, value):
        shape = network.shapes[operation.inputs[0]]
        is_map = len(shape) == 3 and (shape[0] or 0) * (shape[1] or 0) > 1
        if is_map and isinstance(operation.layer, keras.layers.Flatten):
            return True
    return False


def with_head(classifier: Classifier, backbone: keras.Model, head: Head, labels: tuple[str, ...]) -> Classifier:
    """The network with a head: raw RGB in, what is said of the classes out, and nothing but plain Keras in between.

    Args:
        classifier: the network that the backbone is of.
        backbone: from `pooled_model`.
        head: of as many features as the backbone gives.
        labels: the names of the classes.

    Returns:
        A classifier with layers of its own but for the backbone's. `set_head` changes its head.
    """
    image = keras.Input((*classifier.input_size, 3), name=IMAGE)
    x = _features(image, classifier, backbone)
    x = keras.layers.Dense(head.weights.shape[1], name=HEAD)(x)
    if head.task == "classes":
        x = keras.layers.Softmax(name="probabilities")(x)
    elif head.task == "labels":
        x = keras.layers.Activation("sigmoid", name="probabilities")(x)
    fitted = replace(
        classifier,
        name=f"{classifier.name} fitted",
        model=keras.Model(image, x, name="fitted"),
        labels=labels,
        preprocessing=PREPROCESSINGS["raw"],
        output=head.task,
        pixel_guess=None,
        changing=(HEAD,),
    )
    set_head(fitted, head)
    return fitted


def set_head(classifier: Classifier, head: Head) -> None:
    """Put a head into a network in place: what is compiled of it gives the new answers from its next frame on.

    Args:
        classifier: from `with_head`.
        head: of the same shape.
    """
    classifier.model.get_layer(HEAD).set_weights([head.weights, head.bias])


def _features(image: keras.KerasTensor, classifier: Classifier, backbone: keras.Model) -> keras.KerasTensor:
    """The features of raw RGB. What has a head of `with_head` already is taken apart, and not nested once more."""
    is_put_together = [layer.name for layer in backbone.layers[1:]] in ([BACKBONE], ["preprocessing", BACKBONE])
    if not is_put_together or classifier.preprocessing != PREPROCESSINGS["raw"]:
        return backbone(_preprocessed(image, classifier.preprocessing))
    for layer in backbone.layers[1:]:
        image = layer(image)
    return image


def _preprocessed(image: keras.KerasTensor, preprocessing: Preprocessing) -> keras.KerasTensor:
    """Raw RGB as a network wants it."""
    mean, scale = np.array(preprocessing.mean), np.array(preprocessing.scale)
    if preprocessing == PREPROCESSINGS["raw"]:
        return image
    if preprocessing.channels == "rgb" and len({*mean.tolist()}) == len({*scale.tolist()}) == 1:
        return keras.layers.Rescaling(float(scale[0]), float(-mean[0] * scale[0]), name="preprocessing")(image)
    if preprocessing.channels == "rgb":
        return keras.layers.Normalization(mean=mean, variance=scale**-2.0, name="preprocessing")(image)
    kernel = np.diag(scale)[::-1]
    if preprocessing.channels == "grey":
        mean, scale = mean[:1], scale[:1]
        kernel = np.array(_LUMA_OF_RGB)[:, None] * scale
    mixed = keras.layers.Conv2D(kernel.shape[1], 1, name="preprocessing", trainable=False)
    x = mixed(image)
    mixed.set_weights([kernel[None, None], -mean * scale])
    return x
