"""A class that a network is taught, and what it may be called."""

from __future__ import annotations

from dataclasses import dataclass

from live_gradcam.errors import UsageError
from live_gradcam.fitting.taught_head import LEAST_BURSTS
from live_gradcam.networks.class_names import class_name

#: What the first class is called.
NOTHING = "nothing"
#: A class with fewer is marked: how good it is, is a matter of luck.
LEAST_EXAMPLES = 5
_LONGEST_NAME = 60


@dataclass(frozen=True)
class TaughtClass:
    """What is known of a class.

    Attributes:
        index: its place, 0…9.
        name: what it is called.
        count: how many examples it has.
        bursts: in how many bursts they were collected.
        is_named: whether somebody gave it its name.
    """

    index: int
    name: str
    count: int
    bursts: int
    is_named: bool

    @property
    def has_too_few(self) -> bool:
        """Whether it has examples, and not enough of them."""
        return self.count > 0 and (self.count < LEAST_EXAMPLES or self.bursts < LEAST_BURSTS)


def checked_name(name: str) -> str:
    """A name of a class as it is kept: one line, without space around it.

    Raises:
        UsageError: nothing is left of it, it is too long, or cannot be shown.
    """
    line = " ".join(name.split())
    if not line:
        raise UsageError("a class needs a name: type some letters")
    kept = class_name(line)
    if kept is None:
        raise UsageError(f"the name {line!r} cannot be shown: type letters")
    if len(kept) > _LONGEST_NAME:
        raise UsageError(f"the name of a class has {len(kept)} letters: use up to {_LONGEST_NAME}")
    return kept
