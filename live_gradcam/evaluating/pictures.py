"""What maps are evaluated on: pictures, frames of videos, and the objects in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from live_gradcam.errors import SourceError, UsageError
from live_gradcam.explanations.faithfulness import ObjectBox
from live_gradcam.explanations.object_boxes import read_object_boxes
from live_gradcam.files import RESULT
from live_gradcam.sources.folders import check_exists, check_is_file, look_into
from live_gradcam.sources.image import check_picture, read_image
from live_gradcam.sources.kinds import Kind, kind_of
from live_gradcam.sources.levels import Levels, for_pictures_only
from live_gradcam.sources.opening import is_of_another_package, open_recording
from live_gradcam.sources.pictures import is_pattern, pictures_of
from live_gradcam.sources.playback import noted_frames

Boxes = Mapping[str, Sequence[ObjectBox]]


@dataclass(frozen=True)
class Picture:
    """A picture to evaluate maps on.

    Attributes:
        name: of the file; of a frame, `FILE#INDEX`; of a dataset, `dataset#INDEX`.
        image: uint8 (height, width, 3), BGR.
        truth: the index of the class that it is of; None where nobody says it.
    """

    name: str
    image: np.ndarray
    truth: int | None = None


def plan_sources(sources: Sequence[Path], levels: Levels | None = None) -> list[Path]:
    """The pictures and videos among the sources: files as they are, of folders and patterns their pictures.

    Args:
        sources: the files, folders and patterns.
        levels: what is asked for of pictures: which of their values are black and white.

    Raises:
        SourceError: a source that does not exist, a folder without pictures, or a picture that needs a package to be
            read that is not there.
        UsageError: levels of a video.
    """

    def is_ours(path: Path) -> bool:
        return path.stem.endswith(RESULT)

    files: list[Path] = []
    for source in sources:
        if is_of_another_package(source):
            files.append(source)
            continue
        if is_pattern(source):
            files += pictures_of(source)
            continue
        check_exists(source, "picture")
        if source.is_dir():
            folder = look_into(source, is_ours)
            files += folder.take(folder.pictures, "pictures")
        else:
            check_is_file(source)
            files.append(source)
    for file in files:
        if _is_picture(file):
            check_picture(file)
        elif levels is not None:
            raise for_pictures_only(file)
    return files


def pictures_among(files: Sequence[Path]) -> list[Path]:
    """Those files that are read as pictures."""
    return [file for file in files if _is_picture(file)]


def read_pictures(path: Path, every: int | None, levels: Levels | None = None) -> Iterator[Picture]:
    """A picture, or frames of a video.

    Args:
        path: the file.
        every: of a video, one frame in so many; None for one per second.
        levels: which of a picture's values are black and white; None for what the file and the values say.

    Raises:
        SourceError: the file cannot be read; or, after the frames that can, not to its end.
    """
    if _is_picture(path):
        yield Picture(path.name, read_image(path, levels))
        return
    with open_recording(path) as reader:
        stride = every or max(1, round(reader.frame_rate))
        for frame in noted_frames(reader) if every is None else reader.frames():
            if frame.index % stride == 0:
                yield Picture(f"{path.name}#{frame.index}", frame.image)
        if reader.loss:
            raise SourceError(f"{path} is damaged: {reader.loss}")


def _is_picture(path: Path) -> bool:
    """Whether a file is read as a picture, as all is that is no recording."""
    return not is_of_another_package(path) and kind_of(path) is not Kind.VIDEO


def read_boxes(path: Path, files: Sequence[Path]) -> dict[str, tuple[ObjectBox, ...]]:
    """Read the boxes of objects, by picture.

    Args:
        path: see `read_object_boxes`. A picture is known by its file's name, a frame of a video as `FILE#INDEX`.
        files: the pictures and videos that they are meant for.

    Raises:
        SourceError: the file cannot be read, or has no boxes.
        UsageError: it names none of the pictures, or one of two in different folders that have one name.
    """
    boxes: dict[str, tuple[ObjectBox, ...]] = {}
    as_given: dict[str, str] = {}
    for given, box in read_object_boxes(path):
        name = Path(given).name
        if as_given.setdefault(name, given) != given:
            raise UsageError(
                f"{as_given[name]} and {given} in {path} have one name, by which pictures are told apart here: "
                "evaluate one folder at a time"
            )
        boxes[name] = (*boxes.get(name, ()), box)
    named = {name.partition("#")[0] for name in boxes}
    known: dict[str, Path] = {}
    for file in files:
        if file.name in named and known.setdefault(file.name, file).resolve() != file.resolve():
            raise UsageError(
                f"{known[file.name]} and {file} have one name, by which {path} tells pictures apart: evaluate one "
                "folder at a time"
            )
    if not known:
        raise UsageError(
            f"the boxes file {path} names none of the pictures: give their file names, such as {files[0].name}"
        )
    return boxes
