"""Where the object is in a picture: by its transparency, by a folder of masks, or by boxes in a table.

A folder of masks is called `masks`, and its files are named like the pictures: `data/masks/birds/owl.png` or
`data/birds/masks/owl.png` is the mask of `data/birds/owl.jpg`. What is light in it is the object. Frames of videos have
no mask.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from live_gradcam.errors import SourceError, UsageError
from live_gradcam.explanations.faithfulness import ObjectBox
from live_gradcam.sources.image import read_image, read_opacity
from live_gradcam.sources.kinds import Kind, kind_of

if TYPE_CHECKING:
    from live_gradcam.fitting.dataset import Example

#: How a folder of masks is called.
MASKS = "masks"
#: How far above a picture its folder of masks may be.
_MOST_FOLDERS = 4
_SUFFIXES = (".png", ".PNG", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
_ENDINGS = ("", "_mask", "-mask")
_COLUMNS = ("path", "left", "top", "right", "bottom")
#: From this value on, a mask's pixel belongs to the object, where any of its pixels is as light.
_LIGHT = 128


@dataclass(frozen=True, eq=False)
class Object:
    """Where the object is in one picture.

    Attributes:
        opacity: float32 (height, width) in 0…1 of the picture's size: 1 on the object, and between at its edge.
        by: what says so: the picture's transparency, a mask, or boxes, which hold some of the surroundings too.
    """

    opacity: np.ndarray
    by: Literal["transparency", "mask", "boxes"]

    @property
    def mask(self) -> np.ndarray:
        """Bool (height, width): the object."""
        return np.asarray(self.opacity >= 0.5)


@dataclass(frozen=True)
class Objects:
    """Where the objects of a data set are.

    Attributes:
        masks: for each picture that has a mask its file.
        boxes: for each picture that has boxes these.
    """

    masks: Mapping[Path, Path] = field(default_factory=dict)
    boxes: Mapping[Path, tuple[ObjectBox, ...]] = field(default_factory=dict)

    def of(self, example: Example, size: tuple[int, int]) -> Object | None:
        """Where the object of an example is: by its boxes, or else by its mask, or else by its transparency.

        Args:
            example: of the data set.
            size: (height, width) of its picture in pixels.

        Returns:
            None where nothing says it, or the object fills all of the picture, or none.

        Raises:
            SourceError: the file of its mask cannot be read.
        """
        if example.time is not None:
            return None
        found = self._found(example.path, size)
        return found if found is not None and 0 < found.mask.mean() < 1 else None

    def _found(self, path: Path, size: tuple[int, int]) -> Object | None:
        if path in self.boxes:
            return Object(_of_boxes(self.boxes[path], size), "boxes")
        if path in self.masks:
            return Object(_at_size(_read_mask_file(self.masks[path]), size), "mask")
        if kind_of(path) is Kind.VIDEO:
            return None
        opacity = read_opacity(path)
        return None if opacity is None else Object(_at_size(opacity / np.float32(255), size), "transparency")


def find_objects(examples: Iterable[Example], masks: Path | None = None, boxes: Path | None = None) -> Objects:
    """Find what says where the objects of examples are. No picture is decoded.

    Args:
        examples: of a data set.
        masks: a folder of masks; None for the folders called `masks` beside or above the pictures.
        boxes: a table of boxes: see `read_boxes`.

    Raises:
        SourceError: there is no such folder or table, or the table cannot be read.
        UsageError: the folder, or the table, names none of the pictures.
    """
    pictures = list(dict.fromkeys(example.path for example in examples if example.time is None))
    if masks is not None and not masks.is_dir():
        raise SourceError(f"there is no folder of masks {masks}")
    counts = Counter(picture.stem for picture in pictures)
    files = {
        picture: file
        for picture in pictures
        if (file := _mask_file(picture, masks, is_only_one=counts[picture.stem] == 1)) is not None
    }
    if masks is not None and not files:
        raise UsageError(
            f"the folder {masks} has no mask of any picture: name a mask like its picture, such as "
            f"{masks / _relative(pictures[0]) if pictures else masks / 'birds' / 'owl.png'}"
        )
    return Objects(files, {} if boxes is None else read_boxes(boxes, pictures))


def read_mask(example: Example, masks: Path | None = None) -> np.ndarray | None:
    """The object in an example's picture: bool (height, width), by a mask or its transparency; None without either.

    Args:
        example: a picture.
        masks: a folder of masks; None for the folders called `masks` beside or above the picture.

    Raises:
        SourceError: the picture or its mask cannot be read.
    """
    height, width = read_image(example.path).shape[:2] if example.time is None else (1, 1)
    found = find_objects([example], masks).of(example, (height, width))
    return None if found is None else found.mask


def read_boxes(path: Path, pictures: Iterable[Path]) -> dict[Path, tuple[ObjectBox, ...]]:
    """Read a table of boxes: columns `path`, `left`, `top`, `right` and `bottom`, in pixels, a row for each box.

    A path is that of a picture from the table's folder, or the end of it, if only one picture ends so.

    Args:
        path: the table, CSV.
        pictures: the pictures that it may name; others are passed over.

    Raises:
        SourceError: the table cannot be read, or is not of that form.
        UsageError: it names none of the pictures, or a name is the end of several.
    """
    known = {picture.resolve(): picture for picture in pictures}
    found: dict[Path, list[ObjectBox]] = {}
    for name, box in _rows(path):
        picture = _named(name, path, known)
        if picture is not None:
            found.setdefault(picture, []).append(box)
    if not found:
        raise UsageError(f"the table of boxes {path} names none of the pictures: give their paths, from its folder")
    return {picture: tuple(boxes) for picture, boxes in found.items()}


def holds_masks(folder: Path) -> bool:
    """Whether a folder holds the masks of pictures beside it, and so no pictures of a class of its own.

    It is called `masks`, and each file in it is named like a picture beside the folder.
    """
    if folder.name != MASKS or not folder.is_dir():
        return False
    files = [file for file in folder.rglob("*") if file.is_file() and not file.name.startswith(".")]
    return bool(files) and all(_has_picture(file, folder) for file in files)


def _has_picture(mask: Path, folder: Path) -> bool:
    """Whether a picture of the same name as a mask lies where that would lie without its folder."""
    beside = folder.parent / mask.relative_to(folder).parent
    stems = {mask.stem.removesuffix(ending) for ending in _ENDINGS}
    return beside.is_dir() and any(file.is_file() and {file.stem, file.name} & stems for file in beside.iterdir())


def _mask_file(picture: Path, masks: Path | None, *, is_only_one: bool) -> Path | None:
    """The file of a picture's mask; None without one."""
    parents = list(picture.parents)[:_MOST_FOLDERS]
    if masks is None:
        places = [(parent / MASKS, picture.relative_to(parent)) for parent in parents]
    else:  # a name alone may be that of several pictures
        nearest = 0 if is_only_one else 1
        places = [(masks, picture.relative_to(parent)) for parent in reversed(parents[nearest:])]
    for folder, relative in places:
        if not folder.is_dir():
            continue
        for stem in (relative.stem, relative.name):
            for suffix in _SUFFIXES:
                for ending in _ENDINGS:
                    file = folder / relative.with_name(f"{stem}{ending}{suffix}")
                    if file != picture and file.is_file():
                        return file
    return None


