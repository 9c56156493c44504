"""Video files with a codec: H.264, HEVC, AV1 or VP9."""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av

from live_gradcam.errors import OutputError
from live_gradcam.files import part_path, writing
from live_gradcam.sinks.codec import Codec
from live_gradcam.sinks.encoding import Encoding
from live_gradcam.sinks.join import join
from live_gradcam.sinks.sink import NO_EXTRAS, Carried, Companion, Extras, Pictures, Sink
from live_gradcam.sinks.writer import VideoWriter

#: The tag of the statement: a text of any length that MP4, Matroska and WebM all have, and hardly anybody else uses.
_TAG = "synopsis"
#: What follows the statement in a file, so that another one can take its place: of one that was cut short it is longer.
_ROOM = 8 * " "

#: x264 takes 1.5 per processor by itself; where other stages take their turns, some of those wait too often.
_X264_THREADS = 2 * (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
_X26X_PRESETS = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
    "placebo",
)


@dataclass(frozen=True)
class VideoSink(Sink):
    """See `Sink`.

    Attributes:
        codec: of the pictures.
        endings: of the files that carry it, the default first.
    """

    codec: Codec
    endings: tuple[str, ...]
    noun: str = "video"
    joins: bool = True

    def check_quality(self, name: str, crf: int | None, preset: str | None) -> None:
        """Refuse what the codec does not have."""
        self.codec.check_quality(name, crf, preset)

    def open(
        self, path: Path, pictures: Pictures, encoding: Encoding, extras: Extras = NO_EXTRAS, statement: str = ""
    ) -> _OpenVideo:
        """Begin a file."""
        return _OpenVideo(path, pictures, encoding, extras, statement)

    def join(
        self,
        parts: Sequence[Path],
        path: Path,
        time_base: Fraction,
        companion: Companion,
        extras: Extras,
        statement: str,
    ) -> Carried:
        """Put parts together without encoding them again."""
        return join(parts, path, time_base=time_base, companion=companion, extras=_with(extras, statement))

    def read_statement(self, path: Path) -> str | None:
        """It is a tag."""
        try:
            with av.open(str(path.absolute())) as container:
                return next((text.rstrip() for key, text in container.metadata.items() if key.lower() == _TAG), None)
        except (av.error.FFmpegError, OSError, ValueError):
            return None


def _with(extras: Extras, statement: str) -> Extras:
    """The same, with a statement in the place of that of the source."""
    metadata = {key: value for key, value in extras.metadata.items() if key.lower() != _TAG}
    return replace(extras, metadata={**metadata, **({_TAG: statement} if statement else {})})


class _OpenVideo(VideoWriter):
    """A video file that says how it came about, which is written when it begins."""

    def __init__(self, path: Path, pictures: Pictures, encoding: Encoding, extras: Extras, statement: str) -> None:
        self._statement = statement
        self._written = f"{statement}{_ROOM}" if statement else ""
        super().__init__(
            path,
            size=pictures.size,
            frame_rate=pictures.frame_rate,
            time_base=pictures.time_base,
            encoding=encoding,
            extras=_with(extras, self._written),
        )

    def finish(self, statement: str = "") -> None:
        self._statement = statement
        super().finish()

    def _complete(self) -> None:
        super()._complete()
        if self._statement != self._written.removesuffix(_ROOM):
            self._say_otherwise()

    def _say_otherwise(self) -> None:
        """Put the statement in the place of the one that is written. The file may be large and the disk full."""
        written = self._written.encode("utf-8")
        with (
            writing(self.path),
            part_path(self.path).open("r+b") as file,
            mmap.mmap(file.fileno(), 0) as content,
        ):
            place = content.find(written)
            if place < 0:
                raise OutputError(f"cannot write {self.path}: what it says of itself is not found in it")
            content[place : place + len(written)] = self._statement.encode("utf-8").ljust(len(written))


#: Nothing is said of the machine: parts of several fit together.
_X265_PARAMS = "log-level=none:info=0"

H264 = VideoSink(
    Codec(
        "libx264",
        ("h264_nvenc", "h264_qsv", "h264_amf", "h264_videotoolbox", "h264_v4l2m2m"),
        crf=20,
        crf_range=range(52),
        presets=_X26X_PRESETS,
        preset="veryfast",
        options={"threads": str(_X264_THREADS)},
    ),
    (".mp4", ".m4v", ".mkv"),
)
HEVC = VideoSink(
    Codec(
        "libx265",
        ("hevc_nvenc", "hevc_qsv", "hevc_amf", "hevc_videotoolbox", "hevc_v4l2m2m"),
        crf=24,
        crf_range=range(52),
        presets=_X26X_PRESETS,
        preset="veryfast",
        options={"x265-params": _X265_PARAMS},
        narrow_options={"x265-params": f"{_X265_PARAMS}:cutree=0"},  # or x265 writes past its memory
        mp4_tag="hvc1",  # the only one that Apple's players take
        least_side=16,
    ),
    (".mp4", ".m4v", ".mkv"),
)
AV1 = VideoSink(
    Codec(
        "libsvtav1",
        ("av1_nvenc", "av1_qsv", "av1_amf"),
        crf=32,
        crf_range=range(64),
        presets=tuple(str(number) for number in range(14)),
        preset="10",
        most_fps=240,
        least_side=4,
    ),
    (".mp4", ".m4v", ".mkv", ".webm"),
)
VP9 = VideoSink(
    Codec(
        "libvpx-vp9",
        ("vp9_qsv",),
        crf=32,
        crf_range=range(64),
        presets=tuple(str(number) for number in range(9)),
        preset="6",
        preset_option="cpu-used",
        options={"b": "0", "deadline": "good", "row-mt": "1"},
    ),
    (".webm", ".mp4", ".m4v", ".mkv"),
)
