"""The contact sheet: a picture of a recording's classes over its time, above some of its frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.annotating.sidecars.sidecar import Sidecar, SidecarFrame
from live_gradcam.annotating.source import open_recording
from live_gradcam.annotating.timeline import Timeline
from live_gradcam.drawing.contact_sheet import draw_contact_sheet, thumbnail_samples
from live_gradcam.files import part_path
from live_gradcam.sinks.image import check_image_name, encode_image


class ContactSheet(Sidecar):
    """See `Sidecar`."""

    ending = ".png"
    as_drawn = True

    def check(self, path: Path) -> None:
        """Its ending has to be one of a picture."""
        check_image_name(path)

    def open(self, path: Path, source: Path, options: AnnotateOptions) -> _Open:
        """Begin a file."""
        return _Open(path, source, options)


class _Open:
    def __init__(self, path: Path, source: Path, options: AnnotateOptions) -> None:
        self._path, self._source, self._options = path, source, options
        self._timeline = Timeline()

    def add(self, frame: SidecarFrame) -> None:
        self._timeline.add(frame.index, frame.pts, frame.explanation)

    def finish(self) -> None:
        with open_recording(self._source, self._options) as reader:
            begin = reader.begin
        samples = self._timeline.samples
        thumbnails = []
        for sample in thumbnail_samples(samples):
            with open_recording(self._source, self._options) as reader:
                frame = next(reader.frames(start=sample.pts), None)
            if frame is not None:
                thumbnails.append((frame.image, replace(sample, pts=sample.pts - begin)))
        samples = [replace(sample, pts=sample.pts - begin) for sample in samples]
        sheet = draw_contact_sheet(samples, thumbnails, self._options.overlay(), title=self._source.name)
        part_path(self._path).write_bytes(encode_image(self._path, sheet))

    def close(self) -> None:
        """Nothing is open between the frames."""


SIDECAR = ContactSheet()
