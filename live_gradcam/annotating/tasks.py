"""What is done with each part of a recording, wherever that is: explain its frames, and draw and encode them.

A recording is read twice. What is drawn over a frame depends on the frames before it (smoothing, the colours' scale,
steady boxes): all explanations pass through one place, in order, before anything is drawn.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol

from live_gradcam.annotating.drawing import Drawing
from live_gradcam.annotating.explaining import TimedExplanation, explained
from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.annotating.output import pictures_of
from live_gradcam.annotating.segments import Segment
from live_gradcam.annotating.source import DEPTH, Span, frames_of, open_recording
from live_gradcam.attribution.session import Session, SessionOptions, start_session
from live_gradcam.errors import SourceError
from live_gradcam.explanations.stability import StableExplanation
from live_gradcam.explanations.vocabulary import Vocabulary
from live_gradcam.flow.overlap import Ahead
from live_gradcam.sinks.sink import OpenSink, show_for
from live_gradcam.sources.clock import ClockFaults
from live_gradcam.sources.frame import Frame
from live_gradcam.sources.loss import Loss


@dataclass(frozen=True)
class ExplainedSegment:
    """What the network said of a segment.

    Attributes:
        explained: the frames that were explained.
        frames: how many there are.
        sizes: the heights and widths of all of them.
        vocabulary: the names.
        targets: how many classes were asked for.
        noise_floor: what the network finds in noise.
        loss: what could not be read.
        clock: what the recording's clock does that time does not.
        notes: what was done to the recording, or left out.
    """

    explained: list[TimedExplanation]
    frames: int
    sizes: frozenset[tuple[int, int]]
    vocabulary: Vocabulary
    targets: int
    noise_floor: float
    loss: Loss
    clock: ClockFaults
    notes: list[str]


@dataclass(frozen=True)
class EncodedSegment:
    """A drawn and encoded segment.

    Attributes:
        content: a file of the output's kind; nothing where the segment has no frames.
        frames: how many there are.
        encoder: FFmpeg's name of the encoder.
    """

    content: bytes
    frames: int
    encoder: str


class StoppedError(Exception):
    """The work was cancelled."""


class WorkerState:
    """What a worker keeps from task to task: the session, once it is started, and what was found out about it.

    Args:
        session: what to explain with.
        options: how recordings are annotated.
        scratch: a folder for temporary files; None for the system's own.
    """

    def __init__(self, session: SessionOptions, options: AnnotateOptions, scratch: str | None = None) -> None:
        self.options = options
        self.scratch = scratch
        self._session_options = session
        self._session: Session | None = None
        self._noise_floor: dict[tuple[int, int], float] = {}

    def is_stopped(self) -> bool:
        """Whether the work was cancelled."""
        return False

    @property
    def session(self) -> Session:
        """Started when it is first asked for.

        Raises:
            LiveGradcamError: as `start_session`.
        """
        if self._session is None:
            self._session = start_session(self._session_options)
        return self._session

    def noise_floor(self, frame_size: tuple[int, int]) -> float:
        """See `Session.noise_floor`."""
        if frame_size not in self._noise_floor:
            self._noise_floor[frame_size] = self.session.noise_floor(frame_size)
        return self._noise_floor[frame_size]


class Task(Protocol):
    """A piece of work that can be done anywhere, and done again."""

    def run(self, worker: WorkerState) -> Any:
        """Do it."""


@dataclass(frozen=True)
class Start:
    """Start the session. What is timed on this machine is remembered for those that start after it."""

    def run(self, worker: WorkerState) -> dict[str, float]:
        """Do it. Returns the seconds of each stage.

        Raises:
            LiveGradcamError: as `start_session`.
        """
        return worker.session.start_s


@dataclass(frozen=True)
class Explain:
    """Explain the frames of a segment.

    Attributes:
        source: the recording.
        segment: which part.
    """

    source: Path
    segment: Segment

    def run(self, worker: WorkerState) -> ExplainedSegment:
        """Do it.

        Raises:
            LiveGradcamError: as `start_session` and the readers.
        """
        session, options = worker.session, worker.options
        found: list[TimedExplanation] = []
        sizes: set[tuple[int, int]] = set()
        count = 0
        with _frames(self.source, self.segment, options, worker) as (frames, reader):
            first = next(frames, None)
            if first is not None:
                session.expect((first.image.shape[0], first.image.shape[1]))
            rest = chain([] if first is None else [first], frames)
            for frame, explanation in explained(rest, session, stride=options.stride, batch=options.batch or 1):
                size = frame.image.shape[:2]
                sizes.add(size)
                count += 1
                if explanation is not None:
                    found.append(TimedExplanation(frame.index, frame.pts, size, explanation))
        noise_floor = worker.noise_floor(found[0].size) if found else 0.0
        vocabulary, targets = session.vocabulary, len(session.targets)
        return ExplainedSegment(
            *(found, count, frozenset(sizes), vocabulary, targets, noise_floor),
            loss=reader.loss,
            clock=reader.clock,
            notes=list(reader.notes),
        )


@dataclass(frozen=True)
class Draw:
    """Draw the frames of a segment, and encode them.

    Attributes:
        source: the recording.
        segment: which part, with the number of its frames that were explained. A file that grows has more by now.
        name: the output's, for its kind.
        shown: what is drawn, from which frame's number on.
    """

    source: Path
    segment: Segment
    name: str
    shown: Sequence[tuple[int, StableExplanation]]

    def run(self, worker: WorkerState) -> EncodedSegment:
        """Do it.

        Raises:
            LiveGradcamError: as the readers and the sink; or the recording has fewer frames by now.
        """
        options = worker.options
        drawing = Drawing(options)
        changes = iter(self.shown)
        current: StableExplanation | None = None
        upcoming = next(changes, None)
        writer: OpenSink | None = None
        encoding = options.encoding.of_file(Path(self.name))
        with tempfile.TemporaryDirectory(prefix="live-gradcam-", dir=worker.scratch) as folder:
            path = Path(folder, self.name)
            with _frames(self.source, self.segment, options, worker) as (frames, reader):
                shift = Span(reader, options).shift
                try:
                    for frame in islice(frames, self.segment.frames):
                        while upcoming is not None and upcoming[0] <= frame.index:
                            current, upcoming = upcoming[1], next(changes, None)
                        assert current is not None  # something is shown from the first frame on
                        picture = drawing.picture(frame.image, current)
                        if writer is None:
                            pictures = pictures_of(reader, options, path, picture.shape[:2])
                            writer = encoding.sink.open(path, pictures, encoding)
                        show_for(writer, frame.duration)
                        writer.write(picture, frame.pts - shift)
                    if (0 if writer is None else writer.frames_written) != self.segment.frames:
                        raise changed(self.source)
                    if writer is None:
                        return EncodedSegment(b"", 0, "")
                    writer.finish("")
                except BaseException:
                    if writer is not None:
                        writer.discard()
                    raise
            return EncodedSegment(path.read_bytes(), writer.frames_written, writer.encoder)


def changed(source: Path) -> SourceError:
    """A recording that is another one by now than when it was explained."""
    return SourceError(f"{source} changed while it was annotated: annotate it again")


@contextmanager
def _frames(
    source: Path, segment: Segment, options: AnnotateOptions, worker: WorkerState
) -> Iterator[tuple[Iterator[Frame], Any]]:
    """A segment's frames, by their numbers in the output, and their reader."""

    def numbered(frames: Iterator[Frame]) -> Iterator[Frame]:
        for frame in frames:
            if worker.is_stopped():
                raise StoppedError
            yield replace(frame, index=frame.index + segment.first)

    with (
        open_recording(source, options) as reader,
        Ahead(frames_of(reader, options, segment.start, segment.end), DEPTH) as ahead,
    ):
        yield numbered(ahead), reader
