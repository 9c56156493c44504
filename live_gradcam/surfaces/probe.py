"""Whether a window can open here. OpenCV's Qt ends the process in which it cannot, so this is known before it tries.

With the Qt of OpenCV's wheels it is found out in this process, in a moment: Qt needs its plug-in for X11, and a display
that lets it connect. Where that does not say yes, or windows are another library's, a process of its own opens a window
and has the last word. It imports OpenCV, which takes a quarter of a second.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import subprocess
import sys
import threading
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

_PROGRAM = "import cv2; cv2.namedWindow('probe'); cv2.destroyAllWindows()"
_X11_EVENTS = "libX11-xcb.so.1"

_begun: list[subprocess.Popen[bytes]] = []


def has_display() -> bool:
    """Whether there is a display, as far as the environment says so."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def let_qt_have_its_events() -> None:
    """Have OpenCV's Qt use the system's own library to tell X11 that its events are Qt's.

    With the old one in OpenCV's wheel, libX11 1.8 takes events away from Qt, so that now and then a window stays black
    or cannot be closed. It has to be there before Qt's plug-in is.
    """
    if sys.platform == "linux":
        with suppress(OSError):  # where the system has none, the wheel's own must do
            ctypes.CDLL(_X11_EVENTS, mode=ctypes.RTLD_GLOBAL)


def begin_probe() -> None:
    """Begin to find out whether a window can open, where that takes long. Whoever asks for it later waits less."""
    if has_display() and _x11_plugin() is None:
        _begin_process()


def can_open_window(seconds: float) -> bool:
    """Whether a window can open: there is a display.

    Args:
        seconds: how long to wait for it.

    Raises:
        subprocess.TimeoutExpired: it is not known by then.
    """
    return _can_connect(seconds) or _could_open(seconds)


# --- in this process ----------------------------------------------------------------------------------------------


def _x11_plugin() -> Path | None:
    """What OpenCV's Qt loads to draw with X11; None where windows are another library's, or not on X11."""
    if sys.platform != "linux" or os.environ.get("QT_QPA_PLATFORM", "xcb") != "xcb":
        return None
    opencv = find_spec("cv2")
    if opencv is None or opencv.origin is None:
        return None
    plugin = Path(opencv.origin).parent / "qt" / "plugins" / "platforms" / "libqxcb.so"
    return plugin if plugin.exists() else None


def _can_connect(seconds: float) -> bool:
    """Whether Qt's plug-in loads, and a display lets it connect: then Qt can. False where that is not known."""
    path = _x11_plugin()
    if path is None:
        return False
    let_qt_have_its_events()
    try:
        plugin = ctypes.CDLL(str(path))
        plugin.xcb_connect.restype = ctypes.c_void_p
    except (OSError, AttributeError):
        return False
    answers: list[bool] = []

    def ask() -> None:
        connection = ctypes.c_void_p(plugin.xcb_connect(None, None))
        answers.append(plugin.xcb_connection_has_error(connection) == 0)
        plugin.xcb_disconnect(connection)

    asking = threading.Thread(target=ask, name="display", daemon=True)
    asking.start()
    asking.join(seconds)
    if not answers:
        raise subprocess.TimeoutExpired("xcb_connect", seconds)
    return answers[0]


# --- in a process of its own --------------------------------------------------------------------------------------


def _begin_process() -> None:
    if not _begun:
        nowhere = subprocess.DEVNULL
        process = subprocess.Popen([sys.executable, "-c", _PROGRAM], stdin=nowhere, stdout=nowhere, stderr=nowhere)
        atexit.register(process.kill)
        _begun.append(process)


def _could_open(seconds: float) -> bool:
    """Whether a process could open a window.

    Raises:
        subprocess.TimeoutExpired: it is not known by then.
    """
    _begin_process()
    process = _begun.pop()
    try:
        return process.wait(seconds) == 0
    finally:
        process.kill()
        process.wait()
        atexit.unregister(process.kill)
