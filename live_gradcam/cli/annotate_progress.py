"""How far `live-gradcam annotate` is: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from live_gradcam.cli.terminal import visible
from live_gradcam.sources.times import frames_in_words

if TYPE_CHECKING:
    from live_gradcam.annotating.batch import Progress

#: Seconds between plain lines.
_EVERY = 10.0


class AnnotateProgress:
    """Shows how far each recording is, by its own time, and the batch. Use as a context manager; call it with progress.

    Args:
        console: on a terminal, bars with frames, FPS and the time to go; elsewhere a line every ten seconds.
        starting: what is shown on a terminal while the network starts.
    """

    def __init__(self, console: Console, starting: str) -> None:
        self._console = console
        self._starting = starting
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            redirect_stdout=sys.stdout.isatty(),  # what is printed into a file or a pipe belongs there
        )
        self._shown = ExitStack()
        self._total: TaskID | None = None
        self._tasks: dict[Path, TaskID] = {}
        self._begun: dict[Path, float] = {}
        self._shares: dict[Path, float] = {}
        self._printed = self._since = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        """Take note of what happened."""
        if progress.stage == "starting":
            self._shown.enter_context(self._console.status(self._starting))
        elif progress.stage == "started":
            self._shown.close()
            self._printed = self._since = time.monotonic()
            if not self._bars.disable:  # before 14.3 rich ends even what it does not show with an empty line
                self._shown.enter_context(self._bars)
        elif progress.job is not None and progress.stage == "annotating":
            self._update(progress, progress.job.source)
        elif progress.job is not None and progress.result is not None and progress.result.status != "skipped":
            self._since = time.monotonic()
            self._shares[progress.job.source] = 1.0
            if self._total is not None:
                self._bars.update(self._total, completed=sum(self._shares.values()))

    def _update(self, progress: Progress, source: Path) -> None:
        now = time.monotonic()
        seconds = now - self._begun.setdefault(source, self._since)
        if self._bars.disable:
            if now - self._printed >= _EVERY:
                self._printed = now
                line = visible(self._line(progress, source, seconds))
                self._console.print(line, highlight=False, markup=False, soft_wrap=True)
            return
        if self._total is None and progress.recordings > 1:
            self._total = self._bars.add_task("all", total=progress.recordings, note="")
        if source not in self._tasks:
            self._tasks[source] = self._bars.add_task(visible(source.name), total=progress.of_seconds, note="")
        note = f"{frames_in_words(progress.frames)}  {progress.rate(seconds):.1f} FPS"
        self._bars.update(self._tasks[source], completed=progress.seconds, note=note)
        if self._total is not None:
            self._shares[source] = progress.share or 0.0
            note = f"{len(self._begun)} of {progress.recordings} recordings"
            self._bars.update(self._total, completed=sum(self._shares.values()), note=note)

    def _line(self, progress: Progress, source: Path, seconds: float) -> str:
        parts = progress.in_words(seconds)
        if progress.share:
            parts.insert(0, f"{100 * progress.share:.0f} %")
        if progress.recordings > 1:
            parts.append(f"recording {len(self._begun)} of {progress.recordings}")
        return f"live-gradcam: {source}: {', '.join(parts)}"

    def __enter__(self) -> AnnotateProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self._shown.close()
