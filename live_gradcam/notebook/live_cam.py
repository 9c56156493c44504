"""The browser's camera in a cell of a notebook, explained live."""

from __future__ import annotations

import atexit
import weakref
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from live_gradcam.attribution.session import SessionOptions
from live_gradcam.errors import UsageError, check_number
from live_gradcam.explanations.explanation import Explanation
from live_gradcam.notebook.explained import Snapshot, explanation_of
from live_gradcam.serving.explaining.options import checked_session
from live_gradcam.serving.messages import parse_answer
from live_gradcam.serving.options import ViewerOptions

if TYPE_CHECKING:
    import keras

    from live_gradcam.notebook.cell_server import CellServer
    from live_gradcam.notebook.cell_widget import CellWidget

_USUAL_SESSION, _USUAL_VIEWER = SessionOptions(), ViewerOptions()
_LEAST_HEIGHT = 240


class LiveCam:
    """The browser's camera in a cell of a notebook, explained live, with the controls of the page.

    Show it by naming it at the end of a cell. The network starts then, in a process of its own, and the cell is done at
    once. A click on a class keeps it. Run the cell again, and the new one takes the place of the old one.

    A browser on the kernel's own machine is connected by a socket, and goes on while a cell runs. Elsewhere frames go
    by the notebook's own messages, which the kernel takes between cells.

    Examples:
        >>> cam = LiveCam()
        >>> cam  # in the next cells: cam.explanation, cam.snapshots
        LiveCam(efficientnet-lite0, not connected)

    Args:
        model: a name of the catalogue, a model file, or a Keras model in memory, which is explained in threads of the
            kernel; None for that of `session`.
        session: what to explain with.
        viewer: how it is explained, and shown at first. Nothing is written: its `keep` has no meaning here.
        height: of the view, in pixels of the browser.
        use_socket: whether a socket is used where the browser can reach the kernel's machine by "localhost".

    Attributes:
        snapshots: what was kept with the button "Snapshot", the newest last.

    Raises:
        UsageError: anywidget is missing; a name or a number that cannot be.
        ModelError: there is no such model file.
    """

    def __init__(
        self,
        model: str | Path | keras.Model | None = None,
        *,
        session: SessionOptions = _USUAL_SESSION,
        viewer: ViewerOptions = _USUAL_VIEWER,
        height: int = 560,
        use_socket: bool = True,
    ) -> None:
        if find_spec("anywidget") is None:
            raise UsageError("LiveCam needs anywidget: pip install 'live-gradcam[notebook]'")
        check_number("the height", height, least=_LEAST_HEIGHT)
        self._session = checked_session(session if model is None else replace(session, model=model))
        viewer.check()
        self.snapshots: list[Snapshot] = []
        self._answer: bytes | None = None
        self._is_closed = False
        self._widget, self._server = self._parts(replace(viewer, keep=None), height, use_socket)
        self._widget.on_msg(self._heard)
        _take_the_place_of_others(self)

    def _parts(self, viewer: ViewerOptions, height: int, use_socket: bool) -> tuple[CellWidget, CellServer]:
        from live_gradcam.notebook.cell_server import CellServer
        from live_gradcam.notebook.cell_widget import CellWidget

        widget = CellWidget(height=height)

        def send(message: dict[str, Any], buffers: Sequence[bytes]) -> None:
            widget.send(message, list(buffers))

        return widget, CellServer(self._session, viewer, send, self._explained, use_socket=use_socket)

    # --- what Python has of it --------------------------------------------------------------------------------------

    @property
    def explanation(self) -> Explanation | None:
        """The newest explanation, in pixels of the frame that the browser sent; None where there is none.

        It is what the view shows: smoothed over time, the heatmaps with steps of 1/255 on the scale of the colours.
        The scores of all classes are not in it.
        """
        if self._answer is None:
            return None
        answer = parse_answer(self._answer)
        return explanation_of(answer.facts, answer.maps)

    @property
    def widget(self) -> CellWidget:
        """The widget itself, to be put beside others, as in `ipywidgets.VBox`."""
        return self._widget

    def close(self) -> None:
        """End it: the view goes, and the network's process with it. A second call does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self._widget.close()
        self._server.close()

    def __repr__(self) -> str:
        model = self._session.model
        name = Path(model).name if isinstance(model, (str, Path)) else model.name
        state = "closed" if self._is_closed else self._server.failure or self._server.connection
        return f"LiveCam({name}, {state})"

    def _repr_mimebundle_(self, **keywords: Any) -> Any:
        bundle = self._widget._repr_mimebundle_(**keywords)
        if bundle is None or self._is_closed:
            return {"text/plain": repr(self)}
        content, about = bundle
        return {**content, "text/plain": repr(self)}, about

    # --- what comes from the browser --------------------------------------------------------------------------------

    def _explained(self, answer: bytes) -> None:
        self._answer = answer

    def _heard(self, _: Any, message: dict[str, Any], buffers: Sequence[bytes]) -> None:
        if message["type"] == "keep":
            self._keep(message, buffers)
        else:
            self._server.take(message, buffers)

    def _keep(self, message: dict[str, Any], buffers: Sequence[bytes]) -> None:
        maps, png = buffers
        picture = np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR))
        size = (picture.shape[0], picture.shape[1])
        explanation = explanation_of(message["facts"], bytes(maps), size)
        self.snapshots.append(Snapshot(picture, explanation, message["time"]))
        self._widget.send({"call": message["call"], "place": len(self.snapshots) - 1})


#: Those of each cell, with the run of the cell that made them.
_OF_CELLS: dict[str, tuple[str, weakref.WeakSet[LiveCam]]] = {}
_OPEN: weakref.WeakSet[LiveCam] = weakref.WeakSet()


def _take_the_place_of_others(cam: LiveCam) -> None:
    """Close those that an earlier run of the same cell made."""
    _OPEN.add(cam)
    here = _cell_and_run()
    if here is None:
        return
    cell, run = here
    last_run, others = _OF_CELLS.get(cell, ("", weakref.WeakSet()))
    if run != last_run:
        for other in others:
            other.close()
        others = weakref.WeakSet()
    others.add(cam)
    _OF_CELLS[cell] = (run, others)


def _cell_and_run() -> tuple[str, str] | None:
    """What names the cell that runs now, and this run of it; None outside of a notebook.

    Not every notebook names its cells to the kernel: then the cell's text does.
    """
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    shell = get_ipython()
    parent = shell.get_parent() if hasattr(shell, "get_parent") else {}
    content, header = parent.get("content", {}), parent.get("header", {})
    cell = parent.get("metadata", {}).get("cellId") or content.get("code")
    return (cell, header.get("msg_id", "")) if cell else None


@atexit.register
def _close_all() -> None:
    for cam in list(_OPEN):
        cam.close()
