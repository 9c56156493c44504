"""What a network is fitted to: examples with what they show, and what was left out. No decoding happens here."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from live_gradcam.choices import Task
from live_gradcam.errors import SourceError
from live_gradcam.sources.image import read_image
from live_gradcam.sources.opening import open_recording

#: What an example is for.
Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True)
class Example:
    """One picture, or one frame of a video, and what it shows.

    Attributes:
        path: the file.
        target: of "classes" one index; of "labels" those that hold, of which there may be none; of "values" the number.
        group: what belongs together, and is never on both sides of a fold.
        part: what it is for.
        time: seconds on the video's clock; None for a picture.
    """

    path: Path
    target: tuple[int, ...] | float
    group: str
    part: Part = "train"
    time: float | None = None


@dataclass(frozen=True)
class LeftOut:
    """A file that is not used, and why, in a few words: "hidden", "empty", "the same as a.jpg"."""

    path: Path
    why: str


@dataclass(frozen=True)
class Dataset:
    """Examples of some classes.

    Attributes:
        task: what is predicted.
        classes: their names in the order of the network's numbers; of "values" one name, that of the number.
        examples: in order of their files; frames of a video follow each other.
        left_out: files that are not used.
    """

    task: Task
    classes: tuple[str, ...]
    examples: tuple[Example, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def targets(self) -> np.ndarray:
        """Of "classes" int (n,); of "labels" bool (n, k); of "values" float (n,)."""
        if self.task == "classes":
            return np.array([_indices(example)[0] for example in self.examples], np.int64)
        if self.task == "values":
            return np.array([example.target for example in self.examples], np.float64)
        targets = np.zeros((len(self.examples), len(self.classes)), bool)
        for row, example in enumerate(self.examples):
            targets[row, list(_indices(example))] = True
        return targets

    def rows_of(self, part: Part) -> np.ndarray:
        """Which examples are for a part: int (m,)."""
        return np.array([row for row, example in enumerate(self.examples) if example.part == part], np.int64)

    def counts(self, part: Part) -> dict[str, int]:
        """How many examples of a part show each class; of "values" how many there are."""
        rows = self.rows_of(part)
        if self.task == "values":
            return {self.classes[0]: len(rows)}
        shown = [index for row in rows for index in _indices(self.examples[row])]
        return {name: shown.count(index) for index, name in enumerate(self.classes)}


def _indices(example: Example) -> tuple[int, ...]:
    assert isinstance(example.target, tuple)  # of classes and labels
    return example.target


def read_frame(example: Example) -> np.ndarray:
    """The pixels of an example, as `explain` and `annotate` read them.

    Returns:
        uint8 (height, width, 3), BGR.

    Raises:
        SourceError: the file cannot be read, or the video has no frame at that time.
    """
    if example.time is None:
        return read_image(example.path)
    with open_recording(example.path) as recording:
        for frame in recording.frames(start=Fraction(example.time)):
            return frame.image
    raise SourceError(f"{example.path} has no frame at {example.time:.3f} s")
