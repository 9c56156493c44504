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
_SMALLEST_ROOM = 16  # pixels; a window that is rolled up has less
_ROUNDING = 2  # pixels: bars as thin as this come of rounding


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
        self._frame_size, self._first_room = (0, 0), (0, 0)
        self._areas: Sequence[BarArea] = ()
        self._bars = (0, 0)
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
        # Other back ends of OpenCV keep no ratio, and Qt keeps that of the first picture: `show` does it.
        cv2.namedWindow(_TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_FREERATIO | cv2.WINDOW_GUI_NORMAL)
        cv2.setMouseCallback(_TITLE, self._on_mouse)

    def show(self, scene: Scene) -> None:
        """Show a picture, in its own shape. It is painted when `commands` lets the window work.

        The window takes the shape of the first picture, and of each later one of another size. In a window that has
        been made smaller, the picture is drawn anew, so that its text is legible.
        """
        size = scene.picture.shape[0], scene.picture.shape[1]
        room = self._room_for(size)
        picture, self._areas = scene.picture, scene.areas
        fitting = _scaled(size, _scale_into(room, size))
        if scene.redraw is not None and fitting[0] < self._first_room[0] and fitting[1] < self._first_room[1]:
            size = fitting
            picture, self._areas = scene.redraw(fitting)
        top, left = self._bars = _bars_around(size, room)
        if top or left:
            picture = cv2.copyMakeBorder(picture, top, top, left, left, cv2.BORDER_CONSTANT)
        cv2.imshow(_TITLE, picture)
        self._shown = True

    def _room_for(self, frame_size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of the window's picture, which gets another size where that of the frame is another one."""
        room = self._room() if self._shown else None
        if frame_size == self._frame_size:
            return room or self._first_room
        resized = _scale_into(room, self._first_room) if room else 1.0  # by the user, if it is not 1
        self._frame_size = frame_size
        self._first_room = _scaled(frame_size, min(1.0, _scale_into(_LARGEST, frame_size)))
        room = _scaled(self._first_room, min(resized, _scale_into(_LARGEST, self._first_room)))
        cv2.resizeWindow(_TITLE, room[1], room[0])
        return room

    def _room(self) -> tuple[int, int] | None:
        """(height, width) of the window's picture as it is now; None where the system does not say it."""
        try:
            _, _, width, height = cv2.getWindowImageRect(_TITLE)
        except cv2.error:  # it was closed
            return None
        return (height, width) if min(height, width) >= _SMALLEST_ROOM else None

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
            top, left = self._bars
            x, y = x - left, y - top
            for area in self._areas:
                if area.left <= x < area.right and area.top <= y < area.bottom:
                    self._clicks.append(Command("pin", area.class_index))

    def _is_closed(self) -> bool:
        try:
            return cv2.getWindowProperty(_TITLE, cv2.WND_PROP_VISIBLE) < 1
        except cv2.error:
            return True


def _scale_into(room: tuple[int, int], size: tuple[int, int]) -> float:
    """How many times larger a picture of (height, width) fills a room of (height, width), in its own shape."""
    return min(room[0] / size[0], room[1] / size[1])


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _bars_around(size: tuple[int, int], room: tuple[int, int]) -> tuple[int, int]:
    """How many pixels of its own a picture of (height, width) lacks, above and to the left, to have a room's shape."""
    scale = _scale_into(room, size)
    lacking = (room[0] / scale - size[0], room[1] / scale - size[1])
    top, left = (round(pixels / 2) if pixels > _ROUNDING else 0 for pixels in lacking)
    return top, left


SURFACE = Window
