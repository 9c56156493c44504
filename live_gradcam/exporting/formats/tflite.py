"""TensorFlow Lite, which phones and small computers run."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from live_gradcam.exporting.program import Program


class TfLite:
    """A `.tflite` file that takes a picture at a time."""

    title = "TensorFlow Lite"
    packages: tuple[str, ...] = ()
    install = ""
    endings: tuple[str, ...] = (".tflite",)
    example = """\
import tensorflow
run = tensorflow.lite.Interpreter("FILE").get_signature_runner()  # or ai_edge_litert's; one picture at a time
(numbers,) = run(pixels=pixels).values()
"""

    def write(self, program: Program, path: Path) -> None:
        """See `ExportFormat`."""
        import tensorflow as tf

        module = tf.Module()
        module.weights = [weight.value for weight in program.model.weights]
        module.serve = program.compilable(pictures=1)
        traced = module.serve.get_concrete_function()
        path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([traced], module).convert())

    def run(self, path: Path, pixels: np.ndarray) -> np.ndarray:
        """See `ExportFormat`."""
        import numpy as np
        import tensorflow as tf

        from live_gradcam.exporting.program import INPUT

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says that it will move to another package
            run = tf.lite.Interpreter(str(path)).get_signature_runner()
        each = [run(**{INPUT: picture[None]}).values() for picture in pixels]
        return np.concatenate([numbers for (numbers,) in each])


FORMAT = TfLite()
