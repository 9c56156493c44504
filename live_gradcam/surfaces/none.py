"""No surface: a run that is only recorded and counted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from live_gradcam.surfaces.commands import Command, CommandTable
from live_gradcam.surfaces.scene import Scene
from live_gradcam.surfaces.surface import Wants


class NoSurface:
    """Shows nothing, and gives no commands. Nobody waits for it, so nothing is left out of a recording."""

    wants = Wants(pictures="none", previews=False, every_explained=True, full_speed=True, maps=1)

    def check(self) -> None:
        """It needs nothing."""

    def open(self, commands: CommandTable[Any]) -> None:
        """There is nothing to open."""

    def show(self, scene: Scene) -> None:
        """Nobody sees it."""

    def commands(self) -> Iterable[Command]:
        """None."""
        return ()

    def close(self) -> None:
        """There is nothing to close."""


SURFACE = NoSurface
