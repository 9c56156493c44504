"""One recording after the other, in this process. Decoding, explaining, drawing and encoding overlap."""

from __future__ import annotations

import time
from contextlib import ExitStack
from fractions import Fraction
from itertools import chain

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
from live_gradcam.sources.frame import Frame

#: Timing batches takes two more compilations, which pay from this many frames on.
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
        source = opened or stack.enter_context(SourceAhead(job.source, options))
        reader, span = source.reader, source.span
        first = next(source.frames, None)
        if first is None:
            raise nothing_to_annotate(job, options)
        frame_size = first.image.shape[:2]
        session.expect(frame_size)
        noise_floor = session.noise_floor(frame_size)
        tracker = Tracker(options, session.vocabulary, noise_floor, len(session.targets))
        drawing = Drawing(options)
        file: AnnotatedFile | None = None
        sidecars = stack.enter_context(OpenSidecars(job, options))
        shown: StableExplanation | None = None

        def draw(item: tuple[Frame, Explanation | None]) -> None:
            nonlocal shown
            frame, explanation = item
            tracked = None
            if explanation is not None:
                timed = TimedExplanation(frame.index, frame.pts, frame.image.shape[:2], explanation)
                tracked = tracker.track(timed, numbers=sidecars.take_numbers)
                shown = tracked.shown
            assert shown is not None  # the first frame is explained
            written.submit((drawing.picture(frame.image, shown), frame.pts, tracked))

        def write(item: tuple[np.ndarray, Fraction, TrackedFrame | None]) -> None:
            nonlocal file
            picture, pts, tracked = item
            if file is None:
                size = picture.shape[:2]
                file = stack.enter_context(AnnotatedFile(planned, reader, options, size))
            file.write(picture, pts)
            if tracked is not None:
                sidecars.add(tracked)
            while source.packets:
                file.write_packet(source.packets.popleft())
            batch.advance(job, file.frames_written, float(pts - span.begin), span.seconds)

        size = options.batch or _fastest_batch(session, frame_size, options, reader.expected_frames)
        frames = chain([first], source.frames)
        is_complete = True
        with Behind(write, DEPTH) as written, Behind(draw, DEPTH) as drawn:
            for count, item in enumerate(explained(frames, session, stride=options.stride, batch=size)):
                if batch.stop.requested and count:
                    is_complete = False
                    break
                drawn.submit(item)
        assert file is not None  # there was one frame at least
        while source.packets and is_complete:  # what was read ahead of the last frame is not part of it
            file.write_packet(source.packets.popleft())
        sidecars.finish()
        file.finish(complete=is_complete)
    return AnnotateSummary(
        frames=file.frames_written,
        explained=sidecars.frames,
        expected_frames=reader.expected_frames,
        seconds=time.perf_counter() - begun,
        loss=reader.loss,
        stopped=not is_complete,
        hdr=reader.hdr,
        begins_at=float(span.shift),
        clock=reader.clock,
        notes=list(reader.notes),
        encoder=file.encoder,
        **file.carried._asdict(),
    )


def nothing_to_annotate(job: AnnotateJob, options: AnnotateOptions) -> SourceError:
    """Why there is no frame."""
    if options.start is not None:
        return SourceError(f"{job.source} has no readable frame after --start {float(options.start):g} s")
    return SourceError(f"no frame of {job.source} can be read")


def _fastest_batch(
    session: Session, frame_size: tuple[int, int], options: AnnotateOptions, expected_frames: int | None
) -> int:
    is_worth_it = options.stride == 1 and (expected_frames or 0) >= _WORTH_TIMING
    return session.fastest_batch(frame_size) if is_worth_it else 1
