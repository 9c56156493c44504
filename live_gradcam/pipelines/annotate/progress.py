"""How far a batch of recordings is: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from live_gradcam.pipelines.annotate.jobs import AnnotateJob
from live_gradcam.pipelines.annotate.run import Progress as Done

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
        )
        self._total: TaskID | None = None
        self._tasks: dict[Path, TaskID] = {}
        self._begun: dict[Path, float] = {}
        self._told = time.monotonic()

    def update(self, job: AnnotateJob, done: Done) -> None:
        """Take note of how far a recording is."""
        now = time.monotonic()
        begun = self._begun.setdefault(job.source, now)
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
            share = min(1.0, done.seconds / done.of_seconds) if done.of_seconds else 0.0
            number = len(self._begun)
            self._bars.update(self._total, completed=number - 1 + share, note=f"{number} of {self._count} recordings")

    def _line(self, job: AnnotateJob, done: Done, seconds: float) -> str:
        parts = [f"{done.frames} frames", f"{_rate(done, seconds):.1f} FPS"]
        if done.of_seconds and done.seconds > 0:
            share = min(1.0, done.seconds / done.of_seconds)
            parts.insert(0, f"{100 * share:.0f} %")
            parts.append(f"{seconds / share - seconds:.0f} s to go")
        if self._count > 1:
            parts.append(f"recording {len(self._begun)} of {self._count}")
        return f"live-gradcam: {job.source}: {', '.join(parts)}"

    def __enter__(self) -> AnnotateProgress:
        self._bars.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.__exit__(None, None, None)


def _rate(done: Done, seconds: float) -> float:
    return done.frames / seconds if seconds > 0 else 0.0
