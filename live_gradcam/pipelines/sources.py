"""From what the user names to the files that are meant."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from live_gradcam.errors import SourceError


def files_of(
    source: Path, suffixes: Collection[str], *, is_ours: Callable[[Path], bool], called: str, kind: str
) -> list[Path]:
    """A file itself; of a folder, those of some kind, by name, without what we have written there.

    Args:
        source: the file or folder.
        suffixes: of a folder's files, in lower case.
        is_ours: whether a folder's file is one that we have written.
        called: what a file is called that does not exist.
        kind: what a folder's files are called.

    Raises:
        SourceError: it does not exist, or the folder has no such files.
    """
    if not source.exists():
        raise SourceError(f"there is no {called} {source}")
    if not source.is_dir():
        return [source]
    files = sorted(path for path in source.iterdir() if path.suffix.lower() in suffixes and not is_ours(path))
    if not files:
        raise SourceError(f"the folder {source} has no {kind} in it")
    return files
