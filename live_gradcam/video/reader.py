"""Video files: every frame, with its exact time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np

from live_gradcam.errors import SourceError
from live_gradcam.video.frame import Frame

#: What counts as a video in a folder, by its ending.
VIDEO_SUFFIXES = frozenset(
    {
        ".mp4",
        ".m4v",
        ".mov",
        ".mkv",
        ".webm",
        ".avi",
        ".mpg",
        ".mpeg",
        ".ts",
        ".m2ts",
        ".wmv",
        ".flv",
        ".ogv",
        ".3gp",
        ".gif",
    }
)

_DEFAULT_RATE = Fraction(25)
_HD_HEIGHT = 720
_UNSPECIFIED, _BT709 = 2, 1  # ITU-T H.273 matrix coefficients


@dataclass(frozen=True)
class Loss:
    """What could not be read of a file.

    Attributes:
        corrupt_packets: packets that the decoder refused; each is a frame or a part of one.
        missing_seconds: how much earlier than the header says the pictures end.
    """

    corrupt_packets: int
    missing_seconds: float

    def __bool__(self) -> bool:
        return self.corrupt_packets > 0 or self.missing_seconds > 0

    def __str__(self) -> str:
        parts = []
        if self.missing_seconds:
            parts.append(f"the last {self.missing_seconds:.1f} s are missing")
        if self.corrupt_packets:
            parts.append(f"{self.corrupt_packets} damaged packets were skipped")
        return " and ".join(parts)


class VideoReader:
    """A video file, read front to back.

    Args:
        path: the file.

    Attributes:
        frame_rate: average frames per second.
        time_base: the seconds that one tick of the file's clock lasts.
        expected_frames: what the header says; a hint for a progress bar, never the truth. None if it does not say.
        duration: seconds, as the header says; None if it does not.
        audio: the first audio stream, or None.
        loss: what could not be read; complete once `frames` has ended.

    Raises:
        SourceError: there is no such file, it is not a video, or it has no pictures.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            reason = "it is a folder" if self.path.is_dir() else "there is no such file"
            raise SourceError(f"cannot read {path}: {reason}")
        try:
            self._container = av.open(str(self.path))
        except (av.error.FFmpegError, OSError) as error:
            raise SourceError(f"{path} is not a video that can be read ({_reason(error)})") from error
        if not self._container.streams.video:
            self._container.close()
            raise SourceError(f"{path} has no pictures")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self.frame_rate: Fraction = self._stream.average_rate or self._stream.guessed_rate or _DEFAULT_RATE
        self.time_base: Fraction = self._stream.time_base or 1 / self.frame_rate
        self.duration = self._header_duration()
        self.expected_frames = self._stream.frames or (
            round(self.duration * float(self.frame_rate)) if self.duration else None
        )
        self.audio = self._container.streams.audio[0] if self._container.streams.audio else None
        self.loss = Loss(0, 0.0)

    def _header_duration(self) -> float | None:
        if self._stream.duration:
            return float(self._stream.duration * self.time_base)
        return self._container.duration / av.time_base if self._container.duration else None

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def frames(self, on_audio: Callable[[av.Packet], None] | None = None) -> Iterator[Frame]:
        """Decode the file: its frames in order of presentation, rotated as the recording asks.

        Args:
            on_audio: is given the packets of `audio` as they come by.
        """
        period = 1 / self.frame_rate
        first: Fraction | None = None
        last: Fraction | None = None
        corrupt = count = 0
        streams = [self._stream] if self.audio is None or on_audio is None else [self._stream, self.audio]
        for packet in self._packets(streams):
            if packet is not None and packet.stream is not self._stream:
                if on_audio is not None and packet.dts is not None:
                    on_audio(packet)
                continue
            try:
                decoded = packet.decode() if packet is not None else self._stream.codec_context.decode(None)
            except av.error.FFmpegError:
                corrupt += 1
                continue
            for picture in decoded:
                pts = _presentation_time(picture)
                if pts is None or (last is not None and pts <= last):
                    pts = Fraction(0) if last is None else last + period
                first, last = (pts if first is None else first), pts
                yield Frame(_to_bgr(picture), count, pts, time.monotonic())
                count += 1
        self.loss = Loss(corrupt, self._missing_seconds(count, first, last, period))

    def _packets(self, streams: list[Any]) -> Iterator[av.Packet | None]:
        """The packets as far as the file can be read; None is the end after a cut, which flushes the decoder."""
        try:
            yield from self._container.demux(streams)
        except (av.error.FFmpegError, OSError):
            yield None

    def _missing_seconds(self, count: int, first: Fraction | None, last: Fraction | None, period: Fraction) -> float:
        if first is None or last is None:
            return self.duration or 0.0
        if self.duration is None or (self._stream.frames and count >= self._stream.frames):
            return 0.0
        missing = self.duration - float(last + period - first)
        return missing if missing > 2 * float(period) else 0.0


def _presentation_time(picture: av.VideoFrame) -> Fraction | None:
    """Seconds; None where the file does not say."""
    if picture.pts is None or picture.time_base is None:
        return None
    return picture.pts * picture.time_base


def _to_bgr(picture: av.VideoFrame) -> np.ndarray:
    """uint8 (height, width, 3), BGR. Pictures that do not name their colour matrix have BT.709's from 720 lines up."""
    matrix: int | str = picture.colorspace
    if matrix == _UNSPECIFIED:
        matrix = "ITU709" if picture.height >= _HD_HEIGHT else "ITU601"
    image = picture.reformat(format="bgr24", src_colorspace=matrix).to_ndarray()
    quarter_turns = round(picture.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, quarter_turns)) if quarter_turns else image


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error)
