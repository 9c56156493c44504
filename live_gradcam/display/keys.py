"""The keys of the live window, in one registry."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Action(Enum):
    """What a key asks for."""

    QUIT = auto()
    PAUSE = auto()


@dataclass(frozen=True)
class Key:
    """A key of the live window.

    Attributes:
        code: what `cv2.waitKey` gives for it.
        name: as a person calls it.
        action: what it does.
        help: the same in words.
    """

    code: int
    name: str
    action: Action
    help: str


KEYS: tuple[Key, ...] = (
    Key(ord("q"), "q", Action.QUIT, "quit"),
    Key(27, "Esc", Action.QUIT, "quit"),
    Key(ord(" "), "Space", Action.PAUSE, "pause and go on"),
)


def action_of(code: int) -> Action | None:
    """The action of a key code; None for a key that does nothing."""
    return next((key.action for key in KEYS if key.code == code), None)
