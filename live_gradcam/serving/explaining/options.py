"""Which sessions a worker can start: known before anything slow."""

from __future__ import annotations

from dataclasses import replace

from live_gradcam.attribution.session import SessionOptions
from live_gradcam.choices import FITS
from live_gradcam.errors import UsageError


def checked_session(session: SessionOptions) -> SessionOptions:
    """The options of a session as a worker starts it: for a camera, and with a map for each listed class.

    Raises:
        UsageError: it would be compiled again for each shape of a visitor's frames; or as `SessionOptions.check`.
        ModelError: as `SessionOptions.check`.
    """
    session = replace(session, is_live=True, maps=None)
    session.check()
    if session.fit == "native":
        others = ", ".join(fit for fit in FITS if fit != "native")
        raise UsageError(f"--fit native compiles the network for each shape of a frame: use one of {others}")
    return session
