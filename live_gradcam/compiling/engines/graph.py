"""TensorFlow's own kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from live_gradcam.choices import Precision
from live_gradcam.compiling.engines.engine import CompiledFunction

if TYPE_CHECKING:
    import numpy as np


class Graph:
    """TensorFlow's graph mode."""

    title = "TensorFlow"
    packages: tuple[str, ...] = ()
    install = ""
    precisions: tuple[Precision, ...] = ("f32",)
    is_xla = False
    most_callers = 2

    def compile(self, traced: Any, names: Sequence[str], precision: Precision) -> CompiledFunction:
        """See `Engine`."""
        import tensorflow as tf

        def run(*arrays: np.ndarray) -> dict[str, np.ndarray]:
            return {name: tensor.numpy() for name, tensor in traced(*map(tf.constant, arrays)).items()}

        return run


ENGINE = Graph()
