"""`live`: a source is explained as it comes. Everything that a run needs is opened, put together and closed here."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from live_gradcam.attribution import session as sessions
from live_gradcam.attribution.session import Session, SessionOptions
from live_gradcam.attribution.session.options import too_slow
from live_gradcam.attribution.start import StartSession
from live_gradcam.choices import SURFACES
from live_gradcam.drawing.overlay import Overlay
from live_gradcam.errors import UsageError
from live_gradcam.flow.stopping import StopRequest
from live_gradcam.live_loop.explaining import ExplainingThread
from live_gradcam.live_loop.frames import LiveFrames
from live_gradcam.live_loop.loop import LiveRun, Outputs
from live_gradcam.live_loop.options import LiveOptions, TeachingOptions
from live_gradcam.live_loop.recording import Recorder
from live_gradcam.live_loop.snapshots import Snapshots
from live_gradcam.live_loop.state import LiveState
from live_gradcam.live_loop.summary import LiveSummary
from live_gradcam.live_loop.teaching import Teaching
from live_gradcam.live_loop.teaching_commands import Keys
from live_gradcam.live_loop.teaching_thread import Keeping
from live_gradcam.sources.devices import camera_index
from live_gradcam.sources.levels import Levels
from live_gradcam.sources.opening import open_source, text_of
from live_gradcam.sources.source import FrameSource
from live_gradcam.surfaces.surface import Surface, Wants

_USUAL_SESSION, _USUAL_OPTIONS = SessionOptions(), LiveOptions()

#: Opens a source.
Opener = Callable[[str], FrameSource]


def live(
    source: str | Path | int = "0",
    *,
    session: SessionOptions | Session = _USUAL_SESSION,
    overlay: Overlay | None = None,
    options: LiveOptions = _USUAL_OPTIONS,
    opener: Opener | None = None,
    start: StartSession | None = None,
) -> LiveSummary:
    """Explain a source as it comes, until it ends, a person stops it, or `max_frames` are explained.

    Prints nothing. Ctrl-C and SIGTERM end it in order, and `LiveSummary.stopped` says so.

    Args:
        source: see `sources.opening.open_source`. It is opened before anything slow is done, and shown while the
            session starts; a recording plays when the session is ready.
        session: what to explain with: the options of a session, which is then started in a thread, or a session that
            is ready. With options, as many maps of a frame are made as the surface can show, whatever `maps` says. A
            ready session makes as many as it was started with, and is compiled for the frames' size before the first.
        overlay: draws the maps; None for the usual colours.
        options: how it goes, and where it is shown.
        opener: opens the source; None for `sources.opening.open_source`.
        start: starts the session; None for `attribution.session.start_session`.

    Returns:
        What was done.

    Raises:
        UsageError: a name or a number does not exist, or the method is too slow for a camera.
        SourceError: the source does not open, or stops and does not come back. What was recorded is kept.
        OutputError: the surface does not open, or the recording cannot be written.
        LiveGradcamError: as `start_session`.
    """
    source = text_of(source)
    if isinstance(session, SessionOptions):
        session = replace(session, is_live=True)
        session.check()
        if options.teaching is not None:
            options.teaching.check(session.model, overwrite=options.overwrite)
    elif options.teaching is not None:
        raise UsageError("a session that is ready cannot be taught from the start: give its options")
    elif session.method not in session.methods:
        raise too_slow(session.method)
    options.check()
    surface: Surface = SURFACES.load(options.surface)() if isinstance(options.surface, str) else options.surface
    surface.check()
    wants = surface.wants
    if options.mirror is None:
        options = replace(options, mirror=camera_index(source) is not None)
    state = LiveState(overlay or Overlay(), options.view, options.hud, bool(options.mirror), options.boxes.drawn)
    state.teaching, state.smooth = options.teaching is not None, options.smooth
    output = options.teaching.output if options.teaching else None
    teaching = Teaching(Keeping(output, options.overwrite, options.snapshots))
    reading = replace(options.reading, levels=options.reading.levels or Levels.of_card(session.card_levels))
    frames = LiveFrames(source, options, wants, opener or (lambda uri: open_source(uri, reading)))
    begin = _starter(session, wants, frames, start or sessions.start_session)
    if options.teaching is not None and isinstance(session, SessionOptions):
        begin = _teaching_starter(replace(session, maps=wants.maps), options.teaching, frames, teaching)
    explaining = ExplainingThread(
        begin,
        frames,
        state,
        teaching,
        max_frames=options.max_frames,
    )
    with ExitStack() as stack:
        stop = stack.enter_context(StopRequest())
        stack.enter_context(frames.capture)
        stack.enter_context(teaching)
        stack.enter_context(explaining)
        stack.callback(frames.close)  # so that no thread waits any more when it is to end
        recorder = Recorder(options.snapshots, wait=options.every_frame or wants.every_explained)
        snapshots = stack.enter_context(Snapshots(options.snapshots))
        outputs = Outputs(stack.enter_context(recorder), snapshots, teaching)
        surface.open(Keys(state))
        stack.callback(surface.close)
        run = LiveRun(surface, frames, explaining.status, state, outputs, options)
        run.run(stop)
    if teaching.error is not None:  # of what was done at the end
        raise teaching.error
    return run.summary(stopped=stop.requested)


def _starter(
    session: SessionOptions | Session, wants: Wants, frames: LiveFrames, start: StartSession
) -> Callable[[], Session]:
    if isinstance(session, SessionOptions):
        options = replace(session, maps=wants.maps)

        def begin() -> Session:
            frames.let_be_seen()
            return start(options, look=frames.look)

        return begin
    ready = session

    def get_ready() -> Session:
        frame_size = frames.first_size()
        return ready if frame_size is None else ready.ready_for(frame_size)

    return get_ready


def _teaching_starter(
    options: SessionOptions, how: TeachingOptions, frames: LiveFrames, teaching: Teaching
) -> Callable[[], Session]:
    """What starts a session whose network is taught from the start."""

    def start() -> Session:
        frames.let_be_seen()
        from live_gradcam.fitting.taught_session import start_teaching

        teacher, session = (how.start or start_teaching)(options, fit=how.fit, look=frames.look)
        teaching.take(teacher, session)
        return session

    return start
