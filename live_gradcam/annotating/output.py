"""The annotated file, which says how it came about and whether it is complete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from live_gradcam.annotating.jobs import AnnotateJob
from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.annotating.provenance import FILE, TAG, Provenance, add_comment
from live_gradcam.annotating.source import Span
from live_gradcam.errors import OutputError
from live_gradcam.files import part_path, publish, remove_part, writing
from live_gradcam.sinks.accompaniment import kept_chapters, kept_metadata, name_of
from live_gradcam.sinks.join import join
from live_gradcam.sinks.writer import FolderWriter, VideoWriter
from live_gradcam.sources.reader import VideoReader
from live_gradcam.sources.source import Recording


class AnnotatedFile:
    """Takes annotated frames and makes the output of them. Use as a context manager; `finish` it, or nothing is left.

    Args:
        job: what becomes what.
        reader: the source, whose sound, subtitles, chapters and metadata go along.
        span: the part of it that is annotated.
        options: how it is encoded.
        provenance: what the file says.
        size: (height, width) of the frames.

    Raises:
        OutputError: it cannot be written.
        UsageError: a GIF of more frames a second than GIFs can show.
    """

    def __init__(
        self,
        job: AnnotateJob,
        reader: Recording,
        span: Span,
        options: AnnotateOptions,
        provenance: Provenance,
        size: tuple[int, int],
    ) -> None:
        self._provenance = provenance
        self._span = span
        self._job = job
        self._time_base = time_base_of(reader, options)
        self._metadata = _metadata(reader, provenance, complete=True)
        self._chapters = kept_chapters(reader.chapters, span.shift, span.end)
        self._is_gif = options.encoding.of_file(job.output).codec == "gif"
        self._is_finished = False
        rate = options.output_fps or reader.frame_rate
        options.check_rate(job.output, rate)
        self._writer: FolderWriter | VideoWriter
        if options.encoding.codec == "png":
            self._left_out = [name_of(stream) for stream in reader.others]
            self._writer = FolderWriter(job.output)
        else:
            self._writer = VideoWriter(
                job.output,
                size=size,
                frame_rate=rate,
                time_base=self._time_base,
                encoding=options.encoding,
                others=reader.others,
                shift=span.shift,
                metadata=self._metadata,
                chapters=self._chapters,
            )

    @property
    def frames_written(self) -> int:
        """How many frames there are so far."""
        return self._writer.frames_written

    @property
    def notes(self) -> dict[str, Any]:
        """The encoder, and what became of sound and subtitles: what was encoded anew, what was left out."""
        if isinstance(self._writer, FolderWriter):
            return {"encoder": "png", "converted": [], "left_out": self._left_out}
        accompaniment = self._writer.accompaniment
        return {
            "encoder": self._writer.encoder,
            "converted": accompaniment.converted,
            "left_out": accompaniment.left_out,
        }

    def write(self, picture: np.ndarray, pts: Fraction) -> None:
        """Add a frame, uint8 (height, width, 3) BGR, of a time on the source's clock, in seconds."""
        self._writer.write(picture, pts - self._span.shift)

    def write_packet(self, packet: Any) -> None:
        """Take over a packet of sound or subtitles."""
        if isinstance(self._writer, VideoWriter):
            self._writer.write_packet(packet)

    def finish(self, *, complete: bool) -> None:
        """Give the file its name. One that is not complete says so.

        Raises:
            OutputError: it cannot be written; nothing is left of it.
        """
        text = self._provenance.text(complete=complete)
        if isinstance(self._writer, FolderWriter):
            self._writer.add_file(FILE, text)
            self._writer.finish()
        elif self._is_gif:
            self._writer.finish(named=False)
            _name_gif(self._job.output, text)
        else:
            self._writer.finish(named=complete)
            if not complete:
                self._name_cut_short(text)
        self._is_finished = True

    def _name_cut_short(self, text: str) -> None:
        """Write the file again, as it is but for what it says: that was settled when it began."""
        output = self._job.output
        cut = output.with_name(f"{output.name}.cut")
        os.replace(part_path(output), cut)
        try:
            with VideoReader(cut) as reader:
                join(
                    [cut],
                    output,
                    time_base=self._time_base,
                    companion=reader,
                    metadata={**self._metadata, TAG: text},
                    chapters=self._chapters,
                )
        finally:
            with suppress(OSError):
                cut.unlink()

    def __enter__(self) -> AnnotatedFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if not self._is_finished:
            self._writer.discard()


def join_segments(
    parts: Sequence[Path],
    job: AnnotateJob,
    reader: Recording,
    options: AnnotateOptions,
    provenance: Provenance,
    *,
    end: Fraction | None,
    complete: bool,
) -> dict[str, Any]:
    """Make the output of encoded parts, and add what goes along with them.

    Args:
        parts: files of the output's kind.
        job: what becomes what.
        reader: the source.
        options: how it is encoded.
        provenance: what the file says.
        end: where the last part ends on the source's clock, in seconds; None for the end.
        complete: whether these are all parts.

    Returns:
        What became of sound and subtitles, as in `AnnotatedFile.notes`.

    Raises:
        OutputError: it cannot be written; nothing is left of it.
    """
    if options.encoding.of_file(job.output).codec == "gif":
        try:
            with writing(job.output):
                shutil.copyfile(parts[0], part_path(job.output))
            _name_gif(job.output, provenance.text(complete=complete))
        except OutputError:
            remove_part(job.output)
            raise
        return {"converted": [], "left_out": [name_of(stream) for stream in reader.others]}
    span = Span(reader, options)
    accompaniment = join(
        parts,
        job.output,
        time_base=time_base_of(reader, options),
        companion=reader,
        start=span.start,
        end=end,
        shift=span.shift,
        metadata=_metadata(reader, provenance, complete=complete),
        chapters=kept_chapters(reader.chapters, span.shift, span.end),
    )
    return {"converted": accompaniment.converted, "left_out": accompaniment.left_out}


def _name_gif(output: Path, text: str) -> None:
    """Have a GIF that is written say something, and give it its name."""
    with writing(output):
        add_comment(part_path(output), text)
        publish(output)


def _metadata(reader: Recording, provenance: Provenance, *, complete: bool) -> dict[str, str]:
    """What the source says of itself, and how the file came about."""
    kept = {key: value for key, value in kept_metadata(reader.metadata).items() if key.lower() != TAG}
    return {**kept, TAG: provenance.text(complete=complete)}


def time_base_of(reader: Recording, options: AnnotateOptions) -> Fraction:
    """The seconds of one tick of the output."""
    return reader.time_base if options.output_fps is None else 1 / options.output_fps
