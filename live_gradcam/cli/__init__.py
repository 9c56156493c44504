"""The command line: each command parses, calls one function that a Python user can call too, and prints.

One file a command. Nothing heavy is imported before a command computes: `--help` and wrong arguments answer at once.
Only the file of the command that is asked for is imported, so that it begins at once too.
"""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from live_gradcam.cli.program import app

__all__ = ["app", "main"]

#: All commands, each of which has a module of its name here.
COMMANDS = (
    "annotate",
    "bench",
    "cache",
    "cameras",
    "doctor",
    "evaluate",
    "explain",
    "export",
    "fit",
    "live",
    "models",
    "serve",
    "teach",
)


def main() -> None:
    """Run the command line. Ctrl-C and SIGTERM end it with the same exit code, also while it starts."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:  # who had it ignored goes on having it ignored
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    if isinstance(sys.stdout, TextIOWrapper):  # a name or an arrow that its encoding has not is no reason to stop
        sys.stdout.reconfigure(errors="backslashreplace")
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    try:
        program_with((asked,) if asked in COMMANDS else COMMANDS)()
    except KeyboardInterrupt:  # before a command began
        sys.exit(130)
    except OSError as error:  # the help and the version are printed outside of a command
        from live_gradcam.cli.terminal import FAILED, complain_of_stdout

        if not complain_of_stdout(error):
            raise
        sys.exit(FAILED)


def program_with(commands: tuple[str, ...]) -> Any:
    """The program, which knows these commands; each adds itself when its module is imported."""
    from live_gradcam.cli.program import app

    for command in commands:
        import_module(f"{__name__}.{command}")
    return app


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name == "app":
            return program_with(COMMANDS)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
