"""Output files: refused before the work begins where they cannot be, and whole or not there when it ends."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from live_gradcam.errors import OutputError


def check_output(path: str | Path, *, overwrite: bool) -> Path:
    """Make sure that a file can be written, making its folder where that is missing.

    Raises:
        OutputError: it exists and may not be overwritten, is a folder, or its folder cannot be made or written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise OutputError(f"{path} is a folder: give a file name")
        if path.exists() and not overwrite:
            raise OutputError(f"{path} exists already: give another name, or --overwrite to replace it")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {path}: no permission to write in {path.parent}")
    return path


def part_path(path: Path) -> Path:
    """Where a file grows until it is finished."""
    return path.with_name(f"{path.name}.part")


def timestamped_name(suffix: str) -> str:
    """A file name of now, down to the millisecond: live-gradcam-20261124-154210-123."""
    return f"live-gradcam-{datetime.now():%Y%m%d-%H%M%S-%f}"[:-3] + suffix
