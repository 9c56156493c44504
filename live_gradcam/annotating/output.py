"""The annotated output, which says how it came about and whether it is complete."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from live_gradcam.annotating.batch import Planned
from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.annotating.source import Span
from live_gradcam.sinks.accompaniment import kept_chapters, kept_metadata
from live_gradcam.sinks.sink import Carried, Companion, Extras, OpenSink, Pictures, show_for
from live_gradcam.sources.source import Recording
from live_gradcam.sources.timecode import with_timecode_of


class AnnotatedFile:
    """Takes annotated frames and makes the output of them. Use as a context manager; `finish` it, or nothing is left.

    It begins with the first frame, whose size it gets.

    Args:
        planned: what becomes what, and what the output says of itself.
        reader: the source, whose sound, subtitles, chapters and metadata go along.
        options: how it is encoded.

    Attributes:
        job: what becomes what.
    """

    _file: OpenSink

    def __init__(self, planned: Planned, reader: Recording, options: AnnotateOptions) -> None:
        self.job, self._provenance = planned.job, planned.provenance
        self._reader = reader
        self._options = options
        self._shift = Span(reader, options).shift
        self._is_begun = self._is_finished = False

    @property
    def frames_written(self) -> int:
        """How many frames there are so far."""
        return self._file.frames_written

    @property
    def encoder(self) -> str:
        """What encodes the frames."""
        return self._file.encoder

    @property
    def carried(self) -> Carried:
        """What became of sound and subtitles."""
        return self._file.carried

    def write(self, picture: np.ndarray, pts: Fraction, duration: Fraction | None = None) -> None:
        """Add a frame, uint8 (height, width, 3) BGR, of a time on the source's clock and a duration, in seconds.

        Raises:
            OutputError: it cannot be written.
            UsageError: there are more frames per second than the output can show.
        """
        if not self._is_begun:
            self._begin(picture.shape[:2])
        show_for(self._file, duration)
        self._file.write(picture, pts - self._shift)

    def _begin(self, size: tuple[int, int]) -> None:
        output = self.job.output
        encoding = self._options.encoding.of_file(output)
        self._file = encoding.sink.open(
            output,
            pictures_of(self._reader, self._options, output, size),
            encoding,
            _extras_of(self._reader, self._options),
            self._provenance.text(complete=True),
        )
        self._is_begun = True

    def write_packet(self, packet: Any) -> None:
        """Take over a packet of sound or subtitles."""
        self._file.write_packet(packet)

    def finish(self, *, complete: bool) -> None:
        """Give the file its name. One that is not complete says so.

        Raises:
            OutputError: it cannot be written; nothing is left of it.
        """
        self._file.finish(self._provenance.text(complete=complete))
        self._is_finished = True

    def __enter__(self) -> AnnotatedFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._is_begun and not self._is_finished:
            self._file.discard()


def join_segments(
    parts: Sequence[Path],
    planned: Planned,
    reader: Recording,
    options: AnnotateOptions,
    *,
    end: Fraction | None,
    complete: bool,
) -> Carried:
    """Make the output of encoded parts, and add what goes along with them.

    Args:
        parts: files of the output's kind.
        planned: what becomes what, and what the output says of itself.
        reader: the source.
        options: how it is encoded.
        end: where the last part ends on the source's clock, in seconds; None for the end.
        complete: whether these are all parts.

    Raises:
        OutputError: it cannot be written; nothing is left of it.
    """
    output = planned.job.output
    return options.encoding.of_file(output).sink.join(
        parts,
        output,
        _time_base_of(reader, options),
        Companion(reader, Span(reader, options).start, end),
        _extras_of(reader, options),
        planned.provenance.text(complete=complete),
    )


def pictures_of(reader: Recording, options: AnnotateOptions, output: Path, size: tuple[int, int]) -> Pictures:
    """The pictures of (height, width) that an output of a source has.

    Raises:
        UsageError: more per second than the output can show.
    """
    rate = options.output_fps or reader.frame_rate
    options.check_rate(output, rate)
    return Pictures(size, rate, _time_base_of(reader, options))


def _extras_of(reader: Recording, options: AnnotateOptions) -> Extras:
    """What goes along with the pictures."""
    span = Span(reader, options)
    chapters = kept_chapters(reader.chapters, span.shift, span.end)
    skipped = max(Fraction(0), span.begin - reader.begin)
    rate = reader.frame_rate
    metadata = with_timecode_of(kept_metadata(reader.metadata), skipped, rate, options.output_fps or rate)
    return Extras(reader.others, span.shift, metadata, chapters)


def _time_base_of(reader: Recording, options: AnnotateOptions) -> Fraction:
    """The seconds of one tick of the output."""
    return reader.time_base if options.output_fps is None else 1 / options.output_fps
