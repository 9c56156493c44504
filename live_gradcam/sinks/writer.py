"""Files that grow, picture by picture: video files that a browser plays, every frame at its own time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from live_gradcam.choices import SINKS
from live_gradcam.errors import OutputError
from live_gradcam.files import part_path, publish, remove_part, writing
from live_gradcam.sinks.accompaniment import Accompaniment
from live_gradcam.sinks.codec import Codec
from live_gradcam.sinks.containers import container_of, open_container
from live_gradcam.sinks.encoding import Encoding
from live_gradcam.sinks.sink import NO_EXTRAS, Carried, Extras, Pictures

if TYPE_CHECKING:
    from typing_extensions import Self

#: Fragments of a second, each whole on the disk when the next begins; finishing turns them into an ordinary file.
_CRASH_SAFE_OPTIONS = {
    "movflags": "+hybrid_fragmented+frag_keyframe",
    "frag_duration": "1000000",
    "flush_packets": "1",
}
#: No frame waits in the encoder for those that follow.
_AT_ONCE = {"tune": "zerolatency", "threads": "auto"}
_DEFAULT_ENCODING = Encoding()
_KEYFRAME_SECONDS = 2
_REORDERED = 3  # frames: with fewer, none is encoded before one that is shown earlier
_BT709 = 1  # ITU-T H.273: the same number for matrix, primaries and transfer
_LIMITED_RANGE = 1
#: A pixel of colour is the mean of the four that it stands for, and values are rounded: swscale's default cuts them
#: off, which makes every picture darker and yellower. SWS_ACCURATE_RND and SWS_FULL_CHR_H_INP of libswscale/swscale.h
#: have no name in PyAV 17, the last for Python 3.10.
_ROUNDED_MEANS = Interpolation.AREA | 0x40000 | 0x4000


class Writer(ABC):
    """A file, or a folder of files, that grows. As a context manager it is finished, or removed by an exception."""

    @abstractmethod
    def finish(self) -> None:
        """Complete it, and give it its name."""

    @abstractmethod
    def discard(self) -> None:
        """Remove what was written."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()
        else:
            self.discard()


class FileWriter(Writer):
    """A file that PyAV writes; it appears under its name only when it is finished and on the disk.

    Args:
        path: the file; its ending, one of `CONTAINERS`, says of which kind. It grows as `NAME.part`.
        pictures: the first one's size, and their times, which are rounded to what the file can express.
        extras: what it has besides.
        options: for FFmpeg, of MP4.

    Attributes:
        encoder: FFmpeg's name of the encoder.
        frames_written: how many pictures there are so far.

    Raises:
        OutputError: the file cannot be written.
    """

    encoder: str

    def __init__(
        self, path: Path, pictures: Pictures, extras: Extras = NO_EXTRAS, options: dict[str, str] | None = None
    ) -> None:
        self.path = path
        self.frames_written = 0
        container = container_of(path)
        self._time_base = max(pictures.time_base, container.tick or pictures.time_base)
        self._last_tick = -1
        self._last_duration: int | None = None  # ticks
        self._size = pictures.size
        with self._failures():
            self._container = open_container(path, self._time_base, options)
        try:
            with self._failures():
                self._container.metadata.update(extras.metadata)
                self._container.set_chapters(list(extras.chapters))
                self._video = self._add_video(self._container, pictures.frame_rate)
                self._accompaniment = Accompaniment(extras.others, self._container, container, shift=extras.shift)
                self._container.start_encoding()  # opens the file: what forbids it is reported now, not at the end
        except BaseException:
            self.discard()
            raise

    @abstractmethod
    def _add_video(self, output: Any, frame_rate: Fraction) -> Any:
        """The stream of the pictures, with its encoder."""

    @abstractmethod
    def _converted(self, picture: av.VideoFrame) -> av.VideoFrame:
        """A picture, uint8 BGR, as the encoder takes it."""

    def _failures(self) -> AbstractContextManager[None]:
        """Turns what FFmpeg and the system report into an OutputError."""
        return writing(self.path, av.error.FFmpegError)

    @property
    def carried(self) -> Carried:
        """What becomes of the sound and subtitles."""
        return Carried(self._accompaniment.converted, self._accompaniment.left_out)

    def show_for(self, duration: Fraction) -> None:
        """See `sink.show_for`."""
        self._last_duration = max(1, round(duration / self._time_base))

    def write(self, image: np.ndarray, pts: Fraction) -> None:
        """Add a frame.

        Args:
            image: uint8 (height, width, 3), BGR. An image of another size than the writer's is scaled to that in its
                own shape, between black bars.
            pts: its time in seconds, not negative, and later than the last one's; else it is a tick later than that.

        Raises:
            OutputError: the disk is full or the file cannot be written.
        """
        self._last_tick = max(round(pts / self._time_base), self._last_tick + 1)
        if image.shape[:2] != self._size:
            image = _between_bars(image, self._size)
        image = self._padded(image)
        with self._failures():
            picture = self._converted(av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(image), format="bgr24"))
            picture.pts, picture.time_base = self._last_tick, self._time_base
            self._container.mux(self._encoded(picture))
        self.frames_written += 1

    def _encoded(self, picture: av.VideoFrame | None) -> list[av.Packet]:
        """The encoder's next packets. Encoders give each the same duration; players need that of the last one."""
        packets: list[av.Packet] = self._video.encode(picture)
        for packet in packets:
            if packet.pts == self._last_tick and self._last_duration is not None:
                packet.duration = self._last_duration
        return packets

    def _padded(self, image: np.ndarray) -> np.ndarray:
        """An image of the writer's size as large as the encoder takes it."""
        return image

    def write_packet(self, packet: av.Packet) -> None:
        """Take over a packet of one of the `Extras.others`.

        Raises:
            OutputError: the disk is full or the file cannot be written.
        """
        with self._failures():
            self._container.mux(self._accompaniment.packets(packet))

    def _complete(self) -> None:
        """Write what the encoder still holds, and close the file."""
        with self._failures():
            self._container.mux([*self._last_pictures(), *self._accompaniment.rest()])
            self._container.close()

    def _last_pictures(self) -> list[av.Packet]:
        """What the encoder still holds. Of a video of one or two frames libx265 makes up the decoding times."""
        packets = self._encoded(None)
        if packets and self._last_duration is not None:
            packets[-1].duration = self._last_duration  # MP4 ends with what is decoded last, whenever that is shown
        if self.frames_written < _REORDERED:
            for packet in packets:
                packet.dts = packet.pts
        return packets

    def discard(self) -> None:
        """Remove what was written."""
        with suppress(av.error.FFmpegError, OSError):  # the file is removed in any case
            self._container.close()
        remove_part(self.path)


