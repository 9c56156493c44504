"""Still pictures as a video: one, or a numbered sequence."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from functools import cached_property, lru_cache, reduce
from pathlib import Path
from typing import Any

import numpy as np

from live_gradcam.errors import LiveGradcamError, SourceError
from live_gradcam.sources.clock import ClockFaults
from live_gradcam.sources.frame import Frame
from live_gradcam.sources.image import check_picture, read_pixels
from live_gradcam.sources.kinds import Kind, kind_of
from live_gradcam.sources.levels import Extent, Levels
from live_gradcam.sources.reader import Loss, OnPacket, VideoReader

_NUMBER = re.compile(r"%0?\d*d")


class PictureReader:
    """Pictures, read like the frames of a `VideoReader`, whose attributes it has.

    Args:
        path: one picture, a folder of pictures, which come by name, or a pattern such as `shots/%04d.png`, whose
            pictures come by number.
        frame_rate: pictures a second.
        levels: which values are black and white; None for what the files say, or else what the values of all of them
            are like: one choice for all, so that the brightness does not jump.

    Attributes:
        notes: what was done, or left out, that its user should know; complete once `frames` has ended.

    Raises:
        SourceError: there are no such pictures, or a package is missing that reads one of them.
    """

    def __init__(self, path: str | Path, frame_rate: Fraction, levels: Levels | None = None) -> None:
        self.path = Path(path)
        self._files = pictures_of(self.path)
        for file in self._files:
            check_picture(file)
        self._levels = levels
        self.notes: list[str] = []
        self.frame_rate = frame_rate
        self.time_base = 1 / frame_rate
        self.expected_frames: int | None = len(self._files)
        self.begin = Fraction(0)
        self.duration: float | None = float(len(self._files) / frame_rate)
        self.others: list[Any] = []
        self.metadata: dict[str, str] = {}
        self.chapters: list[Any] = []
        self.hdr: str | None = None
        self.loss = Loss(0, 0.0)
        self.clock = ClockFaults()

    def frames(
        self, *, start: Fraction | None = None, end: Fraction | None = None, on_packet: OnPacket | None = None
    ) -> Iterator[Frame]:
        """Read the pictures, each at its time; one that cannot be read is left out and counted."""
        count = unreadable = 0
        for number, file in enumerate(self._files):
            pts = number / self.frame_rate
            if (start is not None and pts < start) or (end is not None and pts >= end):
                continue
            try:
                image = self._read(file)
            except LiveGradcamError:
                unreadable += 1
                continue
            yield Frame(image, count, pts, time.monotonic())
            count += 1
        self.loss = Loss(unreadable, 0.0)

    def _read(self, file: Path) -> np.ndarray:
        pixels = read_pixels(file)
        if pixels.note:
            self._say(f"{file} {pixels.note}")
        if self._levels is not None or not pixels.need_levels:
            return pixels.shown(self._levels)
        if not self._extent.is_plain:
            self._say(f"{self.path} has {self._extent}")
        return pixels.shown(self._extent.levels)

    @cached_property
    def _extent(self) -> Extent:
        return _extent_of(tuple((file, _changed(file)) for file in self._files))

    def _say(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def other_packets(self, start: Fraction | None, end: Fraction | None) -> Iterator[Any]:
        """Pictures have no sound."""
        return iter(())

    def key_times(self, start: Fraction | None) -> list[tuple[Fraction, int]] | None:
        """Pictures are not cut: what cannot be read of them is not known before."""
        return None

    def close(self) -> None:
        """Nothing is open."""

    def __enter__(self) -> PictureReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


#: What frames are read from.
Recording = VideoReader | PictureReader


@lru_cache(maxsize=4)
def _extent_of(files: tuple[tuple[Path, int], ...]) -> Extent:
    """The values of all pictures that need levels, of which there is one. Reads them all, once for a time of change."""
    extents = []
    for file, _ in files:
        with suppress(LiveGradcamError):
            pixels = read_pixels(file)
            if pixels.need_levels:
                extents.append(Extent.of(pixels.values))
    return reduce(Extent.with_, extents)


def _changed(file: Path) -> int:
    with suppress(OSError):
        return file.stat().st_mtime_ns
    return 0


def shows_pictures(path: Path) -> bool:
    """Whether a path means a picture, or several, and not a video."""
    return path.is_dir() or is_pattern(path) or kind_of(path) is Kind.PICTURE


def is_pattern(path: Path) -> bool:
    """Whether a path is a pattern for numbered pictures, such as `shots/%04d.png`."""
    return _NUMBER.search(path.name) is not None and not path.exists()


def pictures_of(path: Path) -> list[Path]:
    """The files that a path means, in order.

    Raises:
        SourceError: there are none.
    """
    files: Sequence[Path]
    if path.is_dir():
        files = sorted(file for file in _list(path) if kind_of(file) is Kind.PICTURE)
    elif is_pattern(path):
        files = _numbered(path)
    else:
        files = [path] if path.exists() else []
    if not files:
        raise SourceError(f"there are no pictures {path}")
    return list(files)


def _numbered(path: Path) -> list[Path]:
    before, after = _NUMBER.split(path.name, maxsplit=1)
    name = re.compile(rf"{re.escape(before)}(\d+){re.escape(after)}")
    found = [(match, file) for file in _list(path.parent) if (match := name.fullmatch(file.name))]
    return [file for _, file in sorted((int(match[1]), file) for match, file in found)]


def _list(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [file for file in folder.iterdir() if not file.name.startswith(".") and not file.is_dir()]
