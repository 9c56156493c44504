"""What a report shows, and where it may be written. Importing this does not import TensorFlow."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from live_gradcam.errors import OutputError, SourceError, UsageError, check_number
from live_gradcam.files import check_output, writing

#: What a report's folder holds: the page, and its figures as JSON. Pictures lie beside them.
PAGE, FIGURES = "index.html", "report.json"


@dataclass(frozen=True)
class ReportOptions:
    """What a report shows.

    Attributes:
        masks: a folder of masks; None for the folders called `masks` beside or above the pictures. A picture with
            transparency is its own mask.
        boxes: a file of boxes around the objects: see `fitting.masks.read_boxes`.
        swap_backgrounds: whether the objects are laid on other surroundings, to see whether those decide.
        backgrounds: a folder of pictures without any of the objects, such as of empty rooms, to lay the objects on.
        worst: how many of the worst mistakes are shown.
        overwrite: whether a report that exists may be replaced.

    Raises:
        UsageError: a number that is not possible, or backgrounds that are not asked for.
    """

    masks: Path | None = None
    boxes: Path | None = None
    swap_backgrounds: bool = False
    backgrounds: Path | None = None
    worst: int = 12
    overwrite: bool = False

    def __post_init__(self) -> None:
        check_number("--worst", self.worst, least=0)
        if self.backgrounds is not None and not self.swap_backgrounds:
            raise UsageError("--backgrounds is for --swap-backgrounds: give both")


def is_report(folder: Path) -> bool:
    """Whether a folder is one of a report, whose pictures are no examples."""
    return (folder / PAGE).is_file() and (folder / FIGURES).is_file()


def check_report(folder: str | Path, options: ReportOptions) -> None:
    """Make sure that a report can be written, before anything slow.

    Args:
        folder: of the page and its pictures. It is made where it is missing.
        options: of the report.

    Raises:
        OutputError: the folder cannot be written, has a report and may not be replaced, or has files of others.
        SourceError: a folder or a file of the options does not exist.
    """
    folder = Path(folder)
    check_output(folder, overwrite=True, folder=True)
    with writing(folder):
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder} is a file: give a folder for the report")
        there = os.listdir(folder) if folder.exists() else []
    others = [name for name in there if name not in (PAGE, FIGURES) and not name.endswith(".png")]
    if there and (others or not {PAGE, FIGURES} <= set(there)):
        raise OutputError(f"{folder} has other files than a report's: give a folder that is new or empty")
    if there and not options.overwrite:
        raise OutputError(f"{folder} has a report already: give another folder, or --overwrite to replace it")
    for path, what in ((options.masks, "folder of masks"), (options.backgrounds, "folder of backgrounds")):
        if path is not None and not path.is_dir():
            raise SourceError(f"there is no {what} {path}")
    if options.boxes is not None and not options.boxes.is_file():
        raise SourceError(f"there is no boxes file {options.boxes}")
