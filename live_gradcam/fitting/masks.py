"""Where the object is in a picture: by its transparency, by a folder of masks, or by boxes in a file.

A folder of masks is called `masks`, and its files are named like the pictures: `data/masks/birds/owl.png` or
`data/birds/masks/owl.png` is the mask of `data/birds/owl.jpg`. What is light in it is the object. The mask of a video
is a video, whose frame at the same time counts.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from live_gradcam.errors import SourceError, UsageError
from live_gradcam.explanations.faithfulness import ObjectBox
from live_gradcam.explanations.object_boxes import read_object_boxes
from live_gradcam.fitting.dataset import Example
from live_gradcam.fitting.video_frames import VideoFrames
from live_gradcam.sources.image import read_image, read_opacity
from live_gradcam.sources.kinds import VIDEO_SUFFIXES

#: How a folder of masks is called.
MASKS = "masks"
#: How far above a picture its folder of masks may be.
_MOST_FOLDERS = 4
#: What masks of pictures and of videos are written as, in small letters, the surest first.
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
_VIDEOS = tuple(sorted(VIDEO_SUFFIXES))
_ENDINGS = ("", "_mask", "-mask")
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
        masks: for each picture or video that has a mask its file.
        boxes: for each picture that has boxes these.
    """

    masks: Mapping[Path, Path] = field(default_factory=dict)
    boxes: Mapping[Path, tuple[ObjectBox, ...]] = field(default_factory=dict)
    _videos: VideoFrames = field(default_factory=VideoFrames, init=False, repr=False, compare=False)

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
        found = self._found(example, size)
        return found if found is not None and 0 < found.mask.mean() < 1 else None

    def _found(self, example: Example, size: tuple[int, int]) -> Object | None:
        path = example.path
        if path in self.boxes:
            return Object(_of_boxes(self.boxes[path], size), "boxes")
        if path in self.masks:
            return Object(_at_size(self._mask(self.masks[path], example.time), size), "mask")
        opacity = read_opacity(path) if example.time is None else None
        return None if opacity is None else Object(_at_size(opacity / np.float32(255), size), "transparency")

    def _mask(self, path: Path, time: float | None) -> np.ndarray:
        """The object in a mask, float32 (height, width), 0 or 1: by its transparency, or what is light in it."""
        if time is not None:
            return np.asarray(
                self._videos.at(path, time).max(axis=2) >= _LIGHT, np.float32
            )  # with no object all is dark
        opacity = read_opacity(path)
        values = read_image(path).max(axis=2) if opacity is None else opacity
        lightest = int(values.max())
        return np.asarray(values >= min(_LIGHT, max(1, lightest)), np.float32)

    def close(self) -> None:
        """Close the mask of a video that is open: one is kept open from frame to frame. `of` can be asked again."""
        self._videos.close()


def find_objects(examples: Iterable[Example], masks: Path | None = None, boxes: Path | None = None) -> Objects:
    """Find what says where the objects of examples are. No picture is decoded.

    Args:
        examples: of a data set.
        masks: a folder of masks; None for the folders called `masks` beside or above the pictures.
        boxes: a file of boxes: see `read_boxes`.

    Raises:
        SourceError: there is no such folder or file, or the file cannot be read.
        UsageError: the folder, or the file, names none of the pictures.
    """
    is_video = {example.path: example.time is not None for example in examples}
    pictures = [path for path in is_video if not is_video[path]]
    if masks is not None and not masks.is_dir():
        raise SourceError(f"there is no folder of masks {masks}")
    counts, listed = Counter(path.stem for path in is_video), _Listed()
    files = {}
    for path in is_video:
        suffixes = _VIDEOS if is_video[path] else _PICTURES
        file = _mask_file(path, masks, suffixes, listed, is_only_one=counts[path.stem] == 1)
        if file is not None:
            files[path] = file
    if masks is not None and not files:
        named = [_relative(path, is_video[path]) for path in is_video] or [Path("birds", "owl.png")]
        raise UsageError(
            f"the folder {masks} has no mask of any picture or video: name a mask like its picture, such as "
            f"{masks / named[0]}"
        )
    return Objects(files, {} if boxes is None else read_boxes(boxes, pictures))


