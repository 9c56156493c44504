"""Video files: every frame, with its exact time."""

from __future__ import annotations

import math
import stat
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np

from live_gradcam.errors import SourceError, UsageError
from live_gradcam.sources.clock import LONGEST_PAUSE, Clock, ClockFaults
from live_gradcam.sources.deinterlacing import Deinterlacer
from live_gradcam.sources.frame import Frame
from live_gradcam.sources.image import on_white
from live_gradcam.sources.loss import Loss
from live_gradcam.sources.options import SourceOptions
from live_gradcam.sources.orientation import upright
from live_gradcam.sources.source import OnPacket, Recording
from live_gradcam.sources.unfinished import why_unreadable
from live_gradcam.sources.wholeness import breaks

_DEFAULT_RATE = Fraction(25)
_SLOWEST_RATE, _FASTEST_RATE = Fraction(1, 60), 1000
#: Codecs whose frames say how long each is shown. Of others FFmpeg makes times up where a file has none.
_TELL_DURATIONS = frozenset({"mpeg2video", "mpeg4"})
_NO_TIMESTAMPS = 0x80  # FFmpeg's AVFMT_NOTIMESTAMPS
_HD_HEIGHT = 720
_BT709, _BT601 = 1, 5  # ITU-T H.273 matrix coefficients, as are these, which swscale converts from:
_KNOWN_MATRICES = frozenset({0, _BT709, 4, _BT601, 6, 7, 9})
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}  # ITU-T H.273 transfer characteristics
_WITH_TRANSPARENCY = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_SQUARE_PIXELS = (Fraction(98, 100), Fraction(102, 100))
_TOLERATED_SECONDS = 0.1  # headers round
_SEEK_BACK_SECONDS = (0, 2, 10, 60)
_MARKED_AHEAD = 3  # so many packets before the one after a break is the one that FFmpeg marks as damaged, at most
_INTERLEAVED_SECONDS = 2  # how far behind the pictures a file may have their sound
#: FFmpeg's names of formats without an index, where times may be set back on the way, and of those where after a jump
#: times are guesses.
_WITHOUT_INDEX = frozenset({"mpegts", "flv"})
_GUESSED_AFTER_A_JUMP = frozenset({"mpeg"})


