"""Video files that a browser plays: H.264, yuv420p, MP4, every frame at its own time."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from live_gradcam.errors import OutputError
from live_gradcam.video.output import part_path

#: Audio that an MP4 file carries and browsers know; it is copied as it is.
COPIED_AUDIO = frozenset({"aac", "mp3", "mp3float", "opus", "flac", "ac3", "eac3", "alac"})

_ENCODER_OPTIONS = {"crf": "20", "preset": "veryfast"}
#: Fragments of a second, each whole on the disk when the next begins; finishing turns them into an ordinary file.
_CRASH_SAFE_OPTIONS = {
    "movflags": "+hybrid_fragmented+frag_keyframe",
    "frag_duration": "1000000",
    "flush_packets": "1",
}
#: No frame waits in the encoder for those that follow.
_AT_ONCE = {"tune": "zerolatency"}
_KEYFRAME_SECONDS = 2
_BT709 = 1  # ITU-T H.273, for matrix, primaries and transfer alike
_LIMITED_RANGE = 1
#: A pixel of colour is the mean of the four that it stands for, and values are rounded: swscale's default cuts them
#: off, which makes every picture darker and yellower.
_ROUNDED_MEANS = Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP


class VideoWriter:
    """Writes an MP4 file, which appears under its name only when it is finished.

    As a context manager it finishes the file, or removes it when an exception passes.

    Args:
        path: the file; it grows as `NAME.part`.
        size: (height, width) of the frames in pixels. An odd side is padded by one pixel.
        frame_rate: frames per second, for the header.
        time_base: the seconds of one tick; frame times are rounded to it.
        audio: an audio stream of a reader to copy, if its codec is one of `COPIED_AUDIO`.
        crash_safe: for a recording: what was written until the process died can be played, from `NAME.part`, and
            what was encoded appears there at once. A finished file is the same as otherwise, but for its index, which
            is at its end.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        size: tuple[int, int],
        frame_rate: Fraction,
        time_base: Fraction,
        audio: Any | None = None,
        crash_safe: bool = False,
    ) -> None:
        self.path = Path(path)
        self.frames_written = 0
        self._part = part_path(self.path)
        self._time_base = time_base
        self._last_tick = -1
        self._size = size
        self._padding = (size[0] % 2, size[1] % 2)
        self._to_yuv = VideoReformatter()
        self._crash_safe = crash_safe
        self._audio_offset = 0
        self._last_audio: tuple[int, int] | None = None  # ticks: its time and its duration
        with self._failures():
            self._container = av.open(
                str(self._part.absolute()),  # FFmpeg takes a relative "12:30.mp4" for a protocol
                "w",
                format="mp4",
                options={
                    "movie_timescale": _movie_timescale(time_base),
                    **(_CRASH_SAFE_OPTIONS if crash_safe else {"movflags": "+faststart"}),
                },
            )
        self._video = self._add_video(frame_rate)
        self._audio = self._container.add_stream_from_template(audio) if audio is not None else None
        try:
            with self._failures():
                self._container.start_encoding()  # opens the file: what forbids it is told now, not at the end
        except OutputError:
            self.discard()
            raise

    def _add_video(self, frame_rate: Fraction) -> Any:
        options = _ENCODER_OPTIONS | (_AT_ONCE if self._crash_safe else {})
        video: Any = self._container.add_stream("libx264", rate=frame_rate, options=options)
        video.height, video.width = self._size[0] + self._padding[0], self._size[1] + self._padding[1]
        video.pix_fmt = "yuv420p"
        context = video.codec_context
        context.time_base = self._time_base
        context.gop_size = max(1, round(_KEYFRAME_SECONDS * frame_rate))
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED_RANGE
        return video

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Turns what FFmpeg and the system report into an OutputError."""
        try:
            yield
        except (av.error.FFmpegError, OSError) as error:
            raise OutputError(f"cannot write {self.path}: {getattr(error, 'strerror', error)}") from error

    def write(self, image: np.ndarray, pts: Fraction) -> None:
        """Add a frame.

        Args:
            image: uint8 (height, width, 3), BGR. One that has not the writer's size is scaled to it.
            pts: its time in seconds, not negative, and later than the last one's; else it is a tick later than that.

        Raises:
            OutputError: the disk is full or the file cannot be written.
        """
        self._last_tick = max(round(pts / self._time_base), self._last_tick + 1)
        if image.shape[:2] != self._size:
            image = cv2.resize(image, self._size[::-1], interpolation=cv2.INTER_AREA)
        if any(self._padding):
            image = cv2.copyMakeBorder(image, 0, self._padding[0], 0, self._padding[1], cv2.BORDER_REPLICATE)
        picture = self._to_yuv.reformat(
            av.VideoFrame.from_ndarray(image, format="bgr24"),
            format="yuv420p",
            dst_colorspace=_BT709,
            interpolation=_ROUNDED_MEANS,
        )
        picture.pts, picture.time_base = self._last_tick, self._time_base
        with self._failures():
            self._container.mux(self._video.encode(picture))
        self.frames_written += 1

    def write_audio(self, packet: av.Packet) -> None:
        """Copy a packet of the audio stream that was given.

        Where its clock is set back, as in recordings that were put together, the packets go on after the last one.

        Raises:
            OutputError: the disk is full or the file cannot be written.
        """
        if packet.dts is None:  # nobody knows where it belongs
            return
        if self._last_audio and packet.dts + self._audio_offset <= self._last_audio[0]:
            self._audio_offset = sum(self._last_audio) - packet.dts
        packet.dts += self._audio_offset
        if packet.pts is not None:
            packet.pts += self._audio_offset
        self._last_audio = (packet.dts, packet.duration or 1)
        packet.stream = self._audio
        with self._failures():
            self._container.mux(packet)

    def finish(self) -> None:
        """Write what the encoder still holds, and give the file its name.

        Raises:
            OutputError: the file cannot be written; nothing is left of it.
        """
        try:
            with self._failures():
                self._container.mux(self._video.encode(None))
                self._container.close()
                os.replace(self._part, self.path)
        except OutputError:
            if not self._crash_safe:
                self.discard()
            raise

    def keep_part(self) -> Path:
        """Leave what was written where it grew, as far as it goes. Returns where that is."""
        with suppress(av.error.FFmpegError, OSError):
            self._container.close()
        return self._part

    def discard(self) -> None:
        """Remove what was written."""
        with suppress(av.error.FFmpegError, OSError):  # the file is removed in any case
            self._container.close()
        with suppress(OSError):
            self._part.unlink()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()
        else:
            self.discard()


def _movie_timescale(time_base: Fraction) -> str:
    """Ticks a second in which MP4 says when its streams begin, so that a first frame after 0 keeps its exact time."""
    return str(time_base.denominator * math.ceil(1000 / time_base.denominator))
