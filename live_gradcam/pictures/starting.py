"""Starting a session in a notebook's cell, where a bar moves meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from live_gradcam.attribution import session as sessions
from live_gradcam.attribution.session import Session, SessionOptions
from live_gradcam.drawing.cell_output import CellOutput

if TYPE_CHECKING:
    from live_gradcam.attribution.fit_choice import Look


def start_session(options: SessionOptions, *, look: Look | None = None, let_tensorflow_talk: bool = False) -> Session:
    """Load, build and warm up. In a notebook, a bar moves until it is done.

    Args:
        options: what to explain with.
        look: says what is known of the frames when the network is there. Without it, as of pictures that may have any
            shape, what depends on that is compiled for the first frame.
        let_tensorflow_talk: let TensorFlow's own messages through.

    Raises:
        LiveGradcamError: as `load_classifier` and `Explainer` do; for what `SessionOptions.check` refuses before
            TensorFlow is imported.
    """
    options.check()
    model = options.model
    name = Path(model).name if isinstance(model, (str, Path)) else str(model.name)
    shown = CellOutput.of_start(name)
    try:
        return sessions.start_session(options, look=look, let_tensorflow_talk=let_tensorflow_talk)
    finally:
        shown.clear()
