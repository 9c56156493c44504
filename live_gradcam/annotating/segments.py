"""Parts of a recording that are worked on by themselves."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from live_gradcam.annotating.jobs import AnnotateJob
from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.annotating.source import Span, open_recording

#: Seconds of the recording: the shortest part that is worth a task of its own, and the longest that is allowed, as its
#: explanations wait in memory.
_SHORTEST, _LONGEST = 1.0, 10.0
#: How many parts of a short recording each worker gets: with more, all workers end at about the same time.
_PARTS_EACH = 2


@dataclass(frozen=True)
class Segment:
    """A part of a recording.

    Attributes:
        start: seconds on the recording's clock; None for its beginning.
        end: seconds; None for its end.
        first: the number of its first frame in the output.
        frames: how many it must have; None where nobody knows.
    """

    start: Fraction | None
    end: Fraction | None
    first: int
    frames: int | None


def cut(job: AnnotateJob, options: AnnotateOptions, workers: int) -> list[Segment]:
    """The parts of a recording: from key frame to key frame, a few for each of so many workers.

    One part where the recording cannot be cut so that the parts' frames are those of the whole.

    Raises:
        SourceError: it is not a video.
    """
    with open_recording(job.source, options) as reader:
        span = Span(reader, options)
        whole = [Segment(span.start, span.end, 0, None)]
        if options.output_fps is not None or not options.encoding.of_file(job.output).sink.joins:
            return whole
        keys = reader.key_times(span.start)
        if not keys:
            return whole
        length = _LONGEST if span.seconds is None else span.seconds / (_PARTS_EACH * workers)
        length = min(_LONGEST, max(_SHORTEST, length))
        cuts: list[tuple[Fraction | None, int]] = [(span.start, 0)]
        last = span.begin
        for time, frames_before in keys:
            if time - last >= length and (span.end is None or time < span.end):
                cuts.append((time, frames_before))
                last = time
        ends = [*cuts[1:], (span.end, None)]
        return [
            Segment(start, end, first, None if after is None else after - first)
            for (start, first), (end, after) in zip(cuts, ends, strict=True)
        ]
