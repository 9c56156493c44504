"""A virtual X screen, with what a person does at it: keys, clicks, the window's X; and a look at it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import Xlib.display
import Xlib.protocol.event
import Xlib.X
from command_line import Running

SECONDS = 120


def wait_until(condition: Callable[[], object], process: Running, seconds: float = SECONDS) -> None:
    """Wait for something that a running command does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, (process.returncode, *process.communicate())
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@dataclass(frozen=True)
class Screen:
    """A screen.

    Attributes:
        display: its name for DISPLAY.
    """

    display: str

    def xdotool(self, *arguments: object) -> str:
        """What `xdotool ARGUMENTS` prints."""
        finished = subprocess.run(
            ["xdotool", *map(str, arguments)],
            env={**os.environ, "DISPLAY": self.display},
            capture_output=True,
            text=True,
            check=False,
        )
        return finished.stdout.strip()

    def window(self, process: Running) -> Window:
        """The live window of a command, once it is there."""
        wait_until(lambda: self.xdotool("search", "--name", "^live-gradcam$"), process)
        return Window(self, int(self.xdotool("search", "--name", "^live-gradcam$").splitlines()[-1]))

    def shot(self) -> np.ndarray:
        """What is on the screen, uint8 (height, width, 3) BGR."""
        connection = Xlib.display.Display(self.display)
        root = connection.screen().root
        size = root.get_geometry()
        image = root.get_image(0, 0, size.width, size.height, Xlib.X.ZPixmap, 0xFFFFFFFF)
        connection.close()
        pixels = np.frombuffer(image.data, np.uint8).reshape(size.height, size.width, 4)
        return np.ascontiguousarray(pixels[:, :, :3])


@dataclass(frozen=True)
class Window:
    """A window on a screen.

    Attributes:
        screen: where it is.
        number: its X id.
    """

    screen: Screen
    number: int

    def press(self, *keys: str) -> None:
        """Press keys, by their X names, one after the other."""
        self.screen.xdotool("windowfocus", "--sync", self.number)
        for key in keys:
            self.screen.xdotool("key", "--window", self.number, key)
            time.sleep(0.1)

    def click(self, x: int, y: int) -> None:
        """Click at a place, in the window's pixels."""
        self.screen.xdotool("mousemove", "--window", self.number, x, y, "click", 1)

    def resize(self, width: int, height: int) -> None:
        """Give it another size in pixels."""
        self.screen.xdotool("windowsize", "--sync", self.number, width, height)

    def press_close_button(self) -> None:
        """What a window manager sends when the X in a window's title bar is pressed."""
        connection = Xlib.display.Display(self.screen.display)
        target = connection.create_resource_object("window", self.number)
        wish = [connection.get_atom("WM_DELETE_WINDOW"), Xlib.X.CurrentTime, 0, 0, 0]
        protocols = connection.get_atom("WM_PROTOCOLS")
        target.send_event(Xlib.protocol.event.ClientMessage(window=target, client_type=protocols, data=(32, wish)))
        connection.sync()  # a server that finds the connection closed does not read what was sent before
        connection.close()


@contextmanager
def virtual_screen(size: str = "1600x1000") -> Iterator[Screen]:
    """A virtual screen of Xvfb's. It does not begin anew when its last client leaves, and turn the next one away."""
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-noreset", "-screen", "0", f"{size}x24"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as numbers:
        display = f":{numbers.readline().strip()}"
    try:
        yield Screen(display)
    finally:
        server.terminate()
        server.wait()
