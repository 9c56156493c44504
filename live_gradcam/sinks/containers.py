"""Kinds of files that PyAV writes, and what they carry."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from live_gradcam.files import part_path


@dataclass(frozen=True)
class Container:
    """A kind of file.

    Attributes:
        format: FFmpeg's name of it.
        audio: FFmpeg's names of the sound that it carries and players know; None for any.
        audio_encoder: what other sound is made.
        subtitles: likewise for subtitles.
        subtitle_encoder: what other subtitles of text are made.
        tick: the shortest time that it can express, in seconds; None if that is short enough for all.
        from_zero: whether it has no times before 0, so that all streams would be shifted for one that has.
    """

    format: str
    audio: frozenset[str] | None = frozenset()
    audio_encoder: str | None = None
    subtitles: frozenset[str] = frozenset()
    subtitle_encoder: str | None = None
    tick: Fraction | None = None
    from_zero: bool = False


_MP4 = Container(
    "mp4",
    frozenset({"aac", "mp3", "mp3float", "opus", "libopus", "flac", "ac3", "eac3", "alac"}),
    "aac",
    frozenset({"mov_text", "dvdsub", "dvd_subtitle"}),
    "mov_text",
)
#: By the ending of the file's name.
CONTAINERS: dict[str, Container] = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mkv": Container(
        "matroska",
        None,
        "aac",
        frozenset({"subrip", "srt", "ass", "ssa", "webvtt", "text", "pgssub", "hdmv_pgs_subtitle", "dvdsub", "dvbsub"}),
        "subrip",
        Fraction(1, 1000),
        from_zero=True,
    ),
    ".webm": Container(
        "webm",
        frozenset({"opus", "libopus", "vorbis", "libvorbis"}),
        "libopus",
        frozenset({"webvtt"}),
        "webvtt",
        Fraction(1, 1000),
        from_zero=True,
    ),
    ".gif": Container("gif", tick=Fraction(1, 100)),
}


def container_of(path: Path) -> Container:
    """The kind of a file, by its name, whose ending is one of `CONTAINERS`."""
    return CONTAINERS[path.suffix.lower()]


def open_container(path: Path, time_base: Fraction, options: Mapping[str, str] | None = None) -> Any:
    """FFmpeg's container for a file that grows as `NAME.part`.

    Args:
        path: the file; its ending says of which kind.
        time_base: of its pictures, in seconds.
        options: for MP4; by default its index is moved to its beginning when it is finished.
    """
    kind = container_of(path).format
    if kind == "mp4":
        options = {"movie_timescale": _movie_timescale(time_base), **(options or {"movflags": "+faststart"})}
    elif kind in ("matroska", "webm"):
        options = {"write_crc32": "0", **(options or {})}  # what is said of a file that is cut short is put in later
    return av.open(
        str(part_path(path).absolute()),  # FFmpeg takes a relative "12:30.mp4" for a protocol
        "w",
        format=kind,
        options=dict(options or {}),
    )


def _movie_timescale(time_base: Fraction) -> str:
    """Ticks per second in which MP4 says when its streams begin, so that a first frame after 0 keeps its exact time."""
    return str(time_base.denominator * math.ceil(1000 / time_base.denominator))