class VideoReader(Recording):
    """A video file, read front to back.

    Args:
        path: the file.
        rate: frames per second of an elementary stream, such as `.h264`, which has no times of its own; None for the
            rate that it names.

    Attributes:
        path: the file.
        file_format: FFmpeg's name of it, or several names with commas.

    Raises:
        SourceError: there is no such file, it is not a video, or it has no pictures.
    """

    def __init__(self, path: str | Path, *, rate: Fraction | None = None) -> None:
        self.path = Path(path)
        self.name = str(path)
        obstacle = _why_no_file(self.path)
        if obstacle:
            raise SourceError(f"cannot read {path}: {obstacle}")
        try:
            self._container = av.open(
                str(self.path.absolute()),  # FFmpeg takes a relative "12:30.mp4" for a protocol
                metadata_errors="replace",  # not all who write a title know of UTF-8
            )
        except (av.error.FFmpegError, OSError) as error:
            why = why_unreadable(self.path) or _reason(error)
            raise SourceError(f"{self.path} is not a video that can be read ({why})") from error
        self.file_format: str = self._container.format.name
        self._stream = self._find_stream()
        self._stream.thread_type = "AUTO"
        self._decoder = _decoder(self._stream)
        self.others: list[Any] = [
            stream
            for stream in self._container.streams
            if stream.type in ("audio", "subtitle") and stream.codec_context is not None
        ]
        self._is_elementary = bool(self._container.format.flags & _NO_TIMESTAMPS)
        self._given_rate = rate if self._is_elementary else None
        named_rate = _named_rate(self._stream) if self._is_elementary else None
        self.frame_rate = self._given_rate or named_rate or _frame_rate(self._stream)
        self._tells_durations = rate is None and self._stream.codec_context.name in _TELL_DURATIONS
        self.notes = self._notes_on_rate(rate, named_rate)
        self.time_base: Fraction = self._stream.time_base or 1 / self.frame_rate
        self.duration: float | None = self._header_duration()
        self._header_begin = Fraction((self._stream.start_time or 0) * self.time_base)
        self.expected_frames = self._stream.frames or (
            round(self.duration * float(self.frame_rate)) if self.duration else None
        )
        self.metadata: dict[str, str] = self._container.metadata
        self.chapters: list[Any] = self._container.chapters()
        self.hdr: str | None = _HDR_TRANSFERS.get(self._stream.codec_context.color_trc)
        self.loss = Loss(0, 0.0)
        self.clock = ClockFaults()
        self._ends: dict[int, Fraction] = {}
        self._corrupt_packets = 0
        self._marked: list[int] = []
        self._decodes_from_key_frame = False

    def _notes_on_rate(self, given: Fraction | None, named: Fraction | None) -> list[str]:
        """Which rate was taken where the file has no times, or why the given one was not."""
        if not self._is_elementary:
            kept = f"{self.path} has times of its own, which it keeps: --source-fps is for files without"
            return [kept] if given else []
        taken = f"{self.path} has no times of its own: its frames come at {float(self.frame_rate):.6g} per second"
        if given:
            return [f"{taken}, as --source-fps says"]
        if named:
            return [f"{taken}, as its stream says"]
        return [f"{taken}, which is a guess, as it names no rate: give it with --source-fps"]

    def _find_stream(self) -> Any:
        """The first stream of pictures that is not the cover of an album."""
        covers = av.stream.Disposition.attached_pic
        streams = [stream for stream in self._container.streams.video if not stream.disposition & covers]
        if not streams:
            self._container.close()
            raise SourceError(f"{self.path} has no pictures")
        if streams[0].codec_context is None:
            self._container.close()
            raise SourceError(f"{self.path} is not a video that can be read (its codec is unknown)")
        return streams[0]

    @cached_property
    def begin(self) -> Fraction:  # type: ignore[override] # it can be set, too
        """Seconds. The header may know of frames before the first one that can be decoded."""
        with suppress(OSError, SourceError):  # it is gone by now
            state = self.path.stat()
            first = _first_time(self.path, state.st_size, state.st_mtime_ns, self._given_rate)
            if first is not None:
                return first
        return self._header_begin

    def _header_duration(self) -> float | None:
        if self._stream.duration:
            return float(self._stream.duration * self.time_base)
        return self._container.duration / av.time_base if self._container.duration else None

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def frames(
        self,
        *,
        start: Fraction | None = None,
        end: Fraction | None = None,
        on_packet: OnPacket | None = None,
    ) -> Iterator[Frame]:
        """Decode the file: its frames in order of presentation, upright as the recording asks, their pixels square.

        Interlaced frames become whole pictures, one each, at the same times.

        Args:
            start: seconds; earlier frames are left out. The file is read from a key frame before the last one that is
                not later, so that what is decoded does not depend on where the reading began.
            end: seconds; frames from then on are left out.
            on_packet: is given the packets of `others` as they come by, from `start` to `end`.
        """
        clock = Clock(tick=self.time_base, period=1 / self.frame_rate)
        stretch = self._stretch()
        if start is not None:
            self._seek(start)
        count = 0
        packets = self._packets()
        on_packet = _within(start, end, on_packet) if on_packet else None
        mended = 0
        picture: Any
        for picture in self._pictures(packets, on_packet):
            is_counted = picture.pts is None or (self._is_elementary and not self._tells_durations)
            pts = clock.next(None if is_counted else picture.pts * picture.time_base)
            if end is not None and pts >= end:
                self._pass_on(packets, end, on_packet)
                self.clock = clock.faults
                self.loss = Loss(self._corrupt_packets, 0.0, mended, len(self._marked))
                return
            if start is None or pts >= start:
                mended += picture.is_corrupt
                yield Frame(_to_bgr(picture, stretch), count, pts, time.monotonic())
                count += 1
        self.clock = clock.faults
        missing = 0.0 if self.clock.jumps else self._missing_seconds(count)  # the header counts the jumps too
        self.loss = Loss(self._corrupt_packets, missing, mended, self._breaks())

    def other_packets(self, start: Fraction | None, end: Fraction | None) -> Iterator[av.Packet]:
        """The packets of `others` alone, from `start` to `end` (seconds)."""
        ready: list[av.Packet] = []
        receive = _within(start, end, ready.append)
        if not self.others:
            return
        try:
            for packet in self._demux(*self.others):
                receive(packet)
                yield from ready
                ready.clear()
        except (av.error.FFmpegError, OSError):
            return

    def key_times(self, start: Fraction | None) -> list[tuple[Fraction, int]] | None:
        """Where the file can be cut: the time of each key frame from `start` on, and how many frames there are before.

        Times are in seconds. None where the file does not say it for sure: packets without times or of one time, times
        that jump, damaged packets.
        """
        if not self._tells_times() or self._breaks():
            return None
        times: list[int] = []
        keys: list[int] = []
        decoded: int | None = None
        try:
            for packet in self._demux(self._stream):
                if not packet.size or packet.is_discard:  # an edit list may cut a beginning off
                    continue
                if packet.pts is None or packet.is_corrupt or _is_set_back(decoded, packet.dts):
                    return None
                decoded = packet.dts
                times.append(packet.pts)
                if packet.is_keyframe:
                    keys.append(packet.pts)
        except (av.error.FFmpegError, OSError):
            return None
        times.sort()
        longest = LONGEST_PAUSE / self.time_base
        if not all(0 < later - earlier <= longest for earlier, later in pairwise(times)):
            return None
        begin = 0 if start is None else bisect_left(times, start / self.time_base)
        places = [(key, bisect_left(times, key) - begin) for key in sorted(keys)]
        return [(key * self.time_base, frames) for key, frames in places if frames >= 0]

    def _pictures(self, packets: Iterator[av.Packet | None], on_packet: OnPacket | None) -> Iterator[av.VideoFrame]:
        """Decode the packets of the pictures, and hand on the others."""
        deinterlacer = Deinterlacer()
        for packet in packets:
            if packet is not None and packet.stream is not self._stream:
                if on_packet is not None:
                    on_packet(packet)
                continue
            if self._decodes_from_key_frame and packet is not None and not packet.is_keyframe:
                continue
            self._decodes_from_key_frame = False
            try:
                decoded = self._decoder.decode(packet)
            except av.error.FFmpegError:
                self._corrupt_packets += 1
                continue
            for picture in decoded:
                yield from deinterlacer.next(picture)
        yield from deinterlacer.rest()

    def _seek(self, start: Fraction) -> None:
        """Go to where at least two key frames come before `start`; a file that has no such place stays where it is."""
        if not self._has_one_clock():
            return
        for seconds in _SEEK_BACK_SECONDS:
            target = start - seconds
            if target <= self._header_begin:
                return
            with suppress(av.error.FFmpegError, OSError), VideoReader(self.path) as probe:
                probe._seek_to(target)
                if probe._key_frames_before(start) >= 2:
                    self._seek_to(target)
                    self._decodes_from_key_frame = True
                    return

    def _has_one_clock(self) -> bool:
        """Whether a time means the same wherever the reading begins."""
        if not self._tells_times():
            return False
        if self._container.format.name in _WITHOUT_INDEX:
            state = self.path.stat()
            return _only_goes_forward(self.path, state.st_size, state.st_mtime_ns)
        with VideoReader(self.path) as probe:
            first = next(probe._demux(probe._stream), None)
            return first is not None and first.pts is not None

    def _tells_times(self) -> bool:
        """Whether the file itself says when a frame is shown, wherever the reading begins."""
        return not self._is_elementary and self._container.format.name not in _GUESSED_AFTER_A_JUMP

    def _seek_to(self, time: Fraction) -> None:
        self._container.seek(math.floor(time / self.time_base), stream=self._stream)

    def _key_frames_before(self, time: Fraction) -> int:
        """How many key frames come from here on, before a time."""
        count = 0
        for packet in self._demux(self._stream):
            if packet.pts is None or packet.pts * packet.time_base > time:
                return count
            count += packet.is_keyframe
        return count

    def _pass_on(self, packets: Iterator[av.Packet | None], end: Fraction, on_packet: OnPacket | None) -> None:
        """Hand on what belongs to the time before `end` and comes in the file after its pictures."""
        if on_packet is None or not self.others:
            return
        for packet in packets:
            if packet is None:
                return
            if packet.stream in self.others:
                on_packet(packet)
            elif packet.dts is not None and packet.dts * packet.time_base > end + _INTERLEAVED_SECONDS:
                return

    def _stretch(self) -> Fraction:
        """How many times wider than high a pixel is to be shown; 1 where it hardly matters."""
        ratio = self._stream.sample_aspect_ratio
        return ratio if ratio and not _SQUARE_PIXELS[0] < ratio < _SQUARE_PIXELS[1] else Fraction(1)

    def _demux(self, *streams: Any) -> Iterator[Any]:
        """The packets of some streams, or of all; those that flush the decoders are the last."""
        with suppress(IndexError):  # PyAV's very end, where it looks for streams that have appeared on the way
            yield from self._container.demux(*streams)

    def _packets(self) -> Iterator[av.Packet | None]:
        """The packets as far as the file can be read; None is the end after a cut, which flushes the decoder.

        The last packet is left out if it is cut in two: the decoder would refuse it, and PyAV would then not hand out
        the frames before it that the decoder still holds.
        """
        cut_in_two: av.Packet | None = None
        decoded: int | None = None
        count = 0
        try:
            for packet in self._demux():
                if packet.stream is self._stream:
                    if cut_in_two is not None and packet.size:
                        self._marked.append(count)
                        yield cut_in_two  # not the last one; such a packet may give a good part of a frame
                    cut_in_two = packet if packet.is_corrupt else None
                    count += 1
                    if _is_set_back(decoded, packet.dts):  # recordings were put together: not damage
                        self._marked = [marked for marked in self._marked if marked < count - _MARKED_AHEAD]
                    decoded = packet.dts
                if packet is not cut_in_two:
                    self._note_end(packet)
                    yield packet
        except (av.error.FFmpegError, OSError):
            yield None
        self._corrupt_packets += cut_in_two is not None

    def _breaks(self) -> int:
        with suppress(OSError):  # it is gone by now, or its disk is
            return len(self._marked) + breaks(self.path, self._container.format.name)
        return len(self._marked)

    def _note_end(self, packet: av.Packet) -> None:
        """Keep how far, in seconds, a packet's stream has been read."""
        begin = packet.dts if packet.pts is None else packet.pts
        if begin is not None and packet.time_base:
            end = (begin + (packet.duration or 0)) * packet.time_base
            self._ends[packet.stream_index] = max(end, self._ends.get(packet.stream_index, end))

    def _missing_seconds(self, count: int) -> float:
        """What the header promises and the packets do not keep.

        A header that speaks of the whole file only (MKV, FLV) counts from 0 s, and is compared with all its streams:
        the sound may well go on after the pictures.
        """
        if self.duration is None or not self._ends or count == 0:
            return self.duration or 0.0
        if self._stream.frames and count >= self._stream.frames:
            return 0.0
        if self._stream.duration:
            begin = float(self._header_begin)
            end = float(self._ends.get(self._stream.index, 0))
        else:
            begin = min(0, self._container.start_time or 0) / av.time_base
            end = float(max(self._ends.values()))
        missing = self.duration - (end - begin)
        return missing if missing > max(2 / float(self.frame_rate), _TOLERATED_SECONDS) else 0.0


