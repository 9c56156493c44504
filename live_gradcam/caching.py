"""What is kept of earlier starts in the user's cache folder: how much it is, and removing it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from live_gradcam.compiling import kept_files, xla_programs
from live_gradcam.compiling.kept_files import KeptFile, KeptFiles, programs_folder
from live_gradcam.compiling.runtime import compiled_folders
from live_gradcam.files import cache_folder

SCHEMA = 1
#: The name of what cannot be read.
DAMAGED = "damaged"


@dataclass(frozen=True)
class CacheEntry:
    """Programs that belong together.

    Attributes:
        name: of the network, or `DAMAGED`; of XLA's programs "all networks", as they do not say which they are of.
        engine: what runs them; empty for what all engines share, and for what cannot be read.
        files: how many there are.
        size: in bytes.
    """

    name: str
    engine: str
    files: int
    size: int


@dataclass(frozen=True)
class CacheContents:
    """What is kept for the next start.

    Attributes:
        folder: where it is.
        entries: the networks of each engine by name, then what XLA keeps.
        most_of_networks: how much is kept of them at most, in bytes.
        most_of_xla: likewise of what XLA keeps.
    """

    folder: Path
    entries: tuple[CacheEntry, ...]
    most_of_networks: int = kept_files.MOST_BYTES
    most_of_xla: int = xla_programs.MOST_BYTES

    @property
    def size(self) -> int:
        """Of all entries, in bytes."""
        return sum(entry.size for entry in self.entries)

    def to_json(self) -> dict[str, Any]:
        """`folder`, `size`, and `entries`: [{`name`, `engine`, `files`, `size`}]. Sizes are in bytes."""
        return {
            "schema": SCHEMA,
            "folder": str(self.folder),
            "size": self.size,
            "entries": [vars(entry).copy() for entry in self.entries],
        }


def cache_contents() -> CacheContents:
    """Look at the programs that are kept for the next start. Does not import TensorFlow."""
    return CacheContents(cache_folder(), (*_of_engines(), *_of_xla()))


def clear_cache() -> int:
    """Remove the programs that are kept for the next start, which then compiles again. Others may be running.

    Timings, and the features of pictures that were fitted on, stay.

    Returns:
        How many bytes were removed.
    """
    removed = 0
    for folder in (programs_folder(), *compiled_folders()):
        for path in _files(folder):
            with suppress(OSError):  # it is gone already, or is not ours to remove
                size = path.stat().st_size
                path.unlink()
                removed += size
        with suppress(OSError):
            folder.rmdir()
    return removed


def _of_engines() -> Iterator[CacheEntry]:
    found = sorted(KeptFiles().files(), key=_belongs_to)
    for (name, engine), files in groupby(found, key=_belongs_to):
        sizes = [one.size for one in files]
        yield CacheEntry(name, engine, len(sizes), sum(sizes))


def _belongs_to(file: KeptFile) -> tuple[str, str]:
    network = file.key.get("network", {})
    return str(network.get("model", DAMAGED)), str(network.get("engine", ""))


def _of_xla() -> Iterator[CacheEntry]:
    sizes = []
    for folder in compiled_folders():
        for path in _files(folder):
            with suppress(OSError):
                sizes.append(path.stat().st_size)
    if sizes:
        yield CacheEntry("all networks", "xla", len(sizes), sum(sizes))


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*") if path.is_file()] if folder.is_dir() else []
