"""One recording in parts: tasks for workers, and what is made of their results."""

from __future__ import annotations

import re
import shutil
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from live_gradcam.annotating.batch import Planned
from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.annotating.output import join_segments
from live_gradcam.annotating.report import AnnotateSummary
from live_gradcam.annotating.run import nothing_to_annotate
from live_gradcam.annotating.segments import Segment
from live_gradcam.annotating.sidecars.opened import OpenSidecars
from live_gradcam.annotating.source import Span, open_recording
from live_gradcam.annotating.tasks import Draw, EncodedSegment, Explain, ExplainedSegment, Task, changed
from live_gradcam.annotating.tracking import TrackedFrame, Tracker
from live_gradcam.errors import OutputError
from live_gradcam.explanations.stability import StableExplanation
from live_gradcam.files import identity, writing
from live_gradcam.sources.clock import ClockFaults
from live_gradcam.sources.loss import Loss

#: What a part is called.
_PART = re.compile(r"\d{6}\.\w+")


class NotCutError(Exception):
    """A recording's segments are not what the whole is: it is damaged, its clock jumps, or its frames change size."""


class SegmentedRecording:
    """A recording whose parts are worked on by themselves: what is still to do, and what became of the others.

    Args:
        planned: what becomes what.
        options: how.
        segments: the parts, in order.

    Raises:
        LiveGradcamError: the recording cannot be read, or a file cannot be written.
    """

    def __init__(self, planned: Planned, options: AnnotateOptions, segments: Sequence[Segment]) -> None:
        self.planned = planned
        self.job = job = planned.job
        self._options = options
        self._segments = list(segments)
        self._source_was = identity(planned.job.source)
        self._begun = time.perf_counter()
        self._to_explain = deque(range(len(segments)))
        self._explained: dict[int, ExplainedSegment] = {}
        self._sizes: set[tuple[int, int]] = set()
        self._tracker: Tracker | None = None
        self._shown: StableExplanation | None = None
        self._tracked: list[list[TrackedFrame]] = []
        self._to_draw: deque[Draw] = deque()
        self._drawn: dict[int, EncodedSegment] = {}
        self._losses: list[Loss] = []
        self._clock = ClockFaults()
        self._notes: list[str] = []
        self._frames_explained = 0
        self._seconds_done = 0.0  # of the recording, explained and drawn counting half each
        self._parts: list[Path] = []
        self._frames = 0
        self._encoder = ""
        self._held = ExitStack()
        with open_recording(job.source, options) as reader:
            self._span, self._rate = Span(reader, options), float(options.output_fps or reader.frame_rate)
        self._folder = job.output.with_name(f"{job.output.name}.parts")
        _check_that_it_has_only_parts(self._folder)
        self._held.enter_context(planned.claimed())
        self._sidecars = OpenSidecars(job, options)
        try:
            self._sidecars.open()
            shutil.rmtree(self._folder, ignore_errors=True)
            with writing(self._folder):
                self._folder.mkdir()
        except OutputError:
            self.discard()
            raise

    def next_task(self) -> Task | None:
        """What can be done now: drawing goes first, so that explanations do not pile up."""
        if self._to_draw:
            return self._to_draw.popleft()
        if self._to_explain:
            return Explain(self.job.source, self._segments[self._to_explain.popleft()])
        return None

    def take(self, task: Task, result: Any) -> None:
        """Go on with a task's result.

        Raises:
            NotCutError: the recording has to be done as a whole.
            OutputError: something cannot be written.
        """
        if isinstance(task, Explain):
            self._check(task.segment, result)
            self._explained[self._segments.index(task.segment)] = result
            self._frames_explained += result.frames
            self._seconds_done += self._seconds_of(task.segment, result.frames) / 2
            while len(self._tracked) in self._explained:
                self._track(self._explained.pop(len(self._tracked)))
        elif isinstance(task, Draw):
            self._drawn[self._segments.index(task.segment)] = result
            self._seconds_done += self._seconds_of(task.segment, result.frames) / 2
            while len(self._parts) in self._drawn:
                self._keep(self._drawn.pop(len(self._parts)))

    def _check(self, segment: Segment, result: ExplainedSegment) -> None:
        self._sizes |= result.sizes
        is_other = segment.frames is not None and segment.frames != result.frames
        if len(self._segments) > 1 and (result.loss or result.clock or is_other or len(self._sizes) > 1):
            raise NotCutError

    def _track(self, result: ExplainedSegment) -> None:
        """Pass a segment's explanations, the next in order, through what depends on those before."""
        place = len(self._tracked)
        segment = self._segments[place] = replace(self._segments[place], frames=result.frames)
        self._losses.append(result.loss)
        self._clock = result.clock
        self._notes += [note for note in result.notes if note not in self._notes]
        if self._tracker is None:
            self._tracker = Tracker(self._options, result.vocabulary, result.noise_floor, result.targets)
        changes = [] if self._shown is None else [(segment.first, self._shown)]
        tracked = []
        for frame in result.explained:
            tracked.append(self._tracker.track(frame, numbers=self._sidecars.take_numbers))
            shown = tracked[-1].shown
            self._shown = replace(shown, explanation=shown.explanation.without_scores())  # drawing needs none
            changes.append((frame.index, self._shown))
        self._tracked.append(tracked)
        self._to_draw.append(Draw(self.job.source, segment, f"part{self.job.output.suffix}", changes))

    def _keep(self, result: EncodedSegment) -> None:
        """Write a drawn segment, the next in order, and its numbers."""
        position = len(self._parts)
        path = self._folder / f"{position:06d}{self.job.output.suffix}"
        with writing(self.job.output):
            path.write_bytes(result.content)
        for tracked in self._tracked[position]:
            self._sidecars.add(tracked)
        self._tracked[position] = []
        self._parts.append(path)
        self._frames += result.frames
        self._encoder = self._encoder or result.encoder

    @property
    def is_drawn(self) -> bool:
        """Whether all that is left is to put the parts together."""
        return len(self._parts) == len(self._segments)

    @property
    def progress(self) -> tuple[int, float, float | None]:
        """How far it is, see `Progress`: explaining and drawing count as much as each other."""
        return self._frames_explained, self._seconds_done, self._span.seconds

    def _seconds_of(self, segment: Segment, frames: int) -> float:
        """How long a segment is: the rate of its frames may vary."""
        if self._span.seconds is None:
            return frames / self._rate
        begin = self._span.begin if segment.start is None else segment.start
        rest = self._span.seconds - float(begin - self._span.begin)
        return rest if segment.end is None else min(rest, float(segment.end - begin))

    def finish(self, *, complete: bool) -> AnnotateSummary | None:
        """Put the parts together, as far as they are there.

        Returns:
            What became of it; None where not one segment is there.

        Raises:
            SourceError: there is not one frame, or another recording is there now.
            OutputError: something cannot be written. Nothing is left behind.
        """
        if identity(self.job.source) != self._source_was:  # its maps may be drawn on the pictures of another one
            self.discard()
            raise changed(self.job.source)
        parts = [path for path in self._parts if path.stat().st_size]
        if not parts:
            self.discard()
            if complete:
                raise nothing_to_annotate(self.job, self._options)
            return None
        try:
            with open_recording(self.job.source, self._options) as reader:
                self._sidecars.finish()
                carried = join_segments(
                    parts,
                    self.planned,
                    reader,
                    self._options,
                    end=self._segments[len(self._parts) - 1].end,
                    complete=complete,
                )
                hdr, expected = reader.hdr, reader.expected_frames
            self._sidecars.publish()
        except BaseException:
            self.discard()
            raise
        self._clear()
        return AnnotateSummary(
            frames=self._frames,
            explained=self._sidecars.frames,
            expected_frames=expected,
            seconds=time.perf_counter() - self._begun,
            loss=self._losses[0],  # one that is damaged has one segment
            stopped=not complete,
            encoder=self._encoder,
            hdr=hdr,
            begins_at=float(self._span.shift),
            clock=self._clock,
            notes=self._notes,
            **carried._asdict(),
        )

    @property
    def whole(self) -> Segment:
        """All segments as one."""
        return Segment(self._segments[0].start, self._segments[-1].end, 0, None)

    def discard(self) -> None:
        """Remove what was written."""
        self._sidecars.discard()
        self._clear()

    def _clear(self) -> None:
        """Let go of the output, and of the parts that it was made of."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._held.close()


def _check_that_it_has_only_parts(folder: Path) -> None:
    """Make sure that a folder is not there, or has nothing but what an earlier run left that was killed.

    Raises:
        OutputError: it has other files, or cannot be read.
    """
    with writing(folder):
        if folder.exists() and not all(_PART.fullmatch(path.name) for path in folder.iterdir()):
            raise OutputError(
                f"{folder} has files of your own, and parts of the video are written there: choose another name with -o"
            )
