"""A Keras model laid out flat: one list of operations in running order, nested models opened up.

Keras keeps a model as a tree of models, in which `layer.output` means "the first call". Here every *call* of a layer
is an `Operation` of its own and every tensor a number, so that a tensor inside a nested or shared model can be
named, the list can be cut at it, and operations can be replaced without touching the user's model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from keras.src.models.functional import Functional  # not exported: needed to know a graph from a subclassed model

from live_gradcam.errors import ModelError, first_line
from live_gradcam.networks.saved_model import layers_cannot_be_seen

#: The shape of a value without the batch axis.
Shape = tuple[int | None, ...]
#: Takes the tensors of an operation's inputs, gives those of its outputs.
Call = Callable[[list[Any]], list[Any]]


@dataclass(frozen=True)
class Operation:
    """One call of one layer.

    Attributes:
        name: the layer's name, after those of the models it is nested in: `backbone/block5_conv3`.
        layer: the Keras layer or operation that the user's model calls here.
        inputs: the numbers of the values it reads.
        outputs: the numbers of the values it makes.
        call: what is run; the layer itself in inference mode, unless a rewrite put something else here.
    """

    name: str
    layer: keras.Operation
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    call: Call


@dataclass(frozen=True)
class Network:
    """A model as a flat list of operations over numbered values.

    Attributes:
        operations: in an order in which they can be run.
        input: the number of the image batch.
        output: the number of the model's answer.
        shapes: the shape of each value, without the batch axis, at the network's input size.
        batch: how many images it takes at a time, where it is held to that; else None.
    """

    operations: tuple[Operation, ...]
    input: int
    output: int
    shapes: dict[int, Shape]
    batch: int | None = None

    def producer(self, value: int) -> Operation | None:
        """The operation that makes a value; None for the network's input."""
        return next((operation for operation in self.operations if value in operation.outputs), None)

    def consumers(self, value: int) -> list[Operation]:
        """The operations that read a value."""
        return [operation for operation in self.operations if value in operation.inputs]


def run(operations: Iterable[Operation], values: dict[int, Any]) -> dict[int, Any]:
    """Run operations in order.

    Args:
        operations: what to run.
        values: the tensors that are there already, by number. It is not changed.

    Returns:
        All values: those given and those made.
    """
    values = dict(values)
    for operation in operations:
        outputs = operation.call([values[number] for number in operation.inputs])
        values.update(zip(operation.outputs, outputs, strict=True))
    return values


def flatten(model: keras.Model, input_size: tuple[int, int]) -> Network:
    """Lay a functional or Sequential model out flat.

    Args:
        model: a built model with one input and one output. Functional models nested in it are opened at any depth.
            A subclassed model *inside* it stays one operation.
        input_size: (height, width) to work the shapes out for. It may be another than the model's own, where the model
            has nothing that holds it to that: a fully convolutional network with a global pool runs at any size.

    Raises:
        ModelError: the model itself is subclassed or a SavedModel, so that its graph cannot be seen, or it does not run
            at that size.
    """
    function = graph_of(model)
    if function is None:
        raise ModelError(
            f"{model.name} is a subclassed model ({type(model).__name__}), so its layers cannot be seen: "
            "build it as keras.Model(inputs, outputs)"
        )
    _, *own_size, channels = function.inputs[0].shape
    builder = _Flattener(own_size == list(input_size))
    spec = keras.KerasTensor((1, *input_size, channels), dtype="float32")
    image = builder.new_value(spec)
    try:
        (output,) = builder.add_graph(function, [image], prefix="")
        network = _network(builder, image, output, function.inputs[0].shape[0])
        if None not in own_size and not builder.shapes_stand:
            _check_that_it_runs(network, spec)
    except Exception as error:  # each layer has its own for a shape that it does not take
        if builder.shapes_stand:
            raise
        height, width = input_size
        own = f" but {own_size[1]}×{own_size[0]}" if None not in own_size else ""
        raise ModelError(f"{model.name} takes no input of {width}×{height}{own}: {first_line(error)}") from error
    if all(isinstance(operation.layer, keras.layers.TFSMLayer) for operation in network.operations):
        raise ModelError(f"{model.name}: {layers_cannot_be_seen(Path(network.operations[0].layer.filepath))}")
    return network


