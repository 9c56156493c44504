"""What a model's file says about the model: its classes, how pictures enter it, and how good it was found to be."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from live_gradcam.choices import Output


def _this_version() -> str:
    return f"live-gradcam {importlib.metadata.version('live-gradcam')}"


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Card:
    """What travels with a model.

    Attributes:
        classes: the names of the classes, in class order; of a model that predicts a number, the number's name.
        task: what the model's numbers are: a name of `choices.OUTPUTS`.
        fit: how pictures were made to fit the input in training: a name of `choices.FITS`. None where nobody knows.
        preprocessing: how pixels become the model's input: a key of `networks.preprocessing.PREPROCESSINGS`.
        backbone: the name of the network that was fitted; None where it is not known.
        counts: how many examples of each class the model was fitted on, by name.
        scores: what was measured, by part ("cross-validation", "val", "test"): numbers and lists, as JSON has them.
        made_with: the program that made the model, with its version.
        created: when it was made: ISO 8601, in UTC.
    """

    classes: tuple[str, ...]
    task: Output = "classes"
    fit: str | None = None
    preprocessing: str = "raw"
    backbone: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict, hash=False)
    scores: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)
    made_with: str = field(default_factory=_this_version)
    created: str = field(default_factory=_now)


def write_card(path: str | Path, card: Card) -> None:
    """Put a card into a `.keras` file."""


def write_beside(path: str | Path, card: Card) -> None:
    """Write the card and the names of the classes beside a model's file."""
    path = Path(path)
    path.with_name(f"{path.stem}.labels.txt").write_text("".join(f"{name}\n" for name in card.classes), "utf-8")
