"""What goes with a command, checked: a switch, a name of several, a whole number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from live_gradcam.errors import UsageError, did_you_mean
from live_gradcam.families import Choices
from live_gradcam.surfaces.commands import Argument

Name = TypeVar("Name", bound=str)

#: How the argument of a switch is described.
SWITCH = "true or false; none to change it"


def switched(current: bool, argument: Argument) -> bool:
    """What is wanted of a switch: the argument, or else the opposite of what it is.

    Raises:
        UsageError: the argument is neither true nor false.
    """
    if argument is not None and not isinstance(argument, bool):
        raise UsageError(f"{argument!r} is neither true nor false")
    return not current if argument is None else argument


def next_or_named(choices: Choices, current: str, argument: Argument) -> str:
    """The name that is wanted: the argument, or else the one after the current one.

    Raises:
        UsageError: there is no such name.
    """
    names = tuple(choices)
    return names[(names.index(current) + 1) % len(names)] if argument is None else named(choices.kind, names, argument)


def named(kind: str, names: Sequence[Name], argument: Argument) -> Name:
    """The one of some names that is asked for.

    Raises:
        UsageError: there is no such name.
    """
    for name in names:
        if name == argument:
            return name
    raise UsageError(f"there is no {kind} {argument!r}{did_you_mean(str(argument), names)}")


def whole_number(kind: str, argument: Argument) -> int:
    """A whole number.

    Raises:
        UsageError: it is none.
    """
    if isinstance(argument, bool) or not isinstance(argument, int):
        raise UsageError(f"the {kind} is {argument!r}: it must be a whole number")
    return argument
