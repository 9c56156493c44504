"""The classes that a caller asks for: checked, and as the compiled function takes them."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from live_gradcam.errors import ArgumentError, UsageError
from live_gradcam.explanations.explanation import Target

#: What to explain: a class, a contrast, several of them, or None for the top class.
Targets = int | Target | Sequence[int | Target] | None

#: As the class to explain: the frame's own best that is not asked for. As the class to contrast with: none.
TOP_CLASS = NO_CLASS = -1


def checked_targets(asked: Targets, *, classes: int, maps: int) -> list[Target]:
    """The classes that are asked for.

    Args:
        asked: as a caller gives them.
        classes: how many there are to ask for.
        maps: how many can be explained at a time.

    Raises:
        UsageError: a text, which names no class here.
        ArgumentError: what is no whole number, a class that does not exist, one that is contrasted with itself, or more
            than there are maps.
    """
    targets = [_target(one) for one in _listed(asked)]
    for one in targets:
        for index in (one.index, one.against):
            if index is not None and not 0 <= index < classes:
                raise ArgumentError(f"there is no class {index}: the classes are 0 to {classes - 1}")
        if one.against == one.index:
            raise ArgumentError(f"class {one.index} cannot be contrasted with itself")
    if len(targets) > maps:
        raise ArgumentError(f"{len(targets)} classes need as many maps, and there are {maps}")
    return targets


def _listed(asked: Targets) -> list[Any]:
    if asked is None:
        return []
    if isinstance(asked, Iterable) and not isinstance(asked, str) and getattr(asked, "ndim", 1) > 0:
        return list(asked)
    return [asked]  # perhaps an array of no dimension


def _target(one: Any) -> Target:
    if isinstance(one, Target):
        return one
    if isinstance(one, str):
        raise UsageError(f"the class {one!r} is a text: give its number, which is its place among the labels")
    try:
        return Target(operator.index(one))
    except TypeError:
        raise ArgumentError(f"the class {one!r} is no whole number: give its place among the labels") from None


def as_arrays(targets: Sequence[Target], *, batch: int, maps: int) -> tuple[np.ndarray, np.ndarray]:
    """The classes to explain and those to contrast them with, each int32 (batch, maps)."""
    classes = np.full((2, batch, maps), TOP_CLASS, np.int32)
    for k, target in enumerate(targets):
        classes[0, :, k] = target.index
        classes[1, :, k] = NO_CLASS if target.against is None else target.against
    return classes[0], classes[1]