def read_boxes(path: Path, pictures: Iterable[Path]) -> dict[Path, tuple[ObjectBox, ...]]:
    """Read a file of boxes: see `read_object_boxes`.

    The name of a picture is its path from the file's folder, or the end of its path, if only one picture ends so.

    Args:
        path: the file.
        pictures: the pictures that it may name; others are passed over.

    Raises:
        SourceError: the file cannot be read, or has no boxes.
        UsageError: it names none of the pictures, or a name is the end of several.
    """
    known = {picture.resolve(): picture for picture in pictures}
    found: dict[Path, list[ObjectBox]] = {}
    for name, box in read_object_boxes(path):
        picture = _named(name, path, known)
        if picture is not None:
            found.setdefault(picture, []).append(box)
    if not found:
        raise UsageError(f"the boxes file {path} names none of the pictures: give their paths, from its folder")
    return {picture: tuple(boxes) for picture, boxes in found.items()}


def holds_masks(folder: Path) -> bool:
    """Whether a folder holds the masks of pictures beside it, and so no pictures of a class of its own.

    It is called `masks`, and each file in it is named like a picture beside the folder.
    """
    if folder.name != MASKS or not folder.is_dir():
        return False
    files = [file for file in folder.rglob("*") if file.is_file() and not file.name.startswith(".")]
    listed = _Listed()
    return bool(files) and all(_has_picture(file, folder, listed) for file in files)


class _Listed:
    """What lies in folders, each of which is read once: there may be thousands of masks."""

    def __init__(self) -> None:
        self._files: dict[Path, dict[str, list[Path]]] = {}

    def files(self, folder: Path) -> Mapping[str, list[Path]]:
        """The files of a folder by their names without the ending; none where there is no such folder."""
        if folder not in self._files:
            found: dict[str, list[Path]] = {}
            with suppress(OSError), os.scandir(folder) as entries:
                for path in sorted(folder / entry.name for entry in entries if entry.is_file()):
                    found.setdefault(path.stem, []).append(path)
            self._files[folder] = found
        return self._files[folder]


def _has_picture(mask: Path, folder: Path, listed: _Listed) -> bool:
    """Whether a picture of the same name as a mask lies where that would lie without its folder."""
    beside = listed.files(folder.parent / mask.relative_to(folder).parent)
    for ending in _ENDINGS:
        stem = mask.stem.removesuffix(ending)
        if stem in beside or any(file.name == stem for file in beside.get(Path(stem).stem, ())):
            return True
    return False


def _mask_file(
    picture: Path, masks: Path | None, suffixes: tuple[str, ...], listed: _Listed, *, is_only_one: bool
) -> Path | None:
    """The file of the mask of a picture or a video; None without one."""
    parents = list(picture.parents)[:_MOST_FOLDERS]
    if masks is None:
        places = [(parent / MASKS, picture.relative_to(parent)) for parent in parents]
    else:  # a name alone may be that of several pictures
        nearest = 0 if is_only_one else 1
        places = [(masks, picture.relative_to(parent)) for parent in reversed(parents[nearest:])]
    for folder, relative in places:
        files = listed.files(folder / relative.parent)
        for stem in (relative.stem, relative.name):
            named = [file for ending in _ENDINGS for file in files.get(stem + ending, ()) if file != picture]
            usable = [file for file in named if file.suffix.lower() in suffixes]
            if usable:
                return min(usable, key=lambda file: suffixes.index(file.suffix.lower()))
    return None


def _relative(path: Path, is_video: bool) -> Path:
    """Where the mask of a picture or a video may lie in a folder of masks."""
    place = path.relative_to(path.parents[min(1, len(path.parents) - 1)])
    return place if is_video else place.with_suffix(".png")


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


def _named(name: str, table: Path, pictures: Mapping[Path, Path]) -> Path | None:
    """The picture that a file of boxes names, of those by their whole paths; None if it names none."""
    place = (table.parent / name).resolve()
    if place in pictures:
        return pictures[place]
    parts = Path(name).parts
    ending = [picture for picture in pictures.values() if picture.parts[-len(parts) :] == parts]
    if len(ending) > 1:
        raise UsageError(f"{name} in {table} may be {ending[0]} or {ending[1]}: give its path from the table's folder")
    return ending[0] if ending else None
