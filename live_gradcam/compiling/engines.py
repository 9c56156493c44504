"""What runs the one-pass function: XLA, TensorFlow's graph mode, OpenVINO or ONNX Runtime.

Every engine gets the same traced function and gives the same numbers; `compile_function` is the one place that knows
them apart. Importing this module imports none of them.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from live_gradcam.choices import ENGINES, Precision
from live_gradcam.compiling.runtime import compiled_soundly
from live_gradcam.errors import LiveGradcamError, ModelError, UsageError

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

#: xla: TensorFlow's compiler, the default. graph: TensorFlow's own kernels. openvino, onnxruntime: other runtimes, on
#: the CPU in float32.
Backend = str

#: bf16 has two digits instead of seven, and half the memory to read.
_BF16_ENGINES = ("xla", "openvino")

#: Takes arrays in the order of the signature, gives the function's results by name.
CompiledFunction = Callable[..., "dict[str, np.ndarray]"]

#: For each optional engine, the extra that installs it and the packages that it needs.
_OPTIONAL = {
    "openvino": ("openvino", ("openvino",)),
    "onnxruntime": ("onnx", ("onnxruntime", "tf2onnx", "onnx")),
}
_TITLES = {"xla": "XLA", "graph": "TensorFlow", "openvino": "OpenVINO", "onnxruntime": "ONNX Runtime"}
_ONNX_OPSET = 18


def check_backend(name: str, precision: str = "f32") -> None:
    """Raise what is wrong with an engine's name, without importing the engine.

    Raises:
        UsageError: no such engine, one that is not installed, or one that does not compute in this precision.
    """
    ENGINES.check(name)
    if precision == "bf16" and name not in _BF16_ENGINES:
        raise UsageError(f"the engine {name} does not compute in bf16: use --engine {' or '.join(_BF16_ENGINES)}")
    extra, packages = _OPTIONAL.get(name, ("", ()))
    if any(find_spec(package) is None for package in packages):
        raise UsageError(f"the engine {name} is not installed: pip install 'live-gradcam[{extra}]'")


def compile_function(
    function: Callable[..., dict[str, tf.Tensor]],
    signature: Sequence[tf.TensorSpec],
    backend: Backend,
    *,
    name: str,
    precision: Precision = "f32",
) -> CompiledFunction:
    """Trace a function, compile it, and run it once on zeros, so that its first call is as fast as the thousandth.

    Args:
        function: takes tensors, gives tensors by name.
        signature: of its arguments: shape, dtype and name.
        backend: what runs it.
        name: the network's name, for the error.
        precision: of OpenVINO's products; what XLA does is in the function itself.

    Returns:
        The compiled function. OpenVINO's is to be called from one thread at a time.

    Raises:
        UsageError: as `check_backend`.
        ModelError: the engine cannot compile the function.
    """
    import numpy as np
    import tensorflow as tf

    check_backend(backend, precision)

    def traced_and_compiled() -> CompiledFunction:
        # AutoGraph, which takes longer than all the rest, changes nothing: Keras does not let it into layers.
        compilable = tf.function(function, input_signature=signature, jit_compile=backend == "xla", autograph=False)
        compiled = _COMPILERS[backend](compilable.get_concrete_function(), [spec.name for spec in signature], precision)
        compiled(*(np.zeros(spec.shape, spec.dtype.as_numpy_dtype) for spec in signature))
        return compiled

    try:
        return compiled_soundly(traced_and_compiled) if backend == "xla" else traced_and_compiled()
    except LiveGradcamError:
        raise
    except Exception as error:  # each engine has its own, and passes on whatever its operations raise
        raise ModelError(f"{name} cannot be compiled by {_TITLES[backend]}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """The most telling line of what an engine complains about."""
    lines = [line.strip(" -") for line in str(error).splitlines() if line.strip(" -")]
    return next((line for line in lines if "No conversion rule" in line), lines[0] if lines else type(error).__name__)


def _threads() -> int:
    """How many threads TensorFlow was told to compute with; 0: the engine's own choice."""
    import tensorflow as tf

    return tf.config.threading.get_intra_op_parallelism_threads()


def _with_tensorflow(traced: Any, names: Sequence[str], precision: Precision) -> CompiledFunction:
    import tensorflow as tf

    def run(*arrays: np.ndarray) -> dict[str, np.ndarray]:
        return {name: tensor.numpy() for name, tensor in traced(*map(tf.constant, arrays)).items()}

    return run


