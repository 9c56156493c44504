"""What is kept of a recording's explanations: the sidecars' numbers and the contact sheet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType

from live_gradcam.annotating.drawing import Calm, Shown
from live_gradcam.annotating.explaining import ExplainedFrame
from live_gradcam.annotating.jobs import AnnotateJob
from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.annotating.sidecars import Sidecars
from live_gradcam.annotating.source import open_recording
from live_gradcam.annotating.timeline import Timeline
from live_gradcam.drawing.contact_sheet import draw_contact_sheet, thumbnail_samples
from live_gradcam.explanations.explanation import Explanation
from live_gradcam.files import part_path, publish, remove_part, writing
from live_gradcam.sinks.image import encode_image


@dataclass(frozen=True)
class Followed:
    """What becomes of an explained frame.

    Attributes:
        index: its number in the output.
        pts: its time in seconds.
        shown: what is drawn.
        recorded: what is written down; None where nothing is.
    """

    index: int
    pts: Fraction
    shown: Shown
    recorded: Explanation | None


class Numbers:
    """Follows a recording's explanations in order and writes down what was asked for.

    Following and adding may have a thread each.

    As a context manager: on leaving it, finished, the files are there and whole; an exception leaves none of them.

    Args:
        job: which files.
        options: how frames are drawn.

    Attributes:
        explained: how many explanations were added.

    Raises:
        OutputError: a file cannot be written; also from the methods.
    """

    def __init__(self, job: AnnotateJob, options: AnnotateOptions) -> None:
        self.explained = 0
        self._job = job
        self._options = options
        self._sidecars = Sidecars(jsonl=job.jsonl, csv=job.csv, heatmaps=job.heatmaps)
        self._are_recorded = bool(job.jsonl or job.csv or job.heatmaps)
        self._timeline = Timeline()

    def follow(self, frame: ExplainedFrame, calm: Calm) -> Followed:
        """Follow the next explanation.

        Args:
            frame: which was explained.
            calm: follows the same explanations.

        Returns:
            What is to be drawn, and with it what is to be added once it is.
        """
        shown = calm.shown(frame.explanation, frame.size, float(frame.pts))
        recorded = calm.recorded(frame.explanation, frame.size, float(frame.pts)) if self._are_recorded else None
        return Followed(frame.index, frame.pts, shown, recorded)

    def add(self, followed: Followed) -> None:
        """Write down the numbers of a frame that is in the output."""
        if followed.recorded is not None:
            self._sidecars.add(followed.index, followed.pts, followed.recorded)
        if self._job.contact_sheet:
            self._timeline.add(followed.index, followed.pts, followed.shown.explanation)
        self.explained += 1

    def finish(self) -> None:
        """Write all there is to write: what remains for leaving is to give the files their names."""
        self._sidecars.finish()
        if self._job.contact_sheet is not None:
            self._draw_contact_sheet(self._job.contact_sheet)

    def _draw_contact_sheet(self, path: Path) -> None:
        with open_recording(self._job.source, self._options) as reader:
            begin = reader.begin
        samples = self._timeline.samples
        thumbnails = []
        for sample in thumbnail_samples(samples):
            with open_recording(self._job.source, self._options) as reader:
                frame = next(reader.frames(start=sample.pts), None)
            if frame is not None:
                thumbnails.append((frame.image, replace(sample, pts=sample.pts - begin)))
        samples = [replace(sample, pts=sample.pts - begin) for sample in samples]
        sheet = draw_contact_sheet(samples, thumbnails, self._options.overlay(), title=self._job.source.name)
        with writing(path):
            part_path(path).write_bytes(encode_image(path, sheet))

    def discard(self) -> None:
        """Remove what was written."""
        self.__exit__(InterruptedError, None, None)

    def __enter__(self) -> Numbers:
        self._sidecars.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sheet = self._job.contact_sheet
        try:
            self._sidecars.__exit__(kind, error, trace)
            if kind is None and sheet is not None:
                with writing(sheet):
                    publish(sheet)
        finally:
            if sheet is not None:
                remove_part(sheet)
