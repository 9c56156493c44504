"""The keys of the live window, in one registry, which serves dispatch, the help on the screen and the README."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Action(Enum):
    """What a key asks for."""

    QUIT = auto()
    PAUSE = auto()
    NEXT_VIEW = auto()
    HELP = auto()
    SNAPSHOT = auto()
    RECORD = auto()
    MIRROR = auto()
    COLORMAP = auto()
    MORE_OPAQUE = auto()
    LESS_OPAQUE = auto()
    LAYER_BACK = auto()
    LAYER_FORTH = auto()
    METHOD = auto()
    FIT = auto()
    PIN = auto()
    TRACK = auto()
    FREEZE = auto()
    BOXES = auto()
    TIMINGS = auto()


@dataclass(frozen=True)
class Key:
    """A key of the live window, or several for one action.

    Attributes:
        codes: what OpenCV gives for it.
        name: as a person calls it.
        action: what it does.
        help: the same in words.
    """

    codes: tuple[int, ...]
    name: str
    action: Action
    help: str


@dataclass(frozen=True)
class Wish:
    """What a person asked for, by a key or with the mouse.

    Attributes:
        action: what to do.
        place: for `Action.PIN`: of which class in the list, from 0; else 0.
    """

    action: Action
    place: int = 0


def _codes(characters: str) -> tuple[int, ...]:
    return tuple(map(ord, characters))


#: 1 is the first class of the list, 0 the tenth.
_DIGITS = "1234567890"

KEYS: tuple[Key, ...] = (
    Key((*_codes("qQ"), 27), "q, Esc", Action.QUIT, "quit"),
    Key(_codes(" "), "Space", Action.PAUSE, "pause and go on"),
    Key(_codes("\t"), "Tab", Action.NEXT_VIEW, "next view: overlay, side by side, heatmap, raw, grid of classes"),
    Key(_codes("hH?"), "h", Action.HELP, "show and hide this help"),
    Key(_codes("sS"), "s", Action.SNAPSHOT, "snapshot: what is shown and the clean frame as PNG, the numbers as JSON"),
    Key(_codes("rR"), "r", Action.RECORD, "record on and off"),
    Key(_codes("mM"), "m", Action.MIRROR, "mirror"),
    Key(_codes("cC"), "c", Action.COLORMAP, "next colour map"),
    Key(_codes("+="), "+", Action.MORE_OPAQUE, "heatmap more opaque"),
    Key(_codes("-_"), "-", Action.LESS_OPAQUE, "heatmap more transparent"),
    Key(_codes("["), "[", Action.LAYER_BACK, "target layer back, towards the picture"),
    Key(_codes("]"), "]", Action.LAYER_FORTH, "target layer forth, towards the prediction"),
    Key(_codes("gG"), "g", Action.METHOD, "next method"),
    Key(
        _codes("wW"),
        "w",
        Action.FIT,
        "show a wide frame to the network in the next way: tiles, crop, stretch, letterbox",
    ),
    Key(_codes(_DIGITS), "1 … 9, 0", Action.PIN, "pin the first … tenth class of the list (or click on its bar)"),
    Key(_codes("tT"), "t", Action.TRACK, "track the top class again"),
    Key(_codes("fF"), "f", Action.FREEZE, "freeze the class that is explained: it stays when it leaves the list"),
    Key(_codes("bB"), "b", Action.BOXES, "bounding box"),
    Key(_codes("dD"), "d", Action.TIMINGS, "timings of the stages"),
)


#: The name of each key, and what it does.
HELP: tuple[tuple[str, str], ...] = tuple((key.name, key.help) for key in KEYS)


def wish_of(code: int) -> Wish | None:
    """What a key code asks for; None for a key that does nothing."""
    for key in KEYS:
        if code in key.codes:
            return Wish(key.action, key.codes.index(code) if key.action is Action.PIN else 0)
    return None
