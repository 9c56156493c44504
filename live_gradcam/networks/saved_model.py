"""TensorFlow's SavedModel folders: programs that give predictions, and whose layers cannot be seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from live_gradcam.errors import ModelError, first_line

if TYPE_CHECKING:
    import keras

#: What is wrong with explaining a SavedModel.
LAYERS_CANNOT_BE_SEEN = (
    "a SavedModel's layers cannot be seen, so there are predictions but no map: save the model with "
    'model.save("NAME.keras"), and give that file'
)


def is_saved_model(path: Path) -> bool:
    """Whether a path is a folder in TensorFlow's SavedModel format."""
    return (path / "saved_model.pb").is_file()


def load_saved_model(path: Path) -> keras.Model:
    """A model of one layer, which is the whole SavedModel, by its default signature."""
    import keras

    try:
        layer = keras.layers.TFSMLayer(str(path), call_endpoint="serving_default", name="saved_model")
    except Exception as error:  # TensorFlow's are of many types
        raise ModelError(f"{path} cannot be loaded as a SavedModel: {first_line(error)}") from error
    images = list(layer.call_endpoint_fn.structured_input_signature[1].values())
    if len(images) != 1:
        raise ModelError(f"{path} has {len(images)} inputs: only models with one image input can be used")
    inputs = keras.Input(batch_shape=tuple(images[0].shape), dtype=images[0].dtype.name)
    outputs = layer(inputs)
    return keras.Model(inputs, list(outputs.values()) if isinstance(outputs, dict) else outputs, name=path.name)
