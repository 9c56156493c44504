"""The widget of a cell. It imports anywidget, which not everybody has."""

from __future__ import annotations

import anywidget
import traitlets

from live_gradcam.notebook.page_files import cell_module


class CellWidget(anywidget.AnyWidget):
    """What shows the page in a cell. It passes messages on, and knows nothing of them.

    Attributes:
        height: of the cell, in pixels of the page.
    """

    _esm = cell_module()
    height = traitlets.Int(560).tag(sync=True)
