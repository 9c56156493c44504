"""What an annotated video can be: codecs, the files that carry them, and how they are encoded."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from live_gradcam.errors import UsageError, did_you_mean

#: x264 takes 1.5 a processor by itself; where other stages take their turns, some of those wait too often.
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
class Codec:
    """A codec for pictures.

    Attributes:
        encoder: FFmpeg's name of the encoder that is always there.
        hardware: encoders of graphics hardware, the likeliest first.
        ending: of files with it, by default; "" for a folder.
        crf: constant rate factor by default, and the range of it; None where there is none. Lower is better and larger.
        presets: from the fastest to the smallest file, or the other way round; empty where there are none.
        preset: the default.
        preset_option: what the encoder calls it.
        options: more for the encoder.
    """

    encoder: str
    ending: str
    hardware: tuple[str, ...] = ()
    crf: int | None = None
    crf_range: range = range(0)
    presets: tuple[str, ...] = ()
    preset: str = ""
    preset_option: str = "preset"
    options: dict[str, str] = field(default_factory=dict)


#: By the name that `--codec` takes.
CODECS: dict[str, Codec] = {
    "h264": Codec(
        "libx264",
        ".mp4",
        ("h264_nvenc", "h264_qsv", "h264_amf", "h264_videotoolbox", "h264_v4l2m2m"),
        crf=20,
        crf_range=range(52),
        presets=_X26X_PRESETS,
        preset="veryfast",
        options={"threads": str(_X264_THREADS)},
    ),
    "hevc": Codec(
        "libx265",
        ".mp4",
        ("hevc_nvenc", "hevc_qsv", "hevc_amf", "hevc_videotoolbox", "hevc_v4l2m2m"),
        crf=24,
        crf_range=range(52),
        presets=_X26X_PRESETS,
        preset="veryfast",
        options={"x265-params": "log-level=none:info=0"},  # nothing of the machine: parts of several fit together
    ),
    "av1": Codec(
        "libsvtav1",
        ".mp4",
        ("av1_nvenc", "av1_qsv", "av1_amf"),
        crf=32,
        crf_range=range(64),
        presets=tuple(str(number) for number in range(14)),
        preset="10",
    ),
    "vp9": Codec(
        "libvpx-vp9",
        ".webm",
        ("vp9_qsv",),
        crf=32,
        crf_range=range(64),
        presets=tuple(str(number) for number in range(9)),
        preset="6",
        preset_option="cpu-used",
        options={"b": "0", "deadline": "good", "row-mt": "1"},
    ),
    "gif": Codec("gif", ".gif"),
    "png": Codec("png", ""),
}


@dataclass(frozen=True)
class Container:
    """A kind of file.

    Attributes:
        format: FFmpeg's name of it.
        codecs: what it carries, by the names of `CODECS`, the default first.
        audio: FFmpeg's names of the sound that it carries and players know; None for any.
        audio_encoder: what other sound is made.
        subtitles: likewise for subtitles.
        subtitle_encoder: what other subtitles of text are made.
        tick: the shortest time that it can tell, in seconds; None where it is as short as need be.
        from_zero: whether it has no times before 0, so that all streams would be shifted for one that has.
    """

    format: str
    codecs: tuple[str, ...]
    audio: frozenset[str] | None = frozenset()
    audio_encoder: str | None = None
    subtitles: frozenset[str] = frozenset()
    subtitle_encoder: str | None = None
    tick: Fraction | None = None
    from_zero: bool = False


_MP4 = Container(
    "mp4",
    ("h264", "hevc", "av1", "vp9"),
    frozenset({"aac", "mp3", "mp3float", "opus", "libopus", "flac", "ac3", "eac3", "alac"}),
    "aac",
    frozenset({"mov_text", "dvdsub", "dvd_subtitle"}),
    "mov_text",
)
#: By the ending of the file's name; "" is a folder of pictures.
CONTAINERS: dict[str, Container] = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mkv": Container(
        "matroska",
        ("h264", "hevc", "av1", "vp9"),
        None,
        "aac",
        frozenset({"subrip", "srt", "ass", "ssa", "webvtt", "text", "pgssub", "hdmv_pgs_subtitle", "dvdsub", "dvbsub"}),
        "subrip",
        Fraction(1, 1000),
        from_zero=True,
    ),
    ".webm": Container(
        "webm",
        ("vp9", "av1"),
        frozenset({"opus", "libopus", "vorbis", "libvorbis"}),
        "libopus",
        frozenset({"webvtt"}),
        "webvtt",
        Fraction(1, 1000),
        from_zero=True,
    ),
    ".gif": Container("gif", ("gif",), tick=Fraction(1, 100)),
    "": Container("", ("png",)),
}


@dataclass(frozen=True)
class Encoding:
    """How pictures are encoded.

    Attributes:
        codec: a key of `CODECS`; None for the default of the file's kind.
        crf: constant rate factor; None for the codec's default. Lower is better and larger.
        preset: of the encoder; None for the codec's default.
        hardware: encode on the graphics hardware, where an encoder opens.

    Raises:
        UsageError: no such codec, or a factor or preset that it does not have.
    """

    codec: str | None = None
    crf: int | None = None
    preset: str | None = None
    hardware: bool = False

    def __post_init__(self) -> None:
        if self.codec is None:
            return
        if self.codec not in CODECS:
            hint = did_you_mean(self.codec, CODECS) or f": use one of {', '.join(CODECS)}"
            raise UsageError(f"there is no codec {self.codec!r}{hint}")
        _check_quality(self.codec, self.crf, self.preset)

    def of_file(self, path: Path) -> Encoding:
        """The same with the codec that a file gets.

        Raises:
            UsageError: a kind of file that is not written, or that does not carry the codec; a factor or preset that
                the codec does not have.
        """
        container = container_of(path, self.codec)
        codec = self.codec or container.codecs[0]
        if codec not in container.codecs:
            carried = " or ".join(container.codecs)
            raise UsageError(f"{path} cannot hold {codec}: it is for {carried}; call it NAME{CODECS[codec].ending}")
        return Encoding(codec, self.crf, self.preset, self.hardware)

    def encoder(self, size: tuple[int, int]) -> tuple[str, dict[str, str]]:
        """FFmpeg's encoder for pictures of (height, width), and its options."""
        codec = CODECS[self.codec or "h264"]
        for name in codec.hardware if self.hardware else ():
            if _opens(name, size):
                return name, {}
        os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 tells of errors alone
        options = dict(codec.options)
        if codec.crf is not None:
            options["crf"] = str(codec.crf if self.crf is None else self.crf)
        if codec.presets:
            options[codec.preset_option] = self.preset or codec.preset
        return codec.encoder, options


