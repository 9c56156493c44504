"""The live loop: takes frames, has them shown and recorded, and does commands, and nobody waits for anybody.

capture thread → slot → explaining thread → slot → this thread (draws, shows, does commands) → recording thread. A slot
holds one item and the newest wins, which is what bounds the latency.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

from live_gradcam.attribution.session import Session
from live_gradcam.errors import UsageError
from live_gradcam.explanations.boxes import SteadyBoxes
from live_gradcam.explanations.explanation import Explanation
from live_gradcam.explanations.vocabulary import Vocabulary
from live_gradcam.flow.stopping import StopRequest
from live_gradcam.live_loop.explaining import ExplainingStatus
from live_gradcam.live_loop.frames import LiveFrames
from live_gradcam.live_loop.options import LiveOptions
from live_gradcam.live_loop.presenting import Presenter
from live_gradcam.live_loop.recording import Recorder
from live_gradcam.live_loop.snapshots import Snapshots
from live_gradcam.live_loop.state import LiveState
from live_gradcam.live_loop.summary import LiveMetrics, LiveSummary, stages_ms
from live_gradcam.live_loop.teaching import Teaching
from live_gradcam.live_loop.teaching_commands import ALL_COMMANDS
from live_gradcam.live_loop.teaching_thread import Message
from live_gradcam.live_loop.texts import Texts
from live_gradcam.live_loop.variants import Variants
from live_gradcam.surfaces.commands import Command
from live_gradcam.surfaces.scene import Scene
from live_gradcam.surfaces.script import Script
from live_gradcam.surfaces.surface import Surface

_log = logging.getLogger(__name__)

_WAIT_SECONDS = 0.01
#: How often the same frame is shown again while no new one comes: banners count seconds, notices go.
_REDRAW_SECONDS = 0.2


class Outputs(NamedTuple):
    """What a run writes."""

    recorder: Recorder
    snapshots: Snapshots
    teaching: Teaching


class LiveRun:
    """A live run: takes frames, has them shown and recorded, and does commands. All of it in one thread.

    Args:
        surface: where it is shown; it is open.
        frames: the frames and their explanations.
        status: how far the explaining is.
        state: what a person has chosen; commands change it.
        outputs: what is written.
        options: how it goes.

    Attributes:
        state: the same.
        teaching: what the network is taught.
    """

    def __init__(
        self,
        surface: Surface,
        frames: LiveFrames,
        status: ExplainingStatus,
        state: LiveState,
        outputs: Outputs,
        options: LiveOptions,
    ) -> None:
        self.state = state
        self._surface, self._wants = surface, surface.wants
        self._frames = frames
        self._status = status
        self._recorder, self._snapshots, self.teaching = outputs
        self._options = options
        self._metrics = LiveMetrics()
        self._texts = Texts(state, frames, status, self._metrics, self._recorder, self.teaching)
        self._script = Script(options.script)
        self._began_at: Fraction | None = None
        self._was_told = False
        boxes = SteadyBoxes(threshold=options.boxes.threshold, seconds=state.smooth)
        self._presenter = Presenter(state, self._texts, boxes)
        self._is_seen = self._wants.pictures != "none"
        self._is_playing = False
        self._is_over = False
        self._gone_since: float | None = None
        self._shown: Scene | None = None
        self._shown_at = 0.0
        self._seconds, self._captured, self._dropped = 0.0, 0, 0

    def run(self, stop: StopRequest) -> None:
        """Run until the source ends, a person quits, or a stop is requested."""
        if self._options.record is not None:
            self._recorder.start(self._options.record)
        while not (stop.requested or self._is_over or self._frames.results.ended):
            self._let_play_when_ready()
            if not self._is_seen:
                self._log_outage()
            if self.state.paused:
                time.sleep(_WAIT_SECONDS)
                self._show_again()
            elif self._frames.take():
                self._show_and_record()
            else:
                self._show_again()
        if self._script.left and not stop.requested:
            _log.warning("the source ended before %d of the script's commands", self._script.left)
        self._seconds = self._status.seconds
        self._captured = self._frames.capture.captured - self._status.dropped_before
        self._dropped = self._status.dropped(self._frames.to_explain.replaced)

    def summary(self, *, stopped: bool) -> LiveSummary:
        """What was done until the run ended; `stopped`: by Ctrl-C or SIGTERM."""
        return LiveSummary(
            frames=self._status.count,
            captured=self._captured,
            displayed=self._metrics.displayed if self._is_seen else 0,
            dropped=self._dropped,
            reconnects=self._frames.capture.reconnects,
            seconds=self._seconds,
            latency_ms=self._metrics.latency_percentiles_ms(),
            stages_ms=stages_ms(self._status, self._metrics, self._recorder),
            recordings=tuple(self._recorder.files),
            left_out=self._recorder.left_out,
            stopped=stopped,
            taught=self.teaching.taught(),
        )

    def _log_outage(self) -> None:
        """Log that the source is gone, and that it is back, where no banner is seen that says so."""
        outage = self._frames.capture.outage
        if outage is not None and self._gone_since is None:
            self._gone_since = time.monotonic()
            _log.warning("%s; trying to open it again", outage.reason)
        elif outage is None and self._gone_since is not None:
            _log.warning("the source is back after %.0f s", time.monotonic() - self._gone_since)
            self._gone_since = None

    # --- frames ---------------------------------------------------------------------------------------------------

    def _let_play_when_ready(self) -> None:
        if not self._is_playing and self.variants is not None:
            self._is_playing = True
            self._frames.capture.let_play(not self.state.paused)

    def _show_and_record(self) -> None:
        """Show what was taken, record it, and do what is asked for meanwhile."""
        frame, is_explained = self._frames.frame, self._frames.explained is not None
        assert frame is not None  # something new was taken
        records_picture = self._recorder.is_on and not self._options.record_clean
        is_drawn = self._wants.pictures == "drawn" or records_picture
        start = time.monotonic()
        scene = self._scene(drawn=is_drawn) if self._is_seen or records_picture else None
        if is_drawn:
            self._metrics.drawing.add(time.monotonic() - start)
        if is_explained:
            self._recorder.write(scene.picture if scene and records_picture else frame.image, frame.pts)
        start = time.monotonic()
        if scene and self._is_seen:
            self._show(scene)
        self._do_commands()  # which lets a window paint
        self._frames.shown.set()
        if self._is_seen:
            self._metrics.showing.add(time.monotonic() - start)
        if is_explained:
            self._metrics.count(frame, self._status.ready_at)

    def _show_again(self) -> None:
        """Show the same frame where something else has changed, and do what is asked for."""
        is_due = time.monotonic() - self._shown_at > _REDRAW_SECONDS
        if self._is_seen and self._frames.frame is not None and is_due:
            self._show(self._scene(drawn=self._wants.pictures == "drawn"))
        self._do_commands()

    def _scene(self, *, drawn: bool) -> Scene:
        assert self._frames.frame is not None  # nothing is shown before the first frame
        is_gone = self._frames.capture.outage is not None
        return self._presenter.scene(self._frames.frame, self._frames.explained, drawn=drawn, dimmed=is_gone)

    def _show(self, scene: Scene) -> None:
        if self._wants.pictures == "clean":
            scene = replace(scene, picture=scene.frame.image, areas=(), redraw=None)
        self._shown, self._shown_at = scene, time.monotonic()
        self._surface.show(scene)

    # --- commands -------------------------------------------------------------------------------------------------

    def _do_commands(self) -> None:
        for command in (*self._commands_of_script(), *self._surface.commands()):
            self.handle(command)
        self._tell_of_teaching()
        message = self._snapshots.message()
        if message:
            self.notify(message)

    def _tell_of_teaching(self) -> None:
        self.teaching.tick()
        message = self.teaching.message()
        if message is not None:
            self._tell(message)
        if self.state.teaching and self.variants is not None and self.teaching.has_failed:
            self.state.teaching = False

    def _tell(self, message: Message) -> None:
        self.notify(message.text)
        if not self._is_seen:
            message.log()

    def _commands_of_script(self) -> list[Command]:
        if not self._script.left or self._frames.explained is None:
            return []
        now = self._frames.explained.frame.pts
        self._began_at = now if self._began_at is None else self._began_at
        return self._script.due(float(now - self._began_at))

    def handle(self, command: Command) -> None:
        """Do what a command asks for. What is wrong with it is shown, and nothing else happens."""
        try:
            ALL_COMMANDS.do(command, self)
        except UsageError as error:
            self._tell(Message(str(error), is_error=True))
        self._shown_at = 0.0  # what it changed is seen at once, even where no new frame comes

    def notify(self, notice: str) -> None:
        """Show a line for a few seconds."""
        self._texts.notify(notice)

    @property
    def variants(self) -> Variants | None:
        """The session's methods, layers and fits; None while the first session starts."""
        return self._status.variants

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The classes that can be asked for; None while the first session starts."""
        return None if self._status.explainer is None else self._status.explainer.vocabulary

    @property
    def maps(self) -> int:
        """How many classes can be explained at a time."""
        return 1 if self.variants is None else self.variants.current.maps

    @property
    def explanation(self) -> Explanation | None:
        """The newest explanation; None before the first, of a black frame, and where nothing is taught yet."""
        return self._frames.explained.explanation if self._frames.explained else None

    @property
    def is_recording(self) -> bool:
        """Whether what is seen is being recorded."""
        return self._recorder.is_on

    def quit(self) -> None:
        """End the run. Where what was taught would be lost, the first time only says so."""
        if self.state.teaching and self.teaching.is_unsaved and not self._was_told:
            self._was_told = True
            self.notify("what you taught is not written: w writes it, q again quits")
            return
        self._is_over = True

    def teach(self, wanted: bool) -> None:
        """Teach the network, or go back to the one that the run was started with.

        Raises:
            UsageError: the network is not there yet.
        """
        if wanted and self.teaching.session is None:
            if self.variants is None:
                raise UsageError("the network is still starting: wait until a map is shown, and then teach it")
            self._begin_teaching(self.variants.current)
        if not wanted:
            self.teaching.release()
        self.state.teaching, self.state.naming = wanted, None

    def _begin_teaching(self, session: Session) -> None:
        from live_gradcam.fitting.taught_session import teachable

        self.teaching.begin(lambda: teachable(session))

    def pause(self, paused: bool) -> None:
        """Hold the picture, and the file that plays, or go on."""
        self.state.paused = paused
        if self._is_playing:
            self._frames.capture.let_play(not paused)

    def record(self, wanted: bool) -> None:
        """Start to record into a new file, or stop.

        Raises:
            OutputError: the recording cannot be written.
        """
        if wanted and not self.is_recording:
            self._recorder.start()
        elif not wanted and self.is_recording:
            path = self._recorder.stop()
            self.notify(f"recording saved as {path}" if path else "nothing was recorded")

    def take_snapshot(self) -> None:
        """Write what is seen, the frame, and its numbers.

        Raises:
            UsageError: no frame is explained yet.
        """
        if self._frames.frame is None or self._frames.explained is None:
            raise UsageError("there is nothing to take a snapshot of yet: wait until a map is shown")
        seen = self._shown if self._wants.pictures == "drawn" else None
        seen = seen or self._scene(drawn=True)
        self._snapshots.take(seen.picture, self._presenter.boxed(self._frames.explained))
