"""What a kind of sidecar must do."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.explanations.as_json import explanation_json
from live_gradcam.explanations.explanation import Explanation

#: The version of what docs/json.md describes. Under the same number new fields, columns and arrays may be added;
#: where one is renamed, removed or comes to mean something else, the number goes up.
SCHEMA = 1


@dataclass(frozen=True)
class SidecarFrame:
    """An explained frame, as sidecars take it.

    Attributes:
        index: its number in the annotated recording.
        pts: its time in seconds, on the source's clock.
        explanation: of it, with its boxes; all of a recording have as many maps and predictions as the first.
    """

    index: int
    pts: Fraction
    explanation: Explanation

    @cached_property
    def json(self) -> dict[str, Any]:
        """As plain values, which docs/json.md describes; made once for all sidecars."""
        numbers = {"schema": SCHEMA, "frame": self.index, "time": round(float(self.pts), 6)}
        return {**numbers, **explanation_json(self.explanation)}


class OpenSidecar(Protocol):
    """A file, or a folder of files, that grows at `live_gradcam.files.part_path(path)`.

    The caller gives it its name when all files of the recording are finished, or removes it. An `OSError` of any method
    becomes a line about the file.
    """

    def add(self, frame: SidecarFrame) -> None:
        """Write the next explained frame down. What it keeps in memory must not grow with the recording."""

    def finish(self) -> None:
        """Write what is left to write, and close it."""

    def close(self) -> None:
        """Let go of all files. Of one that was finished, nothing is left to do."""


class Sidecar(Protocol):
    """A kind of file that is written while a recording's frames are explained.

    A member of `choices.SIDECARS` is an object like this. Its name there (small letters, digits and hyphens, and no
    other flag's name) is its flag, `live-gradcam annotate --NAME PATH`, and its key in the report's JSON, with
    underscores for hyphens. A package adds one by an entry point of the group `live_gradcam.sidecars`. Its class need
    not inherit from this one. One that does has to set `ending` and `as_drawn` and to write `open`. The rest suits a
    file that may have any name.

    Attributes:
        ending: of the files' names where several recordings go into a folder, such as ".csv".
        as_drawn: whether it takes explanations as they are drawn: smoothed, their maps on the scale of the colours.
            Otherwise it takes the numbers of each frame alone, with boxes that are steady over time.
    """

    ending: str
    as_drawn: bool

    def is_folder(self, path: Path) -> bool:
        """Whether what is written under a name is a folder."""
        return False

    def check(self, path: Path) -> None:
        """Make sure that it can be written under a name, before anything slow.

        Raises:
            UsageError: its ending is none of this kind's, or a package is not installed.
            OutputError: what is there is not to be replaced.
        """
        return

    def open(self, path: Path, source: Path, options: AnnotateOptions) -> OpenSidecar:
        """Begin a file.

        Args:
            path: what it is called when it is whole; its folder exists.
            source: the recording.
            options: how that is annotated.

        Raises:
            OSError: it cannot be written.
        """
        ...
