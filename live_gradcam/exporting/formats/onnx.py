"""ONNX, which many programs and devices run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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
        import onnx
        from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

        from live_gradcam.compiling.engines.onnxruntime import onnx_model
        from live_gradcam.exporting.program import INPUT

        traced = program.traced()
        if any(operation.type.endswith("PartitionedCall") for operation in traced.graph.get_operations()):
            traced = convert_variables_to_constants_v2(traced)  # a SavedModel's weights go into the calls in it
        (result,) = traced.outputs
        onnx.save(onnx_model(traced, [INPUT], {program.result: result}), path)

    def run(self, path: Path, pixels: np.ndarray) -> np.ndarray:
        """See `ExportFormat`."""
        import onnxruntime

        from live_gradcam.exporting.program import INPUT

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (numbers,) = session.run(None, {INPUT: pixels})
        return numbers


FORMAT = Onnx()
