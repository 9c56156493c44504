"""What was traced for XLA as a function that can be kept: its definition, and the weights that it is called with.

Of TensorFlow it takes what a `tf.function` itself is called by, which has no public name. Does not import Keras.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import function_pb2
from tensorflow.python.eager import context

from live_gradcam.compiling.runtime import generation

#: Where each array of a program begins: at multiples of so many bytes, as TensorFlow likes them.
_ALIGNED = 64
#: The attribute of a definition by which TensorFlow has XLA compile it.
_COMPILED_AS_A_WHOLE = "_XlaMustCompile"


class XlaFunction:
    """A traced function under a name that says what it is, by which XLA finds what it compiled before.

    Args:
        definition: TensorFlow's FunctionDef, which is compiled by XLA as a whole.
        weights: the tensors and variables that it is called with after its arguments.
        arguments: the names of its arguments, in order.
        results: the names of its results, in order.
        alive: what must live as long as the function.
    """

    def __init__(
        self,
        definition: Any,
        weights: Sequence[tf.Tensor | tf.Variable],
        arguments: Sequence[str],
        results: Sequence[str],
        alive: object = None,
    ) -> None:
        self._definition = _named_by_content(definition)
        self._weights = list(weights)
        self._arguments = list(arguments)
        self._results = list(results)
        self._alive = alive
        self._captured = [weight.handle if isinstance(weight, tf.Variable) else weight for weight in weights]
        self._name = self._definition.signature.name.encode()
        self._context = context.context()
        self._context.add_function_def(self._definition)
        forget = weakref.finalize(self, self._context.remove_function, self._definition.signature.name)
        forget.atexit = False  # when TensorFlow goes too

    @classmethod
    def of_traced(cls, traced: Any, arguments: Sequence[str], *, by_kernels: bool = False) -> XlaFunction:
        """The function of a ConcreteFunction, which returns a dict of tensors.

        Args:
            traced: the ConcreteFunction.
            arguments: the names of its arguments.
            by_kernels: whether TensorFlow's own kernels compute it, one operation after the other, and XLA nothing.
        """
        variables = {id(variable.handle): variable for variable in traced.graph.variables}
        weights = [variables.get(id(captured), captured) for captured in traced.captured_inputs]
        results = sorted(traced.structured_outputs)  # in TensorFlow's order
        definition = function_pb2.FunctionDef()
        definition.CopyFrom(traced.function_def)
        if by_kernels:
            definition.attr.pop(_COMPILED_AS_A_WHOLE, None)
        return cls(definition, weights, arguments, results, traced)

    def __call__(self, *arrays: np.ndarray) -> dict[str, np.ndarray]:
        """The results by name, of arrays in the order of the arguments."""
        tensors = [*map(tf.constant, arrays), *self._captured]
        made = self._context.call_function(self._name, tensors, len(self._results))
        return {name: tensor.numpy() for name, tensor in zip(self._results, made, strict=True)}

    def to_bytes(self) -> memoryview:
        """The function: a line that says what follows, the definition, and the weights.

        Raises:
            ValueError: it calls other functions, or was compiled for a GPU.
            Exception: TensorFlow's, for what it is called with and has no value.
        """
        _refuse_gpus()
        if any(_is_call(value) for node in self._definition.node_def for value in node.attr.values()):
            raise ValueError("it calls functions that are not a part of it")
        values = [weight.numpy() for weight in self._weights]
        definition = self._definition.SerializeToString()
        described = {
            "arguments": self._arguments,
            "results": self._results,
            "definition": len(definition),
            "variables": [isinstance(weight, tf.Variable) for weight in self._weights],
            "dtypes": [weight.dtype.name for weight in self._weights],
            "shapes": [value.shape for value in values],
        }
        program = io.BytesIO()
        program.write(json.dumps(described).encode() + b"\n")
        program.write(definition)
        for value in values:
            if value.dtype.hasobject:
                raise ValueError("its texts are not kept")
            program.write(bytes(-program.tell() % _ALIGNED))
            program.write(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)
        return program.getbuffer()

    @classmethod
    def from_bytes(cls, program: memoryview) -> XlaFunction:
        """The function of what `to_bytes` gave.

        Raises:
            ValueError: it is nothing of that kind, or there is a GPU.
            Exception: TensorFlow's.
        """
        _refuse_gpus()
        stream = io.BytesIO(program)
        described = json.loads(stream.readline())
        definition = function_pb2.FunctionDef.FromString(stream.read(described["definition"]))
        at, weights = stream.tell(), []
        for is_variable, dtype, shape in zip(
            described["variables"], described["dtypes"], described["shapes"], strict=True
        ):
            at += -at % _ALIGNED
            of_numpy = np.dtype(tf.as_dtype(dtype).as_numpy_dtype)
            size = math.prod(shape) * of_numpy.itemsize
            value = np.frombuffer(program, np.uint8, size, at).view(of_numpy).reshape(shape)
            at += size
            weights.append(tf.Variable(value, trainable=False) if is_variable else tf.constant(value))
        return cls(definition, weights, described["arguments"], described["results"])


def _named_by_content(definition: Any) -> Any:
    """A definition whose name is the same for the same content, in each process that trusts what XLA has compiled."""
    named = function_pb2.FunctionDef()
    named.CopyFrom(definition)
    named.signature.name = ""
    content = hashlib.sha256(named.SerializeToString(deterministic=True)).hexdigest()
    named.signature.name = f"live_gradcam_{content[:32]}_{generation()}"
    return named


def _is_call(value: Any) -> bool:
    """Whether an operation's attribute is a function that it calls."""
    return value.HasField("func") or len(value.list.func) > 0


def _refuse_gpus() -> None:
    """Make sure that it is the processor that computes: for a GPU, networks are written in another way.

    Raises:
        ValueError: there is a GPU.
    """
    if tf.config.list_physical_devices("GPU"):
        raise ValueError("what is compiled for a GPU is not kept")
