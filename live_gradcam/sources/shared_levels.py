"""One choice of black and white for several pictures, by the values of all: so their brightness can be compared."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import reduce
from pathlib import Path

from live_gradcam.errors import LiveGradcamError
from live_gradcam.sources.image import may_need_levels, read_pixels
from live_gradcam.sources.levels import Extent, Levels

_log = logging.getLogger(__name__)


def shared_levels(files: Sequence[Path], on_file: Callable[[int, int], None] | None = None) -> Levels | None:
    """Which values are black and white in all of some pictures: by the most bits that any of them needs.

    They are for those pictures alone that need levels. Of whole numbers and fractions it is the whole numbers that
    share them. What is a guess is said in the log, in one line for all.

    Args:
        files: the pictures. Those that may need levels are read; what cannot be read is left out.
        on_file: called after each picture that is read: (read, to be read).

    Returns:
        None where no picture needs any.
    """
    found = extents_of(files, on_file)
    found = [(file, extent) for file, extent in found if extent.is_whole] or found
    if not found:
        return None
    extent = reduce(Extent.with_, (extent for _, extent in found))
    if not extent.is_plain:
        _log.warning("%s %s", f"{found[0][0]} has" if len(found) == 1 else f"{len(found)} pictures have", extent)
    return replace(extent.levels, of="whole" if extent.is_whole else "fractions")


def extents_of(files: Sequence[Path], on_file: Callable[[int, int], None] | None = None) -> list[tuple[Path, Extent]]:
    """The values of each picture that needs levels. See `shared_levels`."""
    deep = [file for file in files if may_need_levels(file)]
    found = []
    with ThreadPoolExecutor(max(1, os.cpu_count() or 1)) as readers:
        for number, (file, extent) in enumerate(zip(deep, readers.map(_extent_of, deep), strict=True), 1):
            if extent is not None:
                found.append((file, extent))
            if on_file is not None:
                on_file(number, len(deep))
    return found


def _extent_of(file: Path) -> Extent | None:
    try:
        pixels = read_pixels(file)
    except (LiveGradcamError, MemoryError):
        return None
    return Extent.of(pixels.values) if pixels.need_levels else None
