"""The text over a live picture: rates and names, banners for what is wrong, and notices of what was done."""

from __future__ import annotations

import time

from live_gradcam.attribution.fit_choice import describe_fit
from live_gradcam.compiling.compilation import describe_way
from live_gradcam.drawing.hud import UNTAUGHT, Hud
from live_gradcam.drawing.names import named_legibly
from live_gradcam.live_loop.explaining import ExplainingStatus
from live_gradcam.live_loop.frames import LiveFrames
from live_gradcam.live_loop.recording import Recorder
from live_gradcam.live_loop.state import LiveState
from live_gradcam.live_loop.summary import LiveMetrics, stages_ms
from live_gradcam.live_loop.teaching import Teaching
from live_gradcam.live_loop.teaching_commands import Keys
from live_gradcam.surfaces.scene import LiveExplanation

_NOTICE_SECONDS = 3.0


class Texts:
    """Says what there is to say of a run at a moment.

    Args:
        state: what is to be said.
        frames: where they come from.
        status: of the explaining.
        metrics: of the showing.
        recorder: of the recording.
        teaching: of the network.
    """

    def __init__(
        self,
        state: LiveState,
        frames: LiveFrames,
        status: ExplainingStatus,
        metrics: LiveMetrics,
        recorder: Recorder,
        teaching: Teaching,
    ) -> None:
        self._state = state
        self._frames = frames
        self._status = status
        self._metrics = metrics
        self._recorder = recorder
        self._teaching = teaching
        self._keys = Keys(state)
        self._notice, self._notice_until = "", 0.0

    def notify(self, notice: str) -> None:
        """Show a line for a few seconds."""
        self._notice, self._notice_until = notice, time.monotonic() + _NOTICE_SECONDS

    def hud(self, explained: LiveExplanation | None) -> Hud:
        """The text over a picture.

        Args:
            explained: what is known of the picture; None for nothing.
        """
        now = time.monotonic()
        explanation = explained.explanation if explained else None
        return Hud(
            notes=self._notes(explained) if explained else (),
            minimal_note=self._minimal_note(explained),
            banner=self._banner(now),
            notice=self._compiling() or (self._notice if now < self._notice_until else None),
            recording=self._recording(waits=explained is None) if self._recorder.is_on else None,
            full_scale=explained.full_scale if explained and explanation else None,
            help=self._keys.help if self._state.help else (),
            names_classes=self._state.view != "grid",
            notes_in_a_line=self._state.view in ("grid", "side-by-side"),
            level=self._state.hud,
            teaching=self._teaching.panel(self._state.naming) if self._state.teaching else None,
        )

    def _recording(self, *, waits: bool) -> str:
        """How long the recording is. Before there is something to record, it waits."""
        seconds = self._recorder.seconds
        if seconds is None and waits:
            return "REC waits"
        minutes, rest = divmod(int(seconds or 0), 60)
        return f"REC {minutes:02d}:{rest:02d}"

    def _minimal_note(self, explained: LiveExplanation | None) -> str:
        if explained is None or not (explained.explanation or explained.is_untaught):
            return ""
        return UNTAUGHT if explained.is_untaught else f"{self._status.rate.fps:.1f} FPS"

    def _notes(self, explained: LiveExplanation) -> list[str]:
        status, explanation = self._status, explained.explanation
        if explanation is None and not explained.is_untaught:
            return []
        dropped = status.dropped(self._frames.to_explain.replaced)
        notes = [
            *([UNTAUGHT] if explained.is_untaught else []),
            f"{status.rate.fps:.1f} FPS · camera {self._frames.rate.fps:.1f}",
            f"latency {self._metrics.latency_ms:.0f} ms · {dropped} dropped",
            explained.model,
            f"{explained.method} · {explained.layer}",
            *([f"fit: {describe_fit(explanation.fit, explanation.tiles)}"] if explanation else []),
            *self._engine(),
        ]
        if explanation is not None:
            notes.append(
                f"pinned: {named_legibly(explanation.targets[0]).label}" if self._state.pinned else "top class"
            )
        age = self._frames.map_age
        if age is not None:
            notes.append(f"map {1e3 * age:.0f} ms old")
        if self._state.timings:
            stages = stages_ms(status, self._metrics, self._recorder)
            notes += [f"{name} {median:.1f} ms" for name, median in stages.items() if median is not None]
        return notes

    def _engine(self) -> list[str]:
        """What runs the network, and why where that was chosen."""
        variants = self._status.variants
        if variants is None:
            return []
        session = variants.current
        why = ", the fastest here" if session.chosen and session.chosen.milliseconds else ""
        return [f"engine: {describe_way(session.engine, session.precision)}{why}"]

    def _banner(self, now: float) -> str | None:
        outage = self._frames.capture.outage
        if outage is not None:
            wait = max(0.0, outage.retry_at - now)
            return f"RECONNECTING, try {outage.attempt}" + (f" in {wait:.0f} s" if wait >= 1 else "")
        if self._status.variants is None:
            return "starting the network"
        if self._state.paused:
            return "PAUSED"
        explained = self._frames.explained
        if explained is not None and explained.explanation is None and not explained.is_untaught:
            return "BLACK PICTURE"
        return None

    def _compiling(self) -> str | None:
        variants = self._status.variants
        if variants is None:
            return None
        if variants.failure:
            self.notify(variants.failure)
            variants.failure = None
        return f"compiling {variants.compiling} …" if variants.compiling else None
