"""`live-gradcam serve` for the tests in the browser."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import command_line

TOKEN = "the-token-of-the-browser-tests"


@contextmanager
def serving(*arguments: Any, port: int = 0) -> Iterator[str]:
    """`live-gradcam serve`, and its address with the token."""
    process = command_line.start("serve", *arguments, "--port", port, "--token", TOKEN, "--tune", "off")
    try:
        yield _address_of(process)
    finally:
        process.terminate()
        process.communicate(timeout=command_line.SECONDS)


def _address_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"http://\S+token=\S+", line)
        if found:
            return found[0]
    raise AssertionError(process.communicate())
