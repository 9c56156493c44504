"""Running the command line as a person does, in a process of its own.

What is about the start itself (silence, what is imported, another engine's libraries) is `start`ed. All else is `run`,
or `begin`s where something is done while it runs: both have the same answers and save the import of TensorFlow.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forked import IS_POSSIBLE, ForkedProcess, run_forked

SECONDS = 120

#: Flags that make a network ready in the shortest time, for commands that are about what it says or what is written.
AT_ONCE = ("--engine", "graph", "--lowering", "off", "--tune", "off")

#: A command that may still run.
Running = subprocess.Popen[str] | ForkedProcess

#: What a command is to find as a person's shell has it: the last two are set where the package is imported.
_OWN = ("DISPLAY", "WAYLAND_DISPLAY", "TF_CPP_MIN_LOG_LEVEL", "XLA_FLAGS", "TF_XLA_FLAGS")


@dataclass(frozen=True)
class Finished:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without a display and without the tests' own settings of TensorFlow."""
    return {**{name: value for name, value in os.environ.items() if name not in _OWN}, **changes}


def start(*arguments: Any, **changes: str) -> subprocess.Popen[str]:
    """Start `live-gradcam ARGUMENTS`; `changes` are for its environment."""
    return subprocess.Popen(
        [sys.executable, "-m", "live_gradcam", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**changes),
    )


def begin(*arguments: Any, **changes: str) -> Running:
    """Begin `live-gradcam ARGUMENTS` where TensorFlow is imported already."""
    if not IS_POSSIBLE:
        return start(*arguments, **changes)
    return ForkedProcess([str(argument) for argument in arguments], environment(**changes))


def finish(process: Running) -> Finished:
    """Wait for a started command to end."""
    out, err = process.communicate(timeout=SECONDS)
    return Finished(process.returncode or 0, out, err)


def run(*arguments: Any, **changes: str) -> Finished:
    """Run `live-gradcam ARGUMENTS` to its end, where TensorFlow is imported already."""
    if not IS_POSSIBLE:
        return finish(start(*arguments, **changes))
    return Finished(*run_forked([str(argument) for argument in arguments], environment(**changes), SECONDS))


def run_script(script: Path, *arguments: Any, with_tensorflow: bool = False, **changes: str) -> Finished:
    """Run a script of Python to its end, where the libraries are imported already.

    Args:
        script: its path.
        arguments: of it.
        with_tensorflow: whether TensorFlow is imported already, too.
        changes: for its environment.
    """
    words, shell = [str(argument) for argument in arguments], environment(**changes)
    if IS_POSSIBLE:
        return Finished(*run_forked(words, shell, SECONDS, script=str(script), with_tensorflow=with_tensorflow))
    command = [sys.executable, script, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, env=shell, check=False)
    return Finished(done.returncode, done.stdout, done.stderr)


def run_program(text: str, *arguments: Any, with_tensorflow: bool = False, **changes: str) -> Finished:
    """Run a program of Python as `run_script` does."""
    with tempfile.TemporaryDirectory(prefix="program-") as folder:
        script = Path(folder, "program.py")
        script.write_text(text, "utf-8")
        return run_script(script, *arguments, with_tensorflow=with_tensorflow, **changes)
