"""Where models come from: what a source of models must do, and what goes into it and comes out of it.

The sources are in `choices.MODEL_SOURCES`. Another package adds one by an entry point of the group
`live_gradcam.models`, which points to an object that does what `ModelSource` says.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from live_gradcam.choices import Output
from live_gradcam.networks.card import Card
from live_gradcam.networks.layer_names import KnownLayers
from live_gradcam.networks.preprocessing import Preprocessing

if TYPE_CHECKING:
    import keras

    from live_gradcam.networks.single import Held

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelOptions:
    """How a model is loaded and used. `networks.catalog.load_classifier` says what each of these means."""

    weights: str | Path | None = "imagenet"
    labels: str | Path | tuple[str, ...] | list[str] | None = None
    preprocessing: str | Preprocessing | None = None
    output: Output | None = None
    head: str | None = None
    feed: Mapping[str, Held] = field(default_factory=dict)
    custom_objects: str | Path | Mapping[str, Any] | None = None
    trust: bool = False
    say: Callable[[str], None] = _log.warning

    @property
    def weights_file(self) -> Path | None:
        """The file of weights; None for those that come with the model, or for random ones."""
        return None if self.weights in (None, "imagenet") else Path(self.weights)


@dataclass(frozen=True)
class CatalogEntry:
    """A network that can be asked for by name.

    Attributes:
        name: as `-m` takes it and `live-gradcam models` lists it.
        input_size: side of the square input, in pixels.
        preprocessing: how pixels become the network's input: a key of `networks.preprocessing.PREPROCESSINGS`.
        origin: where its weights come from, in a few words.
    """

    name: str
    input_size: int
    preprocessing: str
    origin: str


@dataclass(frozen=True)
class LoadedModel:
    """What a source loads. A classifier is made of it (`networks.assembly`).

    What is None is found out: from the model itself, from files beside it, or by a guess, which a warning says.

    Attributes:
        name: what the model is called on the screen and in messages.
        model: a functional or Sequential model. It may have several inputs and outputs, and is never changed.
        preprocessing: how pixels become its input. A network by name may leave it to its entry.
        labels: the names of its classes, in class order.
        fit: how pictures were made to fit the input in training: a name of `explanations.fits.Fit`. Without it, a
            network by name is shown frames in tiles, as one of ImageNet's, and a file's is shown them squeezed.
        file: the model's file, beside which a file of labels may lie.
        card: what the file says about the model. It is left out where it has not as many classes as the model.
    """

    name: str
    model: keras.Model
    preprocessing: Preprocessing | None = None
    labels: tuple[str, ...] | None = None
    fit: str | None = None
    file: Path | None = None
    card: Card | None = None


class ModelSource(Protocol):
    """A source of models: networks that come by name, or a kind of file.

    Make a subclass: only `load` has to be there, with `entries` for networks by name or `matches` for files. Nothing
    but `load` imports TensorFlow or Keras, and importing the source's module does not either: a command checks its
    names, and refuses wrong ones, before anything slow is imported.
    """

    @property
    def entries(self) -> Mapping[str, CatalogEntry]:
        """The networks that come by name. `-m`, the shell and `live-gradcam models` know them by this."""
        return {}

    def matches(self, model: str | Path | keras.Model) -> bool:
        """Whether a model is this source's. The sources are asked one after the other, those of this package first.

        Args:
            model: what the user gave: a name, a path, or from Python an object.
        """
        return find_by_name(self.entries, model) is not None

    def check(self, model: str | Path | keras.Model, options: ModelOptions) -> None:
        """Say what is wrong with a model that matches, as far as it can be known without TensorFlow.

        Raises:
            UsageError: an option that this model does not take.
            ModelError: the model cannot be explained, or a file of it is damaged or not there.
        """
        return None

    def load(self, model: str | Path | keras.Model, options: ModelOptions) -> LoadedModel:
        """Load a model that matches.

        Args:
            model: what the user gave.
            options: `weights`, `custom_objects` and `trust` are this method's to follow. The others are followed when
                the classifier is made.

        Raises:
            UsageError: as `check`.
            ModelError: the model or its weights cannot be loaded.
        """
        ...

    def identity(self, model: str | Path | keras.Model, options: ModelOptions) -> str:
        """What changes when the model that matches becomes another one: `--resume` compares it.

        By default the name and the weights. Of a file, give its content: `live_gradcam.files.fingerprint`.
        """
        entry = find_by_name(self.entries, model)
        return name_and_weights(model if entry is None else entry.name, options)

    def runs_other_code(self, model: str | Path | keras.Model, options: ModelOptions) -> bool:
        """Whether a model that matches runs code that may be another at the next start: nothing is kept of it then.

        Raises:
            ModelError: its file is damaged.
        """
        return False

    def layers(self, model: str | Path | keras.Model, options: ModelOptions) -> KnownLayers | None:
        """The layers of a model that matches, known without TensorFlow; None where they are not."""
        return None

    def labels(self, model: str | Path | keras.Model, options: ModelOptions) -> tuple[str, ...] | None:
        """The labels that a model that matches will have, known without TensorFlow; None where they are not.

        Raises:
            ModelError: the labels cannot be read, or are not as many as the classes.
        """
        return None


def find_by_name(entries: Mapping[str, CatalogEntry], model: object) -> CatalogEntry | None:
    """The network of a name, in any case and with or without `-` and `_`; None where there is none of that name."""
    if not isinstance(model, (str, Path)):
        return None
    return next((entry for entry in entries.values() if _plain(entry.name) == _plain(str(model))), None)


def name_and_weights(model: object, options: ModelOptions) -> str:
    """A model by its name and its weights, where these say all that there is to know of it."""
    return f"{model} {options.weights or 'none'}"


def _plain(name: str) -> str:
    return name.casefold().replace("-", "").replace("_", "")
