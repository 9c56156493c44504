"""ONNX Runtime, on the processor."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from live_gradcam.choices import Precision
from live_gradcam.compiling.engines.engine import CompiledFunction
from live_gradcam.compiling.runtime import threads

if TYPE_CHECKING:
    import numpy as np

ONNX_OPSET = 18


class OnnxRuntime:
    """ONNX Runtime on the CPU, by way of tf2onnx."""

    title = "ONNX Runtime"
    packages: tuple[str, ...] = ("onnxruntime", "tf2onnx", "onnx")
    install = "live-gradcam[onnx]"
    precisions: tuple[Precision, ...] = ("f32",)
    is_xla = False
    most_callers = 2

    def compile(self, traced: Any, names: Sequence[str], precision: Precision) -> CompiledFunction:
        """See `Engine`."""
        without_telemetry()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # it says the same on stderr as in the exception
        options.intra_op_num_threads = threads()
        model = onnx_model(traced, names)
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        outputs = [output.name for output in session.get_outputs()]

        def run(*arrays: np.ndarray) -> dict[str, np.ndarray]:
            return dict(zip(outputs, session.run(outputs, dict(zip(names, arrays, strict=True))), strict=True))

        return run


def without_telemetry() -> None:
    """Keep ONNX Runtime from sending Microsoft data about its use. Call it before anything imports it, as tf2onnx does.

    It would write a number for this machine into the user's cache folder, too. The user's own setting stays.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def onnx_model(traced: Any, names: Sequence[str]) -> Any:
    """A traced function as an ONNX model, its arguments and results under their own names.

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
            opset=ONNX_OPSET,
            tensors_to_rename={**dict(zip(arguments, names, strict=True)), **results},
        )
    inputs = list(model.graph.input)
    del model.graph.input[:]
    for value in inputs:
        if value.name in weights:
            model.graph.initializer.append(onnx.numpy_helper.from_array(weights[value.name], value.name))
        else:
            model.graph.input.append(value)
    replace_erfc(model.graph)
    return model


def replace_erfc(graph: Any) -> None:
    """Write 1 − erf for each erfc, which ONNX does not have, and of which Keras makes GELU."""
    from onnx import helper

    nodes = list(graph.node)
    del graph.node[:]
    for node in nodes:
        if node.op_type != "Erfc":
            graph.node.append(node)
            continue
        (result,) = node.output
        erf, one, like = f"{result}/erf", f"{result}/one", f"{result}/like"
        graph.initializer.append(helper.make_tensor(one, 1, [], [1.0]))  # type 1 is float
        graph.node.extend(
            [
                helper.make_node("Erf", list(node.input), [erf]),
                helper.make_node("CastLike", [one, erf], [like]),
                helper.make_node("Sub", [like, erf], [result]),
            ]
        )


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


ENGINE = OnnxRuntime()
