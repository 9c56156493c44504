"""What a network was taught: pictures as it saw them, their features and bursts, in memory and beside the model's file.

`NAME.features.npz` lies beside `NAME.keras`, and the folder `NAME.examples` has the pictures, by class and burst, so
that `live-gradcam fit NAME.examples` can read them.
"""

from __future__ import annotations

import json
import re
import shutil
import unicodedata
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from live_gradcam.errors import ModelError, UsageError, first_line
from live_gradcam.files import check_output, part_path, publish, remove_part, writing
from live_gradcam.networks.card import read_card

#: Of the file of features. New arrays may come under the same number.
SCHEMA = 1
_ENDING = ".jpg"
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 95]
_NOT_IN_A_FILE_NAME = re.compile(r'[\\/:*?"<>|]|^[.~]|[. ]$')
#: What Windows takes for devices.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_LONGEST = 80


@dataclass(frozen=True, eq=False)
class TaughtExample:
    """A picture that the network was taught.

    Attributes:
        target: the class.
        burst: the number of the burst that it was collected in.
        features: float32 (d,).
        picture: as the network saw it: a JPEG file's bytes, or the file; None where only the features are kept.
    """

    target: int
    burst: int
    features: np.ndarray
    picture: bytes | Path | None


@dataclass(frozen=True)
class Lesson:
    """What is kept beside a model so that teaching can go on.

    Attributes:
        names: of the classes, by place; None for one that nobody named.
        examples: in the order in which they were collected.
        fit: how pictures entered the network.
    """

    names: tuple[str | None, ...]
    examples: tuple[TaughtExample, ...]
    fit: str


def encoded(seen: np.ndarray) -> bytes:
    """A picture, uint8 (height, width, 3) BGR, as the bytes of a file."""
    return cv2.imencode(_ENDING, seen, _QUALITY)[1].tobytes()


def features_beside(model: Path) -> Path:
    """Where the features of a model's examples are."""
    return model.with_name(f"{model.stem}.features.npz")


def examples_beside(model: Path) -> Path:
    """The folder of a model's examples."""
    return model.with_name(f"{model.stem}.examples")


def are_examples(folder: Path) -> bool:
    """Whether a folder is that of a model's examples, and no class of its own."""
    model = folder.with_suffix(".keras")
    return folder == examples_beside(model) and model.is_file()


def check_lesson(model: Path, *, overwrite: bool, pictures: bool = True) -> None:
    """Make sure that examples can be written beside a model's file.

    Args:
        model: the file.
        overwrite: whether what is there may be replaced.
        pictures: whether their pictures are written, too.

    Raises:
        OutputError: one of the files cannot be written, or exists and may not be overwritten.
    """
    check_output(features_beside(model), overwrite=overwrite)
    if pictures:
        check_output(examples_beside(model), overwrite=overwrite, folder=True)


def check_source(model: Path, source: Path) -> None:
    """Make sure that a model which is to be taught further is not fitted to the pictures that teaching replaces.

    Raises:
        UsageError: they lie in the folder of the model's examples.
    """
    folder = examples_beside(model)
    if source.resolve().is_relative_to(folder.resolve()):
        raise UsageError(
            f"the pictures are in {folder}, and teach replaces that folder with {model}: choose another name with -o"
        )


def lesson_of(model: str | Path, fit: str | None) -> Lesson | None:
    """The examples that teaching goes on from; None where there are none.

    Args:
        model: a file, or a network's name.
        fit: how frames are to enter the network; None for the way in which the examples did.

    Raises:
        UsageError: the examples were collected with another fit.
        ModelError: they are damaged, or of another model.
    """
    path = Path(model)
    lesson = read_lesson(path) if path.suffix == ".keras" else None
    if lesson is not None:
        _check_classes(path, lesson)
    if lesson is not None and fit not in (None, lesson.fit):
        raise UsageError(f"the pictures were collected with --fit {lesson.fit}: use it, or leave --fit out")
    return lesson


def _check_classes(model: Path, lesson: Lesson) -> None:
    """Make sure that a lesson is of the classes that the model's card has: the model may have been replaced."""
    card = read_card(model, lambda _: None) if model.is_file() else None
    taught = dict.fromkeys(lesson.names[one.target] for one in lesson.examples)
    others = [name for name in taught if name is not None and card is not None and name not in card.classes]
    if others:
        raise ModelError(
            f"{features_beside(model)} belongs to another model, which has the class {others[0]!r}: remove it to teach "
            f"{model}"
        )


# --- writing ------------------------------------------------------------------------------------------------------


