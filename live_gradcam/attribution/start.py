"""How a session is started, by whoever wants to show something meanwhile."""

from __future__ import annotations

from typing import Protocol

from live_gradcam.attribution.fit_choice import Look
from live_gradcam.attribution.session import Session, SessionOptions


class StartSession(Protocol):
    """Starts a session, as `attribution.session.start_session` does."""

    def __call__(self, options: SessionOptions, *, look: Look | None = None) -> Session:
        """Load, build and warm up.

        Args:
            options: what to explain with.
            look: says what is known of the frames that will come.

        Raises:
            LiveGradcamError: as `start_session`.
        """
