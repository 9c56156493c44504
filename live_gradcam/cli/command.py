"""What surrounds every command: shared flags, names that are checked first, and errors as one line and an exit code."""

from __future__ import annotations

import inspect
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import typer
from typer.models import OptionInfo

from live_gradcam.addresses import address_of
from live_gradcam.choices import blamed
from live_gradcam.cli import COMMANDS
from live_gradcam.cli.marks import Added, FilesOnly, Flags, Written
from live_gradcam.cli.program import app
from live_gradcam.cli.quick import QuickCommand
from live_gradcam.cli.terminal import FAILED, INTERRUPTED, complain, complain_of_stdout, print_traceback, set_up_logging
from live_gradcam.errors import LiveGradcamError, UsageError, kind_and_line
from live_gradcam.families import Choices

Mark = TypeVar("Mark")

#: What the help has.
_HELP = {"--help", "-h"}

#: What a flag that another package adds may look like.
_FLAG = re.compile(r"--[a-z][a-z0-9]*(-[a-z0-9]+)*")

_log = logging.getLogger(__name__)


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Register a command, with `-v` and `--debug` besides its own flags.

    A parameter that is marked with `Flags` is no flag: its value is made of the flags of the function in the mark. One
    that is a `typer.Context` is none either. A name that is marked with its `Choices` is checked before anything else
    is done.
    """
    flags, left_out = _without_those_in_the_way({**_flags_of(function), **_flags_of(set_up_logging)})

    def run(**values: Any) -> None:
        with _errors_in_a_line(debug=values["debug"]):
            _call(set_up_logging, values)
            for line in left_out:
                _log.warning("%s", line)
            _check_names(flags, values)
            _refuse_addresses(function.__name__, flags, values)
            _refuse_files_in_place_of_others(flags, values)
            _call(function, values)

    for_typer = [_for_typer(flag) for flag in flags.values()]
    run.__signature__ = inspect.Signature(for_typer)  # type: ignore[attr-defined]
    run.__annotations__ = {flag.name: flag.annotation for flag in for_typer}
    run.__doc__ = function.__doc__
    app.command(name=function.__name__, cls=QuickCommand, short_help=COMMANDS[function.__name__])(run)
    return function


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    return list(inspect.signature(function).parameters.values())


def _mark(parameter: inspect.Parameter, kind: type[Mark]) -> Mark | None:
    """What a parameter is marked with, of a kind; None where it is not."""
    return next((mark for mark in getattr(parameter.annotation, "__metadata__", ()) if isinstance(mark, kind)), None)


def _flags_of(function: Callable[..., Any], panel: str | None = None) -> dict[str, inspect.Parameter]:
    """The flags of a function, and those of the functions that its parameters are marked with, by name."""
    flags: dict[str, inspect.Parameter] = {}
    shared: dict[str, inspect.Parameter] = {}
    for parameter in _parameters(function):
        made_of = _mark(parameter, Flags)
        if made_of is None:
            flags[parameter.name] = _in_panel(parameter, panel)
        else:
            made = _flags_of(made_of.function, made_of.panel)
            shared |= {name: flag for name, flag in made.items() if name not in made_of.without}
    return flags | shared


def _spellings(flag: inspect.Parameter) -> list[str]:
    """All that a person can write for a flag; nothing for an argument."""
    info = _mark(flag, OptionInfo)
    names = () if info is None else (info.default, *(info.param_decls or ()))  # Typer takes the first for a default
    return [one for name in names if isinstance(name, str) for one in name.split("/")]


def _without_those_in_the_way(
    flags: dict[str, inspect.Parameter],
) -> tuple[dict[str, inspect.Parameter], list[str]]:
    """The flags without those of other packages that are none, or are another flag already; and a line about each."""
    taken = _HELP.union(*(_spellings(flag) for flag in flags.values() if _mark(flag, Added) is None))
    kept, left_out = {}, []
    for name, flag in flags.items():
        added = _mark(flag, Added)
        if added is not None:
            if not _FLAG.fullmatch(added.spelling):
                left_out.append(f"{added.told} is left out: {added.spelling} cannot be a flag")
                continue
            if added.spelling in taken:
                left_out.append(f"{added.told} is left out: {added.spelling} is another flag")
                continue
        kept[name] = flag
    return kept, left_out


def _in_panel(flag: inspect.Parameter, panel: str | None) -> inspect.Parameter:
    """A flag that the help lists in a panel."""
    info = _mark(flag, OptionInfo)
    if info is None or panel is None:
        return flag
    in_panel = copy(info)
    in_panel.rich_help_panel = panel
    marks = [in_panel if mark is info else mark for mark in flag.annotation.__metadata__]
    return flag.replace(annotation=Annotated[(flag.annotation.__origin__, *marks)])


def _call(function: Callable[..., Any], values: dict[str, Any]) -> Any:
    """Call a function with the flags' values, and with what is made of them."""
    arguments = {}
    for parameter in _parameters(function):
        made_of = _mark(parameter, Flags)
        if made_of is not None:
            arguments[parameter.name] = _call(made_of.function, values)
        elif parameter.name in values:  # a flag may be left out
            arguments[parameter.name] = values[parameter.name]
    return function(**arguments)