def container_of(path: Path, codec: str | None = None) -> Container:
    """The kind of a file, by its name; with the codec png, any name is a folder's.

    Raises:
        UsageError: a kind of file that is not written.
    """
    ending = "" if codec == "png" else path.suffix.lower()
    if ending not in CONTAINERS or (not ending and codec != "png"):
        raise UsageError(
            f"{path} is not a name of a video that can be written: call it NAME.mp4, .mkv, .webm or .gif, "
            "or give --codec png for a folder of pictures"
        )
    return CONTAINERS[ending]


def _check_quality(name: str, crf: int | None, preset: str | None) -> None:
    codec = CODECS[name]
    if crf is not None and crf not in codec.crf_range:
        if codec.crf is None:
            raise UsageError(f"{name} has no --crf: leave it out")
        raise UsageError(f"--crf is {crf}: for {name} it is from 0 (best) to {codec.crf_range[-1]} (smallest)")
    if preset is not None and preset not in codec.presets:
        known = f"one of {', '.join(codec.presets)}" if codec.presets else "left out"
        raise UsageError(f"{name} has no preset {preset!r}: it is {known}")


def _opens(encoder: str, size: tuple[int, int]) -> bool:
    """Whether this machine has the hardware, and its driver, for an encoder."""
    try:
        context: Any = av.CodecContext.create(encoder, "w")
        context.height, context.width = size
        context.pix_fmt, context.framerate, context.time_base = HARDWARE_PIXELS, Fraction(25), Fraction(1, 25)
        context.open()
    except (av.error.FFmpegError, ValueError, OSError, TypeError):
        return False
    return True


#: How the encoders of graphics hardware take their pixels.
HARDWARE_PIXELS = "nv12"
