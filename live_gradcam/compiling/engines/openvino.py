"""Intel's OpenVINO, on the processor."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from live_gradcam.choices import Precision
from live_gradcam.compiling.engines.engine import CompiledFunction, threads

if TYPE_CHECKING:
    import numpy as np


class OpenVino:
    """OpenVINO on the CPU."""

    title = "OpenVINO"
    packages: tuple[str, ...] = ("openvino",)
    install = "live-gradcam[openvino]"
    precisions: tuple[Precision, ...] = ("f32", "bf16")
    is_xla = False

    def compile(self, traced: Any, names: Sequence[str], precision: Precision) -> CompiledFunction:
        """See `Engine`."""
        model = openvino_model(traced)
        import openvino

        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads(),
        }
        compiled = openvino.compile_model(model, "CPU", settings)
        request = compiled.create_infer_request()
        outputs = {
            name: compiled.output(name) for name in traced.structured_outputs
        }  # a result may have other names too

        def run(*arrays: np.ndarray) -> dict[str, np.ndarray]:
            results = request.infer(dict(zip(names, arrays, strict=True)), share_inputs=True)
            return {name: results[output] for name, output in outputs.items()}

        return run


def openvino_model(traced: Any) -> Any:
    """A traced function as an OpenVINO model, with a copy of the weights: the user's variables may not live as long."""
    # OpenVINO's converter reports imports and conversions to Google Analytics unless this package is missing.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino
    import tensorflow as tf
    from openvino.frontend.tensorflow import utils

    # OpenVINO deletes a variable that it made by `exec`, which is an error from Python 3.13 on.
    utils.get_environment_setup = lambda framework: {"tensorflow": tf.__version__}
    return openvino.convert_model(traced, share_weights=False)


ENGINE = OpenVino()
