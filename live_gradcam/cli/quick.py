"""Commands that have Typer look at a value only where there is something to look at.

Typer 0.29 has Pydantic look at every value, also at texts, and at those that nobody gave. Importing Pydantic takes as
long as importing NumPy, and nearly all that a person gives are texts and paths.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from typer.core import TyperCommand, TyperGroup


class QuickCommand(TyperCommand):
    """A command that takes texts, paths and the defaults of its flags as they are."""

    def get_params(self, context: Any) -> list[Any]:
        """Its flags and arguments, also `--help`, which Typer adds here."""
        return _as_they_are(super().get_params(context))


class QuickGroup(TyperGroup):
    """The same of a program with commands."""

    def get_params(self, context: Any) -> list[Any]:
        """Its flags."""
        return _as_they_are(super().get_params(context))


def _as_they_are(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        is_done = isinstance(parameter.process_value, partial)
        if not is_done and hasattr(parameter, "type_descriptor"):  # an older Typer does without Pydantic
            parameter.process_value = partial(_value_of, parameter, parameter.process_value)
    return parameters


def _value_of(parameter: Any, look: Callable[[Any, Any], Any], context: Any, given: Any) -> Any:
    """The value of a parameter; `look` is Typer's way, which knows what is wrong with one."""
    kind = parameter.type_descriptor.annotation
    if given is None and not parameter.required:
        value: Any = () if parameter.multiple or parameter.nargs == -1 else None
    elif given is not None and (given is parameter.default or (kind is str and isinstance(given, str))):
        value = given
    elif kind is Path and _is_path(given):
        value = Path(given)
    elif kind == list[Path] and given and all(map(_is_path, given)):
        value = [Path(one) for one in given]
    else:
        return look(context, given)
    return value if parameter.callback is None else parameter.callback(context, parameter, value)


def _is_path(given: object) -> bool:
    """Whether a text is a path that may be read, or that nothing is at."""
    return isinstance(given, str) and (os.access(given, os.R_OK) or not os.path.exists(given))
