"""The commands of teaching; and which command a key gives: in a live run, while teaching, while a name is typed."""

from __future__ import annotations

from dataclasses import replace

from live_gradcam.errors import UsageError
from live_gradcam.live_loop.arguments import whole_number
from live_gradcam.live_loop.commands import COMMANDS
from live_gradcam.live_loop.runs import ExplainedRun, ShownRun
from live_gradcam.live_loop.state import LiveState
from live_gradcam.networks.class_names import is_shown
from live_gradcam.surfaces.commands import Argument, Command, CommandRow, CommandTable

_CLASS = "the class, 0 to 9"


def _collect(run: ExplainedRun, argument: Argument) -> None:
    _check_collecting(run)
    run.teaching.collect(whole_number("class", argument))


def _hold(run: ExplainedRun, argument: Argument) -> None:
    _check_collecting(run)
    run.teaching.hold(whole_number("class", argument))


def _release(run: ExplainedRun, _: Argument) -> None:
    run.teaching.release()


def _name(run: ExplainedRun, argument: Argument) -> None:
    if argument is None:
        run.teaching.class_to_name(None)
        run.teaching.release()
        run.state.naming = ""
        return
    index, separator, name = str(argument).partition("=")
    if separator and len(index) == 1 and index.isdecimal():
        run.teaching.rename(int(index), name)
    else:
        run.teaching.rename(None, str(argument))


def _undo(run: ExplainedRun, _: Argument) -> None:
    run.teaching.undo()


def _save(run: ExplainedRun, _: Argument) -> None:
    run.teaching.save()


def _type(run: ExplainedRun, argument: Argument) -> None:
    if run.state.naming is None:
        raise UsageError("nothing is being typed")
    run.state.naming += str(argument if argument is not None else "")


def _type_delete(run: ExplainedRun, _: Argument) -> None:
    run.state.naming = (run.state.naming or "")[:-1]


def _type_accept(run: ExplainedRun, _: Argument) -> None:
    name, run.state.naming = run.state.naming, None
    if name:
        run.teaching.rename(None, name)


def _type_cancel(run: ExplainedRun, _: Argument) -> None:
    run.state.naming = None


def _check_collecting(run: ExplainedRun) -> None:
    """Make sure that examples can be collected now.

    Raises:
        UsageError: the network is not being taught, or the picture stands still.
    """
    if not run.state.teaching:
        raise UsageError("the network is not being taught: the command teach begins it")
    if run.state.paused:
        raise UsageError("the picture is paused: go on to collect pictures")


#: What teaching adds to the commands of a live run.
TEACHING: CommandTable[ExplainedRun] = CommandTable(
    CommandRow(
        "teach-collect",
        _collect,
        "collect pictures of a class while you hold the key; 0: of nothing",
        _CLASS,
        "1234567890",
        "1 … 9, 0",
        (*range(1, 10), 0),
    ),
    CommandRow("teach-name", _name, "name the class that was collected last", "NAME, or CLASS=NAME", "nN", "n"),
    CommandRow("teach-undo", _undo, "take the last burst back", keys="uU", keys_name="u"),
    CommandRow("teach-save", _save, "write the model, its pictures and features", keys="wW", keys_name="w"),
    CommandRow("teach-hold", _hold, "collect pictures of a class until teach-release", _CLASS),
    CommandRow("teach-release", _release, "collect no more pictures"),
)

#: What a person does while a name is typed.
TYPING: CommandTable[ExplainedRun] = CommandTable(
    CommandRow("type-accept", _type_accept, "use the name", keys="\r\n\uff8d", keys_name="Enter"),
    CommandRow("type-delete", _type_delete, "delete the last letter", keys="\x08\x7f\uff08", keys_name="Backspace"),
    CommandRow("type-cancel", _type_cancel, "keep the name that it had", keys="\x1b", keys_name="Esc"),
    CommandRow("type", _type, "add to the name", "the letters"),
)


def _with_keys_left(rows: CommandTable[ShownRun]) -> list[CommandRow[ShownRun]]:
    """The rows of a live run without the keys that teaching has."""
    taken = {key for row in TEACHING for key in row.keys}
    left = []
    for row in rows:
        kept = [place for place, key in enumerate(row.keys) if key not in taken]
        keys = "".join(row.keys[place] for place in kept)
        arguments = tuple(row.key_arguments[place] for place in kept if row.key_arguments)
        left.append(replace(row, keys=keys, keys_name=row.keys_name if keys else "", key_arguments=arguments))
    return left


#: The keys while a network is taught.
TEACHING_KEYS: CommandTable[ShownRun] = CommandTable(*TEACHING, *_with_keys_left(COMMANDS))

#: Every command there is, with the keys of a live run.
ALL_COMMANDS: CommandTable[ShownRun] = CommandTable(
    *COMMANDS, *(replace(row, keys="", keys_name="", key_arguments=()) for row in (*TEACHING, *TYPING))
)


class Keys(CommandTable[ShownRun]):
    """Every command, with the keys that they have at the moment.

    Args:
        state: says what keys mean.
    """

    def __init__(self, state: LiveState) -> None:
        super().__init__(*ALL_COMMANDS)
        self._state = state

    def of_key(self, character: str) -> Command | None:
        """The command of a key: see `CommandTable`."""
        if self._state.naming is None:
            return self._now.of_key(character)
        is_letter = bool(character) and is_shown(character) and not "\uff00" <= character <= "\uffff"  # arrows, F1
        return TYPING.of_key(character) or (Command("type", character) if is_letter else None)

    @property
    def help(self) -> tuple[tuple[str, str], ...]:
        """The keys of the moment, each with what it does."""
        return self._now.help

    @property
    def _now(self) -> CommandTable[ShownRun]:
        return TEACHING_KEYS if self._state.teaching else COMMANDS
