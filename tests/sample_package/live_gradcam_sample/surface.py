"""A surface that prints the top class of each explained frame, and asks for the end after the third."""

from collections.abc import Iterable
from typing import Any

from live_gradcam.surfaces.commands import Command, CommandTable
from live_gradcam.surfaces.scene import Scene
from live_gradcam.surfaces.surface import Wants

_MOST = 3


class LogSurface:
    """Prints what is seen."""

    wants = Wants(pictures="clean", previews=False, every_explained=True, full_speed=True, maps=1)

    def __init__(self) -> None:
        self._seen = 0

    def check(self) -> None:
        """It needs nothing."""

    def open(self, commands: CommandTable[Any]) -> None:
        """There is nothing to open."""

    def show(self, scene: Scene) -> None:
        """Print the frame's number, its size and its top class."""
        if scene.explained is None or scene.explained.explanation is None:
            return
        self._seen += 1
        height, width = scene.picture.shape[:2]
        best = scene.explained.explanation.predictions[0]
        print(f"sample: frame {scene.frame.index}, {width}x{height}: {best.label}", flush=True)

    def commands(self) -> Iterable[Command]:
        """The end, after the third frame."""
        return [Command("quit")] if self._seen >= _MOST else []

    def close(self) -> None:
        """There is nothing to close."""
