"""A source of models: one small network of random weights, by name. Nothing here imports TensorFlow but `load`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from live_gradcam.networks.model_source import CatalogEntry, LoadedModel, ModelOptions, ModelSource
from live_gradcam.networks.preprocessing import PREPROCESSINGS

if TYPE_CHECKING:
    import keras

_ENTRIES = {"sample-tiny": CatalogEntry("sample-tiny", 32, "unit", "random, of live-gradcam-sample")}


class SampleSource(ModelSource):
    """A network of 3 classes."""

    @property
    def entries(self) -> Mapping[str, CatalogEntry]:
        """The one network."""
        return _ENTRIES

    def load(self, model: "str | Path | keras.Model", options: ModelOptions) -> LoadedModel:
        """Build the network, always with the same weights."""
        import keras
        from keras import layers

        keras.utils.set_random_seed(1)
        image = keras.Input((32, 32, 3))
        x = layers.Conv2D(4, 3, activation="relu", name="maps")(image)
        x = layers.GlobalAveragePooling2D()(x)
        network = keras.Model(image, layers.Dense(3, activation="softmax", name="scores")(x))
        return LoadedModel("sample-tiny", network, PREPROCESSINGS["unit"], ("red", "green", "blue"))


SOURCE = SampleSource()
