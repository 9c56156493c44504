"""Files that are kept for the next start: what is read is whole, unchanged and of what was asked for, or is not there.

A file is a line of what it is and of the SHA-256 of all that follows, a line with its key, and the content. It is
written under another name first: other processes may read and write at the same time. Nothing here fails a run: what
cannot be read is made again, and what cannot be written is not kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from live_gradcam.files import cache_folder

#: What a file is of. By JSON, so only of plain values.
Key = Mapping[str, Any]

_FORMAT = b"live-gradcam kept 1"
_ENDING = ".kept"
#: How much is kept in all, in bytes: the files that were used last.
MOST_BYTES = 1 << 30
#: What was being written for so long, nobody writes any more.
_ABANDONED_SECONDS = 3600.0
#: How much of a file is read to say what it is.
_START = 1 << 16


def programs_folder() -> Path:
    """Where programs are kept for the next start, in the user's cache folder."""
    return cache_folder() / "programs"


@dataclass(frozen=True)
class KeptFile:
    """A file that is kept.

    Attributes:
        path: where it is.
        size: in bytes.
        key: what it is of; empty where it is damaged.
    """

    path: Path
    size: int
    key: Key


class UsedFile(NamedTuple):
    """A file, with the second at which it was used last, and its size in bytes."""

    used: float
    size: int
    path: Path


def is_abandoned(status: os.stat_result) -> bool:
    """Whether nobody writes a file any more that was begun."""
    return time.time() - status.st_mtime > _ABANDONED_SECONDS


def too_many(files: Iterable[UsedFile], most_bytes: int) -> Iterator[Path]:
    """Of files that are too large together, those that were used longest ago, as many as have to go."""
    oldest_first = sorted(files)
    total = sum(file.size for file in oldest_first)
    for file in oldest_first:
        if total <= most_bytes:
            break
        yield file.path
        total -= file.size


class KeptFiles:
    """A folder of files that are kept.

    Args:
        folder: where; None for `programs_folder`.
        most_bytes: how much is kept: where there is more, what was used longest ago is removed.
    """

    def __init__(self, folder: Path | None = None, *, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder or programs_folder()
        self._most_bytes = most_bytes

    def read(self, key: Key) -> memoryview | None:
        """The content of a key; None where it is not kept, damaged, or of another key."""
        path, line = self._path(key), _line(key)
        try:
            data = memoryview(path.read_bytes())
        except (OSError, MemoryError):
            return None
        head = _head(data[len(_FORMAT) + 66 :])
        if data[: len(head)] != head or data[len(head) : len(head) + len(line)] != line:
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):
            os.utime(path)
        return data[len(head) + len(line) :]

    def write(self, key: Key, content: bytes | memoryview) -> None:
        """Keep the content of a key. Where that is not possible, or it is too large, it is not kept."""
        path, line = self._path(key), _line(key)
        if len(line) + len(content) > self._most_bytes:
            return
        part = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.part")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.writelines((_head(line, content), line, content))  # which may be large: it is not copied
            os.replace(part, path)
            self._make_room()
        except OSError:
            with suppress(OSError):
                part.unlink()

    def files(self) -> Iterator[KeptFile]:
        """All that is kept, in no order."""
        for path in sorted(self._folder.glob(f"*{_ENDING}")):
            with suppress(OSError):
                with path.open("rb") as file:
                    start = file.read(_START).split(b"\n", 2)
                yield KeptFile(path, path.stat().st_size, _key_of(start))

    def _make_room(self) -> None:
        """Remove what was used longest ago, as far as there is too much, and what was never finished."""
        found = []
        for path in self._folder.iterdir():
            with suppress(OSError):  # another process may have removed it
                status = path.stat()
                if path.suffix == _ENDING:
                    found.append(UsedFile(status.st_mtime, status.st_size, path))
                elif path.suffix == ".part" and is_abandoned(status):
                    path.unlink()
        for path in too_many(found, self._most_bytes):
            with suppress(OSError):
                path.unlink()

    def _path(self, key: Key) -> Path:
        return self._folder / f"{hashlib.sha256(_line(key)).hexdigest()[:32]}{_ENDING}"


def _line(key: Key) -> bytes:
    return json.dumps(key, sort_keys=True).encode() + b"\n"


def _head(*parts: bytes | memoryview) -> bytes:
    """The first line of a file of this key and content."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return b"%s %s\n" % (_FORMAT, digest.hexdigest().encode())


def _key_of(lines: list[bytes]) -> Key:
    """The key in the first lines of a file; empty where it has none."""
    with suppress(ValueError, IndexError):
        key = json.loads(lines[1])
        if lines[0].startswith(_FORMAT) and isinstance(key, dict):
            return key
    return {}
