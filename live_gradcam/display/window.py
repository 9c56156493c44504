"""The window on the screen."""

from __future__ import annotations

import os
import subprocess
import sys
from types import TracebackType

import cv2
import numpy as np

from live_gradcam.display.keys import Action, action_of
from live_gradcam.errors import OutputError

_NO_WINDOW = "use --headless, with --record FILE to keep what it sees"
_PROBE = "import cv2; cv2.namedWindow('probe'); cv2.destroyAllWindows()"
_PROBE_SECONDS = 20
_POLL_MS = 1
_NO_KEY = -1


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


class Window:
    """A window that shows pictures and hands back keys. Use as a context manager; call `check_display` first.

    Args:
        title: the window's title.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._shown = False

    def __enter__(self) -> Window:
        os.environ.setdefault("QT_LOGGING_RULES", "*.warning=false")
        cv2.namedWindow(self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        cv2.destroyAllWindows()

    def show(self, image: np.ndarray) -> None:
        """Show a picture, uint8 (height, width, 3) BGR. The first one gives the window its size."""
        if not self._shown:
            cv2.resizeWindow(self._title, image.shape[1], image.shape[0])
            self._shown = True
        cv2.imshow(self._title, image)

    def poll(self) -> Action | None:
        """Let the window work, and return what the user asked for: by a key, or by closing the window (quit)."""
        code = cv2.waitKey(_POLL_MS)
        if self._shown and self._closed():
            return Action.QUIT
        return None if code == _NO_KEY else action_of(code & 0xFF)

    def _closed(self) -> bool:
        try:
            return cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1
        except cv2.error:
            return True