class _Videos:
    """Opens videos. It takes everything, and is asked last: it says what is wrong with what is none."""

    is_live = False

    def matches(self, uri: str) -> bool:
        """Whatever it is."""
        return True

    def open(self, uri: str, options: SourceOptions) -> Recording:
        """Open a video file.

        Raises:
            SourceError: there is no such file, or it is not a video.
            UsageError: an option is for pictures.
        """
        if options.levels is not None:
            raise UsageError(f"--levels is for pictures: {uri} is a video")
        return VideoReader(uri, rate=options.source_fps)


SOURCE = _Videos()


def _is_set_back(decoded: int | None, dts: int | None) -> bool:
    """Whether a stream's clock is set back from the time of a packet to that of the next; None where there is none."""
    return decoded is not None and dts is not None and dts < decoded


@lru_cache(maxsize=64)
def _first_time(path: Path, size: int, changed: int, rate: Fraction | None) -> Fraction | None:
    """The time of a file's first frame, in seconds, once for a size and a time of change; None where it has none."""
    with VideoReader(path, rate=rate) as reader:
        first = next(reader.frames(), None)
        return None if first is None else first.pts


@lru_cache(maxsize=64)
def _only_goes_forward(path: Path, size: int, changed: int) -> bool:
    """Whether a file's times are never set back. Reads all of it, so once for a size and a time of change."""
    with VideoReader(path) as reader:
        return reader.key_times(None) is not None


