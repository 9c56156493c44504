"""An output of a notebook's cell that changes while the cell runs: a bar that says how far something is."""

from __future__ import annotations

import html
from typing import Any

from live_gradcam.silence import in_notebook


class CellOutput:
    """One output of a cell, whose content changes. Where there is no notebook, nothing is shown."""

    def __init__(self) -> None:
        self._handle: Any = None

    @classmethod
    def of_start(cls, name: str) -> CellOutput:
        """An output in which a bar with this name moves, as a network starts."""
        shown = cls()
        shown.update(CellBar(name, "The network is starting …"))
        return shown

    def update(self, content: object) -> None:
        """Show something in the place of what was shown before."""
        if not in_notebook():
            return
        from IPython.display import display

        if self._handle is None:
            self._handle = display(content, display_id=True)
        else:
            self._handle.update(content)

    def clear(self) -> None:
        """Show nothing any more."""
        if self._handle is not None:
            self._handle.update({"text/plain": ""}, raw=True)


class CellBar:
    """A bar with a name before it and a text behind it.

    Args:
        name: of what is done.
        text: how far it is, in words.
        share: 0…1; None for a bar that only moves.
    """

    def __init__(self, name: str, text: str, share: float | None = None) -> None:
        self._name = name
        self._text = text
        self._share = share

    def __repr__(self) -> str:
        share = "" if self._share is None else f"{100 * self._share:.0f} %, "
        return f"{self._name}: {share}{self._text}"

    def _repr_html_(self) -> str:
        value = "" if self._share is None else f' value="{self._share:.4f}"'
        name, text = html.escape(self._name), html.escape(self._text)
        return f'<label>{name} <progress{value} style="width: 16em"></progress></label> {text}'
