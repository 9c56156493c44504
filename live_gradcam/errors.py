"""The errors that a user can mend: each message is one line that says what is wrong and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from numbers import Integral

#: How many names are suggested for one that does not exist.
_SUGGESTIONS = 3


class LiveGradcamError(Exception):
    """Something failed that the user can do something about. The command line exits with 1.

    Args:
        words: one line, with the values as {name}; without values it is any text. The page of `serve` has some in other
            languages, by their words.
        values: by name.
    """

    exit_code = 1

    def __init__(self, words: str = "", **values: str | int) -> None:
        super().__init__(words.format(**values) if values else words)
        self.words, self.values = words, values

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the line, and not where in this package it was raised."""
        return [f"{type(self).__name__}: {self}"]


class UsageError(LiveGradcamError):
    """The request itself is wrong: a name or a value that does not exist. The command line exits with 2."""

    exit_code = 2


class ArgumentError(UsageError, ValueError):
    """A function of Python was given a frame, a class or a number that cannot be. Python has a ValueError for that."""


class ModelError(LiveGradcamError):
    """A model, its weights or its labels cannot be used."""


class SourceError(LiveGradcamError):
    """A camera, stream, video or image cannot be read."""


class OutputError(LiveGradcamError):
    """A file, folder or window cannot be written or opened."""


def check_number(flag: str, number: int, *, least: int) -> None:
    """Refuse a number of things that is too small.

    Args:
        flag: of the command line, for the error.
        number: what is given.
        least: the smallest that will do.

    Raises:
        UsageError: it is smaller, or, from Python, something else.
    """
    if not isinstance(number, Integral):
        raise UsageError(f"{flag} is {number!r}: give a whole number from {least} on")
    if number < least:
        raise UsageError(f"{flag} is {number}: give a number from {least} on")


def check_smooth(seconds: float) -> None:
    """Refuse a time constant of smoothing that cannot be.

    Raises:
        UsageError: it is below 0.
    """
    if seconds < 0:
        raise UsageError(f"--smooth is {seconds:g} s: give a time from 0 on")


def first_line(error: BaseException) -> str:
    """The first line of an error's message, cut to a sensible length; its type where it has no message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__


def kind_and_line(error: BaseException) -> str:
    """What kind of error it is, and the first line of its message: "KeyError: 'name'"."""
    return f"{type(error).__name__}: {error}".strip().splitlines()[0]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean A, B or C?" with the closest of the known names, or "" when none is close."""
    spellings: dict[str, list[str]] = {}
    for candidate in dict.fromkeys(known):
        spellings.setdefault(_plain(candidate), []).append(candidate)
    wanted = _plain(name)
    containing = sorted((s for s in spellings if wanted in s), key=len) if wanted else []
    similar = difflib.get_close_matches(wanted, spellings, n=_SUGGESTIONS, cutoff=0.5)
    closest = [candidate for s in dict.fromkeys(containing + similar) for candidate in spellings[s]][:_SUGGESTIONS]
    if not closest:
        return ""
    listed = closest[0] if len(closest) == 1 else f"{', '.join(closest[:-1])} or {closest[-1]}"
    return f"; did you mean {listed}?"


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())
