"""The names of a classifier's classes, and finding a class by its name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from live_gradcam.errors import ModelError, UsageError, did_you_mean


@cache
def imagenet_labels() -> tuple[str, ...]:
    """The 1000 classes of ILSVRC 2012 in the usual order: the first WordNet lemma of each, made unique."""
    return tuple(files(__package__).joinpath("imagenet_labels.txt").read_text("utf-8").splitlines())


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


@cache
def everyday_groups() -> Groups:
    """ImageNet's classes as people speak of them: `benchmarks/reference/everyday_names.py` makes the table."""
    return Groups.by_name(files(__package__).joinpath("everyday_names.txt").read_text("utf-8").splitlines())


def read_labels(path: str | Path) -> tuple[str, ...]:
    """Read class names, in class order, from a file.

    Args:
        path: a text file with a name a line, or JSON: a list of names, or Keras' class-index form, an object from the
            index to the name or to `[id, name]`. The word "imagenet" stands for the 1000 labels that are built in.

    Raises:
        ModelError: the file cannot be read or holds no names.
    """
    if str(path) == "imagenet":
        return imagenet_labels()
    try:
        text = Path(path).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"the labels file {path} cannot be read: {error}") from error
    labels = _labels_of_json(path, text) if Path(path).suffix.lower() == ".json" else _labels_of_lines(text)
    if not labels:
        raise ModelError(f"the labels file {path} is empty: it needs one class name a line")
    return labels


def _labels_of_lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.rstrip().splitlines())


def _labels_of_json(path: str | Path, text: str) -> tuple[str, ...]:
    try:
        content = json.loads(text)
        if isinstance(content, dict):
            content = [content[str(index)] for index in range(len(content))]
        return tuple(str(entry[-1] if isinstance(entry, list) else entry) for entry in content)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ModelError(
            f'the labels file {path} is neither a JSON list of names nor an object {{"0": name, "1": name, …}}'
        ) from error


def is_everyday_alone(name: str, labels: tuple[str, ...], groups: Groups) -> bool:
    """Whether a name is that of a group of classes, and of no class."""
    return any(_plain(name) == _plain(group) for group in groups.names) and not any(
        _plain(name) == _plain(label) for label in labels
    )


def _plain(label: str) -> str:
    return " ".join(label.casefold().replace("_", " ").replace("-", " ").split())


def find_class(name: str, labels: tuple[str, ...], groups: Groups | None = None) -> int:
    """The index of the class, or of the group of classes, that the user means.

    Args:
        name: a class index ("281") or a label, in any case, with spaces, hyphens or underscores.
        labels: the names in class order.
        groups: whose names go before those of classes; a group's index is the number of classes plus its own.

    Raises:
        UsageError: there is no such class (the closest are suggested), or several of that name.
    """
    names = labels + (groups.names if groups else ())
    if name.lstrip("+-").isdecimal():
        index = int(name)
        if 0 <= index < len(names):
            return index
        raise UsageError(f"there is no class {name}: the classes are 0 to {len(names) - 1}")

    matches = [index for index, label in enumerate(names) if _plain(label) == _plain(name)]
    matches = [index for index in matches if index >= len(labels)] or matches
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UsageError(f"several classes are called {name!r}: give the index, one of {', '.join(map(str, matches))}")
    raise UsageError(f"there is no class {name!r}{did_you_mean(name, names)}")
