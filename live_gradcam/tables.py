"""Tables as people save them: CSV with commas, semicolons or tabs between the cells."""

from __future__ import annotations

import csv
import io

#: What a row has that has nothing.
_BLANK = " ,;\t"


def rows_of(text: str) -> list[list[str]]:
    """The rows of a table, without those that have nothing.

    Args:
        text: of the whole file. Its first row says what is between the cells.

    Raises:
        csv.Error: it is no table.
    """
    first = next((line for line in text.splitlines() if line.strip(_BLANK)), "")
    delimiter = next((mark for mark in "\t,;" if mark in first), ",")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    return [row for row in rows if "".join(row).strip(_BLANK)]
