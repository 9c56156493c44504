"""Still pictures as a video: one, or a numbered sequence."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from functools import cached_property, lru_cache, reduce
from pathlib import Path

import numpy as np

from live_gradcam.errors import LiveGradcamError, SourceError
from live_gradcam.files import reading
from live_gradcam.sources.folders import listed
from live_gradcam.sources.frame import Frame
from live_gradcam.sources.image import check_picture, read_pixels
from live_gradcam.sources.kinds import Kind, kind_of
from live_gradcam.sources.levels import Extent, Levels
from live_gradcam.sources.loss import Loss
from live_gradcam.sources.options import SourceOptions
from live_gradcam.sources.shared_levels import extents_of
from live_gradcam.sources.source import OnPacket, Recording

_NUMBER = re.compile(r"%0?\d*d")
#: What a shell puts names in the place of, which quotes keep it from.
_WILDCARD = re.compile(r"[*?]")


class PictureReader(Recording):
    """Pictures, read like the frames of a video.

    Args:
        path: one picture, a folder of pictures, which come by name, or a pattern such as `shots/%04d.png`, whose
            pictures come by number.
        frame_rate: pictures per second.
        levels: which values are black and white; None for what the files say, or else what the values of all of them
            are like: one choice for all, so that the brightness does not jump.

    Attributes:
        path: as it was given.

    Raises:
        SourceError: there are no such pictures, or a package is missing that reads one of them.
    """

    def __init__(self, path: str | Path, frame_rate: Fraction, levels: Levels | None = None) -> None:
        self.path = Path(path)
        self.name = str(path)
        self._files, videos = _find(self.path)
        for file in self._files:
            check_picture(file)
        self._levels = levels
        self.notes: list[str] = []
        if videos:
            self._say(f"{path} has videos too, which are not used: {listed(videos)}")
        self.frame_rate = frame_rate
        self.time_base = 1 / frame_rate
        self.expected_frames = len(self._files)
        self.duration = float(len(self._files) / frame_rate)

    def frames(
        self, *, start: Fraction | None = None, end: Fraction | None = None, on_packet: OnPacket | None = None
    ) -> Iterator[Frame]:
        """Read the pictures, each at its time; one that cannot be read is left out, counted and named."""
        count, unreadable = 0, []
        for number, file in enumerate(self._files):
            pts = number / self.frame_rate
            if (start is not None and pts < start) or (end is not None and pts >= end):
                continue
            try:
                image = self._read(file)
            except LiveGradcamError:
                unreadable.append(file)
                continue
            yield Frame(image, count, pts, time.monotonic())
            count += 1
        self.loss = Loss(len(unreadable), 0.0, pictures=listed(unreadable))

    def _read(self, file: Path) -> np.ndarray:
        pixels = read_pixels(file)
        if pixels.note:
            self._say(f"{file} {pixels.note}")
        if said := pixels.too_light(self._levels):
            self._say(f"{file} {said}")
        if pixels.taken(self._levels) is not None or not pixels.need_levels:
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


@lru_cache(maxsize=4)
def _extent_of(files: tuple[tuple[Path, int], ...]) -> Extent:
    """The values of all pictures that need levels, of which there is one. Reads them all, once for a time of change."""
    return reduce(Extent.with_, (extent for _, extent in extents_of([file for file, _ in files])))


def _changed(file: Path) -> int:
    with suppress(OSError):
        return file.stat().st_mtime_ns
    return 0


class _Pictures:
    """Opens pictures."""

    is_live = False

    def matches(self, uri: str) -> bool:
        """Whether it is a picture, a folder or a pattern."""
        return shows_pictures(Path(uri))

    def open(self, uri: str, options: SourceOptions) -> Recording:
        """Open pictures.

        Raises:
            SourceError: there are none, or a package is missing that reads one of them.
        """
        reader = PictureReader(uri, options.picture_fps, options.levels)
        if options.source_fps is not None:
            reader.notes.append(f"{uri} has pictures, which come at --picture-fps, so --source-fps is not used")
        return reader


SOURCE = _Pictures()


def shows_pictures(path: Path) -> bool:
    """Whether a path means a picture, or several, and not a video."""
    return os.path.isdir(path) or is_pattern(path) or kind_of(path) is Kind.PICTURE


def is_pattern(path: Path) -> bool:
    """Whether a path is a pattern for numbered pictures, such as `shots/%04d.png`."""
    return _NUMBER.search(path.name) is not None and not os.path.exists(path)


def pictures_of(path: Path) -> list[Path]:
    """The files that a path means, in order.

    Raises:
        SourceError: there are none.
    """
    return _find(path)[0]


def _find(path: Path) -> tuple[list[Path], list[Path]]:
    """The pictures that a path means, in order, and the videos that are in the same folder, where it is one.

    Raises:
        SourceError: there are no pictures.
    """
    pictures: list[Path] = []
    videos: list[Path] = []
    if os.path.isdir(path):
        kinds = {Kind.PICTURE: pictures, Kind.VIDEO: videos}
        for file in sorted(_list(path)):
            kinds.get(kind_of(file), []).append(file)
    elif is_pattern(path):
        pictures = _numbered(path)
    elif os.path.exists(path):
        pictures = [path]
    if not pictures and videos:
        raise SourceError(f"{path} is a folder of videos: give one of them, such as {videos[0]}")
    if not pictures and _WILDCARD.search(path.name):
        numbered = path.with_name(f"%02d{path.suffix}")
        raise SourceError(
            f"there are no pictures {path}: give the folder {path.parent}, or numbered ones as {numbered}"
        )
    if not pictures:
        raise SourceError(f"there are no pictures {path}")
    return pictures, videos


def _numbered(path: Path) -> list[Path]:
    before, after = _NUMBER.split(path.name, maxsplit=1)
    name = re.compile(rf"{re.escape(before)}(\d+){re.escape(after)}")
    found = [(match, file) for file in _list(path.parent) if (match := name.fullmatch(file.name))]
    return [file for _, file in sorted((int(match[1]), file) for match, file in found)]


def _list(folder: Path) -> list[Path]:
    """The files of a folder, without hidden ones; none of what is no folder.

    Raises:
        SourceError: the folder cannot be read.
    """
    if not os.path.isdir(folder):
        return []
    with reading(folder):
        return [file for file in folder.iterdir() if not file.name.startswith(".") and not os.path.isdir(file)]
