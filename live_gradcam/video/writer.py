"""Video files that a browser plays: H.264, yuv420p, MP4, every frame at its own time."""

from __future__ import annotations

import os
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import cv2
import numpy as np

from live_gradcam.errors import OutputError
from live_gradcam.video.output import part_path

#: Audio that an MP4 file carries and browsers know; it is copied as it is.
COPIED_AUDIO = frozenset({"aac", "mp3", "mp3float", "opus", "flac", "ac3", "eac3", "alac"})

_ENCODER_OPTIONS = {"crf": "20", "preset": "veryfast"}
_KEYFRAME_SECONDS = 2
_BT709 = 1  # ITU-T H.273, for matrix, primaries and transfer alike
_LIMITED_RANGE = 1


class VideoWriter:
    """Writes an MP4 file, which appears under its name only when it is finished.

    As a context manager it finishes the file, or removes it when an exception passes.

    Args:
        path: the file; it grows as `NAME.part`.
        size: (height, width) of the frames in pixels. An odd side is padded by one pixel.
        frame_rate: frames per second, for the header.
        time_base: the seconds of one tick; frame times are rounded to it.
        audio: an audio stream of a reader to copy, if its codec is one of `COPIED_AUDIO`.

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
    ) -> None:
        self.path = Path(path)
        self.frames_written = 0
        self._part = part_path(self.path)
        self._time_base = time_base
        self._last_tick: int | None = None
        height, width = size
        self._padding = (height % 2, width % 2)
        try:
            self._container = av.open(str(self._part), "w", format="mp4", options={"movflags": "+faststart"})
        except (av.error.FFmpegError, OSError) as error:
            raise OutputError(f"cannot write {self.path}: {getattr(error, 'strerror', error)}") from error
        self._video: Any = self._container.add_stream("libx264", rate=frame_rate, options=_ENCODER_OPTIONS)
        self._video.height, self._video.width = height + self._padding[0], width + self._padding[1]
        self._video.pix_fmt = "yuv420p"
        context = self._video.codec_context
        context.time_base = time_base
        context.gop_size = max(1, round(_KEYFRAME_SECONDS * frame_rate))
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED_RANGE
        self._audio = self._container.add_stream_from_template(audio) if audio is not None else None

    def write(self, image: np.ndarray, pts: Fraction) -> None:
        """Add a frame.

        Args:
            image: uint8 (height, width, 3), BGR, of the writer's size.
            pts: its time in seconds, later than the last one's.

        Raises:
            OutputError: the disk is full or the file cannot be written.
        """
        tick = round(pts / self._time_base)
        if self._last_tick is not None and tick <= self._last_tick:
            tick = self._last_tick + 1
        self._last_tick = tick
        if any(self._padding):
            image = cv2.copyMakeBorder(image, 0, self._padding[0], 0, self._padding[1], cv2.BORDER_REPLICATE)
        picture = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format="yuv420p", dst_colorspace="ITU709")
        picture.pts, picture.time_base = tick, self._time_base
        self._mux(self._video.encode(picture))
        self.frames_written += 1

    def write_audio(self, packet: av.Packet) -> None:
        """Copy a packet of the audio stream that was given."""
        packet.stream = self._audio
        self._mux([packet])

    def _mux(self, packets: list[av.Packet]) -> None:
        try:
            for packet in packets:
                self._container.mux(packet)
        except (av.error.FFmpegError, OSError) as error:
            raise OutputError(f"cannot write {self.path}: {getattr(error, 'strerror', error)}") from error

    def finish(self) -> None:
        """Write what the encoder still holds, and give the file its name.

        Raises:
            OutputError: the file cannot be written.
        """
        try:
            if self.frames_written:
                self._mux(self._video.encode(None))
            self._container.close()
            os.replace(self._part, self.path)
        except (av.error.FFmpegError, OSError) as error:
            raise OutputError(f"cannot write {self.path}: {getattr(error, 'strerror', error)}") from error

    def discard(self) -> None:
        """Remove what was written."""
        with suppress(av.error.FFmpegError, OSError):  # the file is removed in any case
            self._container.close()
        self._part.unlink(missing_ok=True)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.discard()
            return
        try:
            self.finish()
        except OutputError:
            self.discard()
            raise
