"""How far a batch of recordings is: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from live_gradcam.annotating.jobs import AnnotateJob
from live_gradcam.annotating.run import Progress as Done

#: Seconds between plain lines.
_EVERY = 10.0


class AnnotateProgress:
    """Shows how far each recording is, by its own time, and the batch. Use as a context manager.

    Args:
        console: on a terminal, bars with frames, FPS and the time to go; elsewhere a line every ten seconds.
        jobs: how many recordings there are.
    """

    def __init__(self, console: Console, jobs: int) -> None:
        self._console = console
        self._count = jobs
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            redirect_stdout=sys.stdout.isatty(),  # what is printed into a file or a pipe belongs there
        )
        self._total: TaskID | None = None
        self._tasks: dict[Path, TaskID] = {}
        self._begun: dict[Path, float] = {}
        self._shares: dict[Path, float] = {}
        self._told = self._since = time.monotonic()

    def update(self, job: AnnotateJob, done: Done) -> None:
        """Take note of how far a recording is."""
        now = time.monotonic()
        begun = self._begun.setdefault(job.source, self._since)
        if self._bars.disable:
            if now - self._told >= _EVERY:
                self._told = now
                self._console.print(self._line(job, done, now - begun), highlight=False, markup=False, soft_wrap=True)
            return
        if self._total is None and self._count > 1:
            self._total = self._bars.add_task("all", total=self._count, note="")
        if job.source not in self._tasks:
            self._tasks[job.source] = self._bars.add_task(job.source.name, total=done.of_seconds, note="")
        note = f"{done.frames} frames  {_rate(done, now - begun):.1f} FPS"
        self._bars.update(self._tasks[job.source], completed=done.seconds, note=note)
        if self._total is not None:
            self._shares[job.source] = _share(done)
            note = f"{len(self._begun)} of {self._count} recordings"
            self._bars.update(self._total, completed=sum(self._shares.values()), note=note)

    def done(self, job: AnnotateJob) -> None:
        """Take note that a recording is done, or that nothing becomes of it."""
        self._since = time.monotonic()
        self._shares[job.source] = 1.0
        if self._total is not None:
            self._bars.update(self._total, completed=sum(self._shares.values()))

    def _line(self, job: AnnotateJob, done: Done, seconds: float) -> str:
        parts = [f"{done.frames} frames", f"{_rate(done, seconds):.1f} FPS"]
        if share := _share(done):
            parts.insert(0, f"{100 * share:.0f} %")
            parts.append(f"{seconds / share - seconds:.0f} s to go")
        if self._count > 1:
            parts.append(f"recording {len(self._begun)} of {self._count}")
        return f"live-gradcam: {job.source}: {', '.join(parts)}"

    def __enter__(self) -> AnnotateProgress:
        self._told = self._since = time.monotonic()
        if not self._bars.disable:  # before 14.3 rich ends even what it does not show with an empty line
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._bars.disable:
            self._bars.stop()


def _share(done: Done) -> float:
    """How much of a recording is done, by its own time; 0 where its header does not say how long it is."""
    return min(1.0, max(0.0, done.seconds) / done.of_seconds) if done.of_seconds else 0.0


def _rate(done: Done, seconds: float) -> float:
    return done.frames / seconds if seconds > 0 else 0.0
