"""How far a work of several stages is: a bar for each on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from contextlib import ExitStack

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

#: Seconds between plain lines.
_EVERY = 10.0
#: Seconds that one step may take, such as a fold of many classes, with the time to go still known.
_LONGEST_STEP = 600.0


class StageBars:
    """Shows how far each stage is. Use as a context manager; call it as a stage goes on.

    Args:
        console: on a terminal, a bar for each stage with the time to go; elsewhere a line every ten seconds, which
            says it too.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bars = Progress(*columns, console=console, transient=True, speed_estimate_period=_LONGEST_STEP)
        self._shown = ExitStack()
        self._tasks: dict[str, TaskID] = {}
        self._printed: float | None = None
        self._begun: dict[str, tuple[float, int]] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        """Take note of how far a stage is: how much of how much is done."""
        if not self._console.is_terminal:  # before 14.3 rich ends even a disabled bar with an empty line
            self._print(what, done, total)
            return
        if not self._tasks:
            self._shown.enter_context(self._bars)
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=total)
        self._bars.update(self._tasks[what], completed=done, total=total)

    def _print(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        since, before = self._begun.setdefault(what, (now, done))
        if self._printed is None:  # what takes no ten seconds is not worth a line
            self._printed = now
        if now - self._printed >= _EVERY:
            self._printed = now
            line = f"live-gradcam: {what}: {done} of {total}"
            if done > before:
                line += f", {(now - since) / (done - before) * (total - done):.0f} s to go"
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def __enter__(self) -> StageBars:
        return self

    def __exit__(self, *_: object) -> None:
        self._shown.close()
