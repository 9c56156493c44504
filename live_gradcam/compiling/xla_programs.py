"""The folder in which XLA keeps what it has compiled, and whether that is whole.

XLA runs what it reads there: of a file in which a bit has changed it may run a program that gives other numbers. So a
file beside each program has its SHA-256, and what has none that fits is removed before XLA reads anything.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_SUFFIX = ".pb"
#: More than any program takes, in bytes: where there is less room, XLA fails at compiling.
_ROOM = 32 << 20


def has_room(folder: Path) -> bool:
    """Whether XLA can write its programs into a folder."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, _ROOM)
    except OSError as error:
        return error.errno in (errno.EOPNOTSUPP, errno.EINVAL)  # what cannot be known
    return True


def remove_damaged(folder: Path) -> None:
    """Remove the programs that are not what they were when they were vouched for, or never were."""
    for program in _programs(folder):
        with suppress(OSError):  # another process may have removed it
            if not _has_voucher(program):
                remove(program)


def vouch(folder: Path) -> None:
    """Vouch for the programs that are new. What cannot be written is compiled again at the next start."""
    for program in _programs(folder):
        voucher = _voucher(program)
        if not voucher.exists():
            part = voucher.with_suffix(f".{os.getpid()}.part")
            try:
                part.write_text(_digest(program), "ascii")
                os.replace(part, voucher)
            except OSError:
                part.unlink(missing_ok=True)


def remove_all(folder: Path) -> bool:
    """Remove all programs. Returns whether there were any."""
    programs = list(_programs(folder))
    for program in programs:
        remove(program)
    return bool(programs)


def remove(program: Path) -> None:
    """Remove a program."""
    program.unlink(missing_ok=True)
    _voucher(program).unlink(missing_ok=True)


def _programs(folder: Path) -> Iterator[Path]:
    yield from folder.glob(f"*{_SUFFIX}")


def _voucher(program: Path) -> Path:
    return program.with_suffix(".sha256")


def _has_voucher(program: Path) -> bool:
    voucher = _voucher(program)
    return voucher.exists() and voucher.read_text("ascii", errors="replace") == _digest(program)


def _digest(program: Path) -> str:
    return hashlib.sha256(program.read_bytes()).hexdigest()
