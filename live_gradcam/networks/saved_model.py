"""TensorFlow's SavedModel folders: programs that give predictions, and whose layers cannot be seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from live_gradcam.errors import ModelError, first_line
from live_gradcam.networks.card import read_card
from live_gradcam.networks.model_source import LoadedModel, ModelOptions, ModelSource

if TYPE_CHECKING:
    import keras


def is_saved_model(path: Path) -> bool:
    """Whether a path is a folder in TensorFlow's SavedModel format."""
    return (path / "saved_model.pb").is_file()


def layers_cannot_be_seen(path: Path) -> str:
    """What is wrong with explaining a SavedModel, and what to do: Keras 2 made it, or Keras 3."""
    name = "NAME.h5" if _is_by_keras_2(path) else "NAME.keras"
    return (
        "a SavedModel's layers cannot be seen, so there are predictions but no map: save the model with "
        f'model.save("{name}"), and give that file'
    )


def _is_by_keras_2(path: Path) -> bool:
    """Keras 2 wrote its layers down too, since TensorFlow 2.5 in a file of their own."""
    return (path / "keras_metadata.pb").is_file() or b"_tf_keras_" in (path / "saved_model.pb").read_bytes()


class _SavedModels(ModelSource):
    def matches(self, model: str | Path | keras.Model) -> bool:
        """Whether it is the path of such a folder."""
        return isinstance(model, (str, Path)) and is_saved_model(Path(model))

    def check(self, model: str | Path | keras.Model, options: ModelOptions) -> None:
        """Refuse it: it has predictions alone.

        Raises:
            ModelError: always.
        """
        raise ModelError(f"{model}: {layers_cannot_be_seen(Path(model))}")

    def load(self, model: str | Path | keras.Model, options: ModelOptions) -> LoadedModel:
        """Load it for its predictions."""
        if options.weights_file is not None:
            raise ModelError(f"{model} has weights of its own, and takes no others: leave out --weights")
        path = Path(model)
        return LoadedModel(path.name, load_saved_model(path), file=path, card=read_card(path, options.say))


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


SOURCE = _SavedModels()
