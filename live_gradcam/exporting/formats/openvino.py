"""OpenVINO's IR, which Intel's processors and graphics run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from live_gradcam.exporting.program import Program


class OpenVino:
    """An `.xml` file of the network and a `.bin` file of its weights."""

    title = "OpenVINO"
    packages: tuple[str, ...] = ("openvino",)
    install = "live-gradcam[openvino]"
    endings: tuple[str, ...] = (".xml", ".bin")
    example = """\
import openvino
exact = {"INFERENCE_PRECISION_HINT": "f32"}  # without it some processors compute in 16 bits: faster, and less exact
(numbers,) = openvino.compile_model("FILE", "CPU", exact)(pixels).values()
"""

    def write(self, program: Program, path: Path) -> None:
        """See `ExportFormat`. The weights keep 32 bits: half of them is OpenVINO's default."""
        from live_gradcam.compiling.engines.openvino import openvino_model

        model = openvino_model(program.traced())
        import openvino

        openvino.save_model(model, path, compress_to_fp16=False)

    def run(self, path: Path, pixels: np.ndarray) -> np.ndarray:
        """See `ExportFormat`. In 32 bits, as in the lines for users: some processors take 16, which is less exact."""
        from live_gradcam.compiling.engines.openvino import core

        compiled = core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        (numbers,) = compiled(pixels).values()
        return numbers


FORMAT = OpenVino()
