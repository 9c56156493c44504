"""The names of a classifier's classes, and finding a class by its name."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib.resources import files
from pathlib import Path

from live_gradcam.choices import Names, Output
from live_gradcam.errors import LiveGradcamError, ModelError, UsageError, did_you_mean
from live_gradcam.explanations.explanation import Target
from live_gradcam.explanations.vocabulary import Groups
from live_gradcam.networks.outputs import entries_of


@cache
def imagenet_labels() -> tuple[str, ...]:
    """The 1000 classes of ILSVRC 2012 in the usual order: the first WordNet lemma of each, made unique."""
    return tuple(files(__package__).joinpath("imagenet_labels.txt").read_text("utf-8").splitlines())


@cache
def everyday_groups() -> Groups:
    """ImageNet's classes as people speak of them: `benchmarks/reference/everyday_names.py` makes the table."""
    return Groups.by_name(files(__package__).joinpath("everyday_names.txt").read_text("utf-8").splitlines())


def read_labels(path: str | Path) -> tuple[str, ...]:
    """Read class names, in class order, from a file.

    Args:
        path: one of these, or the word "imagenet", which stands for the 1000 labels that are built in.

            - A text file with a name on each line, perhaps after its index (`0 cat`, as Teachable Machine writes).
            - JSON: a list of names, or an object from the index to the name or to `[id, name]`, or from the name to the
              index (Keras' `class_indices`).
            - A `.csv` or `.tsv` table of names, with their indices or without, and with a header or without.

    Raises:
        ModelError: the file cannot be read or holds no names, or its indices leave some out.
    """
    if str(path) == "imagenet":
        return imagenet_labels()
    try:
        text = Path(path).read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ModelError(f"the labels file {path} is not UTF-8 text: save it with the encoding UTF-8") from error
    except OSError as error:
        raise ModelError(f"the labels file {path} cannot be read: {error}") from error
    suffix = Path(path).suffix.lower()
    if suffix == ".json" or _LIKE_JSON.match(text):
        labels = _labels_of_json(path, text)
    elif suffix in (".csv", ".tsv"):
        labels = _labels_of_table(path, text)
    else:
        labels = _labels_of_lines(_lines(path, text))
    if not labels:
        raise ModelError(f"the labels file {path} is empty: it needs one class name per line")
    return labels


#: How a list or an object begins in JSON, or in Python, which is refused: a name may begin with a bracket too.
_LIKE_JSON = re.compile(r"""\s*(\{\s*["'\d}]|\[\s*["'\[{])""")


def _lines(path: str | Path, text: str) -> tuple[str, ...]:
    lines = tuple(line.strip() for line in text.rstrip().split("\n")) if text.strip() else ()
    if "" in lines:
        raise ModelError(f"the labels file {path} has no name in line {lines.index('') + 1}: remove that line")
    return lines


def _labels_of_lines(lines: tuple[str, ...]) -> tuple[str, ...]:
    numbered = [re.fullmatch(r"(\d+)(?:\s*[:,]\s*|\s+)(\S.*)", line) for line in lines]
    named = {int(match[1]): match[2] for match in numbered if match}
    # "0 stars", "1 stars", … are names: without the numbers they would be the same.
    if sorted(named) == list(range(len(lines))) and len(set(named.values())) == len(lines):
        return tuple(named[index] for index in range(len(lines)))
    return lines


def text_of_labels(labels: Sequence[str]) -> str:
    """Class names as a text file of them: a name on each line, after its index where the names alone say another thing.

    `read_labels` reads the same names from it. "0 cat" and "1 dog" are read as "cat" and "dog", unless each has its
    index in front.
    """
    lines = tuple(" ".join(label.split()) for label in labels)
    text = "".join(f"{line}\n" for line in lines)
    if _labels_of_lines(lines) == lines and not _LIKE_JSON.match(text):
        return text
    return "".join(f"{index} {line}\n" for index, line in enumerate(lines))


def _labels_of_json(path: str | Path, text: str) -> tuple[str, ...]:
    try:
        content = json.loads(text)
        if isinstance(content, dict):
            by_index = content
            if all(type(index) is int for index in content.values()):
                by_index = {str(index): name for name, index in content.items()}
            content = [by_index[str(index)] for index in range(len(content))]
        names = [entry[-1] if isinstance(entry, list) else entry for entry in content]
        if not isinstance(content, list) or any(type(name) not in (str, int, float) for name in names):
            raise TypeError
        return tuple(map(str, names))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ModelError(
            f'the labels file {path} must be a JSON list of names, or an object {{"0": name, "1": name, …}} or '
            "{name: 0, name: 1, …} that leaves no index out"
        ) from error


