"""The program: its name, its version, and nothing else; each command adds itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from live_gradcam.cli.quick import QuickGroup

app = typer.Typer(
    cls=QuickGroup,
    name="live-gradcam",
    help="See what an image classifier sees, and where: Grad-CAM on cameras, streams, videos and pictures.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def listing(commands: Mapping[str, str]) -> typer.Typer:
    """The program that only says which commands there are, and that there is no other.

    Args:
        commands: what each is for, by name.
    """
    for name, line in commands.items():
        app.command(name, short_help=line)(lambda: None)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"live-gradcam {version('live-gradcam')}", flush=True)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass
