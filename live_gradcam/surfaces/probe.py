"""Whether a window can open here, found out in a process of its own: OpenCV's Qt ends the one in which it cannot.

It imports OpenCV, which takes a quarter of a second. So it is begun before this process imports what it needs itself.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys

_PROGRAM = "import cv2; cv2.namedWindow('probe'); cv2.destroyAllWindows()"

_begun: list[subprocess.Popen[bytes]] = []


def has_display() -> bool:
    """Whether there is a display, as far as the environment says so."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def begin_probe() -> None:
    """Begin to find out whether a window can open. Whoever asks for it later waits less."""
    if not _begun and has_display():
        nowhere = subprocess.DEVNULL
        process = subprocess.Popen([sys.executable, "-c", _PROGRAM], stdin=nowhere, stdout=nowhere, stderr=nowhere)
        atexit.register(process.kill)
        _begun.append(process)


def can_open_window(seconds: float) -> bool:
    """Whether a window can open: there is a display.

    Args:
        seconds: how long to wait for it.

    Raises:
        subprocess.TimeoutExpired: it is not known by then.
    """
    begin_probe()
    process = _begun.pop()
    try:
        return process.wait(seconds) == 0
    finally:
        process.kill()
        process.wait()
        atexit.unregister(process.kill)