class VideoWriter(FileWriter):
    """Writes a video file with one of the codecs of `sinks.video`.

    As a context manager it finishes the file, or removes it when an exception passes.

    Args:
        path: the file; its ending says of which kind. It grows as `NAME.part`.
        size: (height, width) of the frames in pixels. An odd side is padded by one pixel.
        frame_rate: frames per second, for the header.
        time_base: the seconds of one tick; frame times are rounded to it (to milliseconds in Matroska and WebM).
        encoding: how the pictures are encoded.
        extras: what the file has besides.
        crash_safe: for a recording, H.264 in MP4: what was written until the process died can be played, from
            `NAME.part`, and what was encoded appears there at once. A finished file is the same as otherwise, but for
            its index, which is at its end.

    Raises:
        UsageError: a kind of file that is not written, or that does not carry the codec.
        OutputError: the file cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        size: tuple[int, int],
        frame_rate: Fraction,
        time_base: Fraction,
        encoding: Encoding = _DEFAULT_ENCODING,
        extras: Extras = NO_EXTRAS,
        crash_safe: bool = False,
    ) -> None:
        path = Path(path)
        self._encoding = encoding.of_file(path)
        self._padding = size[0] % 2, size[1] % 2
        self._to_yuv = VideoReformatter()
        self._crash_safe = crash_safe
        options = _CRASH_SAFE_OPTIONS if crash_safe else None
        super().__init__(path, Pictures(size, frame_rate, time_base), extras, options)

    def _add_video(self, output: Any, frame_rate: Fraction) -> Any:
        padded = self._size[0] + self._padding[0], self._size[1] + self._padding[1]
        codec: Codec = SINKS.load(self._encoding.codec or "").codec
        if min(padded) < codec.least_side:
            raise OutputError(
                f"{self._encoding.codec} takes no pictures of {padded[1]} × {padded[0]} pixels: each side must have "
                f"{codec.least_side} at least, so use --codec h264, or a larger --size"
            )
        encoder = codec.encoder_for(padded, self._encoding)
        self.encoder = encoder.name
        if codec.most_fps is not None:
            frame_rate = min(frame_rate, Fraction(codec.most_fps))
        video: Any = output.add_stream(
            encoder.name, rate=frame_rate, options=encoder.options | (_AT_ONCE if self._crash_safe else {})
        )
        video.height, video.width = padded
        video.pix_fmt = encoder.pixels
        context = video.codec_context
        context.time_base = self._time_base
        context.gop_size = max(1, round(_KEYFRAME_SECONDS * frame_rate))
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED_RANGE
        if codec.mp4_tag is not None and container_of(self.path).format == "mp4":
            context.codec_tag = codec.mp4_tag
        return video

    def _padded(self, image: np.ndarray) -> np.ndarray:
        if not any(self._padding):
            return image
        return cv2.copyMakeBorder(image, 0, self._padding[0], 0, self._padding[1], cv2.BORDER_REPLICATE)

    def _converted(self, picture: av.VideoFrame) -> av.VideoFrame:
        return self._to_yuv.reformat(
            picture, format=self._video.pix_fmt, dst_colorspace=_BT709, interpolation=_ROUNDED_MEANS, threads=1
        )

    def finish(self) -> None:
        """Write what the encoder still holds, and give the file its name.

        Raises:
            OutputError: the file cannot be written; nothing is left of it.
        """
        try:
            self._complete()
            with writing(self.path):
                publish(self.path)
        except OutputError:
            if not self._crash_safe:
                self.discard()
            raise

    def keep_part(self) -> Path:
        """Leave what was written where it grew, as far as it goes. Returns where that is."""
        with suppress(av.error.FFmpegError, OSError):
            self._container.close()
        return part_path(self.path)


def _between_bars(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An image in its own shape, as large as it fits into (height, width), in the middle of black."""
    height, width = image.shape[:2]
    scale = min(size[0] / height, size[1] / width)
    inner = max(1, round(scale * height)), max(1, round(scale * width))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    top, left = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    boxed = np.zeros((*size, 3), np.uint8)
    boxed[top : top + inner[0], left : left + inner[1]] = cv2.resize(image, inner[::-1], interpolation=way)
    return boxed
