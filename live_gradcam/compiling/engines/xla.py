"""TensorFlow's compiler, the default."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from live_gradcam.choices import Precision
from live_gradcam.compiling.engines.engine import CompiledFunction
from live_gradcam.compiling.engines.graph import Graph

if TYPE_CHECKING:
    from live_gradcam.compiling.xla_function import XlaFunction


class Xla(Graph):
    """XLA: the traced function compiles itself, so that it is called like any other of TensorFlow's.

    What is kept of a function is what was traced, with its weights: the network was loaded, rewritten, timed and
    checked for it. What XLA made of it, XLA keeps itself.
    """

    title = "XLA"
    precisions: tuple[Precision, ...] = ("f32", "bf16")
    is_xla = True

    def compile(self, traced: Any, names: Sequence[str], precision: Precision) -> CompiledFunction:
        """See `Engine`."""
        from live_gradcam.compiling.xla_function import XlaFunction

        try:
            return XlaFunction.of_traced(traced, names)
        except (AttributeError, ImportError, TypeError):  # a TensorFlow that is built in another way within
            return super().compile(traced, names, precision)

    def program_of(self, compiled: CompiledFunction) -> memoryview:
        """See `KeepsFunctions`."""
        function: XlaFunction = compiled  # type: ignore[assignment]  # others cannot be given away
        return function.to_bytes()

    def restore(self, program: memoryview, precision: Precision) -> CompiledFunction:
        """See `KeepsFunctions`."""
        from live_gradcam.compiling.tensorflow_alone import import_tensorflow_alone

        import_tensorflow_alone()
        from live_gradcam.compiling.xla_function import XlaFunction

        return XlaFunction.from_bytes(program)


ENGINE = Xla()
