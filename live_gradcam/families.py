"""Tables of names to choose from, each with a line of help: see `choices`, which has all of them.

A closed set of names is a `Choices`. A set that other packages can add to is a `Family`: each member is one object in
one module, which is imported when it is asked for.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from traceback import walk_tb
from typing import Any, NamedTuple

from live_gradcam.errors import LiveGradcamError, UsageError, did_you_mean, first_line

_log = logging.getLogger(__name__)


class Choices:
    """Names to choose from, in the order in which they are listed.

    Args:
        kind: what one of them is called in an error, such as "method".
        helps: each name with a line of help.
    """

    def __init__(self, kind: str, helps: Mapping[str, str]) -> None:
        self.kind = kind
        self._helps = dict(helps)

    @property
    def helps(self) -> Mapping[str, str]:
        """Each name with its line of help."""
        return self._helps

    def __iter__(self) -> Iterator[str]:
        return iter(self._helps)

    def __contains__(self, name: object) -> bool:
        return name in self._helps

    def __len__(self) -> int:
        return len(self._helps)

    def check(self, name: str) -> None:
        """Refuse a name that does not exist.

        Raises:
            UsageError: there is no such name; the closest ones are suggested.
        """
        if name not in self:
            hint = did_you_mean(name, self) or f": use one of {', '.join(self)}"
            raise UsageError(f"there is no {self.kind} {name!r}{hint}")


class Member(NamedTuple):
    """A member of a family.

    Attributes:
        help: one line.
        place: where the object is: "package.module:name".
        is_quick: of a method, whether it is quick enough for a camera, as it says itself too.
    """

    help: str
    place: str
    is_quick: bool = True


class Family(Choices):
    """Names whose objects are loaded when they are asked for; other packages can add to them by entry points.

    A name of this package cannot be taken by another one, and of two packages that add one name, the first has it. A
    package that is broken must not stop those who do not want what it adds: see `usable` and `leave_out`.

    Args:
        kind: as for `Choices`.
        group: of the entry points: the name of each is the member's name, and what it points to is the member's object.
        members: those of this package, by name.
    """

    def __init__(self, kind: str, group: str, members: Mapping[str, Member]) -> None:
        super().__init__(kind, {name: member.help for name, member in members.items()})
        self.group = group
        self._members = dict(members)
        self._registered: dict[str, tuple[Any, str]] = {}
        self._warned: set[str] = set()
        self._loaded: dict[str, EntryPoint] = {}

    @cached_property
    def _all_added(self) -> tuple[EntryPoint, ...]:
        points = _installed(tuple(sys.path)).select(group=self.group)
        return tuple(point for point in points if point.name not in self._members)

    @cached_property
    def added(self) -> dict[str, EntryPoint]:
        """The names that other packages add, each with its entry point."""
        added: dict[str, EntryPoint] = {}
        for point in self._all_added:
            added.setdefault(point.name, point)
        return added

    def __iter__(self) -> Iterator[str]:
        return iter((*self._members, *self.added, *self._registered))

    def __contains__(self, name: object) -> bool:
        return name in self._members or name in self.added or name in self._registered

    def __len__(self) -> int:
        return len(self._members) + len(self.added) + len(self._registered)

    @property
    def helps(self) -> Mapping[str, str]:
        """Each name with its line of help; of a name that another package adds, that package."""
        added = {name: _origin(point) for name, point in self.added.items()}
        return {**self._helps, **added, **{name: line for name, (_, line) in self._registered.items()}}

    @property
    def of_this_package(self) -> tuple[str, ...]:
        """The names that no other package added."""
        return tuple(self._members)

    def row(self, name: str) -> Member | None:
        """What is known of a name of this package without loading its object; None of any other name."""
        return self._members.get(name)

    def register(self, name: str, member: Any, line: str) -> None:
        """Add an object under a name, in this process alone. One that was registered under it before is replaced.

        Args:
            name: of the member.
            member: the object.
            line: of help.

        Raises:
            UsageError: this package or another one has the name already.
        """
        if name in self._members or name in self.added:
            raise UsageError(f"there is a {self.kind} {name!r} already: give yours another name")
        self._registered[name] = (member, line)

    def load(self, name: str) -> Any:
        """The object of a name.

        Raises:
            UsageError: there is no such name.
            LiveGradcamError: the package that adds it cannot be imported.
        """
        self.check(name)
        if name in self._members:
            module, _, attribute = self._members[name].place.partition(":")
            return getattr(import_module(module), attribute)
        if name in self._registered:
            return self._registered[name][0]
        self._name_the_others(name)
        point = self._loaded[name] = self.added[name]
        try:
            return point.load()
        except Exception as error:  # of a package that is not ours: whatever its import raises
            raise LiveGradcamError(
                f"the {self.kind} {name} {self.helps[name]} cannot be loaded: {first_line(error)}"
            ) from error

    def usable(self, names: Iterable[str]) -> Iterator[tuple[str, Any]]:
        """Each of some names with its object, without those that cannot be loaded; a warning, once a name, says so."""
        for name in names:
            try:
                loaded = self.load(name)
            except LiveGradcamError as error:
                self.warn_once(name, str(error))
                continue
            yield name, loaded

    def behind(self, error: BaseException) -> Iterator[str]:
        """Each member that another package adds, and in whose package an error was raised or passed on, in words.

        Args:
            error: was caught, and may have come of anything.
        """
        frames = (frame for frame, _ in walk_tb(error.__traceback__))
        packages = {str(frame.f_globals.get("__name__")).partition(".")[0] for frame in frames}
        for name, point in self._loaded.items():
            if point.module.partition(".")[0] in packages:
                yield f"the {self.kind} {name} {_origin(point)}"

    def leave_out(self, name: str, error: Exception) -> None:
        """Warn, once a name, that what another package adds fails, so that the others do without it.

        Args:
            name: what fails.
            error: how.
        """
        self.warn_once(
            name, f"the {self.kind} {name} {self.helps[name]} is left out: it fails with {first_line(error)}"
        )

    def warn_once(self, name: str, line: str) -> None:
        """Warn of a name with a line, where that was not done before."""
        if name not in self._warned:
            self._warned.add(name)
            _log.warning("%s", line)

    def _name_the_others(self, name: str) -> None:
        """Warn, once a name, that several packages add it. Those who do not want it are not bothered."""
        first, *others = dict.fromkeys(_package_of(point) for point in self._all_added if point.name == name) or [""]
        if others:
            self.warn_once(
                f"{name} of several packages",
                f"the packages {first} and {' and '.join(others)} both add the {self.kind} {name}: "
                f"the one of {first} is used",
            )


class OneMore(Choices):
    """The names of a family, and one before them that stands for no object.

    Args:
        name: the one.
        help: its line of help.
        family: the others.
    """

    def __init__(self, name: str, help: str, family: Family) -> None:
        super().__init__(family.kind, {name: help})
        self._family = family

    @property
    def helps(self) -> Mapping[str, str]:
        """Each name with its line of help."""
        return {**self._helps, **self._family.helps}

    def __iter__(self) -> Iterator[str]:
        return iter((*self._helps, *self._family))

    def __contains__(self, name: object) -> bool:
        return name in self._helps or name in self._family

    def __len__(self) -> int:
        return len(self._helps) + len(self._family)


@lru_cache(maxsize=1)
def _installed(path: tuple[str, ...]) -> Any:
    """The entry points of all packages on a path. Files of each package are read for them: once for all families."""
    return entry_points()


def _origin(point: EntryPoint) -> str:
    return f"from the package {_package_of(point)}"


def _package_of(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.module