#: How the column of names in a table of classes is called, the surest first.
_TITLES = ("name", "names", "classname", "labelname", "label", "labels", "classlabel", "class", "classes", "category")


def _labels_of_table(path: str | Path, text: str) -> tuple[str, ...]:
    rows = _rows(path, text)
    titles = [re.sub(r"[\W_]", "", cell).casefold() for cell in rows[0]] if rows else []
    titled = any(title in _TITLES for title in titles)
    if titled or (_numberings(rows[1:]) and not _numberings(rows)):
        rows = rows[1:]
    else:
        titles = [""] * len(titles)
    numberings = _numberings(rows)
    names = [column for column in range(len(titles)) if column not in numberings] or list(range(len(titles)))
    if titled:
        names = sorted(
            (column for column in names if titles[column] in _TITLES), key=lambda c: _TITLES.index(titles[c])
        )
    elif len(names) > 1:
        raise ModelError(f"the labels file {path} has several columns: give the column of the names the title name")
    _check_that_no_index_is_left_out(path, rows, titles, numberings)
    if numberings and numberings[0] != names[0]:
        rows = sorted(rows, key=lambda row: int(row[numberings[0]]))
    return tuple(row[names[0]] for row in rows)


def _rows(path: str | Path, text: str) -> list[list[str]]:
    lines = [line for line in text.split("\n") if line.strip()]
    delimiter = max(",;\t", key=lines[0].count) if lines else ","
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    if len({len(row) for row in rows}) > 1:
        raise ModelError(
            f"the labels file {path} has rows of different lengths: put a name with a comma in quotation marks"
        )
    return rows


def _numberings(rows: list[list[str]]) -> list[int]:
    """The columns that number the rows from zero or from one, in any order."""
    columns = list(zip(*rows, strict=True))
    numbers = [sorted(map(int, cells)) if all(map(str.isdecimal, cells)) else [-1] for cells in columns]
    counted = (list(range(len(rows))), list(range(1, len(rows) + 1)))
    return [column for column, cells in enumerate(numbers) if cells in counted]


def _check_that_no_index_is_left_out(
    path: str | Path, rows: list[list[str]], titles: list[str], numberings: list[int]
) -> None:
    for column, title in enumerate(titles):
        is_index = (
            bool(rows) and title.endswith(("id", "index", "idx")) and all(row[column].isdecimal() for row in rows)
        )
        if is_index and column not in numberings:
            raise ModelError(f"the labels file {path} leaves indices out, or has the same index twice")


# --- the labels of a model ----------------------------------------------------------------------------------------


