"""Video files that a browser plays, every frame at its own time; GIFs and folders of pictures."""

from __future__ import annotations

import csv
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from live_gradcam.errors import OutputError
from live_gradcam.files import part_path, publish, remove_part, writing
from live_gradcam.sinks.accompaniment import Accompaniment
from live_gradcam.sinks.encoding import CODECS, HARDWARE_PIXELS, Encoding, container_of
from live_gradcam.sinks.image import write_image

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
_REORDERED = 3  # frames that it takes for one to be encoded before one that is shown earlier
_BT709 = 1  # ITU-T H.273, for matrix, primaries and transfer alike
_LIMITED_RANGE = 1
#: A pixel of colour is the mean of the four that it stands for, and values are rounded: swscale's default cuts them
#: off, which makes every picture darker and yellower. SWS_ACCURATE_RND and SWS_FULL_CHR_H_INP of libswscale/swscale.h
#: have no name in PyAV 17, the last for Python 3.10.
_ROUNDED_MEANS = Interpolation.AREA | 0x40000 | 0x4000


class _Writer(ABC):
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


class VideoWriter(_Writer):
    """Writes a video file, which appears under its name only when it is finished and on the disk.

    As a context manager it finishes the file, or removes it when an exception passes.

    Args:
        path: the file; its ending says of which kind. It grows as `NAME.part`.
        size: (height, width) of the frames in pixels. An odd side is padded by one pixel.
        frame_rate: frames per second, for the header.
        time_base: the seconds of one tick; frame times are rounded to it (to milliseconds in Matroska and WebM, to
            hundredths of a second in GIF).
        encoding: how the pictures are encoded.
        others: streams of sound and subtitles to take over from a reader.
        shift: seconds that their packets are earlier in this file.
        metadata: what the file says of itself.
        chapters: as PyAV has them.
        crash_safe: for a recording, H.264 in MP4: what was written until the process died can be played, from
            `NAME.part`, and what was encoded appears there at once. A finished file is the same as otherwise, but for
            its index, which is at its end.

    Attributes:
        encoder: FFmpeg's name of the encoder.
        accompaniment: what becomes of `others`.

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
        others: Sequence[Any] = (),
        shift: Fraction = Fraction(0),
        metadata: Mapping[str, str] | None = None,
        chapters: Sequence[Any] = (),
        crash_safe: bool = False,
    ) -> None:
        self.path = Path(path)
        self.frames_written = 0
        self._encoding = encoding.of_file(self.path)
        self._is_gif = self._encoding.codec == "gif"
        container = container_of(self.path)
        self._time_base = max(time_base, container.tick or time_base)
        self._last_tick = -1
        self._size = size
        self._padding = (0, 0) if self._is_gif else (size[0] % 2, size[1] % 2)
        self._to_yuv = VideoReformatter()
        self._palette = _Palette()
        self._crash_safe = crash_safe
        with self._failures():
            self._container = open_output(self.path, self._time_base, _CRASH_SAFE_OPTIONS if crash_safe else None)
        try:
            with self._failures():
                self._container.metadata.update(metadata or {})
                self._container.set_chapters(list(chapters))
                self._video = self._add_video(frame_rate)
                self.accompaniment = Accompaniment(others, self._container, container, shift=shift)
                self._container.start_encoding()  # opens the file: what forbids it is told now, not at the end
        except BaseException:
            self.discard()
            raise

    def _add_video(self, frame_rate: Fraction) -> Any:
        padded = self._size[0] + self._padding[0], self._size[1] + self._padding[1]
        self.encoder, options = self._encoding.encoder(padded)
        options |= _AT_ONCE if self._crash_safe else {}
        video: Any = self._container.add_stream(self.encoder, rate=frame_rate, options=options)
        video.height, video.width = padded
        context = video.codec_context
        context.time_base = self._time_base
        if self._is_gif:
            video.pix_fmt = "pal8"
            return video
        video.pix_fmt = HARDWARE_PIXELS if self.encoder in CODECS[self._encoding.codec or ""].hardware else "yuv420p"
        context.gop_size = max(1, round(_KEYFRAME_SECONDS * frame_rate))
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED_RANGE
        if self._encoding.codec == "hevc" and self.path.suffix.lower() in (".mp4", ".m4v"):
            context.codec_tag = "hvc1"  # the only one that Apple's players take
        return video

    def _failures(self) -> AbstractContextManager[None]:
        """Turns what FFmpeg and the system report into an OutputError."""
        return writing(self.path, av.error.FFmpegError)

    def write(self, image: np.ndarray, pts: Fraction) -> None:
        """Add a frame.

        Args:
            image: uint8 (height, width, 3), BGR. One that has not the writer's size is scaled to it in its own shape,
                between black bars.
            pts: its time in seconds, not negative, and later than the last one's; else it is a tick later than that.

        Raises:
            OutputError: the disk is full or the file cannot be written.
        """
        self._last_tick = max(round(pts / self._time_base), self._last_tick + 1)
        if image.shape[:2] != self._size:
            image = _between_bars(image, self._size)
        if any(self._padding):
            image = cv2.copyMakeBorder(image, 0, self._padding[0], 0, self._padding[1], cv2.BORDER_REPLICATE)
        with self._failures():
            picture = self._converted(av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(image), format="bgr24"))
            picture.pts, picture.time_base = self._last_tick, self._time_base
            self._container.mux(self._video.encode(picture))
        self.frames_written += 1

    def _converted(self, picture: av.VideoFrame) -> av.VideoFrame:
        if self._is_gif:
            return self._palette.reduced(picture)
        return self._to_yuv.reformat(
            picture, format=self._video.pix_fmt, dst_colorspace=_BT709, interpolation=_ROUNDED_MEANS, threads=1
        )

    def write_packet(self, packet: av.Packet) -> None:
        """Take over a packet of one of the `others`.

        Raises:
            OutputError: the disk is full or the file cannot be written.
        """
        with self._failures():
            self._container.mux(self.accompaniment.packets(packet))

    def finish(self, *, named: bool = True) -> None:
        """Write what the encoder still holds, and give the file its name.

        Args:
            named: otherwise it stays at `NAME.part`.

        Raises:
            OutputError: the file cannot be written; nothing is left of it.
        """
        try:
            with self._failures():
                self._container.mux([*self._last_pictures(), *self.accompaniment.rest()])
                self._container.close()
                if named:
                    publish(self.path)
        except OutputError:
            if not self._crash_safe:
                self.discard()
            raise

    def _last_pictures(self) -> list[av.Packet]:
        """What the encoder still holds. Of a video of one or two frames libx265 makes up the decoding times."""
        packets: list[av.Packet] = self._video.encode(None)
        if self.frames_written < _REORDERED:
            for packet in packets:
                packet.dts = packet.pts
        return packets

    def keep_part(self) -> Path:
        """Leave what was written where it grew, as far as it goes. Returns where that is."""
        with suppress(av.error.FFmpegError, OSError):
            self._container.close()
        return part_path(self.path)

    def discard(self) -> None:
        """Remove what was written."""
        with suppress(av.error.FFmpegError, OSError):  # the file is removed in any case
            self._container.close()
        remove_part(self.path)


class FolderWriter(_Writer):
    """Writes a folder of numbered PNGs, `000000.png` and so on, and their times, `frames.csv`: file, seconds.

    It appears under its name only when it is finished. As a context manager it finishes the folder, or removes it when
    an exception passes.

    Args:
        path: the folder; it grows as `NAME.part`.

    Raises:
        OutputError: it cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.frames_written = 0
        self._part = part_path(self.path)
        remove_part(self.path)
        with writing(self.path):
            self._part.mkdir()
            self._times: IO[str] = (self._part / "frames.csv").open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._times, lineterminator="\n")
        self._rows.writerow(["file", "time"])

    def write(self, image: np.ndarray, pts: Fraction) -> None:
        """Add a frame, uint8 (height, width, 3) BGR, of a time in seconds.

        Raises:
            OutputError: the disk is full or the file cannot be written.
        """
        name = f"{self.frames_written:06d}.png"
        with writing(self.path):
            write_image(self._part / name, image)
            self._rows.writerow([name, f"{float(pts):.6f}"])
        self.frames_written += 1

    def add_file(self, name: str, text: str) -> None:
        """Put another file into the folder.

        Raises:
            OutputError: the disk is full or the file cannot be written.
        """
        with writing(self.path):
            (self._part / name).write_text(text, encoding="utf-8")

    def finish(self) -> None:
        """Give the folder its name.

        Raises:
            OutputError: it cannot be written; nothing is left of it.
        """
        try:
            with writing(self.path):
                self._times.close()
                publish(self.path)
        except OutputError:
            self.discard()
            raise

    def discard(self) -> None:
        """Remove what was written."""
        with suppress(OSError):
            self._times.close()
        remove_part(self.path)


