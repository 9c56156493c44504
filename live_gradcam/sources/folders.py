"""From what the user names to the files that are meant."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from live_gradcam.errors import SourceError
from live_gradcam.files import part_path, reading
from live_gradcam.sources.kinds import Kind, kind_of

_log = logging.getLogger(__name__)

_NAMED = 3
_UNFINISHED = part_path(Path("x")).suffix


@dataclass
class Folder:
    """What is in a folder, by what it is; each list by name.

    Attributes:
        path: the folder.
        videos: by their endings or their content.
        pictures: likewise.
        ours: what we have written there.
        unfinished: what is still being written, or was left when that was cut short.
        hidden: what begins with a dot.
        folders: which are not gone into.
        others: all the rest.
    """

    path: Path
    videos: list[Path] = field(default_factory=list)
    pictures: list[Path] = field(default_factory=list)
    ours: list[Path] = field(default_factory=list)
    unfinished: list[Path] = field(default_factory=list)
    hidden: list[Path] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)

    def take(self, taken: list[Path], kind: str) -> list[Path]:
        """Some of the folder's files; the others are counted, and named in the log.

        Args:
            taken: one of the lists.
            kind: what its files are called.

        Raises:
            SourceError: there are none.
        """
        left_out = self._describe_all_but(taken)
        if not taken:
            others = f": only {left_out}" if left_out else ""
            remedy = f". Give its folders: {self.path}{os.sep}*{os.sep}" if self.folders else ""
            raise SourceError(f"the folder {self.path} has no {kind} in it{others}{remedy}")
        if left_out:
            _log.warning("not used from the folder %s: %s", self.path, left_out)
        return taken

    def _describe_all_but(self, taken: list[Path]) -> str:
        """What else is in the folder, with numbers."""
        kinds = {
            "video": self.videos,
            "picture": self.pictures,
            "earlier result": self.ours,
            "unfinished file": self.unfinished,
            "hidden file": self.hidden,
            "folder": self.folders,
            "other file": self.others,
        }
        return "; ".join(_counted(kind, paths) for kind, paths in kinds.items() if paths and paths is not taken)


def look_into(folder: Path, is_ours: Callable[[Path], bool]) -> Folder:
    """What is in a folder.

    Args:
        folder: which.
        is_ours: whether a file or a folder in it is one that we have written.

    Raises:
        SourceError: the folder cannot be read.
    """
    found = Folder(folder)
    kinds = {Kind.VIDEO: found.videos, Kind.PICTURE: found.pictures, Kind.OTHER: found.others}
    with reading(folder):
        paths = sorted(folder.iterdir())
    for path in paths:
        if path.name.startswith("."):
            kind = found.hidden
        elif path.suffix == _UNFINISHED:
            kind = found.unfinished
        elif is_ours(path):
            kind = found.ours
        elif os.path.isdir(path):
            kind = found.folders
        else:
            kind = kinds[kind_of(path)]
        kind.append(path)
    return found


def check_exists(source: Path, called: str) -> None:
    """Make sure that a source is there.

    Raises:
        SourceError: there is no such file, which is `called` so, or nobody can know it.
    """
    with reading(source):
        try:
            source.stat()
        except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # no name has a null character in it
            raise SourceError(f"there is no {called} {source}") from error


def check_is_file(path: Path) -> None:
    """Make sure that a path that is there is no pipe and no device, which would be waited for.

    Raises:
        SourceError: it is one.
    """
    if not path.is_file():
        raise SourceError(f"cannot read {path}: it is not a file")


def listed(paths: list[Path]) -> str:
    """The names of some files: "a.png, b.png, c.png, …"."""
    return ", ".join([*(path.name for path in paths[:_NAMED]), *["…"] * (len(paths) > _NAMED)])


def _counted(kind: str, paths: list[Path]) -> str:
    """A number of files, with the names of some: "5 pictures (a.png, b.png, c.png, …)"."""
    return f"{len(paths)} {kind}{'s' * (len(paths) > 1)} ({listed(paths)})"
