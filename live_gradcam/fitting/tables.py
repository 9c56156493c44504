"""Examples of a table: a row for each picture or video, with its path, what it shows, and perhaps group and part."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from live_gradcam.choices import Output
from live_gradcam.errors import SourceError, UsageError
from live_gradcam.fitting.dataset import PARTS, Part
from live_gradcam.fitting.listing import Listed, Listing
from live_gradcam.networks.class_names import class_name
from live_gradcam.tables import rows_of

#: How the columns may be called, in small letters, the surest first.
_PATHS = ("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "picture", "video")
_SHOWN = ("class", "label", "classes", "labels", "class_name", "category", "tags", "target", "value", "number", "y")
_GROUPS = ("group", "groups", "patient", "patient_id", "subject", "subject_id", "object", "person", "site")
_SPLITS = ("part", "split", "subset", "set")
_OF_PARTS: dict[str, Part] = {"training": "train", "valid": "val", "validation": "val", "testing": "test"}
#: What a network can say, in 32 bits.
_LARGEST = (2 - 2**-23) * 2.0**127
_SEVERAL = re.compile(r"[;|,]")


def list_table(table: Path, folder: Path | None, task: Output) -> tuple[Listing, str]:
    """The files of a table.

    Args:
        table: CSV with commas, semicolons or tabs. Its first row names the columns, or is the first of path, what it
            shows, and perhaps group. Of "labels" a cell holds any number of names, with `;`, `|` or `,` between them.
        folder: where the paths begin; None for where the table is.
        task: what is predicted.

    Returns:
        The files, and the name of the column of what they show.

    Raises:
        SourceError: the table cannot be read.
        UsageError: it has no column of paths, or none of what they show.
    """
    rows = _rows(table)
    columns = _columns([cell.strip().casefold() for cell in rows[0]])
    if columns is None:
        if len(rows[0]) < 2:
            raise UsageError(f"the table {table} has one column: give path and class, with a comma between them")
        columns = {"path": 0, "shows": 1, "group": 2} if len(rows[0]) > 2 else {"path": 0, "shows": 1}
        name, first = "value", 1
    else:
        missing = [words for place, words in (("path", "path"), ("shows", "class")) if place not in columns]
        if missing:
            raise UsageError(f"the table {table} has no column {missing[0]}: it has {', '.join(rows[0])}")
        name, first = rows.pop(0)[columns["shows"]], 2
    listing = Listing()
    for number, row in enumerate(rows, first):
        _list_row(
            {place: _cell(row, column) for place, column in columns.items()}, number, table, folder, task, listing
        )
    return listing, class_name(name) or "value"


def _list_row(
    row: dict[str, str], number: int, table: Path, folder: Path | None, task: Output, listing: Listing
) -> None:
    path = (folder or table.parent) / row["path"]
    shows = _shown(row["shows"], task)
    part = _OF_PARTS.get(row.get("part", "").casefold(), row.get("part", "").casefold() or "train")
    if not row["path"]:
        listing.leave_out(table, f"row {number} has no path")
    elif not path.exists():
        listing.leave_out(path, "a link to nowhere" if path.is_symlink() else "there is no such file")
    elif path.is_dir():
        listing.leave_out(path, "a folder")
    elif shows is None:
        what = {"values": "number", "labels": "labels", "classes": "class"}[task]
        listing.leave_out(path, f"row {number} of {table.name} has the {what} {row['shows']!r}")
    elif part not in PARTS:
        raise UsageError(f"row {number} of {table}: the part is {row['part']!r}: use {', '.join(PARTS)}")
    else:
        group = row.get("group", "")
        listing.files.append(Listed(path, shows, f"group {group}" if group else str(path), part))


def _shown(cell: str, task: Output) -> tuple[str, ...] | float | None:
    """What a cell says; None where that is nothing."""
    if task == "values":
        try:
            number = float(cell)
        except ValueError:
            return None
        return number if abs(number) <= _LARGEST else None  # nor a NaN
    if task == "labels":
        names = [class_name(name) for name in _SEVERAL.split(cell) if name.strip()]
        kept = tuple(dict.fromkeys(name for name in names if name is not None))
        return None if None in names else kept
    name = class_name(cell)
    return None if name is None else (name,)


def _rows(table: Path) -> list[list[str]]:
    try:
        rows = rows_of(table.read_text("utf-8-sig"))
    except OSError as error:
        raise SourceError(f"the table {table} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"the table {table} is not UTF-8 text: save it with the encoding UTF-8") from error
    except csv.Error as error:
        raise SourceError(f"the table {table} is no CSV: {error}") from error
    if not rows:
        raise UsageError(f"the table {table} is empty: give a row for each picture, with its path and class")
    return rows


def _columns(titles: list[str]) -> dict[str, int] | None:
    """Where each column is; None for a first row that names none."""
    found: dict[str, int] = {}
    for place, names in {"path": _PATHS, "shows": _SHOWN, "group": _GROUPS, "part": _SPLITS}.items():
        named = [titles.index(name) for name in names if name in titles]
        if named:
            found[place] = named[0]
    others = [place for place in range(len(titles)) if place not in found.values()]
    if "path" in found and "shows" not in found and len(others) == 1:  # such as "species", or "age"
        found["shows"] = others[0]
    return found or None


def _cell(row: list[str], column: int) -> str:
    return row[column].strip() if column < len(row) else ""
