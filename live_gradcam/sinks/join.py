"""Encoded parts of a video become one file. Nothing is encoded again."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av

from live_gradcam.errors import OutputError
from live_gradcam.files import publish, remove_part, writing
from live_gradcam.sinks.accompaniment import Accompaniment
from live_gradcam.sinks.containers import container_of, open_container
from live_gradcam.sinks.sink import NO_EXTRAS, Carried, Companion, Extras


def join(
    parts: Sequence[Path], path: Path, *, time_base: Fraction, companion: Companion, extras: Extras = NO_EXTRAS
) -> Carried:
    """Join parts in the order of their times, which stay as they are, and add sound and subtitles once.

    Args:
        parts: files of the same encoder with the same settings, each with all times later than those before it.
        path: the file, of the parts' kind. It grows as `NAME.part`.
        time_base: the seconds of one tick of the parts' times.
        companion: whose sound and subtitles are added.
        extras: what the file has besides; of these, the streams of the companion are taken.

    Returns:
        What became of the sound and subtitles.

    Raises:
        OutputError: the parts do not fit together, or the file cannot be written. Nothing is left behind.
    """
    try:
        with writing(path, av.error.FFmpegError), ExitStack() as stack:
            output: Any = stack.enter_context(open_container(path, time_base))
            output.metadata.update(extras.metadata)
            output.set_chapters(list(extras.chapters))
            first = stack.enter_context(av.open(str(parts[0].absolute())))
            source = first.streams.video[0]
            video = output.add_stream_from_template(source, opaque=True)
            video.codec_context.framerate = source.average_rate  # which a timecode needs
            kind = container_of(path)
            if kind.format == "mp4":
                video.codec_context.codec_tag = source.codec_context.codec_tag  # hvc1, which FFmpeg would not choose
            accompaniment = Accompaniment(companion.reader.others, output, kind, shift=extras.shift)
            output.start_encoding()
            others = companion.reader.other_packets(companion.start, companion.end)
            waiting: Any = next(others, None)
            for packet in _in_decoding_order(parts, _settings(source)):
                time = packet.dts * packet.time_base + extras.shift
                while waiting is not None and waiting.dts * waiting.time_base <= time:
                    output.mux(accompaniment.packets(waiting))
                    waiting = next(others, None)
                packet.stream = video
                output.mux(packet)
            while waiting is not None:
                output.mux(accompaniment.packets(waiting))
                waiting = next(others, None)
            output.mux(accompaniment.rest())
        with writing(path):
            publish(path)
    except BaseException:
        remove_part(path)
        raise
    return Carried(accompaniment.converted, accompaniment.left_out)


def _settings(stream: Any) -> tuple[Any, ...]:
    """What the packets of two streams must have in common to be one stream."""
    context = stream.codec_context
    return context.name, context.width, context.height, context.pix_fmt, context.extradata, stream.time_base


def _in_decoding_order(parts: Sequence[Path], settings: tuple[Any, ...]) -> Iterator[Any]:
    """The packets of all parts with decoding times that increase over all of them.

    Each encoder counted those for itself, from before its first picture. Here a packet is decoded when the picture is
    shown that is as many places earlier as an encoder looks ahead at most.
    """
    times, lookahead, step, rest = _presentation_times(parts)
    position = 0
    for part in parts:
        with av.open(str(part.absolute())) as container:
            stream = container.streams.video[0]
            if _settings(stream) != settings:
                raise OutputError(f"the parts of a video were encoded in different ways: {parts[0].name}, {part.name}")
            for packet in container.demux(stream):
                if not packet.size:
                    continue
                before = position - lookahead
                packet.dts = times[before] if before >= 0 else times[0] + before * step
                position += 1
                if packet.pts == times[-1]:
                    packet.duration = rest
                yield packet


class _Times(NamedTuple):
    """When the pictures of all parts are shown.

    Attributes:
        shown: all times in ticks, increasing.
        lookahead: how many places a packet comes before its turn at most.
        step: from the first one to the second, in ticks.
        rest: how long the last one is shown, in ticks. MP4 says it of the packet that is decoded last.
    """

    shown: array[int]
    lookahead: int
    step: int
    rest: int


def _presentation_times(parts: Sequence[Path]) -> _Times:
    times: array[int] = array("q")
    lookahead = rest = 0
    for part in parts:
        with av.open(str(part.absolute())) as container:
            stream = container.streams.video[0]
            packets = [
                (packet.pts, packet.duration or 0)
                for packet in container.demux(stream)
                if packet.size and packet.pts is not None
            ]
        own = [time for time, _ in packets]
        rest = max(packets[-1][1], max(packets)[1])
        shown = sorted(own)
        turns = {time: turn for turn, time in enumerate(shown)}
        lookahead = max([lookahead, *(place - turns[time] for place, time in enumerate(own))])
        times.extend(shown)
    step = max(1, times[1] - times[0]) if len(times) > 1 else 1
    return _Times(times, lookahead, step, rest)
