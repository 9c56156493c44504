"""The window on the screen."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import cv2

from live_gradcam.drawing.hud import BarArea
from live_gradcam.errors import OutputError
from live_gradcam.surfaces.commands import Command, CommandTable
from live_gradcam.surfaces.probe import can_open_window, has_display, let_qt_have_its_events
from live_gradcam.surfaces.scene import Scene
from live_gradcam.surfaces.surface import Wants

_TITLE = "live-gradcam"
_NO_WINDOW = "use --headless, and --record FILE to keep what it sees"
_PROBE_SECONDS = 20
_LARGEST = (900, 1600)  # height, width: what a laptop's screen has room for


def _check_display() -> None:
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
    if not has_display():
        raise OutputError(f"there is no display (DISPLAY is not set): {_NO_WINDOW}")
    try:
        can_open = can_open_window(_PROBE_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise OutputError(f"the display does not answer: {_NO_WINDOW}") from error
    if not can_open:
        raise OutputError(f"the display {os.environ.get('DISPLAY', '')!r} cannot be opened: {_NO_WINDOW}")


class Window:
    """A window that shows drawn pictures, and gives commands by keys and clicks.

    The thread that opens it must be the main thread where the system says so, as macOS does.
    """

    wants = Wants()

    def __init__(self) -> None:
        self._keys: CommandTable[Any] = CommandTable()
        self._shown = False
        self._areas: Sequence[BarArea] = ()
        self._clicks: list[Command] = []

    def check(self) -> None:
        """Make sure that a window can open.

        Raises:
            OutputError: OpenCV has no windows, or there is no display that it can open.
        """
        _check_display()

    def open(self, commands: CommandTable[Any]) -> None:
        """Open the window. It gets its size with the first picture."""
        os.environ.setdefault("QT_LOGGING_RULES", "*.warning=false")
        let_qt_have_its_events()
        self._keys = commands
        cv2.namedWindow(_TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        cv2.setMouseCallback(_TITLE, self._on_mouse)

    def show(self, scene: Scene) -> None:
        """Show a picture. It is painted when `commands` lets the window work."""
        if not self._shown:
            height, width = scene.picture.shape[:2]
            scale = min(1.0, _LARGEST[0] / height, _LARGEST[1] / width)
            cv2.resizeWindow(_TITLE, max(1, round(width * scale)), max(1, round(height * scale)))
            self._shown = True
        self._areas = scene.areas
        cv2.imshow(_TITLE, scene.picture)

    def commands(self) -> Iterable[Command]:
        """Let the window work: paint, take a key and clicks. Closing the window is the command to quit."""
        code = cv2.pollKey()
        if self._shown and self._is_closed():
            return [Command("quit")]
        key = self._keys.of_key(chr(code)) if 0 < code <= sys.maxunicode else None
        clicks, self._clicks = self._clicks, []
        return [key, *clicks] if key else clicks

    def close(self) -> None:
        """Close the window."""
        cv2.destroyAllWindows()

    def _on_mouse(self, event: int, x: int, y: int, _flags: int, _parameter: object) -> None:
        if event == cv2.EVENT_LBUTTONDOWN:
            for area in self._areas:
                if area.left <= x < area.right and area.top <= y < area.bottom:
                    self._clicks.append(Command("pin", area.class_index))

    def _is_closed(self) -> bool:
        try:
            return cv2.getWindowProperty(_TITLE, cv2.WND_PROP_VISIBLE) < 1
        except cv2.error:
            return True


SURFACE = Window
