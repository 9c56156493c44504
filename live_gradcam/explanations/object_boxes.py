"""Files that say where objects are in pictures: boxes, as JSON or as a table."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path

from live_gradcam.errors import SourceError
from live_gradcam.explanations.faithfulness import ObjectBox
from live_gradcam.tables import rows_of

#: What the columns of a table are called.
COLUMNS = ("path", "left", "top", "right", "bottom")


def read_object_boxes(path: Path) -> list[tuple[str, ObjectBox]]:
    """Read boxes of objects.

    Args:
        path: JSON, an object from a picture's name to a list of [left, top, right, bottom]; or a table with the columns
            `path`, `left`, `top`, `right` and `bottom` and a row for each box. All in pixels.

    Returns:
        Each box after the name of its picture, as the file has it.

    Raises:
        SourceError: the file cannot be read, or is of neither form.
    """
    try:
        text = path.read_text("utf-8-sig")
        return _of_json(text) if text.lstrip().startswith("{") else _of_table(text, path)
    except OSError as error:
        raise SourceError(f"the boxes file {path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError, RecursionError, csv.Error) as error:
        raise SourceError(
            f'the boxes file {path} is not JSON of the form {{"cat.png": [[left, top, right, bottom], …], …}}, and no '
            f"table with the columns {', '.join(COLUMNS)}"
        ) from error


def _of_json(text: str) -> list[tuple[str, ObjectBox]]:
    return [(name, _box(corners)) for name, listed in json.loads(text).items() for corners in listed]


def _of_table(text: str, path: Path) -> list[tuple[str, ObjectBox]]:
    titles, *rows = rows_of(text) or [[]]
    places = [[title.strip().casefold() for title in titles].index(column) for column in COLUMNS]
    found = []
    for number, row in enumerate(rows, 2):
        try:
            name, *corners = (row[place].strip() for place in places)
            found.append((name, _box(tuple(map(float, corners)))))
        except (IndexError, ValueError):
            raise SourceError(
                f"line {number} of {path} is no box: give a path and four numbers, left before right, top above bottom"
            ) from None
    return found


def _box(corners: Sequence[float]) -> ObjectBox:
    left, top, right, bottom = map(float, corners)
    if not (-math.inf < left < right < math.inf and -math.inf < top < bottom < math.inf):
        raise ValueError(f"{corners} is not left, top, right, bottom")
    return left, top, right, bottom