def _network(builder: _Flattener, image: int, output: int, batch: int | None) -> Network:
    shapes = {number: tuple(spec.shape[1:]) for number, spec in enumerate(builder.specs)}
    return Network(tuple(builder.operations), image, output, shapes, batch)


def _check_that_it_runs(network: Network, image: keras.KerasTensor) -> None:
    """Raise what a layer says to an input of a size that it was not built for: shapes alone do not always tell."""
    traced = tf.function(lambda x: run(network.operations, {network.input: x})[network.output], autograph=False)
    traced.get_concrete_function(tf.TensorSpec(image.shape, image.dtype))


def graph_of(operation: Any) -> Any | None:
    """The Keras graph behind a Functional or Sequential model; None for everything else.

    A class of the user's that overrides `call` may do more than its graph says, so it stays closed.
    """
    if isinstance(operation, keras.Sequential):
        plain = type(operation).call is keras.Sequential.call
        return operation._functional if plain else None
    if isinstance(operation, Functional) and type(operation).call is Functional.call:
        return operation
    return None


class _Flattener:
    """Collects operations while graphs are walked, innermost last.

    Args:
        shapes_stand: whether the shapes that the model was built with are those of the input.
    """

    def __init__(self, shapes_stand: bool) -> None:
        self.shapes_stand = shapes_stand
        self.operations: list[Operation] = []
        self.specs: list[keras.KerasTensor] = []

    def new_value(self, spec: keras.KerasTensor) -> int:
        self.specs.append(spec)
        return len(self.specs) - 1

    def add_graph(self, function: Any, inputs: Sequence[int], prefix: str) -> list[int]:
        numbers = {
            id(tensor): self._cast(number, tensor.dtype, f"{prefix}{function.name}")
            for tensor, number in zip(function.inputs, inputs, strict=True)
        }
        for depth in sorted(function._nodes_by_depth, reverse=True):
            for node in function._nodes_by_depth[depth]:
                known = all(id(tensor) in numbers for tensor in node.input_tensors)
                if not node.is_input and known:
                    outputs = self._add_node(node, [numbers[id(tensor)] for tensor in node.input_tensors], prefix)
                    numbers.update(zip(map(id, node.outputs), outputs, strict=True))
        return [numbers[id(tensor)] for tensor in function.outputs]

    def _cast(self, value: int, dtype: str, name: str) -> int:
        """The value in the precision that a model's input has: a Keras model casts what it is given."""
        spec = self.specs[value]
        if spec.dtype == dtype:
            return value
        cast = self.new_value(keras.KerasTensor(spec.shape, dtype=dtype))
        identity = keras.layers.Identity(name=f"to_{dtype}")
        self.operations.append(
            Operation(
                f"{name}/to_{dtype}", identity, (value,), (cast,), lambda tensors: [keras.ops.cast(tensors[0], dtype)]
            )
        )
        return cast

    def _add_node(self, node: Any, inputs: list[int], prefix: str) -> list[int]:
        layer = node.operation
        inner = graph_of(layer)
        if inner is not None and len(inner.inputs) == len(inputs):
            return self.add_graph(inner, inputs, f"{prefix}{layer.name}/")
        outputs = [self.new_value(spec) for spec in self._output_specs(node, inputs)]
        self.operations.append(
            Operation(f"{prefix}{layer.name}", layer, tuple(inputs), tuple(outputs), _call_of_node(node))
        )
        return outputs

    def _output_specs(self, node: Any, inputs: list[int]) -> list[keras.KerasTensor]:
        """The symbolic outputs of a node; worked out again where the model leaves the size open, or has another."""
        if self.shapes_stand and all(None not in tensor.shape[1:] for tensor in node.outputs):
            return list(node.outputs)
        specs = {id(tensor): self.specs[number] for tensor, number in zip(node.input_tensors, inputs, strict=True)}
        args, kwargs = node.arguments.fill_in(specs)
        return keras.tree.flatten(node.operation.compute_output_spec(*args, **kwargs))


def _call_of_node(node: Any) -> Call:
    layer = node.operation
    takes_training = getattr(layer, "_call_has_training_arg", False)

    def call(tensors: list[Any]) -> list[Any]:
        arguments = {id(symbol): tensor for symbol, tensor in zip(node.input_tensors, tensors, strict=True)}
        args, kwargs = node.arguments.fill_in(arguments)
        if takes_training:
            kwargs = {**kwargs, "training": False}
        return keras.tree.flatten(layer(*args, **kwargs))

    return call
