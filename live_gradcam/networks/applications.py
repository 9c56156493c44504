"""The classifiers of `keras.applications`, by Keras' own names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from live_gradcam.errors import ModelError, first_line
from live_gradcam.networks.keras_settings import keras_home
from live_gradcam.networks.layer_names import KnownLayers
from live_gradcam.networks.layer_table import layers_of_network, numbering_has_begun, table_is_of_this_keras
from live_gradcam.networks.model_source import CatalogEntry, ModelOptions
from live_gradcam.networks.named_networks import NamedNetworks

if TYPE_CHECKING:
    import keras

#: By the preprocessing, the side of each network's input in pixels.
_INPUT_SIZES = {
    "raw": {
        "ConvNeXtTiny": 224,
        "ConvNeXtSmall": 224,
        "ConvNeXtBase": 224,
        "ConvNeXtLarge": 224,
        "ConvNeXtXLarge": 224,
        "EfficientNetB0": 224,
        "EfficientNetB1": 240,
        "EfficientNetB2": 260,
        "EfficientNetB3": 300,
        "EfficientNetB4": 380,
        "EfficientNetB5": 456,
        "EfficientNetB6": 528,
        "EfficientNetB7": 600,
        "EfficientNetV2B0": 224,
        "EfficientNetV2B1": 240,
        "EfficientNetV2B2": 260,
        "EfficientNetV2B3": 300,
        "EfficientNetV2S": 384,
        "EfficientNetV2M": 480,
        "EfficientNetV2L": 480,
        "MobileNetV3Small": 224,
        "MobileNetV3Large": 224,
    },
    "torch": {"DenseNet121": 224, "DenseNet169": 224, "DenseNet201": 224},
    "caffe": {"ResNet50": 224, "ResNet101": 224, "ResNet152": 224, "VGG16": 224, "VGG19": 224},
    "tf": {
        "InceptionV3": 299,
        "InceptionResNetV2": 299,
        "MobileNet": 224,
        "MobileNetV2": 224,
        "NASNetMobile": 224,
        "NASNetLarge": 331,
        "ResNet50V2": 224,
        "ResNet101V2": 224,
        "ResNet152V2": 224,
        "Xception": 299,
    },
}

_ENTRIES = {
    name: CatalogEntry(name, size, preprocessing, "downloaded by Keras once")
    for preprocessing, sizes in _INPUT_SIZES.items()
    for name, size in sizes.items()
}


class _Applications(NamedNetworks):
    @property
    def entries(self) -> Mapping[str, CatalogEntry]:
        """All of them."""
        return _ENTRIES

    def build(self, name: str, weights: str | Path | None) -> keras.Model:
        """By Keras, which downloads ImageNet's weights once."""
        import keras

        from live_gradcam.networks.weights_file import load_weights

        function = getattr(keras.applications, name)
        if weights == "imagenet":
            try:
                return function(weights="imagenet")
            except Exception as error:  # Keras raises a bare Exception when the download fails
                damaged = None if "URL fetch failure" in str(error) else _damaged_weights(name)
                if damaged is not None:
                    raise ModelError(
                        f"the weights file {damaged} is damaged: remove it, and Keras downloads it again "
                        f"({first_line(error)})"
                    ) from error
                raise ModelError(
                    f"the ImageNet weights of {name} could not be downloaded: give a file with --weights FILE (or none "
                    "for random weights), or use efficientnet-lite0, which needs no download "
                    f"({first_line(error)})"
                ) from error
        model = function(weights=None)
        if weights is not None:
            load_weights(model, Path(weights))
        return model

    def layers(self, model: str | Path | keras.Model, options: ModelOptions) -> KnownLayers | None:
        """From the table, where Keras will give the layers these names: it numbers those that have none of their own.

        So it is known only for the versions of Keras that the table holds for, and not once other models were built.
        """
        if numbering_has_begun() or not table_is_of_this_keras():
            return None
        return layers_of_network(self._entry(model).name)


def _damaged_weights(name: str) -> Path | None:
    """A file of a network's weights that Keras has downloaded and that cannot be read; None for none."""
    for path in sorted((keras_home() / "models").glob("*.h5")):
        if name.casefold() in path.name.casefold().replace("_", "").replace("-", "") and not _is_whole(path):
            return path
    return None


def _is_whole(path: Path) -> bool:
    import h5py

    def read(_: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset):
            item[()]

    try:
        with h5py.File(path) as file:
            file.visititems(read)
    except (OSError, RuntimeError, KeyError):
        return False
    return True


SOURCE = _Applications()