def given_labels(labels: str | Path | tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """The labels that the user gives, in class order: the names themselves, or those in a file.

    Raises:
        ModelError: the file cannot be read.
    """
    return tuple(labels) if isinstance(labels, (tuple, list)) else read_labels(labels)


def labels_for(
    labels: str | Path | tuple[str, ...] | list[str] | None, units: int, output: Output
) -> tuple[str, ...] | None:
    """The labels that the user gives to a model; None where there are none.

    Args:
        labels: the names in class order, or a file of them. One name for one unit names its 1.
        units: how many numbers the model gives.
        output: what they are.

    Raises:
        ModelError: the file cannot be read, or there are not as many labels as there is to name.
    """
    if labels is None:
        return None
    names = given_labels(labels)
    entries = entries_of(output, units)
    if (units, entries, len(names)) == (1, 2, 1):
        return (f"not {names[0]}", names[0])
    if len(names) != entries:
        raise ModelError(f"there are {len(names)} labels for {entries} {output}: give one label for each")
    return names


def labels_file(path: Path) -> Path:
    """The file of labels that is a model's alone, beside the model's file: NAME.labels.txt."""
    return path.with_name(f"{path.stem}.labels.txt")


def label_files(path: Path) -> tuple[Path, ...]:
    """Where a model's labels may lie beside its file, the surest first. Not all of them, or none, are there."""
    return labels_file(path), path.with_name("labels.txt"), path.with_name("class_indices.json")


def labels_beside(path: Path, entries: int) -> tuple[tuple[str, ...], str] | None:
    """The labels in a file beside a model's, where it has as many as there are entries, and the name of that file.

    Args:
        path: the model's file. Looked for are NAME.labels.txt, labels.txt and class_indices.json.
        entries: how many labels it takes.
    """
    for beside in label_files(path):
        if not beside.is_file():
            continue
        with suppress(LiveGradcamError):  # it may be of something else
            labels = read_labels(beside)
            if len(labels) == entries:
                return labels, beside.name
    return None


def numbered_labels(units: int, output: Output) -> tuple[str, ...]:
    """Labels for a model that has none: "class 0", "class 1", …; of a single value "value"."""
    kind = {"classes": "class", "labels": "label", "values": "value"}[output]
    entries = entries_of(output, units)
    return (kind,) if (output, entries) == ("values", 1) else tuple(f"{kind} {index}" for index in range(entries))


def groups_of(labels: tuple[str, ...]) -> Groups | None:
    """The everyday names of classes, where these are ImageNet's; None where they are others."""
    return everyday_groups() if labels == imagenet_labels() else None


# --- what the user asks for ---------------------------------------------------------------------------------------

#: What stands for the most probable class of each frame.
TOP = "top1"


def choose_names(asked_for: Sequence[str], labels: tuple[str, ...], *, are_usual: bool) -> Names:
    """Whether classes are listed by everyday names, where the user does not say.

    Args:
        asked_for: the classes, as the user writes them.
        labels: the names in class order.
        are_usual: whether everyday names are listed even if no class is asked for by one.
    """
    groups = groups_of(labels)
    if groups is None:
        return "imagenet"
    each = [part.strip() for name in asked_for for part in (name, *name.split(">"))]
    return "everyday" if are_usual or any(is_everyday_alone(name, labels, groups) for name in each) else "imagenet"


def find_targets(asked_for: Sequence[str], labels: tuple[str, ...], names: Names) -> tuple[Target, ...]:
    """The classes that the user asks for; none for the top class.

    Args:
        asked_for: as the user writes them.
        labels: the names in class order.
        names: which names are listed.

    Raises:
        UsageError: as `find_target`; or the top class is asked for beside others.
    """
    groups = groups_of(labels) if names == "everyday" else None
    targets = tuple(find_target(name, labels, groups) for name in asked_for if name != TOP)
    if TOP in asked_for and targets:
        raise UsageError(f"{TOP} is each frame's most probable class, and goes with no other class: leave it out")
    return targets


def find_target(name: str, labels: tuple[str, ...], groups: Groups | None) -> Target:
    """The class of an index or a label; of "A>B" the contrast of two, where no class is called that.

    Args:
        name: as the user writes it.
        labels: the names in class order.
        groups: as for `find_class`.

    Raises:
        UsageError: there is no such class, or both are the same.
    """
    target = Target(*(find_class(one, labels, groups) for one in _sides(name, labels)))
    if target.index == target.against:
        raise UsageError(f"{name!r} contrasts a class with itself")
    return target


def _sides(name: str, labels: tuple[str, ...]) -> list[str]:
    """The two classes of a contrast "A>B"; a single one where there is none, or a class is called that."""
    first, separator, second = name.partition(">")
    return [first.strip(), second.strip()] if separator and name not in labels else [name]


def notes_on_numbers(asked_for: Sequence[str], labels: tuple[str, ...]) -> tuple[str, ...]:
    """A line for each number that is asked for and is the label of one class and the index of another.

    Args:
        asked_for: the classes, as the user writes them.
        labels: the names in class order.
    """
    each = [name for one in asked_for for name in _sides(one, labels)]
    return tuple(
        f"-c {name} is the class called {name}, which has the index {labels.index(name)}. Write +{name} for the class "
        f"with the index {name}, which is called {labels[int(name)]}"
        for name in dict.fromkeys(each)
        if name.isdecimal() and labels.count(name) == 1 and int(name) < len(labels) and labels[int(name)] != name
    )


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
        name: a label, in any case, with spaces, hyphens or underscores, or a class index ("281"). Of a number that is
            both, the label is meant; with a sign ("+1") it is the index, unless a label has that sign too.
        labels: the names in class order.
        groups: whose names go before those of classes; a group's index is the number of classes plus its own.

    Raises:
        UsageError: there is no such class (the closest are suggested), or several of that name.
    """
    names = labels + (groups.names if groups else ())
    if re.fullmatch(r"[+-]?\d+", name):
        if names.count(name) == 1:
            return names.index(name)
        index = int(name)
        if 0 <= index < len(names):
            return index
        raise UsageError(f"there is no class {name}: the classes are 0 to {len(names) - 1}")

    matches = [index for index, label in enumerate(names) if _plain(label) == _plain(name)]
    matches = [index for index in matches if index >= len(labels)] or matches
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UsageError(
            f"several classes are called {name!r}: give the index instead, one of {', '.join(map(str, matches))}"
        )
    raise UsageError(f"there is no class {name!r}{did_you_mean(name, names)}")
