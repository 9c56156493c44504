"""Every model: those that come by name, those in files, and Keras models of a Python program.

Importing this module does not import TensorFlow; loading a model does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from live_gradcam.choices import MODEL_SOURCES, Output
from live_gradcam.errors import LiveGradcamError, ModelError, UsageError, did_you_mean
from live_gradcam.files import fingerprint
from live_gradcam.networks.assembly import classifier_of
from live_gradcam.networks.classifier import Classifier
from live_gradcam.networks.custom_objects import check_custom_objects
from live_gradcam.networks.model_source import CatalogEntry, ModelOptions, ModelSource, find_by_name, name_and_weights
from live_gradcam.networks.preprocessing import Preprocessing, find_preprocessing
from live_gradcam.silence import quiet_in_notebooks

if TYPE_CHECKING:
    import keras

    from live_gradcam.networks.single import Held

DEFAULT_MODEL = "efficientnet-lite0"

_log = logging.getLogger(__name__)


def known_models() -> dict[str, CatalogEntry]:
    """The networks that can be asked for by name, in alphabetical order.

    A source that cannot be loaded, or fails, is left out, with a warning. Of several networks that one name means, the
    one is listed that is loaded: ours before those of other packages.
    """
    known: dict[str, CatalogEntry] = {}
    for name, source in MODEL_SOURCES.usable(MODEL_SOURCES):
        try:
            entries = {entry.name: entry for entry in source.entries.values()}
        except Exception as error:
            _leave_out(name, error)
            continue
        new = [entry for entry in entries.values() if find_by_name(known, entry.name) is None]
        known |= {entry.name: entry for entry in new}
    return dict(sorted(known.items(), key=lambda item: item[0].casefold()))


def find_source(model: str | Path | keras.Model) -> ModelSource:
    """The source of a model.

    Args:
        model: a name, a path, or an object.

    Raises:
        UsageError: no network has that name, and no file either; the closest names are suggested.
        ModelError: it is a path of no file, of a folder, or of a file that is no model.
    """
    source = next(_matching(model), None)
    if source is None:
        raise _not_a_model(model)
    return source


def find_entry(model: str | Path | keras.Model) -> CatalogEntry | None:
    """The network of a name, in any case and with or without `-` and `_`; None for a file, and for what is nothing."""
    source = next(_matching(model), None)
    return None if source is None else find_by_name(source.entries, model)


def _matching(model: str | Path | keras.Model) -> Iterator[ModelSource]:
    for name, source in MODEL_SOURCES.usable(MODEL_SOURCES):
        try:
            matches = source.matches(model)
        except Exception as error:
            _leave_out(name, error)
            continue
        if matches:
            yield source


def _leave_out(name: str, error: Exception) -> None:
    """Go on without a source of another package that fails; an error of ours is raised."""
    if name in MODEL_SOURCES.of_this_package:
        raise error
    MODEL_SOURCES.leave_out(name, error)


def _not_a_model(model: str | Path | keras.Model) -> LiveGradcamError:
    path = Path(model)
    if not path.exists():
        looks_like_file = path.suffix.lower() in (".keras", ".h5", ".hdf5") or len(path.parts) > 1
        if looks_like_file:
            return ModelError(f"there is no model file {path}")
        hint = did_you_mean(str(model), known_models()) or "; see live-gradcam models"
        return UsageError(f"there is no model {str(model)!r}{hint}")
    if path.is_dir():
        return ModelError(
            f"{path} is a folder: export the model as one file with model.save('NAME.keras'), and give that file"
        )
    try:
        path.open("rb").close()
    except OSError as error:
        return ModelError(f"the model file {path} cannot be read: {error.strerror}")
    return ModelError(f"{path} is not a model file: give a .keras or .h5 file that Keras saved")


def check_model(model: str | Path | keras.Model, options: ModelOptions) -> None:
    """Say what is wrong with a model that is to be explained, as far as it can be known without TensorFlow.

    Raises:
        UsageError: there is no such network or preprocessing, or the network does not take one of the options.
        ModelError: there is no such file, or it is damaged, is not a model's, or cannot be explained; there is no
            such file of weights or custom objects.
    """
    find_preprocessing(options.preprocessing)
    if options.custom_objects is not None and not isinstance(options.custom_objects, Mapping):
        check_custom_objects(options.custom_objects)
    find_source(model).check(model, options)


def identity_of(model: str | Path | keras.Model, options: ModelOptions) -> dict[str, str]:
    """What a result depends on besides the names of the model, its weights and its labels: the content of files.

    Returns:
        By file name, or by the name that a model was asked for, what changes when the content does. A network whose
        name and weights say all is left out.
    """
    identity = find_source(model).identity(model, options)
    entry = find_entry(model)
    contents = {} if entry and identity == name_and_weights(entry.name, options) else {_short_name(model): identity}
    named = (options.weights, options.labels, options.custom_objects)
    files = [Path(file) for file in named if isinstance(file, (str, Path))]
    return contents | {file.name: fingerprint(file) for file in files if file.is_file()}


def _short_name(model: str | Path | keras.Model) -> str:
    return Path(model).name if isinstance(model, (str, Path)) else str(model.name)


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
        name_or_path: a network's name (`live-gradcam models` lists them), a `.keras` or `.h5` file, or a SavedModel
            folder. A file is loaded in Keras' safe mode: nothing in it is run but known layers. A SavedModel is a
            TensorFlow program, which gives predictions but cannot be explained. Or a Keras 3 model, which is used as
            it is; labels and preprocessing are those of a file's.
        weights: "imagenet", None for random weights, or a weights file. A model file brings its own, which a
            weights file here replaces.
        labels: class names in class order, a file of them (see `read_labels`), or None for the model's usual ones:
            ImageNet's for a name; for a file those in a file beside it (`labels.txt`, `NAME.labels.txt`,
            `class_indices.json`), or "class 0", "class 1", …
        preprocessing: a recipe or the name of one (`PREPROCESSINGS`); None or "auto" for the network's own. A model
            file that does not scale pixels itself is given the scale that its batch norms expect, or a guess, which a
            warning says (see `networks.pixel_scale`).
        output: what a model file's numbers are: "classes", "labels" or "values"; None for what its last layer says.
        head: of several outputs of a model file the one to explain; None for the one that looks like classes.
        feed: what a model file's other inputs are held at, by name: a number, an array, or a `.npy` file of one.
        custom_objects: what a model file needs besides Keras' own classes and those registered with it: name to class
            or function, or a Python file that defines them, which is run.
        trust: run the code that a model file holds (Lambda layers).
        say: called with a line about each guess and each choice that was made for a user's own model.

    Raises:
        UsageError: no network or preprocessing of that name, an object that is no Keras 3 model, or a weights file
            for one, which is never changed.
        ModelError: a file that cannot be read, weights that are not there or do not fit, a model that is no image
            classifier, or labels of another number than its classes.
    """
    options = ModelOptions(weights, labels, preprocessing, output, head, feed or {}, custom_objects, trust, say)
    return load_with_options(name_or_path, options)


def load_with_options(model: str | Path | keras.Model, options: ModelOptions) -> Classifier:
    """`load_classifier` of options that are together."""
    find_preprocessing(options.preprocessing)
    source = find_source(model)
    with quiet_in_notebooks():
        loaded = source.load(model, options)
    entry = find_by_name(source.entries, model)
    if entry is not None and loaded.preprocessing is None:
        loaded = replace(loaded, preprocessing=find_preprocessing(entry.preprocessing))
    return classifier_of(loaded, options)
