"""Names and tables as a notebook shows them. Nothing is imported for that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

#: Legible on light and on dark ground: letters have the notebook's own colour, and lines are of a middle grey.
FONT = "font:13px/1.45 system-ui,sans-serif;color:inherit"
_CELL = "padding:3px 12px 3px 0;text-align:left;vertical-align:top;border-bottom:1px solid rgba(128,128,128,.35)"
_GROUND = "background:transparent;color:inherit"


def html_table(header: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> str:
    """A table as self-contained HTML. All texts are escaped.

    Args:
        header: a name for each column; empty for none.
        rows: the cells.
        title: a line over it.
    """
    head = "".join(f'<th style="{_CELL};{_GROUND}">{escape(name)}</th>' for name in header)
    body = "".join(
        f'<tr style="{_GROUND}">' + "".join(f'<td style="{_CELL}">{escape(str(cell))}</td>' for cell in row) + "</tr>"
        for row in rows
    )
    line = f'<div style="font-weight:600;margin-bottom:4px">{escape(title)}</div>' if title else ""
    return (
        f'<div style="{FONT}">{line}<table style="border-collapse:collapse;{_GROUND}">'
        + (f'<thead><tr style="{_GROUND}">{head}</tr></thead>' if header else "")
        + f"<tbody>{body}</tbody></table></div>"
    )


class Listing(tuple[str, ...]):
    """Names to choose from: a tuple, which a notebook shows with a line about each.

    Args:
        names: in the order in which they are listed.
        lines: about them, by name; a name may have none.
    """

    lines: Mapping[str, str]

    def __new__(cls, names: Iterable[str], lines: Mapping[str, str] | None = None) -> Listing:
        """Make the tuple of the names."""
        made = super().__new__(cls, names)
        made.lines = dict(lines or {})
        return made

    def __repr__(self) -> str:
        width = max(map(len, self), default=0)
        return "\n".join(f"{name:{width}}  {self.lines.get(name, '')}".rstrip() for name in self)

    def _repr_html_(self) -> str:
        return html_table((), [(name, self.lines.get(name, "")) for name in self])
