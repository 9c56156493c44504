"""Running the command line as a person does, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

SECONDS = 120


@dataclass(frozen=True)
class Finished:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without a display and without the tests' own settings of TensorFlow."""
    kept = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    kept.pop("TF_CPP_MIN_LOG_LEVEL", None)
    return {**kept, **changes}


def start(*arguments: Any, **changes: str) -> subprocess.Popen[str]:
    """Start `live-gradcam ARGUMENTS`; `changes` are for its environment."""
    return subprocess.Popen(
        [sys.executable, "-m", "live_gradcam", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**changes),
    )


def finish(process: subprocess.Popen[str]) -> Finished:
    """Wait for a started command to end."""
    out, err = process.communicate(timeout=SECONDS)
    return Finished(process.returncode, out, err)


def run(*arguments: Any, **changes: str) -> Finished:
    """Run `live-gradcam ARGUMENTS` to its end."""
    return finish(start(*arguments, **changes))
