"""A model, written for other programs. Each file is checked against the original, and appears when all are right."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from live_gradcam.attribution.session import SessionOptions
from live_gradcam.choices import EXPORTS, Output
from live_gradcam.compiling.compilation import telling_line
from live_gradcam.compiling.runtime import set_compiler_flags
from live_gradcam.errors import LiveGradcamError, ModelError, OutputError, UsageError, first_line
from live_gradcam.exporting.formats.export_format import ExportFormat
from live_gradcam.exporting.readme import readme
from live_gradcam.files import check_output, claimed, part_path, publish, remove_part, writing
from live_gradcam.networks.card import Card, card_beside, write_beside
from live_gradcam.networks.catalog import find_source, load_with_options
from live_gradcam.networks.classifier import Classifier
from live_gradcam.networks.labels import labels_file
from live_gradcam.silence import quiet_tensorflow

if TYPE_CHECKING:
    import keras
    import numpy as np

    from live_gradcam.exporting.program import Program

#: By how much a probability may differ from the program's in float32; of values, as a share of the largest one.
TOLERANCE = 1e-3
#: The same from the original's, where that computes in half precision: its own numbers are that coarse.
TOLERANCE_OF_HALF = 2e-2

#: With less than this left, in bytes, a disk is full. Some libraries do not say so.
_FULL = 1 << 20


@dataclass(frozen=True)
class ExportReport:
    """What was exported.

    Attributes:
        folder: where it is.
        files: all that was written, the formats' files first.
        differences: by the name of a format, the largest difference from the original model on photographs: of
            probabilities, or of values as a share of the largest one.
        input_size: (height, width) of the pictures, in pixels.
        card: what was written beside it: names, fit, and scores where there are some.
    """

    folder: Path
    files: tuple[Path, ...]
    differences: dict[str, float]
    input_size: tuple[int, int]
    card: Card


def export(
    model: str | Path | keras.Model | Classifier | SessionOptions,
    folder: str | Path,
    formats: Sequence[str],
    *,
    overwrite: bool = False,
    on_progress: Callable[[str], None] | None = None,
    let_tensorflow_talk: bool = False,
) -> ExportReport:
    """Write a model in formats that other programs run.

    What is written takes the pixels of a picture as they are: float32 (pictures, height, width, 3), RGB, 0…255. It
    scales them itself, and gives a probability for each label. Before a file appears, it is run on photographs by the
    library that its users run it by, and compared with the original. NAME.labels.txt, NAME.card.json and
    NAME.README.txt are written beside it.

    Args:
        model: a network's name, a model file, a Keras model, a classifier, or options that say how one is loaded.
        folder: where to write. It is made where it is missing.
        formats: names of `choices.EXPORTS`.
        overwrite: whether files of these names may be replaced.
        on_progress: called with what is being done, in a few words.
        let_tensorflow_talk: let the messages of TensorFlow and of the formats' libraries through.

    Raises:
        UsageError: no format of that name, none at all, or one whose library is not installed; no such network.
        ModelError: the model cannot be loaded, or cannot be written in a format, or gives other numbers in it. Then
            nothing is written.
        OutputError: a file exists and may not be replaced, or cannot be written.
    """
    say = on_progress or (lambda what: None)
    members = find_formats(formats)
    name, load = _known(model)
    set_compiler_flags()
    with (
        _outputs(Path(folder), name, members, overwrite=overwrite) as stage,
        quiet_tensorflow(enabled=not let_tensorflow_talk),
    ):
        say(f"loading {name}")
        classifier = load()
        from live_gradcam.exporting.program import program_of

        program = program_of(classifier)
        card = _card_of(classifier, program.output)
        checked = _Checked(classifier, program)
        for format_name, member in members.items():
            say(f"writing {member.title}")
            checked.write(format_name, member, stage / f"{name}{member.endings[0]}")
        write_beside(stage / f"{name}.keras", card)
        written = [(member, checked.differences[one]) for one, member in members.items()]
        with writing(stage):
            text = readme(name, program, card, written)
            (stage / f"{name}.README.txt").write_text(text, encoding="utf-8")
    return ExportReport(
        Path(folder),
        tuple(Path(folder) / file for file in _file_names(name, members)),
        checked.differences,
        classifier.input_size,
        card,
    )


def find_formats(names: Sequence[str]) -> dict[str, ExportFormat]:
    """The formats of some names, without importing what writes them.

    Raises:
        UsageError: there is no such format, none is named, or its library is not installed.
        LiveGradcamError: another package adds the format, and cannot be imported.
    """
    if isinstance(names, str) or not names:
        raise UsageError(f"give at least one format, in a list: {', '.join(EXPORTS)}")
    for name in names:
        EXPORTS.check(name)
    found: dict[str, ExportFormat] = {name: EXPORTS.load(name) for name in names}
    for name, member in found.items():
        if any(find_spec(package) is None for package in member.packages):
            raise UsageError(f"the format {name} needs {member.title}: pip install '{member.install}'")
    return found


def _known(
    model: str | Path | keras.Model | Classifier | SessionOptions,
) -> tuple[str, Callable[[], Classifier]]:
    """What a model's files will be called, and what loads the model.

    Raises:
        UsageError: there is no such network.
        ModelError: there is no such file, or it is no model.
    """
    if isinstance(model, Classifier):
        return _plain_name(model.name), lambda: model
    options = model if isinstance(model, SessionOptions) else SessionOptions(model)
    find_source(options.model)
    of_model = options.of_model()
    name = options.model if isinstance(options.model, (str, Path)) else options.model.name
    return _plain_name(str(name)), lambda: load_with_options(options.model, of_model)


def _card_of(classifier: Classifier, output: Output) -> Card:
    """What is written beside an exported classifier: its own card, or what is known without one.

    The names are those that the user sees. Pixels go in as they are.
    """
    card = classifier.card or Card(classifier.labels, fit=classifier.fit, backbone=classifier.name)
    return replace(card, classes=classifier.labels, task=output, preprocessing="raw")


# --- checking -----------------------------------------------------------------------------------------------------


class _Checked:
    """Writes a program in formats, and compares each with the original."""

    def __init__(self, classifier: Classifier, program: Program) -> None:
        import cv2
        import numpy as np
        import tensorflow as tf

        from live_gradcam.exporting.program import original_numbers
        from live_gradcam.networks.pixel_scale import photographs

        height, width = classifier.input_size
        pictures = np.stack([cv2.resize(picture, (width, height)) for picture in photographs()])
        self._program = program
        self._pixels = np.ascontiguousarray(pictures[..., ::-1].astype(np.float32))
        self._original = original_numbers(classifier, pictures)
        is_of_half = program.model is not classifier.model  # the program has a copy in float32
        self._in_float32 = np.asarray(program.function(tf.constant(self._pixels))) if is_of_half else self._original
        self._tolerance = TOLERANCE_OF_HALF if is_of_half else TOLERANCE
        self.differences: dict[str, float] = {}

    def write(self, name: str, member: ExportFormat, path: Path) -> None:
        """Write a format's files, and remember how far it is from the original.

        Raises:
            ModelError: the format cannot hold the model, or gives other numbers.
            OutputError: it cannot be written.
        """
        what = f"{self._program.name} as {member.title}"
        try:
            member.write(self._program, path)
            numbers = member.run(path, self._pixels)
        except (LiveGradcamError, MemoryError):
            raise
        except OSError as error:
            raise OutputError(f"{what} cannot be written: {error.strerror or first_line(error)}") from error
        except Exception as error:  # each library has its own
            if shutil.disk_usage(path.parent).free < _FULL:
                raise OutputError(f"{what} cannot be written: No space left on device") from error
            if shutil.disk_usage(tempfile.gettempdir()).free < max(_FULL, self._program.bytes):
                raise OutputError(
                    f"{what} cannot be written: {tempfile.gettempdir()}, the folder for temporary files, has no room: "
                    "make some, or set TMPDIR to another folder"
                ) from error
            raise ModelError(f"cannot write {what}, so no file is written: {telling_line(error)}") from error
        self.differences[name] = difference = _difference(numbers, self._original)
        if not (difference <= self._tolerance and _difference(numbers, self._in_float32) <= TOLERANCE):
            raise ModelError(
                f"{what} gives other numbers than the original ({difference:.2g} apart on a photograph), so nothing "
                "is written"
            )


def _difference(numbers: np.ndarray, expected: np.ndarray) -> float:
    import numpy as np

    if numbers.shape != expected.shape:
        return float("inf")
    return float(np.abs(numbers - expected).max()) / max(1.0, float(np.abs(expected).max()))


# --- files --------------------------------------------------------------------------------------------------------


def _plain_name(name: str) -> str:
    """What the files are called: the model's name, or that of its file, without what file systems do not take."""
    path = Path(name)
    known = (".keras", ".h5", ".hdf5", ".saved-model")
    stem = path.stem if path.suffix.lower() in known else path.name
    return re.sub(r'[<>:"/\\|?*\x00-\x1f]', "-", stem).strip(". ") or "model"


