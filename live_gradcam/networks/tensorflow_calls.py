"""TensorFlow's functions in the `call` of a subclassed model, with a symbol in the place of a picture.

Keras refuses them: its symbols are no tensors. TensorFlow asks whoever has signed up for it before it raises an error
about its arguments, which is how Keras 2 took them into its graphs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import keras
import tensorflow as tf

#: Activations by their names in TensorFlow, as Keras calls them: the rest of this package knows these.
_ACTIVATIONS = {
    "relu": "relu",
    "relu6": "relu6",
    "sigmoid": "sigmoid",
    "softmax_v2": "softmax",
    "swish": "silu",
    "tanh": "tanh",
}

_takes_symbols: ContextVar[bool] = ContextVar("takes_symbols", default=False)


@contextmanager
def symbols_in_tensorflow() -> Iterator[None]:
    """Let TensorFlow's functions take symbols of Keras, in this thread: each becomes an operation of the graph.

    It does nothing where a TensorFlow has no place to sign up.
    """
    _sign_up()
    token = _takes_symbols.set(True)
    try:
        yield
    finally:
        _takes_symbols.reset(token)


class TensorFlowCall(keras.Operation):  # type: ignore[misc]
    """One call of a function of TensorFlow. It can be copied within a process, and not read from a file.

    Args:
        function: takes and gives tensors, also in lists.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.name: str = self.name.replace("tensor_flow_call", f"tf_{function.__name__}")  # Keras has numbered it
        self._function = function

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self._function(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """What a copy is made of."""
        return {"function": self._function}

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Shapes and dtypes. Keras takes the product of a symbol and a variable for sparse, which it is not."""
        args, kwargs = keras.tree.map_structure(_dense, (args, kwargs))
        return super().compute_output_spec(*args, **kwargs)


def _dense(value: Any) -> Any:
    return keras.KerasTensor(value.shape, value.dtype) if isinstance(value, keras.KerasTensor) else value


@lru_cache(maxsize=1)
def _sign_up() -> None:
    """Ask TensorFlow to be asked. The name is not documented, and has been the same since Keras left TensorFlow."""
    try:
        dispatcher = tf.__internal__.dispatch.GlobalOpDispatcher
    except AttributeError:
        return

    class Symbols(dispatcher):  # type: ignore[misc, valid-type]
        def handle(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
            given = [one for one in keras.tree.flatten((args, [*kwargs.values()])) if one is not None]
            if not _takes_symbols.get() or not any(isinstance(one, keras.KerasTensor) for one in given):
                return self.NOT_SUPPORTED
            activation = _ACTIVATIONS.get(function.__name__)
            others = given[1:]  # such as the axis, which is the channels' for Keras
            if activation is not None and (not others or (activation == "softmax" and others == [-1])):
                return keras.layers.Activation(activation)(given[0])
            return TensorFlowCall(function)(*args, **kwargs)

    Symbols().register()
