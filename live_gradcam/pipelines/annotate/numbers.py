"""What is kept of a recording's explanations: the sidecars' numbers and the contact sheet."""

from __future__ import annotations

from fractions import Fraction
from types import TracebackType

from live_gradcam.cam.explanation import Explanation
from live_gradcam.display.contact_sheet import draw_contact_sheet, thumbnail_samples
from live_gradcam.errors import OutputError
from live_gradcam.pipelines.annotate.drawing import Calm, Shown
from live_gradcam.pipelines.annotate.jobs import AnnotateJob
from live_gradcam.pipelines.annotate.options import AnnotateOptions
from live_gradcam.pipelines.annotate.source import open_recording
from live_gradcam.pipelines.sidecars import Sidecars
from live_gradcam.pipelines.timeline import Timeline
from live_gradcam.video.image import encode_image
from live_gradcam.video.output import part_path, publish, remove_part


class Numbers:
    """Follows a recording's explanations in order and writes down what was asked for.

    As a context manager: on leaving it the files are there and whole; an exception leaves none of them.

    Args:
        job: which files.
        options: how frames are drawn.

    Attributes:
        explained: how many explanations there were.

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

    def follow(
        self, index: int, pts: Fraction, frame_size: tuple[int, int], explanation: Explanation, calm: Calm
    ) -> Shown:
        """Take the next explanation in.

        Args:
            index: of its frame in the output.
            pts: of its frame, in seconds.
            frame_size: (height, width) of its frame.
            explanation: as the network gave it.
            calm: follows the same explanations.

        Returns:
            What is to be drawn.
        """
        shown = calm.shown(explanation, frame_size, float(pts))
        if self._are_recorded:
            self._sidecars.add(index, pts, calm.recorded(explanation, frame_size, float(pts)))
        if self._job.contact_sheet:
            self._timeline.add(index, pts, shown.explanation)
        self.explained += 1
        return shown

    def finish(self) -> None:
        """Draw the contact sheet, if it was asked for."""
        path = self._job.contact_sheet
        if path is None:
            return
        samples = self._timeline.samples
        thumbnails = []
        for sample in thumbnail_samples(samples):
            with open_recording(self._job.source, self._options) as reader:
                frame = next(reader.frames(start=sample.pts), None)
            if frame is not None:
                thumbnails.append((frame.image, sample))
        sheet = draw_contact_sheet(samples, thumbnails, self._options.overlay(), title=self._job.source.name)
        try:
            part_path(path).write_bytes(encode_image(path, sheet))
            publish(path)
        except OSError as error:
            remove_part(path)
            raise OutputError(f"cannot write {path}: {error.strerror}") from error

    def __enter__(self) -> Numbers:
        self._sidecars.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sidecars.__exit__(kind, error, trace)
