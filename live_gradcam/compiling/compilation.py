"""From a function of tensors to a compiled one of arrays, by any engine. Importing this module imports none of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from live_gradcam.choices import ENGINES, PRECISIONS, Precision, blamed
from live_gradcam.compiling.engines.engine import CompiledFunction, Engine
from live_gradcam.compiling.runtime import compiled_soundly
from live_gradcam.errors import LiveGradcamError, ModelError, UsageError

if TYPE_CHECKING:
    import tensorflow as tf

#: Whether a compiled function gives the same as another, which TensorFlow's own kernels compute. It is also given the
#: types of TensorFlow's operations in it.
Check = Callable[[CompiledFunction, CompiledFunction, frozenset[str]], bool]

#: How OpenVINO begins the line that names operations which it cannot convert.
_OF_OPERATIONS = ("No conversion rule", "Conversion is failed for")
#: How it begins a line that says where in its code something failed.
_PLACES = ("Exception from ", "Check '")


def check_engine(name: str, precision: Precision = "f32") -> Engine:
    """Find an engine that can be used here, without importing it.

    Raises:
        UsageError: no such engine or precision, one that is not installed, or one that does not compute in this
            precision.
        LiveGradcamError: another package adds the engine, and cannot be imported.
    """
    engine: Engine = ENGINES.load(name)
    PRECISIONS.check(precision)
    if precision not in engine.precisions:
        able = [other for other in ENGINES.of_this_package if precision in ENGINES.load(other).precisions]
        raise UsageError(f"the engine {name} does not compute in {precision}: use --engine {' or '.join(able)}")
    if any(find_spec(package) is None for package in engine.packages):
        raise UsageError(f"the engine {name} is not installed: pip install '{engine.install}'")
    return engine


def describe_way(engine: str, precision: Precision) -> str:
    """What runs a network, in words: "openvino", "openvino in bf16"."""
    return engine if precision == "f32" else f"{engine} in {precision}"


def compile_function(
    function: Callable[..., dict[str, tf.Tensor]],
    signature: Sequence[tf.TensorSpec],
    engine: str,
    *,
    name: str,
    precision: Precision = "f32",
    check: Check | None = None,
) -> CompiledFunction:
    """Trace a function, compile it, and run it once on zeros, so that its first call is as fast as the thousandth.

    Args:
        function: takes tensors, gives tensors by name.
        signature: of its arguments: shape, dtype and name.
        engine: the name of what runs it.
        name: the network's name, for the error.
        precision: of the products that the engine itself computes; what XLA does is in the function.
        check: is given what was compiled, where that was not kept from an earlier start, and the same function by
            TensorFlow's own kernels, and says whether both give the same. What does not pass is not kept by XLA.

    Returns:
        The compiled function.

    Raises:
        UsageError: as `check_engine`.
        ModelError: the engine cannot compile the function.
    """
    import numpy as np
    import tensorflow as tf

    by = check_engine(engine, precision)
    names = [spec.name for spec in signature]

    def traced_and_compiled() -> tuple[Any, CompiledFunction]:
        # AutoGraph, which takes longer than all the rest, changes nothing: Keras does not let it into layers.
        compilable = tf.function(function, input_signature=signature, jit_compile=by.is_xla, autograph=False)
        traced = compilable.get_concrete_function()
        compiled = by.compile(traced, names, precision)
        compiled(*(np.zeros(spec.shape, spec.dtype.as_numpy_dtype) for spec in signature))
        return traced, compiled

    def is_right(made: tuple[Any, CompiledFunction]) -> bool:
        traced, compiled = made
        if check is None:
            return True
        return check(compiled, lambda *arrays: _by_kernels(traced, names)(*arrays), _operations(traced))

    try:
        if by.is_xla:
            return compiled_soundly(traced_and_compiled, is_right)[1]
        made = traced_and_compiled()
        is_right(made)
        return made[1]
    except LiveGradcamError:
        raise
    except Exception as error:  # each engine has its own, and passes on whatever its operations raise
        raise ModelError(f"{name} cannot be compiled by {by.title}: {blamed(error) or telling_line(error)}") from error


def _operations(traced: Any) -> frozenset[str]:
    """The types of the operations in a traced function and in those that it calls."""
    graph = traced.graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return frozenset(node.op for node in nodes)


def _by_kernels(traced: Any, names: Sequence[str]) -> CompiledFunction:
    """A traced function with these names of its arguments, which TensorFlow's own kernels compute."""
    from live_gradcam.compiling.xla_function import XlaFunction

    return XlaFunction.of_traced(traced, names, by_kernels=True)


def telling_line(error: Exception) -> str:
    """The most telling line of what an engine complains about: OpenVINO begins with places in its own code."""
    lines = [line.strip(" -") for line in str(error).splitlines() if line.strip(" -")] or [type(error).__name__]
    of_operations = (line for line in lines if line.startswith(_OF_OPERATIONS))
    return next(of_operations, lines[-1 if lines[0].startswith(_PLACES) else 0])
