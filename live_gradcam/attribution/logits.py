"""The scores before the final activation.

A saturated softmax has no gradient left, so the score to explain is the logit. The final activation is found and left
out of the flat network; the user's model keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import keras
import tensorflow as tf

from live_gradcam.choices import Output
from live_gradcam.compiling.affine import affine_of, kind_of
from live_gradcam.compiling.products import replaced
from live_gradcam.errors import UsageError
from live_gradcam.networks.graph import Call, Network, Operation
from live_gradcam.networks.outputs import Activation, joins_several, last_activation, last_operation, output_of


@dataclass(frozen=True)
class LogitNetwork:
    """A network whose output is the scores.

    Attributes:
        network: the same network without its final activation.
        activation: what turns its scores into probabilities or values.
        output: what these are.
        is_left_out: whether the user's model ends in the activation; else it gives the scores themselves.
        by_inverse: whether the activation was undone by its inverse function.
        is_plain: whether the layer that lost its activation is known in every respect, or none did.
    """

    network: Network
    activation: Activation
    output: Output
    is_left_out: bool
    is_plain: bool = True
    by_inverse: bool = False

    def numbers(self, scores: tf.Tensor) -> tf.Tensor:
        """What the user's model gives, float32 (batch, units), of the scores of that shape."""
        scores = tf.cast(scores, tf.float32)
        return ACTIVATIONS[self.activation](scores) if self.is_left_out else scores


ACTIVATIONS = {
    "softmax": tf.nn.softmax,
    "sigmoid": tf.math.sigmoid,
    "relu": tf.nn.relu,
    "tanh": tf.math.tanh,
    "linear": tf.identity,
}


def without_final_activation(
    network: Network, output: Output | None = None, *, by_inverse: bool = False, as_variables: bool = False
) -> LogitNetwork:
    """Leave the final activation out.

    Args:
        network: a flat network.
        output: what its numbers are; None for what its last layer says (`output_of`). A network whose numbers come
            from no activation gives logits, unless they are values.
        by_inverse: undo the activation by its inverse function, instead of leaving it out: for a layer that does more
            than its class says, or hides it. So are several activations that are joined (`joins_several`).
        as_variables: leave the last layer's weights as they are, variables that may change. Else they are copied.

    Raises:
        UsageError: the numbers cannot be what they are said to be.
    """
    operation = last_operation(network)
    found = last_activation(network)
    if operation is not None and joins_several(operation.layer) and found != "linear":
        by_inverse = True
    units = network.shapes[network.output][-1] or 0
    if output is None:
        output = output_of(found, units)
    if output == "values":
        if operation is None or found not in ("relu", "tanh") or by_inverse:
            return LogitNetwork(network, "linear", output, is_left_out=False)
    elif found is None or (by_inverse and found == "linear" and operation is not None):  # which hides its activation
        found, by_inverse = "softmax" if output == "classes" and units > 1 else "sigmoid", True
    elif found not in ("softmax", "sigmoid"):
        if found != "linear":
            raise UsageError("the last layer's numbers are no probabilities: use --output-kind values")
        activation: Activation = "softmax" if output == "classes" and units > 1 else "sigmoid"
        return LogitNetwork(network, activation, output, is_left_out=False)
    elif output == "labels" and found == "softmax":
        raise UsageError("the last layer is a softmax, so that one class alone can be right: use --output-kind classes")
    assert operation is not None
    assert found is not None
    if by_inverse:
        undone = _undone(network, operation, found)
        return LogitNetwork(undone, found, output, is_left_out=True, is_plain=False, by_inverse=True)
    is_plain = _is_activation(operation.layer) or kind_of(operation.layer) is not None
    scores = _without_activation(operation, as_variables=as_variables)
    operations = tuple(scores if other is operation else other for other in network.operations)
    return LogitNetwork(replace(network, operations=operations), found, output, is_left_out=True, is_plain=is_plain)


def hides_sigmoid(network: Network, found: LogitNetwork) -> bool:
    """Whether the last layer may end in a sigmoid that it does not tell: its numbers are to be labels, or a decision.

    Args:
        network: with its final activation.
        found: what was made of it.
    """
    operation = last_operation(network)
    by_sigmoid = found.activation == "sigmoid" and not found.is_left_out
    return by_sigmoid and operation is not None and kind_of(operation.layer) is None


def _without_activation(operation: Operation, *, as_variables: bool) -> Operation:
    """The operation up to its activation.

    A layer that is known in every respect is taken as numbers, unless they are to stay variables; every other one is
    called as it is, in a copy that has the same weights and no activation.
    """
    layer: Any = operation.layer
    if _is_activation(layer):
        return replace(operation, call=lambda tensors: [tensors[0]])
    affine = None if as_variables else affine_of(layer)
    if affine is not None:
        return replaced(operation, replace(affine, activation=keras.activations.linear))
    return replace(operation, call=_call_of(_bare(layer)))


def _is_activation(layer: Any) -> bool:
    """Whether a layer that has an activation is nothing else."""
    has_none = not isinstance(layer, keras.layers.Wrapper) and not hasattr(layer, "activation")
    return has_none or isinstance(layer, keras.layers.Activation)


def _bare(layer: Any) -> Any:
    """A layer with the same weights and no activation. The user's layer stays as it is.

    Attributes are set past Keras, which would count what is set among the user's layer's own.
    """
    bare = object.__new__(type(layer))  # and not copy(), for which Keras saves the layer and loads it again
    vars(bare).update(vars(layer))
    if isinstance(layer, keras.layers.Wrapper):
        vars(bare)["layer"] = _bare(layer.layer)
    else:
        vars(bare)["activation"] = keras.activations.linear
    return bare


def _call_of(layer: Any) -> Call:
    arguments = {"training": False} if getattr(layer, "_call_has_training_arg", False) else {}
    return lambda tensors: keras.tree.flatten(layer(*tensors, **arguments))


def _undone(network: Network, operation: Operation, activation: Activation) -> Network:
    """The network with another operation after that one, which undoes its activation."""
    inverse = _logit_of_sigmoid if activation == "sigmoid" else _logit_of_softmax
    between = max(network.shapes) + 1
    before = replace(operation, outputs=(between,))
    layer = keras.layers.Activation(inverse, dtype="float32")
    after = Operation(operation.name, layer, (between,), operation.outputs, lambda tensors: [inverse(tensors[0])])
    place = network.operations.index(operation)
    operations = (*network.operations[:place], before, after, *network.operations[place + 1 :])
    return replace(
        network, operations=operations, shapes={**network.shapes, between: network.shapes[operation.outputs[0]]}
    )


def _logit_of_softmax(probability: tf.Tensor) -> tf.Tensor:
    return tf.math.log(probability + keras.config.epsilon())


def _logit_of_sigmoid(probability: tf.Tensor) -> tf.Tensor:
    probability = tf.clip_by_value(probability, keras.config.epsilon(), 1 - keras.config.epsilon())
    return tf.math.log(probability) - tf.math.log1p(-probability)
