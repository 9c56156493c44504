"""The reference of all commands and flags, in Markdown: `python -m live_gradcam.cli.reference > docs/cli.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import typer.main

from live_gradcam import choices
from live_gradcam.cli import app
from live_gradcam.families import Choices, Family

_HEAD = """# The command line

This page is generated from the program: `python -m live_gradcam.cli.reference > docs/cli.md`. A test fails when it is
stale. In the terminal, `live-gradcam COMMAND --help` shows the same.

`live-gradcam --install-completion` makes your shell complete flags and names. Open a new terminal after it.

| exit code | |
| --- | --- |
| 0 | Done. |
| 1 | Something failed. What could be done is kept. |
| 2 | The command line is wrong. Nothing was done. |
| 130 | Interrupted by Ctrl-C, SIGTERM or a terminal that is closed. Files are finished first. |
"""

#: Flags that every command has, which one table lists.
_OF_EVERY_COMMAND = ("verbose", "debug", "help")


def reference() -> str:
    """The whole page."""
    group: Any = typer.main.get_command(app)
    program = group.context_class(group, **group.context_settings)
    commands = {name: group.commands[name] for name in sorted(group.commands)}
    parameters = {name: _parameters(command, program) for name, command in commands.items()}
    rows = [(f"[`{name}`](#live-gradcam-{name})", _line(command.help)) for name, command in commands.items()]
    shared = [one for one in next(iter(parameters.values())) if one.name in _OF_EVERY_COMMAND]
    parts = [
        _HEAD,
        "## Commands\n",
        _table(("command", ""), rows),
        "Flags of every command:\n",
        _flags(shared),
        "Flags of the program itself:\n",
        _flags(one for one in group.get_params(program) if one.name != "help"),
    ]
    for name, command in commands.items():
        parts += _command(name, command, [one for one in parameters[name] if one.name not in _OF_EVERY_COMMAND])
    return "\n".join([*parts, *_names()])


def _command(name: str, command: Any, parameters: list[Any]) -> Iterator[str]:
    arguments = [parameter for parameter in parameters if parameter.param_type_name == "argument"]
    flags = [parameter for parameter in parameters if parameter.param_type_name == "option"]
    usage = " ".join(["live-gradcam", name, "[FLAGS]", *(argument.metavar for argument in arguments)])
    yield f"## live-gradcam {name}\n"
    yield f"{_line(command.help)}\n"
    yield f"    {usage}\n"
    if arguments:
        yield _table(("argument", ""), [(f"`{argument.metavar}`", _line(argument.help)) for argument in arguments])
    for panel in dict.fromkeys(flag.rich_help_panel for flag in flags):
        if panel is not None:
            yield f"### {panel} ({name})\n"
        yield _flags(flag for flag in flags if flag.rich_help_panel == panel)


def _names() -> Iterator[str]:
    """What can be chosen by name; the names that other packages add are theirs to document."""
    yield "## Names to choose from\n"
    for of_kind in {one.kind: one for one in vars(choices).values() if isinstance(one, Choices)}.values():
        names = of_kind.of_this_package if isinstance(of_kind, Family) else tuple(of_kind)
        yield _table((of_kind.kind, ""), [(f"`{name}`", of_kind.helps[name]) for name in names])


def _parameters(command: Any, program: Any) -> list[Any]:
    """All parameters that the help of a command shows."""
    context = command.context_class(command, parent=program)
    return [one for one in command.get_params(context) if not getattr(one, "hidden", False)]


def _flags(flags: Iterable[Any]) -> str:
    return _table(("flag", "default", ""), [(_spelling(flag), _default(flag), _line(flag.help)) for flag in flags])


def _spelling(flag: Any) -> str:
    long_first = sorted(flag.opts, key=lambda name: not name.startswith("--"))  # --help and -h come in any order
    names = ", ".join(f"`{name}`" for name in (*long_first, *flag.secondary_opts))
    return f"{names} `{flag.metavar}`" if flag.metavar else names


def _default(flag: Any) -> str:
    default = flag.default
    return f"`{default}`" if isinstance(default, int | float | str) and not isinstance(default, bool) else ""


def _line(text: str | None) -> str:
    return " ".join((text or "").split())


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    print(reference(), end="")
