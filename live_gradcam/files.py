"""Output files: refused before the work begins where they cannot be, and whole or not there when it ends."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import platformdirs

from live_gradcam.errors import OutputError, SourceError

#: What the name of a result has after that of its source: holiday-gradcam.mp4. In a folder, such files are no sources.
RESULT = "-gradcam"
#: How much of each end of a file its fingerprint is of, in bytes.
_ENDS = 1 << 20


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """What the system says while a file or a folder is read, as one line about it.

    Raises:
        SourceError: in its place.
    """
    try:
        yield
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error


@contextmanager
def writing(path: str | Path, *others: type[Exception]) -> Iterator[None]:
    """What the system, or an error of one of the other kinds, says while a file is written, as one line about the file.

    Raises:
        OutputError: in place of any of these.
    """
    kinds: tuple[type[Exception], ...] = (OSError, *others)
    try:
        yield
    except kinds as error:
        raise OutputError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from error


def check_output(path: str | Path, *, overwrite: bool, folder: bool = False) -> Path:
    """Make sure that a file, or a folder of files, can be written, making the folder that it is in where it is missing.

    Raises:
        OutputError: it exists and may not be overwritten, is a folder, or its folder cannot be made or written.
    """
    path = Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir() and not folder:
            raise OutputError(f"{path} is a folder: give a file name")
        if path.exists() and not overwrite:
            raise OutputError(f"{path} exists already: give another name, or --overwrite to replace it")
        with suppress(FileNotFoundError):
            part_path(path).stat()  # whose name may be too long, where that of the file is not
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {path}: no permission to write in {path.parent}")
    return path


def identity(path: Path) -> tuple[int, int] | None:
    """What a file or folder is, whatever its name; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def is_same_file(path: Path, other: Path) -> bool:
    """Whether two paths are of one file, which need not be there yet."""
    return (identity(path) or os.path.realpath(path)) == (identity(other) or os.path.realpath(other))


def check_replaces_no_source(path: Path, own: Path | None, sources: Mapping[tuple[int, int] | None, Path]) -> None:
    """Make sure that a file to write is not one that is read.

    Args:
        path: the file to write.
        own: the source that it is made of; None for one that is no file.
        sources: all of them, by their `identity`.

    Raises:
        OutputError: it is one of them.
    """
    source = sources.get(identity(path))
    if source is not None and source == own:
        raise OutputError(f"{path} is the source itself: choose another name with -o")
    if source is not None:
        raise OutputError(f"{path} is another source: choose another name with -o")


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Keep every other process of this user from writing the same file or folder meanwhile.

    A process that is killed keeps nothing. Where the cache folder cannot be written, nobody is kept.

    Raises:
        OutputError: another process is writing it.
    """
    from filelock import FileLock, Timeout

    name = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:32]
    lock = FileLock(cache_folder() / "writing" / f"{name}.lock", timeout=0, thread_local=False)
    is_held = False
    with suppress(OSError):
        try:
            Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
            is_held = True
        except Timeout:
            raise OutputError(
                f"{path} is being written by another process: wait until it is done, or give another name"
            ) from None
    try:
        yield
    finally:
        if is_held:
            with suppress(OSError):
                Path(lock.lock_file).unlink()  # while it is held: nobody else can have it
            lock.release()


def part_path(path: Path) -> Path:
    """Where a file grows until it is finished."""
    return path.with_name(f"{path.name}.part")


def keep_part_of_before(path: Path) -> Path | None:
    """Rename what is at `part_path(path)`, where a process was killed that wrote it: r.mp4.part to r-unfinished.mp4.

    Returns:
        Its new name, which is free; None if there is nothing, or only an empty file.

    Raises:
        OSError: it cannot be renamed.
    """
    part = part_path(path)
    if not part.is_file() or part.stat().st_size == 0:
        return None
    numbers = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
    names = (path.with_name(f"{path.stem}-unfinished{number}{path.suffix}") for number in numbers)
    kept = next(name for name in names if not name.exists())
    os.replace(part, kept)
    return kept


def publish(path: Path) -> None:
    """Give what grew at `part_path(path)` its name: on the disk first, so that not even a power cut leaves less of it.

    Args:
        path: the file, or the folder of files, which replaces one of the same name.

    Raises:
        OSError: it cannot be written or replaced.
    """
    part = part_path(path)
    for file in (part, *part.rglob("*")) if part.is_dir() else (part,):
        _to_disk(file)
    if part.is_dir() and path.exists():
        _exchange(part, path)
    else:
        os.replace(part, path)
    if os.name == "posix":
        _to_disk(path.absolute().parent)


def _exchange(part: Path, path: Path) -> None:
    """Put a folder in the place of what is there: it cannot replace a folder that is not empty."""
    aside = Path(tempfile.mkdtemp(prefix=".live-gradcam-", suffix=".old", dir=path.absolute().parent))
    try:
        os.replace(path, aside / path.name)
        os.replace(part, path)
    except OSError:
        with suppress(OSError):
            os.replace(aside / path.name, path)
        with suppress(OSError):
            aside.rmdir()
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _to_disk(path: Path) -> None:
    """Have the system write what it holds of a file or a folder's list."""
    if path.is_dir() and os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, all of it or nothing. A link, a device or a pipe is written to as it is.

    Raises:
        OutputError: it cannot be written.
    """
    with writing(path):
        if path.is_symlink() or (path.exists() and not path.is_file()):
            path.write_bytes(content)
            return
        try:
            part_path(path).write_bytes(content)
            publish(path)
        finally:
            remove_part(path)


def remove_part(path: Path) -> None:
    """Remove what grew at `part_path(path)`, if anything did."""
    part = part_path(path)
    if part.is_dir() and not part.is_symlink():
        shutil.rmtree(part, ignore_errors=True)
    else:
        with suppress(OSError):
            part.unlink()


def timestamped_name(suffix: str) -> str:
    """A file name of now, down to the millisecond: live-gradcam-20261124-154210-123."""
    return f"live-gradcam-{datetime.now():%Y%m%d-%H%M%S-%f}"[:-3] + suffix


def can_be_written(folder: Path) -> bool:
    """Whether files can be made in a folder, which may not be there yet."""
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    return existing.is_dir() and os.access(existing, os.W_OK)


def cache_folder() -> Path:
    """Where timings and compiled programs are kept for the next start: the user's cache folder.

    Of a user without a home, as in some containers, it is one that cannot be made: others may write in any other place.
    """
    try:
        return Path(platformdirs.user_cache_dir("live-gradcam", appauthor=False))
    except RuntimeError:
        return Path(os.devnull, "live-gradcam")


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write what is kept for the next start, all of it or nothing: others may read it meanwhile.

    Raises:
        OSError: it cannot be written.
    """
    part = path.with_suffix(f".{os.getpid()}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        part.write_text(json.dumps(content, indent=1), encoding="utf-8")
        os.replace(part, path)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise


def fingerprint(path: Path) -> str:
    """What changes when a file's content does: its size, and SHA-256 of its first and its last MiB."""
    digest = hashlib.sha256()
    size = path.stat().st_size
    with path.open("rb") as file:
        digest.update(file.read(_ENDS))
        file.seek(max(0, size - _ENDS))
        digest.update(file.read(_ENDS))
    return f"{size} {digest.hexdigest()}"
