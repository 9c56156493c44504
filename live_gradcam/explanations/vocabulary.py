"""What there is to name in a frame: the network's classes, or groups of them with everyday names. NumPy only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from live_gradcam.explanations.explanation import Prediction

if TYPE_CHECKING:  # the command line knows these names, and its help does without NumPy
    import numpy as np


@dataclass(frozen=True)
class Groups:
    """Classes in groups, each in exactly one.

    Attributes:
        names: of the groups.
        of_class: the group of each class, in class order.
    """

    names: tuple[str, ...]
    of_class: tuple[int, ...]

    @classmethod
    def by_name(cls, of_class: Sequence[str]) -> Groups:
        """The groups that classes with these names of their groups make up."""
        names = tuple(dict.fromkeys(of_class))
        number = {name: position for position, name in enumerate(names)}
        return cls(names, tuple(number[name] for name in of_class))


@dataclass(frozen=True)
class Vocabulary:
    """The names by index: those of the classes, and after them those of the groups, where there are any.

    With groups, the list of the best consists of groups alone, which never overlap; a class can be asked for all the
    same.

    Attributes:
        classes: the names of the classes, in class order.
        groups: what the classes are parted into; None to list the classes themselves.
        are_values: whether the network's numbers are values and no probabilities. They are listed in their own order.
        hidden: the indices of classes that are never listed: those that a network which is being taught has not yet.
    """

    classes: tuple[str, ...]
    groups: Groups | None = None
    are_values: bool = False
    hidden: frozenset[int] = frozenset()

    def __reduce__(self) -> tuple[type[Vocabulary], tuple[Any, ...]]:
        return Vocabulary, (
            self.classes,
            self.groups,
            self.are_values,
            self.hidden,
        )  # and not what is worked out of them

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All names, by index."""
        return self.classes + (self.groups.names if self.groups else ())

    @property
    def first_listed(self) -> int:
        """The first index of those that are listed; they go on to the end."""
        return len(self.classes) if self.groups else 0

    @cached_property
    def members(self) -> np.ndarray:
        """Which classes each group has: float32 (groups, classes), 1 for a member, else 0; no rows without groups."""
        import numpy as np

        rows = np.arange(len(self.groups.names) if self.groups else 0)[:, np.newaxis]
        of_class = self.groups.of_class if self.groups else [-1] * len(self.classes)
        return (rows == np.array(of_class)).astype(np.float32)

    def prediction(self, index: int, probabilities: np.ndarray) -> Prediction:
        """A class or a group with its probability; a group with the most probable of its classes. Or a value.

        Args:
            index: see the class.
            probabilities: float32 (classes + groups,), or the values.
        """
        if self.are_values:
            return Prediction(index, self.names[index], math.nan, value=float(probabilities[index]))
        finest = None
        group = index - len(self.classes)
        if self.groups is not None and group >= 0 and self._of_group[group].size > 1:
            of_group = self._of_group[group]
            finest = self.prediction(int(of_group[probabilities[of_group].argmax()]), probabilities)
        return Prediction(index, self.names[index], float(probabilities[index]), finest)

    def best(self, probabilities: np.ndarray, count: int) -> tuple[Prediction, ...]:
        """The most probable of those that are listed, best first; the first ones, where they are values.

        Args:
            probabilities: float32 (classes + groups,).
            count: how many, at most as many as are listed; hidden ones are left out.
        """
        listed = self.ranks(probabilities)[self.first_listed :]
        count = min(count, len(listed) - len(self.hidden))
        best = (-listed).argpartition(count - 1)[:count]
        best = best[(-listed[best]).argsort(kind="stable")]
        return tuple(self.prediction(self.first_listed + int(index), probabilities) for index in best)

    def overlap(self, one: int, other: int) -> bool:
        """Whether two indices share a class: they are the same, or the one is of the group that the other is."""
        return bool({*self._classes_of(one)} & {*self._classes_of(other)})

    def _classes_of(self, index: int) -> list[int]:
        group = index - len(self.classes)
        return [index] if self.groups is None or group < 0 else self._of_group[group].tolist()

    def ranks(self, probabilities: np.ndarray) -> np.ndarray:
        """What the best are the best by, for each index: the probability; values come in their own order."""
        import numpy as np

        ranks = -np.arange(len(probabilities)) if self.are_values else probabilities
        if self.hidden:
            ranks = ranks.copy()
            ranks[list(self.hidden)] = -1
        return ranks

    @cached_property
    def _of_group(self) -> list[np.ndarray]:
        """The classes of each group."""
        return [row.nonzero()[0] for row in self.members]
