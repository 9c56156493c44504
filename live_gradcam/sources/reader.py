"""Video files: every frame, with its exact time."""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import av

from live_gradcam.errors import SourceError
from live_gradcam.sources.clock import LONGEST_PAUSE, Clock
from live_gradcam.sources.conversion import pixel_width, to_bgr
from live_gradcam.sources.deinterlacing import Deinterlacer
from live_gradcam.sources.frame import Frame
from live_gradcam.sources.header import (
    average_rate,
    decoder_of,
    hdr_of,
    named_rate,
    notes_on_streams,
    open_container,
    other_streams,
    picture_stream,
    seconds_of,
)
from live_gradcam.sources.joints import Joints
from live_gradcam.sources.levels import for_pictures_only
from live_gradcam.sources.loss import Loss
from live_gradcam.sources.options import DEFAULT_OPTIONS, SourceOptions
from live_gradcam.sources.packets import PacketReader, is_set_back
from live_gradcam.sources.source import OnPacket, Recording
from live_gradcam.sources.spans import within
from live_gradcam.sources.timecode import timecode_of

#: Codecs whose frames say how long each is shown. Of others FFmpeg makes times up where a file has none.
_TELL_DURATIONS = frozenset({"mpeg2video", "mpeg4"})
_NO_TIMESTAMPS = 0x80  # FFmpeg's AVFMT_NOTIMESTAMPS
_SEEK_BACK_SECONDS = (0, 2, 10, 60)
_SHOWN_SECONDS = 10  # how long before a start the subtitle may begin that is shown there
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
        self._container = open_container(self.path)
        self.file_format: str = self._container.format.name
        self._stream = picture_stream(self._container, self.path)
        self._stream.thread_type = "AUTO"
        self._decoder = decoder_of(self._stream)
        self._packets = PacketReader(self.path, self._container, self._stream)
        self.others = other_streams(self._container)
        self._is_elementary = bool(self._container.format.flags & _NO_TIMESTAMPS)
        self._given_rate = rate if self._is_elementary else None
        named = named_rate(self._stream) if self._is_elementary else None
        self.frame_rate = self._given_rate or named or average_rate(self._stream, self.path)
        self._tells_durations = rate is None and self._stream.codec_context.name in _TELL_DURATIONS
        self.notes = notes_on_streams(self._container, self._stream, self.path) + self._notes_on_rate(rate, named)
        self.time_base: Fraction = self._stream.time_base or 1 / self.frame_rate
        self.duration = seconds_of(self._container, self._stream, self.time_base)
        self._header_begin = Fraction((self._stream.start_time or 0) * self.time_base)
        self.expected_frames = self._stream.frames or (
            max(1, round(self.duration * float(self.frame_rate))) if self.duration else None
        )
        self.metadata: dict[str, str] = {**timecode_of(self._stream), **self._container.metadata}
        self.chapters: list[Any] = self._container.chapters()
        self.hdr = hdr_of(self._stream)
        self._decodes_from_key_frame = False
        self._pixel_widths = _PixelWidths(pixel_width(self._stream))

    def _notes_on_rate(self, given: Fraction | None, named: Fraction | None) -> list[str]:
        """Which rate was taken where the file has no times, or why the given one was not."""
        if not self._is_elementary:
            return [f"{self.path} has times of its own, so --source-fps is not used"] if given else []
        taken = f"{self.path} has no times of its own: its frames come at {float(self.frame_rate):.6g} per second"
        if given:
            return [f"{taken}, as --source-fps says"]
        if named:
            return [f"{taken}, as its stream says"]
        return [f"{taken}, which is a guess. Give the rate with --source-fps"]

    @cached_property
    def begin(self) -> Fraction:  # type: ignore[override] # it can be set, too
        """Seconds. The header may know of frames before the first one that can be decoded."""
        with suppress(OSError, SourceError):  # it is gone by now
            state = self.path.stat()
            first = _first_time(self.path, state.st_size, state.st_mtime_ns, self._given_rate)
            if first is not None:
                return first
        return self._header_begin

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
        if start is not None:
            has_subtitles = on_packet is not None and any(stream.type == "subtitle" for stream in self.others)
            self._seek(start, back=_SHOWN_SECONDS if has_subtitles else 0)
        count = 0
        packets = self._packets.all()
        joints = Joints(clock, self.frame_rate, within(start, end, on_packet)) if on_packet else None
        mended = 0
        picture: Any
        for picture in self._pictures(packets, joints):
            is_counted = picture.pts is None or (self._is_elementary and not self._tells_durations)
            pts = clock.next(None if is_counted else picture.pts * picture.time_base)
            if end is not None and pts >= end:
                self._pass_on(packets, end, joints)
                self.clock = clock.faults
                self.loss = Loss(self._packets.corrupt, 0.0, mended, self._packets.marked)
                return
            if start is None or pts >= start:
                mended += picture.is_corrupt
                image = to_bgr(picture, self._pixel_widths.at(picture.pts))
                duration = None if is_counted else self._duration_of(picture, pts, end)
                yield Frame(image, count, pts, time.monotonic(), duration)
                count += 1
        if joints is not None:
            joints.end()
        self.clock = clock.faults
        missing = 0.0
        if not clock.faults.jumps:  # the header counts the jumps too
            missing = self._packets.missing_seconds(self.duration, self._header_begin, self.frame_rate, count)
        self.loss = Loss(self._packets.corrupt, missing, mended, self._packets.breaks())

    def _duration_of(self, picture: Any, pts: Fraction, end: Fraction | None) -> Fraction | None:
        """How long a picture is shown, in seconds, until `end` at most."""
        if not picture.duration:
            return None
        duration = Fraction(picture.duration * picture.time_base)
        return duration if end is None else min(duration, end - pts)

    def other_packets(self, start: Fraction | None, end: Fraction | None) -> Iterator[av.Packet]:
        """The packets of `others` alone, from `start` to `end` (seconds).

        Where the file's times are set back, the pictures are decoded too: they say where each part belongs.
        """
        ready: list[av.Packet] = []
        receive = within(start, end, ready.append)
        if not self.others:
            return
        if not self._goes_forward():
            for _ in self.frames(start=start, end=end, on_packet=ready.append):
                yield from ready
                ready.clear()
            yield from ready
            return
        try:
            for packet in self._packets.of(*self.others):
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
        if not self._tells_times() or self._packets.breaks():
            return None
        times: list[int] = []
        keys: list[int] = []
        decoded: int | None = None
        try:
            for packet in self._packets.of(self._stream):
                if not packet.size or packet.is_discard:  # an edit list may cut a beginning off
                    continue
                if packet.pts is None or packet.is_corrupt or is_set_back(decoded, packet.dts):
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

    def _pictures(self, packets: Iterator[av.Packet | None], joints: Joints | None) -> Iterator[av.VideoFrame]:
        """Decode the packets of the pictures, and hand on the others."""
        deinterlacer = Deinterlacer()
        for packet in packets:
            if packet is not None and packet.stream is not self._stream:
                if joints is not None:
                    joints.next(packet)
                continue
            if self._decodes_from_key_frame and packet is not None and not packet.is_keyframe:
                continue
            self._decodes_from_key_frame = False
            try:
                decoded = self._decoder.decode(packet)
            except av.error.FFmpegError:
                self._packets.corrupt += 1
                continue
            for picture in decoded:
                if picture.key_frame:
                    self._pixel_widths.note(pixel_width(self._decoder), picture.pts)
                yield from deinterlacer.next(picture)
        yield from deinterlacer.rest()

    def _seek(self, start: Fraction, *, back: int = 0) -> None:
        """Go to where at least two key frames come before `start`, and `back` seconds.

        A file that has no such place stays where it is.
        """
        if not self._has_one_clock():
            return
        for seconds in _SEEK_BACK_SECONDS:
            if seconds < back:
                continue
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
            return self._goes_forward()
        with VideoReader(self.path) as probe:
            first = next(probe._packets.of(probe._stream), None)
            return first is not None and first.pts is not None

    def _goes_forward(self) -> bool:
        """Whether the file's times are never set back. May read the file."""
        state = self.path.stat()
        return _only_goes_forward(self.path, state.st_size, state.st_mtime_ns)

    def _tells_times(self) -> bool:
        """Whether the file itself says when a frame is shown, wherever the reading begins."""
        return not self._is_elementary and self._container.format.name not in _GUESSED_AFTER_A_JUMP

    def _seek_to(self, time: Fraction) -> None:
        self._container.seek(math.floor(time / self.time_base), stream=self._stream)

    def _key_frames_before(self, time: Fraction) -> int:
        """How many key frames come from here on, before a time."""
        count = 0
        for packet in self._packets.of(self._stream):
            if packet.pts is None or packet.pts * packet.time_base > time:
                return count
            count += packet.is_keyframe
        return count

    def _pass_on(self, packets: Iterator[av.Packet | None], end: Fraction, joints: Joints | None) -> None:
        """Hand on what belongs to the time before `end` and comes in the file after its pictures."""
        if joints is None or not self.others:
            return
        for packet in packets:
            if packet is None:
                break
            if packet.stream in self.others:
                joints.next(packet)
            elif packet.dts is not None and packet.dts * packet.time_base > end + _INTERLEAVED_SECONDS:
                break
        joints.end()


