"""What became of a recording."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from live_gradcam.annotating.jobs import AnnotateJob
from live_gradcam.sources.clock import ClockFaults
from live_gradcam.sources.reader import Loss

#: Of the summary's JSON. New fields may come under the same number.
SCHEMA = 1


@dataclass(frozen=True)
class AnnotateSummary:
    """What became of a job.

    Attributes:
        frames: how many were written.
        explained: how many of them were explained.
        expected_frames: how many the file's header promised; None if it does not say.
        seconds: how long that took, without the session's start.
        loss: what could not be read.
        stopped: whether Ctrl-C or SIGTERM cut it short.
        encoder: FFmpeg's name of the encoder.
        converted: sound and subtitles that were encoded anew: "audio pcm_s16le → aac".
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


def describe_loss(job: AnnotateJob, summary: AnnotateSummary) -> str:
    """One line on what could not be read of a job's source."""
    of = f" of {summary.expected_frames}" if summary.expected_frames else ""
    return f"{job.source} is damaged: {summary.loss}; {summary.frames}{of} frames are in {job.output}"


def describe_notes(job: AnnotateJob, summary: AnnotateSummary) -> list[str]:
    """A line for each thing about a finished job that its user should know."""
    notes = list(summary.notes)
    if summary.hdr:
        notes.append(
            f"{job.source} has a high dynamic range ({summary.hdr}): its colours are taken as they are, and look pale"
        )
    if summary.clock:
        notes.append(f"{job.source}: {summary.clock}: all frames are there, and go on at the usual rate")
    for what in summary.left_out:
        notes.append(f"{job.source}: {what} does not fit into {job.output.suffix or 'a folder of pictures'}: left out")
    return notes


@dataclass
class Report:
    """The summary of a run, for JSON.

    Attributes:
        version: of this program.
        start_s: seconds of the session's start.
        files: of each recording.
        seconds: of the run, with the start.
        stopped: whether it was cut short.
    """

    version: str
    start_s: dict[str, float] = field(default_factory=dict)
    files: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    stopped: bool = False

    def skipped(self, job: AnnotateJob) -> None:
        """Note a recording that was done before."""
        self.files.append({**_paths(job), "status": "skipped"})

    def failed(self, job: AnnotateJob, error: Exception) -> None:
        """Note a recording of which nothing became."""
        self.files.append({**_paths(job), "status": "failed", "error": str(error)})

    def done(self, job: AnnotateJob, summary: AnnotateSummary) -> None:
        """Note a recording that was annotated, as far as it goes."""
        status = "stopped" if summary.stopped else "damaged" if summary.loss else "done"
        self.files.append(
            {
                **_paths(job),
                "status": status,
                "frames": summary.frames,
                "explained": summary.explained,
                "expected_frames": summary.expected_frames,
                "seconds": round(summary.seconds, 3),
                "fps": round(summary.fps, 2),
                "corrupt_packets": summary.loss.corrupt_packets,
                "mended_frames": summary.loss.mended_frames,
                "breaks": summary.loss.breaks,
                "missing_seconds": round(summary.loss.missing_seconds, 3),
                "encoder": summary.encoder,
                "converted": summary.converted,
                "left_out": summary.left_out,
                "hdr": summary.hdr,
                "begins_at": round(summary.begins_at, 6),
                "clock_jumps": summary.clock.jumps,
                "clock_standing": summary.clock.standing,
                "notes": summary.notes,
            }
        )

    def record(self) -> dict[str, Any]:
        """As plain values."""
        frames = sum(file.get("frames", 0) for file in self.files)
        return {
            "schema": SCHEMA,
            "version": self.version,
            "frames": frames,
            "seconds": round(self.seconds, 3),
            "stopped": self.stopped,
            "start_s": {stage: round(seconds, 3) for stage, seconds in self.start_s.items()},
            "files": self.files,
        }


def _paths(job: AnnotateJob) -> dict[str, Any]:
    sidecars = {"jsonl": job.jsonl, "csv": job.csv, "heatmaps": job.heatmaps, "contact_sheet": job.contact_sheet}
    return {
        "source": str(job.source),
        "output": str(job.output),
        **{name: str(path) for name, path in sidecars.items() if path is not None},
    }
