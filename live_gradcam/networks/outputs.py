"""What a network's numbers are: probabilities of classes that exclude each other, of labels that do not, or values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from live_gradcam.choices import Output

if TYPE_CHECKING:
    from live_gradcam.networks.graph import Network, Operation

#: What the last layer does to its numbers, of what is known here.
Activation = Literal["softmax", "sigmoid", "relu", "tanh", "linear"]
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)

_ACTIVATION_LAYERS: dict[str, Activation] = {
    "Softmax": "softmax",
    "Sigmoid": "sigmoid",
    "Relu": "relu",
    "Tanh": "tanh",
    "LogSoftmax": "linear",  # whose softmax is that of its input
}
#: TensorFlow's own functions, by their names.
_OF_TENSORFLOW: dict[str, Activation] = {
    "softmax": "softmax",
    "softmax_v2": "softmax",
    "sigmoid": "sigmoid",
    "relu": "relu",
    "tanh": "tanh",
}
#: The names of Keras' layers that take the mean, or the largest, of several values or of a value's places.
_MEANS = ("Average", "GlobalAveragePooling1D", "GlobalAveragePooling2D")
_LARGEST = ("Maximum", "GlobalMaxPooling1D", "GlobalMaxPooling2D")
#: What puts values side by side: a layer, and operations of `keras.ops` on symbolic tensors.
_SIDE_BY_SIDE = ("Concatenate", "Stack")
#: The names of operations of `keras.ops` on a symbolic tensor that change no number; Keras exports none of them.
_MOVES = ("ExpandDims", "Ravel", "Reshape", "Squeeze")


def last_operation(network: Network, value: int | None = None) -> Operation | None:
    """The last operation on the way to a value that changes numbers; of None, on the way to the output."""
    operation = network.producer(network.output if value is None else value)
    while operation is not None and only_moves_numbers(operation.layer):
        operation = network.producer(operation.inputs[0])
    return operation


def only_moves_numbers(layer: Any) -> bool:
    """Whether a layer changes no number at inference, so that an activation before it is still the last one."""
    import keras

    layers = keras.layers
    if isinstance(layer, (layers.Flatten, layers.Reshape, layers.Dropout, layers.Identity)):
        return True
    if not isinstance(layer, keras.Layer) and type(layer).__name__ in _MOVES:
        return True
    return isinstance(layer, layers.Activation) and layer.activation is keras.activations.linear


def activation_of(layer: Any) -> Activation | None:
    """The activation that a layer is or ends in; None for one that is not known here.

    Args:
        layer: a Keras layer, or an operation of `keras.ops` on a symbolic tensor.
    """
    import keras

    if isinstance(layer, keras.layers.ReLU):
        plain = (layer.max_value, layer.negative_slope, layer.threshold) == (None, 0, 0)
        return "relu" if plain else None
    if isinstance(layer, keras.layers.Wrapper):
        return activation_of(layer.layer)
    named = _ACTIVATION_LAYERS.get(type(layer).__name__)
    if named is not None:
        return named
    activation = getattr(layer, "activation", None)
    if activation is None:
        return "linear"
    known: dict[Any, Activation] = {
        keras.activations.softmax: "softmax",
        keras.activations.sigmoid: "sigmoid",
        keras.activations.relu: "relu",
        keras.activations.tanh: "tanh",
        keras.activations.linear: "linear",
        keras.activations.log_softmax: "linear",
    }
    if activation in known:
        return known[activation]
    if getattr(activation, "__module__", "").startswith("tensorflow."):  # such as tf.nn.softmax
        return _OF_TENSORFLOW.get(activation.__name__)
    return None


def last_activation(network: Network, value: int | None = None) -> Activation | None:
    """The activation that a network ends in, or a value in it; None for one that is not known here.

    The mean of softmaxes or of sigmoids, over an ensemble's members or over places, is of probabilities as they are, as
    the largest of sigmoids is. So are sigmoids side by side.
    """
    operation = last_operation(network, value)
    if operation is None:
        return "linear"
    if not joins_several(operation.layer):
        return activation_of(operation.layer)
    before = {last_activation(network, one) for one in operation.inputs}
    is_mean = type(operation.layer).__name__ in _MEANS
    kept = {"softmax", "sigmoid"} if is_mean else {"sigmoid"}
    return before.pop() if len(before) == 1 and before <= kept else "linear"


def joins_several(layer: Any) -> bool:
    """Whether a layer is the mean or the largest of several values, or of a value's places, or all side by side."""
    import keras

    name = type(layer).__name__
    return name in _SIDE_BY_SIDE or (isinstance(layer, keras.Layer) and name in (*_MEANS, *_LARGEST))


def output_of(activation: Activation | None, units: int) -> Output:
    """What numbers are, by the activation that they come from.

    Softmax: classes. One sigmoid: the two sides of a decision, which are classes too; several: labels. Several units
    without an activation: logits of classes, as training from logits leaves them. Everything else: values.

    Args:
        activation: from `last_activation`.
        units: how many numbers.
    """
    if activation == "softmax" or (activation == "linear" and units > 1):
        return "classes"
    if activation == "sigmoid":
        return "classes" if units == 1 else "labels"
    return "values"


def entries_of(output: Output, units: int) -> int:
    """How many entries there are to name: of one unit that decides between two classes, two."""
    return 2 if output == "classes" and units == 1 else units
