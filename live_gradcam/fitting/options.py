"""How a network is fitted to one's own classes. Importing this does not import TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from live_gradcam.choices import FITS, OUTPUTS, Output
from live_gradcam.errors import UsageError, check_number
from live_gradcam.families import Choices

if TYPE_CHECKING:
    from live_gradcam.sources.levels import Levels

#: How pictures can be made to fit a network that is fitted: it sees each of them once, at its own size.
FitOfFitting = Literal["stretch", "crop", "letterbox"]
_FITS: tuple[FitOfFitting, ...] = get_args(FitOfFitting)
FITS_OF_FITTING = Choices("fit", {name: FITS.helps[name] for name in _FITS})


def chosen_fit(asked: str | None, own: str | None) -> FitOfFitting:
    """How pictures enter a network that is fitted or taught: as asked, or else in its own way, or else by stretch.

    Args:
        asked: a name of `FITS_OF_FITTING`; None for nothing.
        own: how the network's pictures are made to fit its input otherwise; None where nobody knows.

    Raises:
        UsageError: what is asked for cannot be fitted with.
    """
    if asked is not None:
        FITS_OF_FITTING.check(asked)
    return next((name for name in _FITS if name == (asked or own)), "stretch")


@dataclass(frozen=True)
class FitOptions:
    """How a network is fitted to one's own classes.

    Attributes:
        every: seconds between two frames that are taken of a video.
        csv: a table with a row for each picture or video: its path, what it shows, and perhaps its group; None without.
        task: what is predicted, a name of `choices.OUTPUTS`.
        fit: how pictures are made to fit the network's input; None for the network's own way, or else stretch.
        folds: how many parts the cross-validation has.
        unfreeze: how many blocks of the network, counted from its end, are trained too.
        epochs: how often the pictures are gone through at most when blocks are trained.
        augment: whether pictures are varied when blocks are trained.
        seed: of what is drawn at random.
        cache: whether features are kept for the next time.
        teachable: whether the classes must be such that `teach` can go on from them.
        every_fold: whether blocks that are trained are tested on every fold, and not on one part alone.
        levels: which values of pictures are black and white; None for what the files say, or else what the values of
            all of them are like.

    Raises:
        UsageError: a number or a name that is not possible.
    """

    every: float = 1.0
    csv: str | Path | None = None
    task: Output = "classes"
    fit: FitOfFitting | None = None
    folds: int = 5
    unfreeze: int = 0
    epochs: int = 10
    augment: bool = False
    seed: int = 0
    cache: bool = True
    teachable: bool = False
    every_fold: bool = False
    levels: Levels | None = None

    def __post_init__(self) -> None:
        if not 0 < self.every < float("inf"):
            raise UsageError(f"--every is {self.every:g}: give the seconds between two frames, such as 0.5")
        OUTPUTS.check(self.task)
        if self.fit is not None:
            FITS_OF_FITTING.check(self.fit)
        check_number("--folds", self.folds, least=2)
        check_number("--unfreeze", self.unfreeze, least=0)
        check_number("--epochs", self.epochs, least=1)
        check_number("--seed", self.seed, least=0)
        if self.augment and not self.unfreeze:
            raise UsageError("--augment is for --unfreeze: pictures are varied only where blocks are trained")
        if self.every_fold and not self.unfreeze:
            raise UsageError("--every-fold is for --unfreeze: without that every fold is tested anyway")
        if self.task != "classes" and self.csv is None:
            flag, shown = {"labels": ("--multi-label", "labels"), "values": ("--regression", "number")}[self.task]
            raise UsageError(f"{flag} needs a table: give --csv FILE with the path and the {shown} of each picture")


DEFAULT_OPTIONS = FitOptions()
