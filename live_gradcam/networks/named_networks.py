"""What the networks that come by name with this package have in common: ImageNet's classes, one input, one output."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

from live_gradcam.errors import UsageError
from live_gradcam.networks.keras_settings import usual_settings
from live_gradcam.networks.labels import imagenet_labels, labels_for
from live_gradcam.networks.layer_names import KnownLayers
from live_gradcam.networks.layer_table import layers_of_network
from live_gradcam.networks.model_source import (
    CatalogEntry,
    LoadedModel,
    ModelOptions,
    ModelSource,
    find_by_name,
)
from live_gradcam.networks.weights_file import require_weights_file

if TYPE_CHECKING:
    import keras


class NamedNetworks(ModelSource):
    """A source of networks that were trained on ImageNet."""

    def _entry(self, model: str | Path | keras.Model) -> CatalogEntry:
        entry = find_by_name(self.entries, model)
        assert entry is not None, f"{model} is no network of this source"
        return entry

    def check(self, model: str | Path | keras.Model, options: ModelOptions) -> None:
        """Refuse what such a network does not have, and a file of weights that is not there."""
        if options.head or options.feed or options.output not in (None, "classes"):
            raise UsageError(
                f"{self._entry(model).name} has one input and one output, of classes: leave out --head, --feed and "
                "--output-kind"
            )
        if options.weights_file is not None:
            require_weights_file(options.weights_file)

    def load(self, model: str | Path | keras.Model, options: ModelOptions) -> LoadedModel:
        """Build the network, and load its weights. A program's global settings of Keras are not for it."""
        self.check(model, options)
        entry = self._entry(model)
        with usual_settings():
            network = self.build(entry.name, options.weights)
        return LoadedModel(entry.name, network, labels=imagenet_labels())

    @abstractmethod
    def build(self, name: str, weights: str | Path | None) -> keras.Model:
        """The network with its weights.

        Args:
            name: a key of `entries`.
            weights: "imagenet", None for random weights, or a file that is there.

        Raises:
            ModelError: the weights cannot be loaded.
        """

    def layers(self, model: str | Path | keras.Model, options: ModelOptions) -> KnownLayers | None:
        """The network's layers, from a table."""
        return layers_of_network(self._entry(model).name)

    def labels(self, model: str | Path | keras.Model, options: ModelOptions) -> tuple[str, ...] | None:
        """ImageNet's, or the user's."""
        return labels_for(options.labels, len(imagenet_labels()), "classes") or imagenet_labels()
