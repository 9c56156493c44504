"""TensorFlow's compiler, the default."""

from __future__ import annotations

from live_gradcam.choices import Precision
from live_gradcam.compiling.engines.graph import Graph


class Xla(Graph):
    """XLA: the traced function compiles itself, so that it is called like any other of TensorFlow's."""

    title = "XLA"
    precisions: tuple[Precision, ...] = ("f32", "bf16")
    is_xla = True


ENGINE = Xla()
