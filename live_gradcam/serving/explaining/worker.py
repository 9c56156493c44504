"""A worker: explains the frames of many viewers with one network. A process, an actor or a thread runs it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from live_gradcam.attribution import session as sessions
from live_gradcam.attribution.fit_choice import Stream
from live_gradcam.attribution.session import Session, SessionOptions
from live_gradcam.attribution.start import StartSession
from live_gradcam.errors import LiveGradcamError, UsageError, first_line
from live_gradcam.live_loop.steady import Networks
from live_gradcam.serving.explaining.classroom import Classroom
from live_gradcam.serving.explaining.decoding import DecodedFrame, decoded
from live_gradcam.serving.explaining.options import checked_session
from live_gradcam.serving.explaining.picture import drawn_jpeg
from live_gradcam.serving.explaining.posted import PostedPictures
from live_gradcam.serving.explaining.telling import ready_of
from live_gradcam.serving.explaining.viewer import ViewerRun
from live_gradcam.serving.messages import FrameBytes, Reply, pack_text
from live_gradcam.serving.options import ViewerOptions
from live_gradcam.surfaces.commands import Argument

_log = logging.getLogger(__name__)

#: What a page sends as long as nobody says otherwise: (height, width) of its frames, and their rate.
_USUAL_FRAMES = Stream((360, 640), 30.0)
#: How many viewers a worker has at most: each has maps and boxes of their own.
MOST_VIEWERS = 256


class Worker:
    """Explains the frames of many viewers with one network, as many at a time as `callers` says.

    `start` comes first. `decode` and `model` may run in any thread, beside all others. What is asked for one viewer is
    asked one after another; for several viewers as many threads may ask as `callers` says.

    Args:
        session: what to explain with. As many maps of a frame are made as classes are listed.
        options: how each viewer is explained.
        begin: starts the session; None for `attribution.session.start_session`.
    """

    def __init__(self, session: SessionOptions, options: ViewerOptions, begin: StartSession | None = None) -> None:
        self._options = session
        self._viewing = options
        self._begin = begin
        self._lock = threading.Lock()  # who is here
        self._passes = threading.BoundedSemaphore()
        self._callers = 1
        self._stack = ExitStack()
        self._viewers: dict[str, ViewerRun] = {}
        self._networks: Networks | None = None
        self._classroom: Classroom | None = None
        self._posted: PostedPictures | None = None

    def start(self) -> bytes:
        """Load the network and get it ready, which takes seconds. Returns the message `ready`.

        Raises:
            LiveGradcamError: as `start_session`, and `checked_session`.
        """
        options = checked_session(self._options)
        session = (self._begin or sessions.start_session)(options, look=lambda: _USUAL_FRAMES)
        self._callers = session.fastest_callers(_USUAL_FRAMES.frame_size)
        self._passes = threading.BoundedSemaphore(self._callers)
        networks = self._stack.enter_context(Networks(session))
        self._posted = PostedPictures(session, options, self._viewing.boxes.threshold)
        self._networks, self._classroom = networks, Classroom(session, self._viewing)
        return ready_of(networks.own, can_be_taught=self._classroom.is_open)

    def callers(self) -> int:
        """How many frames are explained at a time, each of another viewer."""
        return self._callers

    @property
    def _session(self) -> Session:
        return self._started.own.first

    @property
    def _started(self) -> Networks:
        assert self._networks is not None  # `start` comes first
        return self._networks

    # --- viewers ----------------------------------------------------------------------------------------------------

    def open(self, viewer: str, state: dict[str, Any] | None = None) -> list[bytes]:
        """A viewer has come.

        Args:
            viewer: a name for them. One who is here already is told all again, and goes on.
            state: what `Reply.state` last gave on the worker that they had before; None for a viewer who is new.

        Returns:
            The text messages to send to them.
        """
        with self._lock:
            known = self._viewers.get(viewer)
            if known is None and len(self._viewers) >= MOST_VIEWERS:
                return [pack_text("bye", text="there is no room for more visitors: try it again later", reconnect=True)]
            if known is None:
                assert self._classroom is not None  # `start` comes first
                run = self._viewers[viewer] = ViewerRun(self._started, self._classroom, self._viewing)
        return run.__enter__().open(state) if known is None else known.refresh()

    def close(self, viewer: str) -> None:
        """A viewer is gone: nothing of them stays. One who is not here is no mistake."""
        with self._lock:
            run = self._viewers.pop(viewer, None)
        if run is not None:
            run.__exit__()

    def _run(self, viewer: str) -> ViewerRun | None:
        with self._lock:
            return self._viewers.get(viewer)

    def command(self, viewer: str, name: str, argument: Argument = None) -> Reply:
        """Do a viewer's command. What is wrong with it, they are told."""
        run = self._run(viewer)
        return Reply() if run is None else run.command(name, argument)

    def poll(self, viewer: str) -> Reply:
        """What has changed for a viewer without a frame."""
        run = self._run(viewer)
        return Reply() if run is None else run.poll()

    # --- frames -----------------------------------------------------------------------------------------------------

    def decode(self, frame: FrameBytes) -> DecodedFrame:
        """Decode a frame. Its size is to be checked before."""
        return decoded(frame)

    def explain(self, viewer: str, frame: DecodedFrame) -> Reply:
        """Explain a viewer's frame. Where that fails, the reply says so in a text message `error`."""
        run = self._run(viewer)
        if run is None:
            return Reply(texts=[_error("this visitor is not here", frame.id)])
        try:
            with self._passes:
                return run.explain(frame)
        except LiveGradcamError as error:
            return Reply(texts=[_error(str(error), frame.id)])
        except Exception as error:  # a mistake of ours is one frame's, and not all viewers'
            _log.exception("a frame could not be explained")
            return Reply(texts=[_error(f"the frame could not be explained: {first_line(error)}", frame.id)])

    def drawn(self, viewer: str) -> bytes:
        """The newest explained frame of a viewer as the window would show it, as a JPEG; empty before the first."""
        run = self._run(viewer)
        return b"" if run is None else drawn_jpeg(run)

    # --- what is asked for once -------------------------------------------------------------------------------------

    def model(self, viewer: str) -> tuple[str, bytes]:
        """The network that a viewer has taught: the file's name, and its bytes.

        Raises:
            UsageError: they have not taught it, or not enough.
            OutputError: there is no room for a file.
        """
        run = self._run(viewer)
        if run is None:
            raise UsageError("this visitor is not here: open the page again")
        return "taught.keras", run.teaching.model()

    def explain_once(self, jpeg: bytes, classes: Sequence[str] = ()) -> dict[str, Any]:
        """Explain a picture by itself, with the fit and the names of `live-gradcam explain`.

        Args:
            jpeg: the picture. Its size is to be checked before.
            classes: to explain, by index or label, or as "A>B"; none for the session's own, or the top class.

        Returns:
            The fields of `live-gradcam explain --json`.

        Raises:
            UsageError: the picture is damaged, there is no such class, or there are more than can be explained.
        """
        assert self._posted is not None  # `start` comes first
        return self._posted.explain(jpeg, classes, self._passes)

    def stop(self) -> None:
        """End. What is being compiled or fitted is not waited for."""
        for viewer in list(self._viewers):
            self.close(viewer)
        self._stack.close()


def _error(text: str, number: int) -> bytes:
    return pack_text("error", text=text, id=number)
