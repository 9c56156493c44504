"""ONNX, which many programs and devices run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from live_gradcam.exporting.program import Program


class Onnx:
    """An `.onnx` file, by way of tf2onnx."""

    title = "ONNX"
    packages: tuple[str, ...] = ("onnxruntime", "tf2onnx", "onnx")
    install = "live-gradcam[onnx]"
    endings: tuple[str, ...] = (".onnx",)
    example = """\
import onnxruntime
(numbers,) = onnxruntime.InferenceSession("FILE").run(None, {"pixels": pixels})
"""

    def write(self, program: Program, path: Path) -> None:
        """See `ExportFormat`."""
        from live_gradcam.compiling.engines.onnxruntime import ONNX_OPSET, onnx_model, replace_erfc, without_telemetry
        from live_gradcam.exporting.program import INPUT

        without_telemetry()
        import onnx
        import tf2onnx

        traced = program.traced()
        if any(map(_is_given_a_variable, traced.graph.get_operations())):
            function = program.compilable()
            model, _ = tf2onnx.convert.from_function(function, function.input_signature, opset=ONNX_OPSET)
            replace_erfc(model.graph)
        else:
            model = onnx_model(traced, [INPUT])
        onnx.save(model, path)

    def run(self, path: Path, pixels: np.ndarray) -> np.ndarray:
        """See `ExportFormat`."""
        from live_gradcam.compiling.engines.onnxruntime import without_telemetry
        from live_gradcam.exporting.program import INPUT

        without_telemetry()
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (numbers,) = session.run(None, {INPUT: pixels})
        return numbers


def _is_given_a_variable(operation: Any) -> bool:
    """Whether a variable goes into an operation as it is: into a loop of an LSTM, or into a SavedModel's function."""
    import tensorflow as tf

    return operation.type != "ReadVariableOp" and any(one.dtype == tf.resource for one in operation.inputs)


FORMAT = Onnx()
