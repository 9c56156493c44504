"""One recording after the other, in this process: decoding, explaining, drawing and encoding overlap."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain

import numpy as np

from live_gradcam.annotating.drawing import Calm, Drawing, Shown
from live_gradcam.annotating.explaining import ExplainedFrame, explained
from live_gradcam.annotating.jobs import AnnotateJob
from live_gradcam.annotating.numbers import Followed, Numbers
from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.annotating.output import AnnotatedFile
from live_gradcam.annotating.provenance import Provenance
from live_gradcam.annotating.source import DEPTH, SourceAhead, notes_of
from live_gradcam.annotating.summary import AnnotateSummary
from live_gradcam.attribution.session import Session
from live_gradcam.errors import LiveGradcamError, SourceError
from live_gradcam.explanations.explanation import Explanation
from live_gradcam.flow.overlap import Behind
from live_gradcam.flow.stopping import StopRequest
from live_gradcam.sources.frame import Frame

#: Timing batches takes two more compilations: from this many frames on they are worth it.
_WORTH_TIMING = 1000


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    Attributes:
        frames: written.
        seconds: of the recording's time that are done.
        of_seconds: of the recording's time in all; None if its header does not say.
    """

    frames: int
    seconds: float
    of_seconds: float | None


OnProgress = Callable[[AnnotateJob, Progress], None]


def annotate(
    job: AnnotateJob,
    provenance: Provenance,
    session: Session,
    options: AnnotateOptions,
    *,
    stop: StopRequest,
    opened: SourceAhead | None = None,
    on_progress: OnProgress | None = None,
) -> AnnotateSummary:
    """Annotate one recording.

    Args:
        job: what becomes what.
        provenance: what the output says of itself.
        session: explains.
        options: how.
        stop: ends the work after the frames in hand.
        opened: the job's source, where it is being decoded already.
        on_progress: is told of each frame.

    What can be read of a damaged file is annotated, and `loss` says what could not. After a stop request the files are
    finished with the frames that were explained so far.

    Raises:
        SourceError: it is not a video, or not one frame of it can be read. Nothing is left behind.
        OutputError: the output cannot be written. Nothing is left behind.
    """
    begun = time.perf_counter()
    with ExitStack() as stack:
        source = opened or stack.enter_context(SourceAhead(job.source, options))
        reader, span = source.reader, source.span
        first = next(source.frames, None)
        if first is None:
            raise nothing_to_annotate(job, options)
        frame_size = first.image.shape[:2]
        session.expect(frame_size)
        nothing = session.noise_floor(frame_size)
        calm = Calm(options, session.vocabulary, nothing, len(session.targets))
        drawing = Drawing(options)
        file: AnnotatedFile | None = None
        numbers = stack.enter_context(Numbers(job, options))
        shown: Shown | None = None

        def draw(item: tuple[Frame, Explanation | None]) -> None:
            nonlocal shown
            frame, explanation = item
            followed = None
            if explanation is not None:
                followed = numbers.follow(
                    ExplainedFrame(frame.index, frame.pts, frame.image.shape[:2], explanation), calm
                )
                shown = followed.shown
            assert shown is not None  # the first frame is explained
            written.submit((drawing.picture(frame.image, shown), frame.pts, followed))

        def write(item: tuple[np.ndarray, Fraction, Followed | None]) -> None:
            nonlocal file
            picture, pts, followed = item
            if file is None:
                size = picture.shape[:2]
                file = stack.enter_context(AnnotatedFile(job, reader, span, options, provenance, size))
            file.write(picture, pts)
            if followed is not None:
                numbers.add(followed)
            while source.packets:
                file.write_packet(source.packets.popleft())
            if on_progress:
                on_progress(job, Progress(file.frames_written, float(pts - span.begin), span.seconds))

        size = options.batch or _fastest_batch(session, frame_size, options, reader.expected_frames)
        frames = chain([first], source.frames)
        is_complete = True
        with Behind(write, DEPTH) as written, Behind(draw, DEPTH) as drawn:
            for count, item in enumerate(explained(frames, session, stride=options.stride, batch=size)):
                if stop.requested and count:
                    is_complete = False
                    break
                drawn.submit(item)
        assert file is not None  # there was a frame
        while source.packets and is_complete:  # what was read ahead of the last frame is not part of it
            file.write_packet(source.packets.popleft())
        numbers.finish()
        file.finish(complete=is_complete)
    return AnnotateSummary(
        frames=file.frames_written,
        explained=numbers.explained,
        expected_frames=reader.expected_frames,
        seconds=time.perf_counter() - begun,
        loss=reader.loss,
        stopped=not is_complete,
        hdr=reader.hdr,
        begins_at=float(span.shift),
        clock=reader.clock,
        notes=notes_of(reader, options),
        **file.notes,
    )


def nothing_to_annotate(job: AnnotateJob, options: AnnotateOptions) -> SourceError:
    """Why there is no frame."""
    if options.start is not None:
        return SourceError(f"{job.source} has no frame from --start {float(options.start):g} s on that can be read")
    return SourceError(f"not one frame of {job.source} can be read")


def _fastest_batch(
    session: Session, frame_size: tuple[int, int], options: AnnotateOptions, expected_frames: int | None
) -> int:
    is_worth_it = options.stride == 1 and (expected_frames or 0) >= _WORTH_TIMING
    return session.fastest_batch(frame_size) if is_worth_it else 1


def annotate_all(
    jobs: Sequence[tuple[AnnotateJob, Provenance]],
    session: Session,
    options: AnnotateOptions,
    *,
    stop: StopRequest,
    opened: SourceAhead | None = None,
    on_done: Callable[[AnnotateJob, AnnotateSummary], None],
    on_failed: Callable[[AnnotateJob, LiveGradcamError], None],
    on_progress: OnProgress | None = None,
) -> None:
    """Annotate several recordings; one that fails does not stop the others.

    Args:
        jobs: and what their outputs say of themselves.
        session: explains.
        options: how.
        stop: ends the work after the frames in hand.
        opened: the only job's source, where it is being decoded already.
        on_done: is told of each file written.
        on_failed: is told of each file that could not be.
        on_progress: is told of each frame.
    """
    for job, provenance in jobs:
        if stop.requested:
            return
        try:
            summary = annotate(job, provenance, session, options, stop=stop, opened=opened, on_progress=on_progress)
            on_done(job, summary)
        except LiveGradcamError as error:
            on_failed(job, error)
