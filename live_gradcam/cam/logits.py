"""The class scores before the final softmax or sigmoid.

A saturated softmax has no gradient left, so the score to explain is the logit. The final activation is found and left
out of the flat network; the user's model keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import keras
import tensorflow as tf

from live_gradcam.cam.graph import Call, Network, Operation
from live_gradcam.cam.products import affine_of, replaced

Activation = Literal["softmax", "sigmoid"]

#: Layers that move numbers but do not change them (at inference), so that an activation before them is still final.
SHAPE_ONLY = (keras.layers.Flatten, keras.layers.Reshape, keras.layers.Dropout, keras.layers.Identity)


@dataclass(frozen=True)
class LogitNetwork:
    """A network whose output is the logits.

    Attributes:
        network: the same network without its final activation.
        activation: what turns its logits into probabilities.
    """

    network: Network
    activation: Activation


def without_final_activation(network: Network) -> LogitNetwork:
    """Leave the final softmax or sigmoid out.

    A network that ends in neither is taken to give logits already: of a softmax, or, with one unit, of a sigmoid.
    A layer with a built-in activation that cannot be called without it is undone by the inverse function.
    """
    operation = _last_computing_operation(network)
    found = activation_of(operation.layer) if operation else None
    if operation is None or found is None:
        single_unit = network.shapes[network.output][-1] == 1
        return LogitNetwork(network, "sigmoid" if single_unit else "softmax")
    linear = _without_activation(operation, found)
    operations = tuple(linear if other is operation else other for other in network.operations)
    return LogitNetwork(replace(network, operations=operations), found)


def _last_computing_operation(network: Network) -> Operation | None:
    """The last operation on the way to the output that changes numbers."""
    operation = network.producer(network.output)
    while operation is not None and (isinstance(operation.layer, SHAPE_ONLY) or _is_linear_activation(operation)):
        operation = network.producer(operation.inputs[0])
    return operation


def _is_linear_activation(operation: Operation) -> bool:
    layer = operation.layer
    return isinstance(layer, keras.layers.Activation) and layer.activation is keras.activations.linear


def activation_of(layer: Any) -> Activation | None:
    """The final activation that a layer is or ends in; None for another or none."""
    if isinstance(layer, keras.layers.Softmax) or type(layer).__name__ == "Softmax":
        return "softmax"
    if type(layer).__name__ == "Sigmoid":  # keras.ops.sigmoid on a symbolic tensor
        return "sigmoid"
    activation = getattr(layer, "activation", None)
    if activation is keras.activations.softmax:
        return "softmax"
    if activation is keras.activations.sigmoid:
        return "sigmoid"
    return None


def _without_activation(operation: Operation, activation: Activation) -> Operation:
    layer: Any = operation.layer
    if not hasattr(layer, "activation") or isinstance(layer, keras.layers.Activation):
        return replace(operation, call=lambda tensors: [tensors[0]])
    affine = affine_of(layer)
    if affine is not None:
        return replaced(operation, replace(affine, activation=keras.activations.linear))
    return replace(operation, call=_linear_call(operation, activation))


def _linear_call(operation: Operation, activation: Activation) -> Call:
    layer: Any = operation.layer
    if isinstance(layer, keras.layers.Dense):  # in another precision, say
        return lambda tensors: [_add_bias(layer, tf.linalg.matmul(*_in_compute_dtype(layer, tensors[0])))]
    if isinstance(layer, keras.layers.Conv2D):
        return lambda tensors: [_add_bias(layer, layer.convolution_op(*_in_compute_dtype(layer, tensors[0])))]
    inverse = _logit_of_sigmoid if activation == "sigmoid" else _logit_of_softmax
    return lambda tensors: [inverse(output) for output in operation.call(tensors)]


def _in_compute_dtype(layer: Any, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    dtype = layer.compute_dtype
    return tf.cast(x, dtype), tf.cast(tf.convert_to_tensor(layer.kernel), dtype)


def _add_bias(layer: Any, x: tf.Tensor) -> tf.Tensor:
    return x + tf.cast(tf.convert_to_tensor(layer.bias), x.dtype) if layer.use_bias else x


def _logit_of_softmax(probability: tf.Tensor) -> tf.Tensor:
    return tf.math.log(probability + keras.config.epsilon())


def _logit_of_sigmoid(probability: tf.Tensor) -> tf.Tensor:
    probability = tf.clip_by_value(probability, keras.config.epsilon(), 1 - keras.config.epsilon())
    return tf.math.log(probability) - tf.math.log1p(-probability)
