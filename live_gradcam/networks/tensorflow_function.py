"""A TensorFlow function between two layers, as Keras 2 kept it in a model: `x / 127.5 - 1`, `tf.nn.relu(x)`.

It is how the preprocessing of a transferred network came into its file.
"""

from __future__ import annotations

import operator
from typing import Any

import keras
import tensorflow as tf

#: What may be called: functions of numbers alone.
_FUNCTIONS = (
    *("__operators__.add", "math.add", "math.divide", "math.multiply", "math.subtract", "math.truediv"),
    *("math.sigmoid", "nn.relu", "nn.relu6", "nn.sigmoid", "nn.silu", "nn.softmax"),
)


class TFOpLambda(keras.layers.Layer):  # type: ignore[misc]
    """Keras 2's layer of that name, for functions of one tensor and numbers.

    Args:
        function: the function's name in TensorFlow, one of a few.
        settings: as for every layer.

    Raises:
        ValueError: a function that is not one of those.
    """

    def __init__(self, function: str, **settings: Any) -> None:
        if function not in _FUNCTIONS:
            raise ValueError(f"the TensorFlow function {function} between its layers is not known")
        super().__init__(**settings)
        self._function = operator.attrgetter(function)(tf)

    def call(self, x: Any, **arguments: Any) -> Any:
        """Apply the function.

        Args:
            x: its first argument.
            arguments: its others, which must be numbers.
        """
        if any(isinstance(argument, list) for argument in arguments.values()):
            raise ValueError(f"{self.name} takes several tensors, which is not known how to do")
        return self._function(x, **arguments)
