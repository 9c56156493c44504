"""How flags are made: of functions, of names to choose from, and of tables that other packages add to."""

import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from live_gradcam.choices import SOURCES
from live_gradcam.families import Choices, Family

_LONGEST_METAVAR = 32


def _shown(names: Iterable[str]) -> str:
    """Names in a text of the help, in which one of another package may look like a tag."""
    text = ", ".join(names)
    if "[" not in text:
        return text
    from rich.markup import escape  # which takes long to import

    return escape(text)


def sources_help(text: str) -> str:
    """What a command reads, with the kinds of sources that other packages add."""
    added = [name for name in SOURCES if name not in SOURCES.of_this_package]
    return f"{text} Also, from other packages: {_shown(added)}." if added else text


class Flags(NamedTuple):
    """Marks a parameter whose value a function makes of flags of its own: those are the function's parameters.

    Attributes:
        function: makes the value.
        panel: the title of the flags in the help.
        without: parameters that are no flags here, because they would mean nothing: they keep their defaults.
    """

    function: Callable[..., Any]
    panel: str
    without: tuple[str, ...] = ()


def is_given(context: typer.Context, name: str) -> bool:
    """Whether a person gave a parameter of a command: its default can be given too."""
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


class FilesOnly:
    """Marks an argument that takes no source that another package reads."""


class Written(NamedTuple):
    """Marks a flag whose file is written: it must not be one that another flag or an argument names.

    Attributes:
        is_last: whether it is written after all others, and would replace what another flag writes, too.
    """

    is_last: bool = False


class Added(NamedTuple):
    """Marks a flag that another package adds. A command that cannot have it does without it.

    Attributes:
        spelling: of the flag, which may be any text.
        told: what it is, and whose, for the line that says that it is left out.
    """

    spelling: str
    told: str


def chosen(choices: Choices, *names: str, help: str, variable: str | None = None) -> Any:
    """A flag that takes one of some names; the shell completes them.

    Args:
        choices: the names. Put them into the annotation too, so that the command checks the name before all else.
        names: of the flag.
        help: what it does. Many names are listed after it.
        variable: of the environment, which is the default where it is set.
    """

    def complete(incomplete: str) -> list[tuple[str, str]]:
        return [(name, line) for name, line in choices.helps.items() if name.startswith(incomplete)]

    metavar = "|".join(choices)
    if len(metavar) > _LONGEST_METAVAR:
        metavar, help = "NAME", f"{help} One of {_shown(choices)}."
    if variable is not None:
        help = f"{help} ${variable} changes the default."
    return typer.Option(*names, metavar=metavar, help=help, autocompletion=complete, envvar=variable, show_envvar=False)


def path_flags(choices: Family, *, help: str) -> Callable[..., dict[str, Path]]:
    """What `Flags` takes to give each name of a table a flag, `--NAME PATH`. It gives the paths, by name.

    Args:
        choices: the names and their lines of help. A name of another package may be any text: the parameters of the
            flags are called by numbers.
        help: follows each of these lines.
    """
    flags = {f"{choices.kind}_{position}": name for position, name in enumerate(choices)}

    def paths(**values: Path | None) -> dict[str, Path]:
        return {flags[flag]: path for flag, path in values.items() if path is not None}

    def parameter(flag: str, name: str) -> inspect.Parameter:
        line = choices.helps[name]
        option = typer.Option(f"--{name}", metavar="PATH", help=f"{line[0].upper()}{line[1:]}. {help}")
        marks = (Added(f"--{name}", f"the {choices.kind} {name} {line}"),) if name in choices.added else ()
        annotation = Annotated[(Path | None, option, Written(), *marks)]
        return inspect.Parameter(flag, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)

    signature = inspect.Signature([parameter(flag, name) for flag, name in flags.items()])
    paths.__signature__ = signature  # type: ignore[attr-defined]
    return paths
