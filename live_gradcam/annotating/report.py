"""What became of recordings: of each, and of all that were asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from live_gradcam.annotating.jobs import AnnotateJob
from live_gradcam.errors import LiveGradcamError
from live_gradcam.listings import html_table
from live_gradcam.sources.clock import ClockFaults
from live_gradcam.sources.loss import Loss
from live_gradcam.sources.times import frames_in_words

#: Of the report's JSON. New fields may come under the same number.
SCHEMA = 1

#: What may become of a recording: all of it was annotated; what can be read of it; what was done when a stop was
#: requested; nothing; or it was done before, in the same way.
Status = Literal["done", "damaged", "stopped", "failed", "skipped"]

#: Of the table that a notebook shows.
_COLUMNS = ("recording", "output", "status", "frames", "per second", "to know")


@dataclass(frozen=True)
class AnnotateSummary:
    """What was written of one recording.

    Attributes:
        frames: how many were written.
        explained: how many of them were explained.
        expected_frames: how many the file's header promised; None if it does not say.
        seconds: how long that took, without the session's start.
        loss: what could not be read.
        stopped: whether Ctrl-C or SIGTERM cut it short.
        encoder: FFmpeg's name of the encoder.
        converted: sound and subtitles that were encoded again: "audio pcm_s16le → aac".
        left_out: sound and subtitles that the output cannot carry.
        hdr: the source's transfer function where it is one for high dynamic range.
        begins_at: seconds on the source's clock where the output's, which begins at 0, begins.
        clock: what the source's clock does that time does not.
        notes: what was done to the source, or left out, that its user should know.
    """

    frames: int
    explained: int
    expected_frames: int | None
    seconds: float
    loss: Loss
    stopped: bool
    encoder: str
    converted: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    hdr: str | None = None
    begins_at: float = 0.0
    clock: ClockFaults = field(default_factory=ClockFaults)
    notes: list[str] = field(default_factory=list)

    @property
    def fps(self) -> float:
        """Frames per second: decoded, explained, drawn and encoded."""
        return self.frames / self.seconds if self.seconds else 0.0

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "frames": self.frames,
            "explained": self.explained,
            "expected_frames": self.expected_frames,
            "seconds": round(self.seconds, 3),
            "fps": round(self.fps, 2),
            "corrupt_packets": self.loss.corrupt_packets,
            "mended_frames": self.loss.mended_frames,
            "breaks": self.loss.breaks,
            "missing_seconds": round(self.loss.missing_seconds, 3),
            "encoder": self.encoder,
            "converted": self.converted,
            "left_out": self.left_out,
            "hdr": self.hdr,
            "begins_at": round(self.begins_at, 6),
            "clock_jumps": self.clock.jumps,
            "clock_standing": self.clock.standing,
            "notes": self.notes,
        }


@dataclass(frozen=True)
class Result:
    """What became of one recording.

    Attributes:
        job: the recording, and the files that were asked for.
        summary: what was written; None where nothing was.
        error: why nothing was written; None where something was, or where it was done before.
    """

    job: AnnotateJob
    summary: AnnotateSummary | None = None
    error: LiveGradcamError | None = None

    @property
    def status(self) -> Status:
        """What became of it, in a word."""
        if self.error is not None:
            return "failed"
        if self.summary is None:
            return "skipped"
        return "stopped" if self.summary.stopped else "damaged" if self.summary.loss else "done"

    @property
    def notes(self) -> list[str]:
        """A line for each thing about what was written that its user should know."""
        job, summary = self.job, self.summary
        if summary is None:
            return []
        notes = list(summary.notes)
        if summary.hdr:
            notes.append(
                f"{job.source} has a high dynamic range ({summary.hdr}): its colours are not converted, and look pale"
            )
        if summary.clock:
            notes.append(f"{job.source}: {summary.clock}: all frames are there, and go on at the usual rate")
        kind = job.output.suffix or "a folder of pictures"
        notes += [f"{job.source}: {what} does not fit into {kind}: left out" for what in summary.left_out]
        return notes

    @property
    def damage(self) -> str | None:
        """A line on what could not be read of the recording; None where all could be."""
        summary = self.summary
        if summary is None or not summary.loss:
            return None
        of = f" of {summary.expected_frames}" if summary.expected_frames else ""
        return f"{self.job.source} is damaged: {summary.loss}; {summary.frames}{of} frames are in {self.job.output}"

    def to_json(self) -> dict[str, Any]:
        """As plain values: the paths, `status`, and the summary's fields or `error`."""
        recording = {"source": str(self.job.source), "output": str(self.job.output)}
        return {
            **recording,
            **{name.replace("-", "_"): str(path) for name, path in self.job.sidecars.items()},
            **recording,  # whatever another package calls its sidecar
            "status": self.status,
            **({} if self.error is None else {"error": str(self.error)}),
            **({} if self.summary is None else self.summary.to_json()),
        }


@dataclass(frozen=True, repr=False)
class Report:
    """What became of all recordings that `annotate` was called with.

    Attributes:
        version: of this program.
        results: of each recording that was looked at, in the order in which it was known; after a stop request those
            are missing that were not begun.
        start_s: seconds of each stage of the session's start.
        seconds: of all of it, with the start.
        stopped: whether a stop request cut it short.
    """

    version: str
    results: tuple[Result, ...]
    start_s: dict[str, float]
    seconds: float
    stopped: bool

    @property
    def is_complete(self) -> bool:
        """Whether every recording is annotated now, all of it."""
        return not self.stopped and all(result.status in ("done", "skipped") for result in self.results)

    def __repr__(self) -> str:
        lines = [f"  {source} → {output}: {', '.join(filter(None, rest))}" for source, output, *rest in self._rows()]
        return "\n".join([f"Report of {self._title()}", *lines])

    def _repr_html_(self) -> str:
        return html_table(_COLUMNS, self._rows(), title=self._title())

    def _title(self) -> str:
        recordings = "1 recording" if len(self.results) == 1 else f"{len(self.results)} recordings"
        return f"{recordings} in {self.seconds:.1f} s{', stopped' if self.stopped else ''}"

    def _rows(self) -> list[tuple[str, ...]]:
        """The cells of `_COLUMNS` for each recording."""
        rows: list[tuple[str, ...]] = []
        for result in self.results:
            frames, fps, notes = "", "", list(result.notes)
            if result.summary is not None:
                frames, fps = frames_in_words(result.summary.frames), f"{result.summary.fps:.1f} per second"
            notes += [str(what) for what in (result.damage, result.error) if what is not None]
            rows.append((str(result.job.source), str(result.job.output), result.status, frames, fps, "; ".join(notes)))
        return rows

    def to_json(self) -> dict[str, Any]:
        """As plain values; docs/json.md describes them."""
        return {
            "schema": SCHEMA,
            "version": self.version,
            "frames": sum(result.summary.frames for result in self.results if result.summary is not None),
            "seconds": round(self.seconds, 3),
            "stopped": self.stopped,
            "start_s": {stage: round(seconds, 3) for stage, seconds in self.start_s.items()},
            "files": [result.to_json() for result in self.results],
        }