def _file_names(name: str, members: dict[str, ExportFormat]) -> list[str]:
    """All that is written, by name, the formats' files first."""
    endings = [ending for member in members.values() for ending in member.endings]
    beside = Path(f"{name}.keras")
    return [
        *(f"{name}{ending}" for ending in endings),
        labels_file(beside).name,
        card_beside(beside).name,
        f"{name}.README.txt",
    ]


@contextmanager
def _outputs(folder: Path, name: str, members: dict[str, ExportFormat], *, overwrite: bool) -> Iterator[Path]:
    """A folder to write in. What is in it moves to the folder that the user named, when all of it is there.

    Raises:
        OutputError: a file exists and may not be replaced, or cannot be written.
    """
    was_there = folder.exists()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    stage = part_path(folder / name)
    with claimed(folder / name):
        try:
            for file in _file_names(name, members):
                check_output(folder / file, overwrite=overwrite, folder=(folder / file).is_dir() and overwrite)
            with writing(folder):
                shutil.rmtree(stage, ignore_errors=True)  # of a run that was killed
                stage.mkdir()
            yield stage
            for file in _file_names(name, members):
                with writing(folder / file):
                    remove_part(folder / file)
                    os.replace(stage / file, part_path(folder / file))
                    publish(folder / file)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
            if not was_there:
                with suppress(OSError):  # it stays where something is in it
                    folder.rmdir()
