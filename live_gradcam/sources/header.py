"""What the header of a video file says: which stream has the pictures, how fast they come, what decodes them."""

from __future__ import annotations

import stat
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av

from live_gradcam.errors import SourceError
from live_gradcam.sources.unfinished import why_unreadable

_DEFAULT_RATE = Fraction(25)
_SLOWEST_RATE, _FASTEST_RATE = Fraction(1, 60), 1000
#: So many frames' times say how fast they come, where the header does not.
_FIRST_FRAMES = 100
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}  # ITU-T H.273 transfer characteristics
_WITH_TRANSPARENCY = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


def open_container(path: Path) -> Any:
    """Open a file with FFmpeg.

    Raises:
        SourceError: there is no such file, or FFmpeg cannot read it.
    """
    obstacle = _why_no_file(path)
    if obstacle:
        raise SourceError(f"cannot read {path}: {obstacle}")
    try:
        return av.open(
            str(path.absolute()),  # FFmpeg takes a relative "12:30.mp4" for a protocol
            metadata_errors="replace",  # not all who write a title know of UTF-8
        )
    except (av.error.FFmpegError, OSError) as error:
        why = why_unreadable(path) or _reason(error)
        raise SourceError(f"{path} is not a video that can be read ({why})") from error


def picture_stream(container: Any, path: str | Path) -> Any:
    """The stream of pictures that players show: the one that the file marks so, else the first.

    Raises:
        SourceError: there is none, or nothing decodes it. The container is closed.
    """
    streams = _picture_streams(container)
    if not streams:
        container.close()
        raise SourceError(f"{path} has no pictures")
    stream = next((one for one in streams if one.disposition & av.stream.Disposition.default), streams[0])
    if stream.codec_context is None:
        container.close()
        raise SourceError(f"{path} is not a video that can be read (its codec is unknown)")
    return stream


def notes_on_streams(container: Any, stream: Any, path: str | Path) -> list[str]:
    """A line where a file has other streams of pictures than the one that is read."""
    count = len(_picture_streams(container))
    return [f"{path} has {count} streams of pictures: only stream {stream.index} is read"] if count > 1 else []


def _picture_streams(container: Any) -> list[Any]:
    """Those that are not the cover of an album."""
    covers = av.stream.Disposition.attached_pic
    return [stream for stream in container.streams.video if not stream.disposition & covers]


def other_streams(container: Any) -> list[Any]:
    """The streams of sound and subtitles, in the file's order."""
    return [
        stream
        for stream in container.streams
        if stream.type in ("audio", "subtitle") and stream.codec_context is not None
    ]


def hdr_of(stream: Any) -> str | None:
    """The name of the transfer function where it is one for high dynamic range; None otherwise."""
    return _HDR_TRANSFERS.get(stream.codec_context.color_trc)


def seconds_of(container: Any, stream: Any, time_base: Fraction) -> float | None:
    """How long the pictures of a file go on; None if its header does not say.

    Matroska's header speaks of the whole file only, from 0 s on, whenever the pictures begin.
    """
    if stream.duration:
        return float(stream.duration * time_base)
    seconds = (container.duration or 0) / av.time_base
    if "matroska" in container.format.name:
        seconds -= max(0.0, float((stream.start_time or 0) * time_base))
    return seconds if seconds > 0 else None


def named_rate(stream: Any) -> Fraction | None:
    """Frames per second that an elementary stream itself names; its average is FFmpeg's default, whatever it names."""
    named = stream.codec_context.framerate
    return named if named and _SLOWEST_RATE <= named <= _FASTEST_RATE else None


def average_rate(stream: Any, path: Path) -> Fraction:
    """Frames per second: the average, unless the clock jumps so far, or has such ticks, that it says nothing.

    Browsers record WebM without a rate. FFmpeg then says how fine the clock is, 1000, and the first frames say more.
    Of one frame nobody knows it: it is shown as long as one of 25 per second.
    """
    average, guessed = stream.average_rate, stream.guessed_rate
    if average and guessed and average < _SLOWEST_RATE < guessed:
        return guessed
    if average and (average < _FASTEST_RATE or average * (stream.time_base or 0) < 1):  # no clock ticks for less
        return average
    if guessed and guessed < _FASTEST_RATE:
        return guessed
    return _rate_of_first_frames(path) or _DEFAULT_RATE


def _rate_of_first_frames(path: Path) -> Fraction | None:
    """Frames per second by the times of a file's first frames; None where they do not say it."""
    with open_container(path) as container:
        stream = picture_stream(container, path)
        packets = islice(container.demux(stream), _FIRST_FRAMES)
        try:
            times = [packet.pts for packet in packets if packet.pts is not None]
        except (av.error.FFmpegError, OSError):  # damaged; who reads it on says so
            return None
        if len(times) < 2 or max(times) == min(times):
            return None
        return (len(times) - 1) / ((max(times) - min(times)) * Fraction(stream.time_base))


def decoder_of(stream: Any) -> Any:
    """FFmpeg's own decoder, which knows no transparency in WebM, or libvpx's."""
    name = _WITH_TRANSPARENCY.get(stream.codec_context.name)
    if name is None or stream.metadata.get("alpha_mode") != "1":
        return stream.codec_context
    try:
        return av.CodecContext.create(name, "r")
    except ValueError:  # FFmpeg was built without it
        return stream.codec_context


def _why_no_file(path: Path) -> str | None:
    """What is wrong with a path that should be a file's; None if nothing is."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "there is no such file"
    except OSError as error:
        return _reason(error)
    if stat.S_ISDIR(mode):
        return "it is a folder"
    return None if stat.S_ISREG(mode) else "it is not a file"


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error)
