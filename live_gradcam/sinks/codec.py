"""Codecs of video files: which encoder there is for each, and what it takes."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av

from live_gradcam.errors import UsageError

if TYPE_CHECKING:
    from live_gradcam.sinks.encoding import Encoding

#: How the encoders of graphics hardware take their pixels, and the others.
_HARDWARE_PIXELS, _PIXELS = "nv12", "yuv420p"
#: The least width of pictures that every encoder takes as it is, in pixels.
_NARROW = 64


@dataclass(frozen=True)
class Encoder:
    """An encoder that opens.

    Attributes:
        name: FFmpeg's name of it.
        options: for it.
        pixels: FFmpeg's name of the pixels that it takes.
    """

    name: str
    options: dict[str, str]
    pixels: str


@dataclass(frozen=True)
class Codec:
    """A codec for pictures.

    Attributes:
        encoder: FFmpeg's name of the encoder that is always there.
        hardware: encoders of graphics hardware, the likeliest first.
        crf: constant rate factor by default, and the range of it. Lower is better and larger.
        presets: from the fastest to the smallest file, or the other way round.
        preset: the default.
        preset_option: what the encoder calls it.
        options: more for the encoder.
        narrow_options: of these, what is otherwise for pictures narrower than 64 pixels.
        mp4_tag: what MP4 calls it, where FFmpeg would choose a name that players do not take.
        most_fps: the most frames per second that the encoder lets a header say; None for any number. Frames have times
            of their own, which may come faster.
        least_side: the least height and width of pictures that the encoder takes, in pixels.
    """

    encoder: str
    hardware: tuple[str, ...]
    crf: int
    crf_range: range
    presets: tuple[str, ...]
    preset: str
    preset_option: str = "preset"
    options: dict[str, str] = field(default_factory=dict)
    narrow_options: dict[str, str] = field(default_factory=dict)
    mp4_tag: str | None = None
    most_fps: int | None = None
    least_side: int = 2

    def check_quality(self, name: str, crf: int | None, preset: str | None) -> None:
        """See `Sink`."""
        if crf is not None and crf not in self.crf_range:
            raise UsageError(f"--crf is {crf}: for {name} it is from 0 (best) to {self.crf_range[-1]} (smallest)")
        if preset is not None and preset not in self.presets:
            raise UsageError(f"{name} has no preset {preset!r}: use one of {', '.join(self.presets)}")

    @property
    def is_there(self) -> bool:
        """Whether this FFmpeg has the encoder that should always be there."""
        return self.encoder in av.codecs_available

    def encoder_for(self, size: tuple[int, int], encoding: Encoding) -> Encoder:
        """The encoder for pictures of (height, width)."""
        for name in self.hardware if encoding.hardware else ():
            if opens(name, size):
                return Encoder(name, {}, _HARDWARE_PIXELS)
        os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 reports errors alone
        options = {
            **self.options,
            **(self.narrow_options if size[1] < _NARROW else {}),
            "crf": str(self.crf if encoding.crf is None else encoding.crf),
            self.preset_option: encoding.preset or self.preset,
        }
        return Encoder(self.encoder, options, _PIXELS)


def refuse_quality(name: str, crf: int | None, preset: str | None) -> None:
    """Refuse any quality, for a sink that has none.

    Raises:
        UsageError: a factor or a preset is given.
    """
    if crf is not None:
        raise UsageError(f"{name} has no --crf: leave it out")
    if preset is not None:
        raise UsageError(f"{name} has no --preset: leave it out")


def opens(encoder: str, size: tuple[int, int]) -> bool:
    """Whether this machine has the hardware, and its driver, for an encoder."""
    try:
        context: Any = av.CodecContext.create(encoder, "w")
        context.height, context.width = size
        context.pix_fmt, context.framerate, context.time_base = _HARDWARE_PIXELS, Fraction(25), Fraction(1, 25)
        context.open()
    except (av.error.FFmpegError, ValueError, OSError, TypeError):
        return False
    return True