def _relative(picture: Path) -> Path:
    return picture.relative_to(picture.parents[min(1, len(picture.parents) - 1)]).with_suffix(".png")


def _read_mask_file(path: Path) -> np.ndarray:
    """The object in a mask, float32 (height, width), 0 or 1: by its transparency, or what is light in it."""
    opacity = read_opacity(path)
    values = read_image(path).max(axis=2) if opacity is None else opacity
    lightest = int(values.max())
    return np.asarray(values >= min(_LIGHT, max(1, lightest)), np.float32)


def _at_size(opacity: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if opacity.shape == size:
        return opacity
    return cv2.resize(opacity, size[::-1], interpolation=cv2.INTER_NEAREST)


def _of_boxes(boxes: Iterable[ObjectBox], size: tuple[int, int]) -> np.ndarray:
    """float32 (height, width): 1 in the boxes."""
    inside = np.zeros(size, np.float32)
    for left, top, right, bottom in boxes:
        inside[max(0, round(top)) : max(0, round(bottom)), max(0, round(left)) : max(0, round(right))] = 1
    return inside


def _rows(path: Path) -> Iterable[tuple[str, ObjectBox]]:
    """The rows of a table of boxes."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise SourceError(f"cannot read the table of boxes {path}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"the table of boxes {path} is no CSV: {error}") from error
    for number, row in enumerate(rows, 2):
        try:
            left, top, right, bottom = (float(row[column]) for column in _COLUMNS[1:])
            name = row["path"]
        except (KeyError, TypeError, ValueError):
            raise SourceError(
                f"line {number} of {path} is no box: give a table with the columns {', '.join(_COLUMNS)}"
            ) from None
        if not (name and left < right and top < bottom):
            raise SourceError(f"line {number} of {path} is no box: left is before right, and top above bottom")
        yield name, (left, top, right, bottom)


def _named(name: str, table: Path, pictures: Mapping[Path, Path]) -> Path | None:
    """The picture that a row of a table names, of those by their whole paths; None if it names none."""
    place = (table.parent / name).resolve()
    if place in pictures:
        return pictures[place]
    parts = Path(name).parts
    ending = [picture for picture in pictures.values() if picture.parts[-len(parts) :] == parts]
    if len(ending) > 1:
        raise UsageError(f"{name} in {table} may be {ending[0]} or {ending[1]}: give its path from the table's folder")
    return ending[0] if ending else None