class _Palette:
    """Reduces pictures to 256 colours each, chosen for it."""

    def __init__(self) -> None:
        self._graph: Any = None

    def reduced(self, picture: av.VideoFrame) -> av.VideoFrame:
        """The picture, uint8 BGR, with a palette."""
        if self._graph is None:
            self._graph = av.filter.Graph()
            source = self._graph.add_buffer(
                width=picture.width,
                height=picture.height,
                format=picture.format,
                time_base=Fraction(1, 100),
            )
            split = self._graph.add("split")
            made = self._graph.add("palettegen", "stats_mode=single")
            used = self._graph.add("paletteuse", "new=1:dither=sierra2_4a")
            source.link_to(split)
            split.link_to(used, 0, 0)
            split.link_to(made, 1, 0)
            made.link_to(used, 0, 1)
            used.link_to(self._graph.add("buffersink"))
            self._graph.configure()
        self._graph.vpush(picture)
        return self._graph.vpull()


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


def open_output(path: Path, time_base: Fraction, options: Mapping[str, str] | None = None) -> Any:
    """FFmpeg's container for a file that grows as `NAME.part`.

    Args:
        path: the file; its ending says of which kind.
        time_base: of its pictures, in seconds.
        options: for MP4; by default its index is moved to its beginning when it is finished.
    """
    kind = container_of(path).format
    if kind == "mp4":
        options = {"movie_timescale": _movie_timescale(time_base), **(options or {"movflags": "+faststart"})}
    return av.open(
        str(part_path(path).absolute()),  # FFmpeg takes a relative "12:30.mp4" for a protocol
        "w",
        format=kind,
        options=dict(options or {}),
    )


def _movie_timescale(time_base: Fraction) -> str:
    """Ticks a second in which MP4 says when its streams begin, so that a first frame after 0 keeps its exact time."""
    return str(time_base.denominator * math.ceil(1000 / time_base.denominator))