class _PixelWidths:
    """How wide pixels are (see `pixel_width`): broadcasts change it at a key frame, with as many pixels as before.

    What the container says of all its frames counts more than what they say.

    Args:
        width: of the stream as a whole.
    """

    def __init__(self, width: Fraction) -> None:
        self._width = width
        self._said: Fraction | None = None
        self._container_decides = False
        self._changes: list[tuple[int | None, Fraction]] = []

    def note(self, width: Fraction, pts: int | None) -> None:
        """Take what the decoder says at a key frame, which is shown at `pts`, in ticks; others come out before it."""
        if self._said is None:
            self._container_decides = width != self._width
        elif width != self._said and not self._container_decides:
            self._changes.append((pts, width))
        self._said = width

    def at(self, pts: int | None) -> Fraction:
        """The width of the next picture, which is shown at `pts`, in ticks."""
        while self._changes and (pts is None or self._changes[0][0] is None or pts >= self._changes[0][0]):
            _, self._width = self._changes.pop(0)
        return self._width


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
        if options.levels is not None and options.levels.of == "all":
            raise for_pictures_only(uri)
        reader = VideoReader(uri, rate=options.source_fps)
        if options.picture_fps != DEFAULT_OPTIONS.picture_fps:
            reader.notes = [*reader.notes, f"{uri} is a video, so --picture-fps is not used"]
        return reader


SOURCE = _Videos()
