"""The command line: each command parses, calls one function that a Python user can call too, and prints.

One file a command. Nothing heavy is imported before a command computes: `--help` and wrong arguments answer at once.
Only the file of the command that is asked for is imported, and none to list the commands.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from live_gradcam.cli.program import app

__all__ = ["app", "main"]

#: All commands, each with what the list of them says of it.
COMMANDS = {
    "annotate": "Write annotated copies of recordings, with their times, sound and subtitles.",
    "bench": "Measure frames per second, and what Grad-CAM costs over the prediction.",
    "cache": "List the compiled programs that are kept for the next start.",
    "cameras": "List the cameras that open and deliver a picture.",
    "doctor": "Show what this machine has, what is missing, and what would help.",
    "evaluate": "Measure how faithful maps are: deletion, insertion, average drop, pointing game.",
    "explain": "Explain pictures: overlay, picture and heatmap side by side.",
    "export": "Write a model for other programs: ONNX, OpenVINO, SavedModel or TensorFlow Lite.",
    "fit": "Fit a network to your own classes, and say how good it is.",
    "live": "Explain a camera, a stream or a file as it comes.",
    "models": "List the networks that come by name, or show what is known of one.",
    "layers": "List a model's layers in the order in which they run.",
    "serve": "Serve a page that explains the camera of whoever opens it.",
    "teach": "Teach a network your own classes at the camera.",
}
#: Where a command is, where its module has another name.
_MODULES = {"layers": "models"}


def main() -> None:
    """Run the command line. Ctrl-C and SIGTERM end it with the same exit code, also while it starts."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:  # who had it ignored goes on having it ignored
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.unraisablehook = _interrupt_again
    for name in ("stdin", "stdout", "stderr"):  # one that is closed: what is opened next would take its number
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115 - for as long as it runs
    if os.environ.get("COLUMNS") == "0":  # a width that nobody knows: Rich would draw nothing
        del os.environ["COLUMNS"]
    if isinstance(sys.stdout, TextIOWrapper):  # a name or an arrow that its encoding has not is no reason to stop
        sys.stdout.reconfigure(errors="backslashreplace")
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    try:
        _program_for(asked)()
    except KeyboardInterrupt:  # before a command began
        sys.exit(130)
    except OSError as error:  # the help and the version are printed outside of a command
        from live_gradcam.cli.terminal import FAILED, complain_of_stdout

        if not complain_of_stdout(error):
            raise
        sys.exit(FAILED)


def _interrupt_again(ignored: Any) -> None:
    """Let Ctrl-C be heard where it fell into a destructor or a callback of a library, which can raise nothing."""
    if issubclass(ignored.exc_type, KeyboardInterrupt):
        later = threading.Timer(0.05, _thread.interrupt_main)  # now it would fall into the same place
        later.daemon = True
        later.start()
    else:
        sys.__unraisablehook__(ignored)


def _program_for(asked: str) -> Any:
    """The program, with no more than what its first word needs.

    Args:
        asked: a command, or something else.
    """
    from live_gradcam.cli.program import listing

    if asked in COMMANDS:
        return program_with((asked,))
    is_listing = asked in ("", "-h", "--help", "--version") or not asked.startswith("-")  # a command that there is not
    is_completing = "_LIVE_GRADCAM_COMPLETE" in os.environ
    return listing(COMMANDS) if is_listing and not is_completing else program_with(tuple(COMMANDS))


def program_with(commands: tuple[str, ...]) -> Any:
    """The program, which knows these commands; each adds itself when its module is imported."""
    from live_gradcam.cli.program import app

    for command in commands:
        import_module(f"{__name__}.{_MODULES.get(command, command)}")
    return app


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name == "app":
            return program_with(tuple(COMMANDS))
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
