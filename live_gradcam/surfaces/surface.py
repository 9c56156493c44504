"""What a surface is: where a live run is shown, and where its commands come from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from live_gradcam.surfaces.commands import Command, CommandTable
from live_gradcam.surfaces.scene import Scene


@dataclass(frozen=True)
class Wants:
    """What a surface wants of a run. The defaults are for a surface that a person looks at.

    Attributes:
        pictures: "drawn": scenes with the heatmap and the text drawn into the picture. "clean": scenes with the frame's
            own image, for a surface that draws itself. "none": no scenes.
        previews: show frames that are not explained yet, while the network starts and with `smooth_display`.
        every_explained: show and record each explained frame, in turn; explaining waits for that. Otherwise the
            newest explained frame wins, and a recording leaves out what the encoder has no time for.
        full_speed: read a file as fast as its frames are explained, if no frame may be dropped. Otherwise a file
            always plays at its own rate.
        maps: how many maps of a frame can be shown; None for one for each listed class, which the grid shows.
    """

    pictures: Literal["drawn", "clean", "none"] = "drawn"
    previews: bool = True
    every_explained: bool = False
    full_speed: bool = False
    maps: int | None = None


class Surface(Protocol):
    """Where a live run is shown, and where its commands come from.

    A member of `choices.SURFACES` is a class of such objects, made without arguments. All methods are called in the
    thread of the run, in this order: `check`, `open`, then `show` and `commands` again and again, and `close`. The run
    waits while one of them works, so a surface with threads of its own, such as a server, hands the newest scene over
    to them, and collects the commands that they bring.
    """

    @property
    def wants(self) -> Wants:
        """What it wants of the run."""

    def check(self) -> None:
        """Make sure that it can open. Called first, before anything slow.

        Raises:
            OutputError: it cannot, such as a window without a display.
        """

    def open(self, commands: CommandTable[Any]) -> None:
        """Open it.

        Args:
            commands: all commands there are, with their keys and help.

        Raises:
            OutputError: it cannot be opened.
        """

    def show(self, scene: Scene) -> None:
        """Show a scene: a new frame, or the same frame again when something else has changed."""

    def commands(self) -> Iterable[Command]:
        """The commands that came since the last time, in order. It does not wait for any."""

    def close(self) -> None:
        """Close it. Called once it is opened, also after errors."""
