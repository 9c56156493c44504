"""Commands out of a file, each at its time: what a person would do, for a run that nobody sits at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from live_gradcam.errors import UsageError, did_you_mean
from live_gradcam.surfaces.commands import Argument, Command, CommandTable


@dataclass(frozen=True)
class TimedCommand:
    """A command and when it is given.

    Attributes:
        seconds: after the first frame that is explained, in the source's own time.
        command: what is asked for.
    """

    seconds: float
    command: Command


def read_script(path: str | Path, commands: CommandTable[Any]) -> tuple[TimedCommand, ...]:
    """The commands in a file: a line each, `SECONDS COMMAND [ARGUMENT]`; lines that begin with # are notes.

    Args:
        path: the file.
        commands: those that there are.

    Returns:
        The commands in the order of their times.

    Raises:
        UsageError: the file cannot be read, or a line is none.
    """
    try:
        text = Path(path).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UsageError(f"the script {path} cannot be read: {reason}") from error
    timed = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                timed.append(_timed(line, commands))
            except UsageError as error:
                raise UsageError(f"{path}, line {number}: {error}") from error
    return tuple(sorted(timed, key=lambda one: one.seconds))


def _timed(line: str, commands: CommandTable[Any]) -> TimedCommand:
    time, *rest = line.split(maxsplit=2)
    try:
        seconds = float(time)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf") or not rest:
        raise UsageError(f"{line.strip()!r} is not SECONDS COMMAND [ARGUMENT]")
    rows = {row.name: row for row in commands}
    if rest[0] not in rows:
        raise UsageError(f"there is no command {rest[0]!r}{did_you_mean(rest[0], rows)}")
    if len(rest) > 1 and not rows[rest[0]].argument:
        raise UsageError(f"the command {rest[0]} takes no argument")
    return TimedCommand(seconds, Command(rest[0], _argument(rest[1].strip()) if len(rest) > 1 else None))


def _argument(text: str) -> Argument:
    """A number, true or false where it is one; else the text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str | int | float | bool) else text


class Script:
    """Gives commands when their time has come.

    Args:
        timed: the commands, in the order of their times.
    """

    def __init__(self, timed: Sequence[TimedCommand]) -> None:
        self._left = list(timed)

    def due(self, seconds: float) -> list[Command]:
        """The commands whose time has come since the last call.

        Args:
            seconds: since the first frame that was explained.
        """
        due = [one.command for one in self._left if one.seconds <= seconds]
        self._left = self._left[len(due) :]
        return due

    @property
    def left(self) -> int:
        """How many commands were not given yet."""
        return len(self._left)
