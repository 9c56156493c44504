"""A recording's frames, as the options want them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.attribution.fit_choice import Stream
from live_gradcam.errors import SourceError
from live_gradcam.flow.overlap import Ahead
from live_gradcam.sources import opening
from live_gradcam.sources.clock import LONGEST_PAUSE
from live_gradcam.sources.frame import Frame
from live_gradcam.sources.options import SourceOptions
from live_gradcam.sources.source import OnPacket, Recording
from live_gradcam.sources.spans import within

#: How many frames may wait between two stages: enough for an even flow, few enough for 4K frames in memory.
DEPTH = 6
#: Seconds. So much sound before the pictures is only there for decoders to warm up.
_WARMING_UP = Fraction(1, 10)
#: Seconds before a start that are read for the frame that is shown there.
_SHOWN_BEFORE = Fraction(10)


def open_recording(path: Path, options: AnnotateOptions) -> Recording:
    """Open a video, or pictures as a video; see `opening.open_recording`.

    Raises:
        SourceError: it is neither.
    """
    wanted = SourceOptions(source_fps=options.source_fps, picture_fps=options.picture_fps, levels=options.levels)
    return opening.open_recording(path, wanted)


def obstacle(path: Path, options: AnnotateOptions) -> SourceError | None:
    """Why a recording cannot be opened; None if it can."""
    try:
        open_recording(path, options).close()
    except SourceError as error:
        return error
    return None


class Span:
    """The part of a recording that is annotated, on the recording's clock, which may begin anywhere.

    The output's clock begins at 0: with the span's start; of a whole recording with its first frame, or with its sound
    where that begins before.

    Args:
        reader: the recording.
        options: where it begins and ends, after the recording's beginning.

    Attributes:
        start: seconds; None for the beginning.
        end: seconds; None for the end.
        begin: seconds, of its first frame or its start.
        shift: seconds by which the output's times are earlier, a whole number of ticks.
        seconds: how long it is, as the header says; None if that does not say.
    """

    def __init__(self, reader: Recording, options: AnnotateOptions) -> None:
        self.start = None if options.start is None else reader.begin + options.start
        self.end = None if options.end is None else reader.begin + options.end
        self.begin = reader.begin if self.start is None else self.start
        origin = _beginning(reader) if self.start is None else self.start
        self.shift = origin // reader.time_base * reader.time_base
        ends = [] if self.end is None else [self.end]
        if reader.duration is not None:
            ends.append(reader.begin + Fraction(reader.duration))
        self.seconds = float(min(ends) - self.begin) if ends else None


def _beginning(reader: Recording) -> Fraction:
    """Seconds on a recording's clock: of what is there first, the pictures or the sound."""
    sounds = [stream for stream in reader.others if stream.type == "audio" and stream.start_time is not None]
    earlier = max((reader.begin - stream.start_time * stream.time_base for stream in sounds), default=Fraction(0))
    return reader.begin - earlier if _WARMING_UP < earlier <= LONGEST_PAUSE else reader.begin


class SourceAhead:
    """A recording that is decoded ahead, from now on. Use as a context manager.

    Args:
        path: the recording.
        options: which of its frames, and how many per second.

    Raises:
        SourceError: it is not a video.
    """

    def __init__(self, path: Path, options: AnnotateOptions) -> None:
        self.reader = open_recording(path, options)
        self.span = Span(self.reader, options)
        #: Packets of sound and subtitles, as far as the frames are decoded.
        self.packets: deque[Any] = deque()
        frames = frames_of(self.reader, options, self.span.start, self.span.end, on_packet=self.packets.append)
        self._ahead = Ahead(frames, DEPTH)
        self.frames: Iterator[Frame] = self._ahead

    def look(self) -> Stream | None:
        """What is known from its first frame; None if there is none."""
        first = next(self.frames, None)
        if first is None:
            return None
        self.frames = chain([first], self._ahead)
        return Stream((first.image.shape[0], first.image.shape[1]), None)

    def __enter__(self) -> SourceAhead:
        return self

    def __exit__(self, *_: object) -> None:
        self._ahead.close()
        self.reader.close()


def frames_of(
    reader: Recording,
    options: AnnotateOptions,
    start: Fraction | None,
    end: Fraction | None,
    *,
    on_packet: OnPacket | None = None,
) -> Iterator[Frame]:
    """The frames of a part of a recording, as many per second as the options want; see `Recording.frames`."""
    if options.output_fps is None:
        return reader.frames(start=start, end=end, on_packet=on_packet)
    earlier = None if start is None else start - _SHOWN_BEFORE  # what is shown at the start may have come before it
    frames = reader.frames(start=earlier, end=end, on_packet=on_packet and within(start, end, on_packet))

    def shown_until(last: Frame) -> Fraction:
        until = last.pts + (last.duration or 1 / reader.frame_rate)
        if end is None:
            return until
        if reader.duration is not None and not reader.loss.missing_seconds:  # else nobody knows what comes after it
            until = max(until, reader.begin + Fraction(reader.duration))
        return min(until, end)

    return resampled(frames, options.output_fps, Span(reader, options).begin, shown_until)


def resampled(
    frames: Iterator[Frame], rate: Fraction, begin: Fraction, shown_until: Callable[[Frame], Fraction]
) -> Iterator[Frame]:
    """Frames at another rate, each the newest at its time.

    Args:
        frames: with times that increase; some may come before the beginning.
        rate: frames per second.
        begin: the time of the first one, in seconds; where no frame came before, it is the first.
        shown_until: until when the last frame is shown, in seconds.
    """
    count = 0
    newest: Frame | None = None

    def shown(frame: Frame) -> Frame:
        return replace(frame, image=frame.image.copy(), index=count, pts=begin + count / rate, duration=1 / rate)

    for frame in frames:
        while newest is not None and begin + count / rate < frame.pts:
            yield shown(newest)
            count += 1
        newest = frame
    if newest is None:
        return
    until = shown_until(newest)
    while begin + count / rate < until or (not count and newest.pts >= begin):
        yield shown(newest)
        count += 1