def _within(start: Fraction | None, end: Fraction | None, on_packet: OnPacket) -> Callable[[Any], None]:
    """The same receiver, for packets of a span of time alone."""

    def receive(packet: Any) -> None:
        if packet.dts is None:  # nobody knows where it belongs
            return
        time = (packet.dts if packet.pts is None else packet.pts) * packet.time_base
        if (start is None or time >= start) and (end is None or time < end):
            on_packet(packet)

    return receive


def _named_rate(stream: Any) -> Fraction | None:
    """Frames per second that an elementary stream itself names; its average is FFmpeg's default, whatever it names."""
    named = stream.codec_context.framerate
    return named if named and _SLOWEST_RATE <= named <= _FASTEST_RATE else None


def _frame_rate(stream: Any) -> Fraction:
    """Frames per second: the average, unless the clock jumps so far that it says nothing."""
    average, guessed = stream.average_rate, stream.guessed_rate
    if average and guessed and average < _SLOWEST_RATE < guessed:
        return guessed
    return average or guessed or _DEFAULT_RATE


def _decoder(stream: Any) -> Any:
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


def _to_bgr(picture: av.VideoFrame, stretch: Fraction) -> np.ndarray:
    """uint8 (height, width, 3), BGR. Pictures that do not name their colour matrix have BT.709's from 720 lines up."""
    matrix = picture.colorspace
    if matrix not in _KNOWN_MATRICES:
        matrix = _BT709 if picture.height >= _HD_HEIGHT else _BT601
    width = max(1, round(picture.width * stretch))
    has_alpha = any(component.is_alpha for component in picture.format.components)
    pixels = "bgra" if has_alpha else "bgr24"
    image = picture.reformat(width=width, format=pixels, src_colorspace=matrix, threads=1).to_ndarray()
    if has_alpha:
        image = on_white(image)
    return upright(image, picture)


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error)
