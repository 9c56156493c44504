"""What the user names as examples, as a list of files with what each shows: of folders, and of pairs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from live_gradcam.errors import SourceError, UsageError
from live_gradcam.files import RESULT, part_path
from live_gradcam.fitting.dataset import HIDDEN, LeftOut, Part
from live_gradcam.fitting.examples import are_examples
from live_gradcam.fitting.masks import holds_masks
from live_gradcam.fitting.report.options import is_report
from live_gradcam.networks.class_names import class_name

#: What a folder may be called that holds a part, in small letters.
_PARTS: Mapping[str, Part] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
#: Folders that archives of macOS bring; their files are called like pictures, and are none.
_OF_ARCHIVES = "__MACOSX"
_UNFINISHED = part_path(Path("x")).suffix


@dataclass(frozen=True)
class Listed:
    """A file, and what it shows.

    Attributes:
        path: a picture or a video.
        shows: of "classes" one name, of "labels" the names that hold, of "values" the number.
        group: what belongs together.
        part: what it is for.
    """

    path: Path
    shows: tuple[str, ...] | float
    group: str
    part: Part = "train"


@dataclass
class Listing:
    """Files with what they show, and those that are left out."""

    files: list[Listed] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    def leave_out(self, path: Path, why: str) -> None:
        """Take note of a file or folder that is not used."""
        self.left_out.append(LeftOut(path, why))


def list_folder(folder: Path) -> Listing:
    """The files of FOLDER/class/*, or of FOLDER/{train,val,test}/class/*.

    The files of a folder within a class's are one group; of several classes' folders those with one name are.

    Raises:
        SourceError: there is no such folder, or it cannot be read.
        UsageError: two folders differ in case alone.
    """
    if not folder.exists():
        raise SourceError(f"there is no folder {folder}")
    if not folder.is_dir():
        raise SourceError(f"{folder} is a file: give a folder that has a folder for each class")
    listing = Listing()
    folders = _folders_in(folder, listing)
    if folders and all(_PARTS.get(one.name.casefold()) for one in folders):
        parts: dict[Part, Path] = {}
        for one in folders:
            part = _PARTS[one.name.casefold()]
            if part in parts:
                raise UsageError(f"{parts[part]} and {one} are for the same thing: put the pictures into one of them")
            parts[part] = one
        for part, one in parts.items():
            _list_classes(_folders_in(one, listing), part, listing)
    else:
        _list_classes(folders, "train", listing)
    return listing


def list_pairs(pairs: Mapping[str | Path, str]) -> Listing:
    """The files of `{video: class}`; a picture, or a folder of pictures and videos, will do as well.

    Raises:
        SourceError: one of them is not there.
    """
    listing = Listing()
    for given, name in pairs.items():
        path = Path(given)
        if not path.exists():
            raise SourceError(f"there is no file {path}")
        shows = (_checked_name(name, path),)
        files = _files_under(path, listing, ()) if path.is_dir() else [path]
        listing.files += [Listed(file, shows, str(file)) for file in files]
    return listing


def _list_classes(folders: list[Path], part: Part, listing: Listing) -> None:
    names: dict[str, Path] = {}
    for folder in folders:
        name = _checked_name(folder.name, folder)
        other = names.setdefault(name.casefold(), folder)
        if other is not folder:
            raise UsageError(f"the folders {other} and {folder} differ in case alone: give one of them another name")
        files = list(_files_under(folder, listing, ()))
        if not files:
            is_hidden = any(one.why == HIDDEN and folder in one.path.parents for one in listing.left_out)
            listing.leave_out(folder, "all files in it are hidden" if is_hidden else "an empty folder")
        for file in files:
            first, *rest = file.relative_to(folder).parts
            listing.files.append(Listed(file, (name,), f"folder {first}" if rest else str(file), part))


def _checked_name(name: str, path: Path) -> str:
    """A class's name as it is kept.

    Raises:
        UsageError: it is none.
    """
    kept = class_name(name)
    if kept is None:
        raise UsageError(
            f"the class {name!r} of {str(path)!r} has no name that can be shown: give it another name, such as 'cup'"
        )
    return kept


def _folders_in(folder: Path, listing: Listing) -> list[Path]:
    """The folders of classes, or of parts, in a folder. What else is there is left out."""
    found = []
    for path in _entries(folder, listing):
        if not path.is_dir():
            listing.leave_out(path, "not in a class's folder")
        elif not holds_masks(path):
            found.append(path)
    return found


def _files_under(folder: Path, listing: Listing, above: tuple[Path, ...]) -> Iterator[Path]:
    """All files in a folder and in those within it, by name."""
    above = (*above, folder.resolve())
    for path in _entries(folder, listing):
        if not path.is_dir():
            yield path
        elif path.resolve() in above:
            listing.leave_out(path, "a link to a folder above it")
        elif not holds_masks(path):
            yield from _files_under(path, listing, above)


def _entries(folder: Path, listing: Listing) -> list[Path]:
    """What is in a folder, by name, without what is hidden, links to nowhere, and what is ours or not finished."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        listing.leave_out(folder, f"cannot be read: {error.strerror}")
        return []
    kept = []
    for path in (folder / name for name in names):
        if path.name.startswith("."):
            listing.leave_out(path, HIDDEN)
        elif path.name == _OF_ARCHIVES:
            listing.leave_out(path, "left by an archive of macOS")
        elif not path.exists():
            listing.leave_out(path, "a link to nowhere")
        elif path.suffix == _UNFINISHED:
            listing.leave_out(path, "an unfinished file")
        elif path.stem.endswith(RESULT) or is_report(path) or are_examples(path):
            listing.leave_out(path, "made by live-gradcam")
        else:
            kept.append(path)
    return kept
