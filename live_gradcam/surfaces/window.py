"""The window on the screen."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

import cv2
import numpy as np

from live_gradcam.drawing.hud import BarArea
from live_gradcam.errors import OutputError
from live_gradcam.surfaces.commands import Action, Wish, wish_of

_NO_WINDOW = "use --headless, with --record FILE to keep what it sees"
_PROBE = "import cv2; cv2.namedWindow('probe'); cv2.destroyAllWindows()"
_PROBE_SECONDS = 20
_LARGEST = (900, 1600)  # height, width: what a laptop's screen has room for
_X11_EVENTS = "libX11-xcb.so.1"


def check_display() -> None:
    """Make sure that a window can open.

    OpenCV's Qt aborts the whole process where there is no display, so the last word has a process of its own.

    Raises:
        OutputError: OpenCV has no windows, or there is no display that it can open.
    """
    if "GUI:                           NONE" in cv2.getBuildInformation():
        raise OutputError(
            "this OpenCV has no windows (is it opencv-python-headless?): pip install --force-reinstall opencv-python, "
            f"or {_NO_WINDOW}"
        )
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise OutputError(f"there is no display (DISPLAY is not set): {_NO_WINDOW}")
    try:
        probe = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, timeout=_PROBE_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise OutputError(f"the display does not answer: {_NO_WINDOW}") from error
    if probe.returncode != 0:
        raise OutputError(f"the display {os.environ.get('DISPLAY', '')!r} cannot be opened: {_NO_WINDOW}")


def _let_qt_have_its_events() -> None:
    """Have OpenCV's Qt use the system's own library to tell X11 that its events are Qt's.

    With the old one in OpenCV's wheel, libX11 1.8 takes events away from Qt, so that now and then a window stays black
    or cannot be closed.
    """
    if sys.platform == "linux":
        with suppress(OSError):  # where the system has none, the wheel's own must do
            ctypes.CDLL(_X11_EVENTS, mode=ctypes.RTLD_GLOBAL)


class Window:
    """A window that shows pictures and hands back keys and clicks, all of it in the main thread.

    Use as a context manager; call `check_display` first.

    Args:
        title: the window's title.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._shown = False
        self._areas: Sequence[BarArea] = ()
        self._clicked_class: int | None = None

    def __enter__(self) -> Window:
        os.environ.setdefault("QT_LOGGING_RULES", "*.warning=false")
        _let_qt_have_its_events()
        cv2.namedWindow(self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        cv2.setMouseCallback(self._title, self._on_mouse)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        cv2.destroyAllWindows()

    def show(self, image: np.ndarray, areas: Sequence[BarArea] = ()) -> None:
        """Show a picture. The first one gives the window its size, within what a screen has room for.

        Args:
            image: uint8 (height, width, 3), BGR.
            areas: where a click means a class.
        """
        if not self._shown:
            height, width = image.shape[:2]
            scale = min(1.0, _LARGEST[0] / height, _LARGEST[1] / width)
            cv2.resizeWindow(self._title, max(1, round(width * scale)), max(1, round(height * scale)))
            self._shown = True
        self._areas = areas
        cv2.imshow(self._title, image)

    def poll(self) -> Wish | None:
        """Let the window work, and return what the user asked for: by a key, or by closing the window (quit)."""
        code = cv2.pollKey()
        if self._shown and self._closed():
            return Wish(Action.QUIT)
        return wish_of(code)

    def clicked_class(self) -> int | None:
        """The class that was clicked on since the last time; None for none."""
        clicked, self._clicked_class = self._clicked_class, None
        return clicked

    def _on_mouse(self, event: int, x: int, y: int, _flags: int, _parameter: object) -> None:
        if event == cv2.EVENT_LBUTTONDOWN:
            for area in self._areas:
                if area.left <= x < area.right and area.top <= y < area.bottom:
                    self._clicked_class = area.class_index

    def _closed(self) -> bool:
        try:
            return cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1
        except cv2.error:
            return True