def _with_openvino(traced: Any, names: Sequence[str], precision: Precision) -> CompiledFunction:
    # OpenVINO's converter reports its import and every conversion to Google Analytics unless this package is missing.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino
    import tensorflow as tf
    from openvino.frontend.tensorflow import utils

    # OpenVINO deletes a variable that it made by `exec`, which is an error from Python 3.13 on.
    utils.get_environment_setup = lambda framework: {"tensorflow": tf.__version__}
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": _threads(),
    }
    model = openvino.convert_model(traced, share_weights=False)  # the user's variables may not live as long
    compiled = openvino.compile_model(model, "CPU", settings)
    request = compiled.create_infer_request()
    outputs = {name: compiled.output(name) for name in traced.structured_outputs}  # a result may have other names too

    def run(*arrays: np.ndarray) -> dict[str, np.ndarray]:
        results = request.infer(dict(zip(names, arrays, strict=True)), share_inputs=True)
        return {name: results[output] for name, output in outputs.items()}

    return run


def _with_onnxruntime(traced: Any, names: Sequence[str], precision: Precision) -> CompiledFunction:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # it says the same on stderr as in the exception
    options.intra_op_num_threads = _threads()
    model = _onnx_model(traced, names)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]

    def run(*arrays: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(outputs, session.run(outputs, dict(zip(names, arrays, strict=True))), strict=True))

    return run


def _onnx_model(traced: Any, names: Sequence[str]) -> Any:
    """The traced function as an ONNX model, its results under their own names.

    tf2onnx's `from_function` freezes the weights into the graph first, and copies them a dozen times on the way (a
    minute for VGG16). So matrices and kernels go past it: inputs while it converts, initializers afterwards.
    """
    import onnx
    import tf2onnx

    graph, weights = _with_weights_as_inputs(traced)
    arguments = [tensor.name for tensor in traced.inputs[: len(names)]]
    results = {tensor.name: name for name, tensor in traced.structured_outputs.items()}
    with _silence("tf2onnx", "tensorflow"):
        model, _ = tf2onnx.convert.from_graph_def(
            graph,
            input_names=[*arguments, *weights],
            output_names=list(results),
            opset=_ONNX_OPSET,
            tensors_to_rename={**dict(zip(arguments, names, strict=True)), **results},
        )
    inputs = list(model.graph.input)
    del model.graph.input[:]
    for value in inputs:
        if value.name in weights:
            model.graph.initializer.append(onnx.numpy_helper.from_array(weights[value.name], value.name))
        else:
            model.graph.input.append(value)
    return model


@contextmanager
def _silence(*names: str) -> Iterator[None]:
    """Keep what these loggers say off the terminal."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _with_weights_as_inputs(traced: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """The traced function's graph with a placeholder for every matrix and kernel and a constant for every vector.

    Returns:
        A GraphDef, and the placeholders' values by tensor name.
    """
    import tensorflow as tf

    captures = {placeholder.op.name: outside for outside, placeholder in traced.graph.captures}
    variables = {id(variable.handle): variable for variable in traced.graph.variables}
    original = traced.graph.as_graph_def()
    graph = tf.compat.v1.GraphDef(versions=original.versions, library=original.library)
    weights: dict[str, np.ndarray] = {}
    for node in original.node:
        if node.op == "ReadVariableOp":
            value = variables[id(captures[node.input[0]])].numpy()
        elif node.name not in captures:
            graph.node.append(node)
            continue
        elif captures[node.name].dtype == tf.resource:
            continue  # its reader has become the weight itself
        else:
            value = captures[node.name].numpy()
        weight = graph.node.add(name=node.name, op="Const" if value.ndim < 2 else "Placeholder")
        weight.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
        if value.ndim < 2:
            weight.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
        else:
            weight.attr["shape"].shape.CopyFrom(tf.TensorShape(value.shape).as_proto())
            weights[f"{node.name}:0"] = value
    return graph, weights


_COMPILERS: dict[str, Callable[[Any, Sequence[str], Precision], CompiledFunction]] = {
    "xla": _with_tensorflow,
    "graph": _with_tensorflow,
    "openvino": _with_openvino,
    "onnxruntime": _with_onnxruntime,
}