def _for_typer(flag: inspect.Parameter) -> inspect.Parameter:
    """A flag as Typer is to see it: any text for a name, which is checked here, with the closest ones in the error."""
    annotation = flag.annotation
    if _mark(flag, Choices) is not None:
        kind = str | None if type(None) in get_args(annotation.__origin__) else str
        annotation = Annotated[(kind, *annotation.__metadata__)]
    return flag.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=annotation)


def _check_names(flags: dict[str, inspect.Parameter], values: dict[str, Any]) -> None:
    for name, flag in flags.items():
        choices = _mark(flag, Choices)
        if choices is not None and values[name] is not None:
            choices.check(values[name])


def _refuse_addresses(command: str, flags: dict[str, inspect.Parameter], values: dict[str, Any]) -> None:
    """Make sure that no file is an address, of which a path has lost a slash."""
    for name, value in values.items():
        for path in value if isinstance(value, list) else [value]:
            address = address_of(path) if isinstance(path, Path) else None
            if address is None:
                continue
            if address.lower().startswith("file:"):
                raise UsageError(f"{address} is an address: give the path alone, without file://")
            if spellings := _spellings(flags[name]):
                raise UsageError(f"{address} is an address, and {spellings[0]} takes a file or a folder")
            if _mark(flags[name], FilesOnly) is None and _is_of_another_package(address):
                continue
            raise UsageError(
                f"{address} is an address, and {command} reads files: download it first (curl -LO ADDRESS), or explain "
                "a stream as it comes with live-gradcam live ADDRESS"
            )


def _refuse_files_in_place_of_others(flags: dict[str, inspect.Parameter], values: dict[str, Any]) -> None:
    """Make sure that what a flag marked with `Written` names is no other file that is named, which it would replace."""
    from live_gradcam.files import is_same_file

    for name, flag in flags.items():
        mark, path = _mark(flag, Written), values[name]
        if mark is None or path is None or str(path) == "-":
            continue
        for other, file in _files_in(values):
            if other != name and (mark.is_last or file.is_file()) and is_same_file(file, path):
                spelling = next(iter(_spellings(flags[other])), "what is read")
                raise UsageError(
                    f"{path} is the file of {_spellings(flag)[0]} and of {spelling} too: give another name"
                )


def _files_in(values: dict[str, Any]) -> Iterator[tuple[str, Path]]:
    """All paths, and the texts that name something that is there, also as in NAME=FILE; each with its flag's name."""
    for name, value in values.items():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, Path):
                yield name, one
            elif isinstance(one, str):
                named = (Path(text) for text in (one, one.partition("=")[2]) if text)
                yield from ((name, path) for path in named if os.path.exists(path))


def _is_of_another_package(address: str) -> bool:
    from live_gradcam.sources.opening import is_of_another_package

    return is_of_another_package(address)


@contextmanager
def _errors_in_a_line(*, debug: bool) -> Iterator[None]:
    try:
        yield
        print(end="", flush=True)
    except LiveGradcamError as error:
        if debug:
            print_traceback()
        complain(str(error))
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except typer.Exit:
        raise
    except Exception as error:
        if debug:
            print_traceback()
            raise typer.Exit(FAILED) from None
        if complain_of_stdout(error):
            raise typer.Exit(FAILED) from None
        reason = blamed(error) or f"unexpected {kind_and_line(error)}"
        complain(f"{reason} (run it again with --debug for the details)")
        raise typer.Exit(FAILED) from None
