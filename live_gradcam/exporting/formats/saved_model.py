"""TensorFlow's SavedModel, which TensorFlow Serving, TensorFlow.js and C++ programs load."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from live_gradcam.exporting.program import Program


class SavedModel:
    """A folder with the function `serving_default`."""

    title = "SavedModel"
    packages: tuple[str, ...] = ()
    install = ""
    endings: tuple[str, ...] = (".saved-model",)
    example = """\
import tensorflow
model = tensorflow.saved_model.load("FILE")
(numbers,) = (numbers.numpy() for numbers in model.signatures["serving_default"](pixels=pixels).values())
"""

    def write(self, program: Program, path: Path) -> None:
        """See `ExportFormat`."""
        import tensorflow as tf

        module = tf.Module()
        module.weights = [weight.value for weight in program.model.weights]  # a function alone does not keep them
        module.serve = program.compilable()
        tf.saved_model.save(module, str(path), signatures={"serving_default": module.serve})

    def run(self, path: Path, pixels: np.ndarray) -> np.ndarray:
        """See `ExportFormat`."""
        import tensorflow as tf

        model = tf.saved_model.load(str(path))
        (numbers,) = model.signatures["serving_default"](tf.constant(pixels)).values()
        return numbers.numpy()


FORMAT = SavedModel()
