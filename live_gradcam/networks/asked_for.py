"""The layers and classes that a user asks for, checked before the model is loaded, as far as they are known by then."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from live_gradcam.choices import Names
from live_gradcam.networks.catalog import check_model, find_entry, find_source
from live_gradcam.networks.labels import choose_names, find_targets
from live_gradcam.networks.layer_names import KnownLayers, own_name
from live_gradcam.networks.model_source import ModelOptions

if TYPE_CHECKING:
    import keras

#: How the names of layers begin that the loaded model has besides its file's: where its input is of another precision.
_CASTS = "to_"


def known_layers(model: str | Path | keras.Model, options: ModelOptions) -> KnownLayers | None:
    """The layers that `--layer` takes, known without TensorFlow; None where only the loaded model tells.

    Raises:
        LiveGradcamError: as `find_source`.
    """
    return find_source(model).layers(model, options)


def known_labels(model: str | Path | keras.Model, options: ModelOptions) -> tuple[str, ...] | None:
    """The labels that `-c` takes, in class order, known without TensorFlow; None where only the loaded model tells.

    Raises:
        LiveGradcamError: as `find_source`; or the labels cannot be read, or are not as many as the classes.
    """
    return find_source(model).labels(model, options)


def check_names(
    model: str | Path | keras.Model,
    options: ModelOptions,
    *,
    layer: str | None = None,
    classes: Sequence[str] = (),
    names: Names | None = None,
    is_live: bool = False,
) -> None:
    """Refuse a wrong model, layer or class, as far as it can be known without TensorFlow.

    What is not refused here may be refused when the model is there, by the same words.

    Args:
        model: a name, a path, or a model in memory.
        options: how it is loaded.
        layer: as `--layer` takes it: one or several with commas.
        classes: as `-c` takes them.
        names: which names are listed; None for the usual ones.
        is_live: whether a camera is looked at.

    Raises:
        UsageError: there is no such network, layer or class; the closest are suggested.
        ModelError: as `check_model`; the labels cannot be read, or are not as many as the classes.
    """
    check_model(model, options)
    if layer is not None:
        _check_layers(layer, known_layers(model, options))
    labels = known_labels(model, options)
    if labels is not None:
        are_usual = is_live and find_entry(model) is not None
        find_targets(classes, labels, names or choose_names(classes, labels, are_usual=are_usual))


def _check_layers(layer: str, layers: KnownLayers | None) -> None:
    for name in layer.split(","):
        if layers is not None and not own_name(name.strip()).startswith(_CASTS):
            layers.check(name.strip())
