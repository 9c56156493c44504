"""What a network is fitted to: examples with what they show, and what was left out. No decoding happens here."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from live_gradcam.choices import Output
from live_gradcam.errors import UsageError
from live_gradcam.fitting.video_frames import VideoFrames
from live_gradcam.sources.image import read_image
from live_gradcam.sources.levels import Levels

#: What an example is for.
Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = get_args(Part)
#: Why a file is left out whose name begins with a dot.
HIDDEN = "hidden"
#: The shortest part of a video that may be tested by the rest of it, in seconds, and how many there are at most.
BLOCK_SECONDS, MOST_BLOCKS = 4.0, 5


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
        levels: which values of pictures are black and white, in all of them alike; None where no picture needs any.
    """

    task: Output
    classes: tuple[str, ...]
    examples: tuple[Example, ...]
    left_out: tuple[LeftOut, ...] = ()
    levels: Levels | None = None

    @cached_property
    def targets(self) -> np.ndarray:
        """Of "classes" int (n,); of "labels" bool (n, k); of "values" float (n,). It cannot be written to."""
        if self.task == "classes":
            targets = np.array([_indices(example)[0] for example in self.examples], np.int64)
        elif self.task == "values":
            targets = np.array([example.target for example in self.examples], np.float64)
        else:
            targets = np.zeros((len(self.examples), len(self.classes)), bool)
            for row, example in enumerate(self.examples):
                targets[row, list(_indices(example))] = True
        targets.setflags(write=False)
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


def groups_of(dataset: Dataset) -> tuple[str, ...]:
    """What belongs together, for each example: its group, or of a video that is the only one of a class, its block.

    A block is at least `BLOCK_SECONDS` long: frames near each other are one thing seen twice.
    """
    examples = dataset.examples
    rows = dataset.rows_of("train").tolist()
    of_class: dict[int | None, set[str]] = {}
    for row in rows:
        target = examples[row].target
        for index in target if isinstance(target, tuple) and target else [None]:
            of_class.setdefault(index, set()).add(examples[row].group)
    alone = {next(iter(groups)) for groups in of_class.values() if len(groups) == 1}
    groups = [example.group for example in examples]
    for group in alone:
        members = [row for row in rows if examples[row].group == group]
        if len({examples[row].path for row in members}) == 1:
            for row, block in zip(members, _blocks([examples[row].time for row in members]), strict=True):
                groups[row] = f"{group} part {block + 1}"
    return tuple(groups)


def _blocks(times: Sequence[float | None]) -> list[int]:
    """The block of each time, from 0 on; a picture has no time, and is one block."""
    known = [time for time in times if time is not None]
    if not known:
        return [0] * len(times)
    begin, length = min(known), max(known) - min(known)
    step = length / max(1, len(known) - 1)
    count = min(MOST_BLOCKS, int((length + step) / BLOCK_SECONDS)) or 1
    size = (length + step) / count
    return [min(count - 1, int(((time or 0.0) - begin) / size)) for time in times]


def check_groups(dataset: Dataset) -> None:
    """Refuse what no head can be fitted to and tested on.

    Raises:
        UsageError: fewer than two classes, or a class with one group; of labels and values fewer than two groups.
    """
    left_out = _left_out_briefly(dataset)
    rows = dataset.rows_of("train").tolist()
    groups = groups_of(dataset)
    if dataset.task == "classes":
        if len(dataset.classes) < 2:
            found = f"only one class, {dataset.classes[0]}" if dataset.classes else "no class"
            raise UsageError(f"there is {found}: give pictures of at least two classes{left_out}")
        for index, name in enumerate(dataset.classes):
            of_class = [row for row in rows if dataset.examples[row].target == (index,)]
            if not of_class:
                raise UsageError(f"the class {name} has no picture that can be used{left_out}")
            if len({groups[row] for row in of_class}) == 1:
                raise UsageError(_one_group(dataset, name, of_class) + left_out)
        return
    if dataset.task == "labels" and not dataset.classes:
        raise UsageError(f"no picture has a label: give at least one label{left_out}")
    if len({groups[row] for row in rows}) < 2:
        raise UsageError(f"there is only one picture, or one group of them, to fit to: give more{left_out}")


def _one_group(dataset: Dataset, name: str, rows: Sequence[int]) -> str:
    example = dataset.examples[rows[0]]
    if len(rows) == 1 and example.time is None:
        return f"the class {name} has one picture only, {example.path}: give at least two"
    if all(dataset.examples[row].path == example.path for row in rows):
        return (
            f"the class {name} has one short video only, {example.path}: give a second one, or one of at least "
            f"{2 * BLOCK_SECONDS:.0f} seconds"
        )
    return (
        f"the class {name} has one group only, {example.group.partition(' ')[2] or example.group}: pictures of one "
        "group are never tested by each other, so give a second group"
    )


def _left_out_briefly(dataset: Dataset) -> str:
    """How many files are not used, with the first of them, to follow what is missing."""
    files = [one for one in dataset.left_out if one.why != HIDDEN]
    if not (files or dataset.classes):  # then what is hidden may be what was meant
        files = list(dataset.left_out)
    if not files:
        return ""
    return f". Not used: {len(files)} of the files, such as {files[0].path} ({files[0].why})"


def read_frame(example: Example, levels: Levels | None = None) -> np.ndarray:
    """The pixels of an example, as `explain` and `annotate` read them.

    Args:
        example: which.
        levels: those of its data set.

    Returns:
        uint8 (height, width, 3), BGR.

    Raises:
        SourceError: the file cannot be read, or the video has no frame at that time.
    """
    if example.time is None:
        return read_image(example.path, levels)
    with closing(VideoFrames()) as frames:
        return frames.at(example.path, example.time)
