"""The folder in which XLA keeps what it has compiled, and whether that is whole.

XLA runs what it reads there: of a file in which a bit has changed it may run a program that gives other numbers. So a
file beside each program has its SHA-256, and what has none that fits is removed before XLA reads anything. XLA itself
removes nothing, so that what was used longest ago is removed here, too.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from live_gradcam.compiling.kept_files import UsedFile, is_abandoned, too_many

#: How much is kept in all, in bytes: the programs that were read last. A network takes about 5 MB. All are looked at at
#: each start, a GiB in 0.7 s.
MOST_BYTES = 256 << 20

_SUFFIX = ".pb"
#: What XLA calls a program while it writes it.
_UNFINISHED = ".tmp"
#: More than any program takes, in bytes: where there is less room, XLA fails at compiling.
_ROOM = 32 << 20


def hold_room(folder: Path) -> IO[bytes] | None:
    """Room on the disk for XLA's programs, held by a file that has no name and ends with the process.

    Returns:
        The file, whose closing gives the room back; None where XLA cannot write into the folder. On a disk that holds
        nothing, the file is empty.
    """
    try:
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # it stays open
    except OSError:
        return None
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, _ROOM)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            file.close()
            return None
    return file


def remove_damaged(folder: Path) -> None:
    """Remove the programs that are not what they were when they were vouched for, or never were."""
    for program in _programs(folder):
        with suppress(OSError):  # another process may have removed it
            if not _has_voucher(program):
                remove(program)


def are_new(folder: Path) -> bool:
    """Whether there are programs for which nobody has vouched."""
    return next(_new_programs(folder), None) is not None


def vouch(folder: Path) -> None:
    """Vouch for the programs that are new. What cannot be written is compiled again at the next start."""
    for program in _new_programs(folder):
        voucher = _voucher(program)
        part = voucher.with_suffix(f".{os.getpid()}.part")
        try:
            part.write_text(_digest(program), "ascii")
            os.replace(part, voucher)
        except OSError:
            part.unlink(missing_ok=True)


def remove_new(folder: Path) -> None:
    """Remove the programs for which nobody has vouched."""
    for program in _new_programs(folder):
        with suppress(OSError):  # it is not used, as nobody vouches for it
            remove(program)


def make_room(folders: Iterable[Path], *, most_bytes: int = MOST_BYTES) -> None:
    """Remove the programs that were read longest ago, as far as there are too many in all folders together.

    Where the disk does not note when a file is read, these are the oldest ones. What was never finished goes, too.
    """
    found = []
    for path in [path for folder in folders for path in folder.glob("*")]:
        with suppress(OSError):  # another process may have removed it
            status = path.stat()
            if path.suffix == _SUFFIX:
                found.append(UsedFile(max(status.st_atime, status.st_mtime), status.st_size, path))
            elif path.suffix == _UNFINISHED and is_abandoned(status):
                path.unlink()
    for program in too_many(found, most_bytes):
        with suppress(OSError):
            remove(program)


def remove_all(folder: Path) -> bool:
    """Remove all programs. Returns whether there were any."""
    programs = list(_programs(folder))
    for program in programs:
        remove(program)
    return bool(programs)


def remove_unfinished(folder: Path) -> None:
    """Remove the programs that XLA could not write to their end in this process, which has failed at one."""
    for part in folder.glob(f"*-{os.getpid()}-*{_UNFINISHED}"):
        part.unlink(missing_ok=True)


def remove(program: Path) -> None:
    """Remove a program."""
    program.unlink(missing_ok=True)
    _voucher(program).unlink(missing_ok=True)


def _programs(folder: Path) -> Iterator[Path]:
    yield from folder.glob(f"*{_SUFFIX}")


def _new_programs(folder: Path) -> Iterator[Path]:
    return (program for program in _programs(folder) if not _voucher(program).exists())


def _voucher(program: Path) -> Path:
    return program.with_suffix(".sha256")


def _has_voucher(program: Path) -> bool:
    voucher = _voucher(program)
    return voucher.exists() and voucher.read_text("ascii", errors="replace") == _digest(program)


def _digest(program: Path) -> str:
    """Its SHA-256. That it is read for that is no use of it."""
    status = program.stat()
    digest = hashlib.sha256(program.read_bytes()).hexdigest()
    with suppress(OSError):  # it is not ours to change
        os.utime(program, ns=(status.st_atime_ns, status.st_mtime_ns))
    return digest