def write_lesson(model: Path, lesson: Lesson, *, pictures: bool = True) -> None:
    """Write examples beside a model's file, in the place of those that are there.

    Args:
        model: the file.
        lesson: the examples.
        pictures: whether the folder of pictures is replaced. A lesson without them leaves it as it is.

    Raises:
        OutputError: they cannot be written.
    """
    files = _file_names(lesson)
    if pictures and (any(files) or examples_beside(model).exists()):
        _write_pictures(examples_beside(model), zip(lesson.examples, files, strict=True))
    path = features_beside(model)
    facts = {"schema": SCHEMA, "fit": lesson.fit, "names": lesson.names}
    size = len(lesson.examples[0].features) if lesson.examples else 0
    arrays: dict[str, Any] = {
        "features": np.array([one.features for one in lesson.examples], np.float32).reshape(-1, size),
        "targets": np.array([one.target for one in lesson.examples], np.int64),
        "bursts": np.array([one.burst for one in lesson.examples], np.int64),
        "files": np.array(files, np.str_),
        "facts": np.array(json.dumps(facts, ensure_ascii=False)),
    }
    try:
        with writing(path):
            with part_path(path).open("wb") as file:
                np.savez(file, **arrays)
            publish(path)
    finally:
        remove_part(path)


def _write_pictures(folder: Path, named: Iterable[tuple[TaughtExample, str]]) -> None:
    part = part_path(folder)
    remove_part(folder)
    try:
        with writing(folder):
            part.mkdir(parents=True)
            for example, name in named:
                if not name:
                    continue
                (part / name).parent.mkdir(parents=True, exist_ok=True)
                if isinstance(example.picture, Path):
                    shutil.copyfile(example.picture, part / name)
                else:
                    (part / name).write_bytes(example.picture or b"")
            publish(folder)
    finally:
        remove_part(folder)


def _file_names(lesson: Lesson) -> list[str]:
    """For each example its file in the folder, such as "cup/burst-002/001.jpg"; empty where there is no picture."""
    folders = folder_names([name or f"class {place}" for place, name in enumerate(lesson.names)])
    names, numbers = [], dict[int, int]()
    for example in lesson.examples:
        numbers[example.burst] = number = numbers.get(example.burst, 0) + 1
        place = f"{folders[example.target]}/burst-{example.burst:03d}/{number:03d}{_ENDING}"
        names.append(place if example.picture is not None else "")
    return names


def folder_names(names: Sequence[str]) -> list[str]:
    """For each class a folder's name that every system takes, and no two of which differ in case alone."""
    folders: list[str] = []
    for name in names:
        plain = _NOT_IN_A_FILE_NAME.sub("_", unicodedata.normalize("NFC", name))[:_LONGEST]
        plain = f"_{plain}" if _DEVICES.fullmatch(plain) else plain
        taken, number, folder = {one.casefold() for one in folders}, 2, plain
        while folder.casefold() in taken:
            folder, number = f"{plain} {number}", number + 1
        folders.append(folder)
    return folders


# --- reading ------------------------------------------------------------------------------------------------------


def read_lesson(model: Path) -> Lesson | None:
    """The examples beside a model's file; None where there are none.

    Pictures that are gone are left out; their features are enough to go on.

    Raises:
        ModelError: they are damaged, or of something else.
    """
    path = features_beside(model)
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return _lesson_of(dict(arrays), examples_beside(model))
    except (OSError, zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} is damaged, or has no features that a network was taught: {first_line(error)}") from (
            error
        )


def _lesson_of(arrays: dict[str, np.ndarray], folder: Path) -> Lesson:
    facts = json.loads(str(arrays["facts"]))
    if facts["schema"] != SCHEMA:
        raise ValueError(f"its schema {facts['schema']!r} is not known here")
    names = tuple(None if name is None else str(name) for name in facts["names"])
    targets, features = arrays["targets"], np.asarray(arrays["features"], np.float32)
    if targets.size and not 0 <= targets.min() <= targets.max() < len(names):
        raise ValueError("an example has a class that is not there")
    files = [folder / name if name else None for name in map(str, arrays["files"])]
    examples = tuple(
        TaughtExample(int(target), int(burst), row, file if file is not None and _is_inside(folder, file) else None)
        for target, burst, row, file in zip(targets, arrays["bursts"], features, files, strict=True)
    )
    return Lesson(names, examples, str(facts["fit"]))


def _is_inside(folder: Path, file: Path) -> bool:
    return file.is_file() and file.resolve().is_relative_to(folder.resolve())
