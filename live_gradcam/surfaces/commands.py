"""Commands: what a person asks of a run, by a key, a click, a button or a slider.

Each surface gives the same commands, by name. The table that says what they do belongs to the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from live_gradcam.errors import UsageError, did_you_mean

#: What commands act on.
Run = TypeVar("Run", contravariant=True)
#: What goes with a command: a plain value, as JSON has it.
Argument = str | int | float | bool | None


@dataclass(frozen=True)
class Command:
    """What a person asks for.

    Attributes:
        name: a name in the table of commands.
        argument: what goes with it; None for nothing.
    """

    name: str
    argument: Argument = None


@dataclass(frozen=True)
class CommandRow(Generic[Run]):
    """A row of the table of commands.

    Attributes:
        name: what a `Command` calls it.
        do: does it to a run, with the command's argument. Raises UsageError for an argument that it cannot use.
        help: what it does, as it stands beside its key.
        argument: which argument it takes, in words; empty if it takes none.
        keys: the characters that its keys type; empty if it has no key.
        keys_name: what a person calls these keys.
        key_arguments: the argument that each of the keys gives; empty if they give none.
    """

    name: str
    do: Callable[[Run, Argument], None]
    help: str
    argument: str = ""
    keys: str = ""
    keys_name: str = ""
    key_arguments: tuple[Argument, ...] = ()


class CommandTable(Generic[Run]):
    """All commands of a run.

    Args:
        rows: in the order in which the help lists them.
    """

    def __init__(self, *rows: CommandRow[Run]) -> None:
        self._rows = {row.name: row for row in rows}

    def __iter__(self) -> Iterator[CommandRow[Run]]:
        return iter(self._rows.values())

    def do(self, command: Command, run: Run) -> None:
        """Do what a command asks for.

        Raises:
            UsageError: there is no such command, or it cannot use the argument.
        """
        row = self._rows.get(command.name)
        if row is None:
            raise UsageError(f"there is no command {command.name!r}{did_you_mean(command.name, self._rows)}")
        if command.argument is not None and not row.argument:
            raise UsageError(f"the command {command.name} takes no argument")
        row.do(run, command.argument)

    def of_key(self, character: str) -> Command | None:
        """The command of a key, by the character that it types; None for a key that does nothing."""
        for row in self:
            place = row.keys.find(character) if character else -1
            if place >= 0:
                return Command(row.name, row.key_arguments[place] if row.key_arguments else None)
        return None

    @property
    def help(self) -> tuple[tuple[str, str], ...]:
        """The keys, as a person calls them, each with what it does."""
        return tuple((row.keys_name, row.help) for row in self if row.keys)
