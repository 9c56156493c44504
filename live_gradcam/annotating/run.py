"""One recording after the other, in this process. Decoding, explaining, drawing and encoding overlap."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import ExitStack, closing
from fractions import Fraction
from itertools import chain
from typing import NamedTuple

import numpy as np

from live_gradcam.annotating.batch import Batch, Planned
from live_gradcam.annotating.drawing import Drawing
from live_gradcam.annotating.explaining import TimedExplanation, explained
from live_gradcam.annotating.jobs import AnnotateJob
from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.annotating.output import AnnotatedFile
from live_gradcam.annotating.report import AnnotateSummary
from live_gradcam.annotating.sidecars.opened import OpenSidecars
from live_gradcam.annotating.source import DEPTH, SourceAhead
from live_gradcam.annotating.tracking import TrackedFrame, Tracker
from live_gradcam.attribution.session import Session
from live_gradcam.errors import LiveGradcamError, SourceError
from live_gradcam.explanations.explanation import Explanation
from live_gradcam.explanations.stability import StableExplanation
from live_gradcam.flow.overlap import Behind
from live_gradcam.flow.stopping import StopRequest
from live_gradcam.sources.frame import Frame

#: Timing batches takes two more compilations, and timing callers a second. Both pay from this many frames on.
_WORTH_TIMING = 1000


def annotate_all(batch: Batch, session: Session, opened: SourceAhead | None = None) -> None:
    """Annotate the recordings of a batch; one that fails does not stop the others.

    Args:
        batch: which, and how; is notified of what becomes of each.
        session: explains.
        opened: the only recording, where it is being decoded already.
    """
    for planned in list(batch.todo):
        if batch.stop.requested:
            return
        try:
            summary = annotate_recording(planned, session, batch, opened)
        except LiveGradcamError as error:
            batch.failed(planned.job, error)
        else:
            batch.done(planned.job, summary)


def annotate_recording(
    planned: Planned, session: Session, batch: Batch, opened: SourceAhead | None = None
) -> AnnotateSummary:
    """Annotate one recording.

    Args:
        planned: the recording, and what its output says of itself.
        session: explains.
        batch: how, and when to stop; is notified of each frame.
        opened: the recording, where it is being decoded already.

    What can be read of a damaged file is annotated, and `loss` says what could not. After a stop request the files are
    finished with the frames that were explained so far.

    Raises:
        SourceError: it is not a video, or not one frame of it can be read. Nothing is left behind.
        OutputError: the output cannot be written. Nothing is left behind.
    """
    begun = time.perf_counter()
    job, options = planned.job, batch.options
    with ExitStack() as stack:
        stack.enter_context(planned.claimed())
        source = opened or stack.enter_context(SourceAhead(job.source, options))
        reader = source.reader
        first = next(source.frames, None)
        if first is None:
            raise nothing_to_annotate(job, options)
        size = first.image.shape[:2]
        session.expect(size)
        tracker = Tracker(options, session.vocabulary, session.noise_floor(size), len(session.targets))
        sidecars = stack.enter_context(OpenSidecars(job, options))
        file = stack.enter_context(AnnotatedFile(planned, reader, options))
        output = _Output(file, source, sidecars, batch)
        group, callers = options.batch or 1, 1
        if options.stride == 1 and (reader.expected_frames or 0) >= _WORTH_TIMING:
            group = options.batch or session.fastest_batch(size)
            callers = session.fastest_callers(size, group)
        every = chain([first], source.frames)
        frames = explained(every, session, stride=options.stride, batch=group, callers=callers)
        painter = _Painter(options, tracker, sidecars.take_numbers)
        is_complete = _draw_and_write(stack.enter_context(closing(frames)), painter, output, batch.stop)
        output.finish(complete=is_complete)
    return AnnotateSummary(
        frames=file.frames_written,
        explained=sidecars.frames,
        expected_frames=reader.expected_frames,
        seconds=time.perf_counter() - begun,
        loss=reader.loss,
        stopped=not is_complete,
        hdr=reader.hdr,
        begins_at=float(source.span.shift),
        clock=reader.clock,
        notes=list(reader.notes),
        encoder=file.encoder,
        **file.carried._asdict(),
    )


class _Painted(NamedTuple):
    """An annotated frame.

    Attributes:
        picture: uint8 (height, width, 3) BGR.
        pts: its time in seconds.
        duration: how long it is shown, in seconds; None where the source does not say it.
        tracked: what is written down of it; None where it was not explained.
    """

    picture: np.ndarray
    pts: Fraction
    duration: Fraction | None
    tracked: TrackedFrame | None


class _Painter:
    """Draws frames, those that were not explained under what was seen last."""

    def __init__(self, options: AnnotateOptions, tracker: Tracker, take_numbers: bool) -> None:
        self._tracker = tracker
        self._take_numbers = take_numbers
        self._drawing = Drawing(options)
        self._shown: StableExplanation | None = None

    def paint(self, frame: Frame, explanation: Explanation | None) -> _Painted:
        """Draw the next frame."""
        tracked = None
        if explanation is not None:
            timed = TimedExplanation(frame.index, frame.pts, frame.image.shape[:2], explanation)
            tracked = self._tracker.track(timed, numbers=self._take_numbers)
            self._shown = tracked.shown
        assert self._shown is not None  # the first frame is explained
        return _Painted(self._drawing.picture(frame.image, self._shown), frame.pts, frame.duration, tracked)


class _Output:
    """Writes annotated frames, their sound, and what is written down of them."""

    def __init__(self, file: AnnotatedFile, source: SourceAhead, sidecars: OpenSidecars, batch: Batch) -> None:
        self._file, self._source, self._sidecars, self._batch = file, source, sidecars, batch

    def write(self, painted: _Painted) -> None:
        """Write the next frame."""
        span = self._source.span
        self._file.write(painted.picture, painted.pts, painted.duration)
        if painted.tracked is not None:
            self._sidecars.add(painted.tracked)
        self._write_packets()
        done = float(painted.pts - span.begin)
        self._batch.advance(self._file.job, self._file.frames_written, done, span.seconds)

    def _write_packets(self) -> None:
        packets = self._source.packets
        while packets:
            self._file.write_packet(packets.popleft())

    def finish(self, *, complete: bool) -> None:
        """Complete the files. Of what was cut short, what was read ahead of the last frame is no part."""
        if complete:
            self._write_packets()
        self._sidecars.finish()
        self._file.finish(complete=complete)


def _draw_and_write(
    frames: Iterable[tuple[Frame, Explanation | None]], painter: _Painter, output: _Output, stop: StopRequest
) -> bool:
    """Draw and write frames in threads of their own, while the next are explained. Returns whether these are all."""
    with (
        Behind(output.write, DEPTH) as written,
        Behind[tuple[Frame, "Explanation | None"]](lambda item: written.submit(painter.paint(*item)), DEPTH) as drawn,
    ):
        for count, item in enumerate(frames):
            if stop.requested and count:
                return False
            drawn.submit(item)
    return True


def nothing_to_annotate(job: AnnotateJob, options: AnnotateOptions) -> SourceError:
    """Why there is no frame."""
    if options.start is not None:
        until = "" if options.end is None else f" and before --end {float(options.end):g} s"
        return SourceError(
            f"{job.source} has no readable frame that begins at --start {float(options.start):g} s or later{until}: "
            "give an earlier time"
        )
    return SourceError(f"no frame of {job.source} can be read")
