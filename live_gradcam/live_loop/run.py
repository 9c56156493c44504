"""The live loop: the newest frame in, explained, drawn, shown and recorded, and nobody waits for anybody.

capture thread → slot → explaining thread → slot → main thread (draws, shows, obeys keys) → recording thread. A slot
holds one item and the newest wins, which is what bounds the latency.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from live_gradcam.attribution.fit_choice import Look, Stream, describe_fit
from live_gradcam.attribution.session import Session
from live_gradcam.choices import VIEWS, HudLevel, View
from live_gradcam.drawing.hud import BarArea, Hud, draw_hud
from live_gradcam.drawing.overlay import Overlay
from live_gradcam.drawing.views import compose, mirrored
from live_gradcam.explanations.boxes import DEFAULT_BOXES, BoxOptions, SteadyBoxes
from live_gradcam.explanations.explanation import Explanation, Target
from live_gradcam.files import timestamped_name, writing
from live_gradcam.flow.metrics import Durations, FrameRate
from live_gradcam.flow.slot import Slot
from live_gradcam.flow.stopping import StopRequest
from live_gradcam.live_loop.explaining import ExplainedFrame, ExplainingThread
from live_gradcam.live_loop.recording import Recorder
from live_gradcam.live_loop.snapshots import Snapshots
from live_gradcam.sources.capture import Capture
from live_gradcam.sources.frame import Frame
from live_gradcam.sources.opening import open_source
from live_gradcam.sources.source import FrameSource
from live_gradcam.surfaces.commands import HELP, Action, Wish
from live_gradcam.surfaces.window import Window

_WAIT_SECONDS = 0.01
#: How often the picture is drawn again while no new frame comes: banners count seconds, notices go.
_REDRAW_SECONDS = 0.2
_NOTICE_SECONDS = 3.0
_ALPHA_STEP = 0.1
_DIMMED = 0.4
#: Of the summary's JSON. New fields may come under the same number.
SCHEMA = 1
_PERCENTILES = {"p50": 50, "p95": 95, "p99": 99, "max": 100}


@dataclass(frozen=True)
class LiveOptions:
    """How a live run goes.

    Attributes:
        headless: no window.
        every_frame: nothing is dropped: who is quicker waits. Otherwise the newest frame wins.
        max_frames: after how many explained frames to end; None for never.
        record: MP4 file for what is seen, with the frames' own times; None for none until it is asked for.
        record_clean: record the frames without anything drawn.
        snapshots: the folder for snapshots, and for recordings that a key begins.
        smooth: time constant of predictions, maps and boxes, in seconds; 0 for none.
        smooth_display: show every frame at once, under the newest map there is, whose age is told.
        reconnect: how many times in a row to try to open a live source again; None for ever.
        mirror: show the picture as in a mirror.
        view: what is shown at the beginning.
        hud: how much is said over the picture.
        boxes: which there are, and whether they are drawn at the beginning.
    """

    headless: bool = False
    every_frame: bool = False
    max_frames: int | None = None
    record: Path | None = None
    record_clean: bool = False
    snapshots: Path = Path()
    smooth: float = 0.0
    smooth_display: bool = False
    reconnect: int | None = None
    mirror: bool = False
    view: View = "overlay"
    hud: HudLevel = "full"
    boxes: BoxOptions = DEFAULT_BOXES


@dataclass(frozen=True)
class LiveSummary:
    """What a live run did.

    Attributes:
        frames: how many were explained.
        captured: how many the source gave from when the session was ready.
        displayed: how many explained frames were shown.
        dropped: how many were replaced by newer ones before their turn to be explained came.
        reconnects: how often the source came back.
        seconds: from the first explained frame to the end.
        latency_ms: of shown frames, from when they came to when they were on the screen: p50, p95, p99 and max; without
            a window, to when they were drawn. None for each if there were none.
        stages_ms: the medians of the stages: wait (for the explaining thread), explain, draw, show, encode.
        recordings: the files.
        left_out: how many frames are not in the recording because the encoder had no time.
        stopped: whether Ctrl-C or SIGTERM ended it.
    """

    frames: int
    captured: int
    displayed: int
    dropped: int
    reconnects: int
    seconds: float
    latency_ms: dict[str, float | None]
    stages_ms: dict[str, float | None]
    recordings: tuple[Path, ...]
    left_out: int
    stopped: bool

    @property
    def fps(self) -> float:
        """Explained frames per second."""
        return self._per_second(self.frames)

    def record(self) -> dict[str, Any]:
        """The same for JSON, with frames a second of the explaining, the source and the screen."""
        return {
            "schema": SCHEMA,
            "explained_fps": round(self.fps, 3),
            "camera_fps": round(self._per_second(self.captured), 3),
            "displayed_fps": round(self._per_second(self.displayed), 3),
            "dropped": self.dropped,
            "reconnects": self.reconnects,
            "latency_ms": self.latency_ms,
            "stages_ms": self.stages_ms,
            "frames": self.frames,
            "captured": self.captured,
            "displayed": self.displayed,
            "seconds": round(self.seconds, 3),
            "recordings": [str(path) for path in self.recordings],
            "left_out_of_recording": self.left_out,
        }

    def _per_second(self, count: int) -> float:
        return count / self.seconds if self.seconds else 0.0


def run_live(
    source: str,
    start_session: Callable[[Look], Session],
    overlay: Overlay,
    options: LiveOptions = LiveOptions(),
    *,
    opener: Callable[[str], FrameSource] = open_source,
) -> LiveSummary:
    """Explain a source as it comes, until it ends, the user stops it or `max_frames` are explained.

    Args:
        source: see `sources.opening.open_source`. It is opened before anything slow is done, and shown while the
            session starts; a file begins to play when the session is ready.
        start_session: makes the session, in a thread of its own. It is given a function that says what is known of the
            source.
        overlay: draws the maps.
        options: how it goes.
        opener: what opens the source.

    Raises:
        SourceError: the source does not open, or stops and does not come back. What was recorded is kept.
        OutputError: the recording cannot be written.
        LiveGradcamError: as the session does.
    """
    lossless = options.every_frame
    frames: Slot[Frame] = Slot(keep_all=lossless)
    previews: Slot[Frame] = Slot()
    results: Slot[ExplainedFrame] = Slot(keep_all=lossless or options.headless)
    camera_rate = FrameRate()

    first_sizes: list[tuple[int, int]] = []

    def deliver(frame: Frame) -> None:
        camera_rate.tick(frame.captured_at)
        if not first_sizes:
            first_sizes.append((frame.image.shape[0], frame.image.shape[1]))
        if not options.headless:
            previews.put(frame)
        frames.put(frame)

    def end(error: Exception | None) -> None:
        frames.close(error)
        previews.close(error)

    def close_slots() -> None:
        for slot in (frames, previews, results):
            slot.close()

    paced = not (lossless and options.headless)
    capture = Capture(source, deliver, end, reconnect=options.reconnect, paced=paced, opener=opener)

    def look() -> Stream | None:
        if not first_sizes:
            return None
        rate = None if lossless else capture.frame_rate or camera_rate.fps or Stream().frame_rate
        return Stream(first_sizes[0], rate)

    explaining = ExplainingThread(
        start_session, look, frames, results, smooth=options.smooth, max_frames=options.max_frames
    )
    with ExitStack() as stack:
        stop = stack.enter_context(StopRequest())
        stack.enter_context(capture)
        stack.enter_context(explaining)
        stack.callback(close_slots)  # so that no thread waits any more when it is to end
        recorder = stack.enter_context(Recorder(wait=lossless or options.headless))
        snapshots = stack.enter_context(Snapshots(options.snapshots))
        window = None if options.headless else stack.enter_context(Window("live-gradcam"))
        loop = _Loop(
            capture, camera_rate, explaining, frames, previews, results, overlay, recorder, snapshots, window, options
        )
        loop.run(stop)
        seconds = loop.seconds()
        captured = capture.captured - explaining.dropped_before
    return LiveSummary(
        frames=explaining.count,
        captured=captured,
        displayed=loop.displayed if window else 0,
        dropped=loop.dropped(),
        reconnects=capture.reconnects,
        seconds=seconds,
        latency_ms={name: loop.latency.percentile_ms(percent) for name, percent in _PERCENTILES.items()},
        stages_ms={
            "wait": explaining.waiting.percentile_ms(50),
            "explain": explaining.explaining.percentile_ms(50),
            "draw": loop.drawing.percentile_ms(50),
            "show": loop.showing.percentile_ms(50),
            "encode": recorder.encoding.percentile_ms(50),
        },
        recordings=tuple(recorder.files),
        left_out=recorder.left_out,
        stopped=stop.requested,
    )


@dataclass
class _Controls:
    """What the keys change."""

    view: str
    mirror: bool
    boxes: bool
    help: bool = False
    timings: bool = False
    paused: bool = False


class _Loop:
    """The main thread's part: takes explained frames, draws, shows and records them, and obeys."""

    def __init__(
        self,
        capture: Capture,
        camera_rate: FrameRate,
        explaining: ExplainingThread,
        frames: Slot[Frame],
        previews: Slot[Frame],
        results: Slot[ExplainedFrame],
        overlay: Overlay,
        recorder: Recorder,
        snapshots: Snapshots,
        window: Window | None,
        options: LiveOptions,
    ) -> None:
        self.displayed = 0
        self.latency, self.drawing, self.showing = Durations(), Durations(), Durations()
        self._capture = capture
        self._camera_rate = camera_rate
        self._explaining = explaining
        self._frames = frames
        self._previews = previews
        self._results = results
        self._overlay = overlay
        self._recorder = recorder
        self._snapshots = snapshots
        self._window = window
        self._options = options
        self._smooth_display = options.smooth_display and window is not None
        self._controls = _Controls(options.view, options.mirror, options.boxes.drawn)
        self._boxes = SteadyBoxes(threshold=options.boxes.threshold, seconds=options.smooth)
        self._record_next = options.record
        self._frame: Frame | None = None  # the one that is shown
        self._explained: ExplainedFrame | None = None  # the one whose map is shown
        self._picture: np.ndarray | None = None
        self._drawn_at = 0.0
        self._notice, self._notice_until = "", 0.0
        self._latency_ms = 0.0
        self._is_playing = False
        self._quit = False

    def run(self, stop: StopRequest) -> None:
        """Until the end of the source, the user's wish, or a stop."""
        if self._record_next is not None:
            self._start_recording()
        while not (stop.requested or self._quit or self._results.ended):
            self._let_play_when_ready()
            if self._take():
                self._show_and_record()
            elif self._window:
                if self._frame and time.monotonic() - self._drawn_at > _REDRAW_SECONDS:
                    self._window.show(*self._draw())
                self._obey_all(self._window)

    def seconds(self) -> float:
        """Since the first frame was taken to be explained."""
        return time.monotonic() - self._explaining.begun_at if self._explaining.begun_at is not None else 0.0

    def dropped(self) -> int:
        """How many frames were never explained, from when the session was ready."""
        return self._frames.replaced - self._explaining.dropped_before if self._is_playing else 0

    # --- frames ---------------------------------------------------------------------------------------------------

    def _let_play_when_ready(self) -> None:
        if not self._is_playing and self._explaining.variants is not None:
            self._is_playing = True
            self._capture.let_play(not self._controls.paused)

    def _take(self) -> bool:
        """Take what is to be shown next. Returns whether there is something new."""
        if self._controls.paused:
            time.sleep(_WAIT_SECONDS)
            return False
        wants_every_frame = self._window is not None and (self._explained is None or self._smooth_display)
        explained = self._results.take(0 if wants_every_frame else _WAIT_SECONDS)
        if explained is not None:
            self._explained = explained
            if not self._smooth_display:
                self._frame = explained.frame
                return True
        frame = self._previews.take(_WAIT_SECONDS) if wants_every_frame else None
        if frame is not None:
            self._frame = frame
        return frame is not None

    def _show_and_record(self) -> None:
        frame, explained = self._frame, self._explained
        assert frame is not None  # something new was taken
        start = time.monotonic()
        areas: list[BarArea] = []
        picture = frame.image
        if self._window or (self._recorder.is_on and not self._options.record_clean):
            picture, areas = self._draw()
            self.drawing.add(time.monotonic() - start)
        if explained is not None:
            self._recorder.write(frame.image if self._options.record_clean else picture, frame.pts)
        if self._window:
            start = time.monotonic()
            self._window.show(picture, areas)
            self._obey_all(self._window)  # which lets the window paint
            self.showing.add(time.monotonic() - start)
        if explained is not None:
            self._count_displayed(frame)

    def _count_displayed(self, frame: Frame) -> None:
        self.displayed += 1
        if frame.captured_at < self._explaining.ready_at:
            return  # it waited for the session
        latency = time.monotonic() - frame.captured_at
        self.latency.add(latency)
        self._latency_ms += 0.1 * (1e3 * latency - self._latency_ms) if self._latency_ms else 1e3 * latency

    # --- drawing --------------------------------------------------------------------------------------------------

    def _draw(self) -> tuple[np.ndarray, list[BarArea]]:
        """The picture of the current frame as the controls want it, and where a click pins a class."""
        frame, explained = self._frame, self._explained
        assert frame is not None  # nothing is drawn before the first frame
        self._drawn_at = time.monotonic()
        explanation = explained.explanation if explained else None
        if self._explained_size_differs():
            explanation = None
        elif explained and self._controls.boxes:
            explanation = self._boxed(explained, maps=None if self._controls.view == "grid" else 1)
        image = frame.image
        if self._controls.mirror:
            image, explanation = _as_in_a_mirror(image, explanation)
        areas: list[BarArea] = []
        if explanation is None:
            picture = image.copy()
        else:
            picture, areas = compose(self._controls.view, image, explanation, self._overlay, boxes=self._controls.boxes)
        if self._capture.outage is not None:
            picture = np.asarray(cv2.convertScaleAbs(picture, alpha=_DIMMED))
        areas += draw_hud(picture, self._hud(explanation), explanation, self._overlay)
        self._picture = picture
        return picture, areas

    def _boxed(self, explained: ExplainedFrame, *, maps: int | None) -> Explanation | None:
        """The explanation of a frame with steady boxes, of all its maps or of the first ones."""
        frame, explanation = explained.frame, explained.explanation
        if explanation is None:
            return None
        return self._boxes.steady(explanation, frame.image.shape[:2], frame.captured_at, maps=maps)

    def _explained_size_differs(self) -> bool:
        """Whether the newest map is of a frame of another size than the one to show: the source has changed."""
        frame, explained = self._frame, self._explained
        return bool(frame and explained and explained.frame.image.shape != frame.image.shape)

    def _hud(self, explanation: Explanation | None) -> Hud:
        now = time.monotonic()
        rate = f"{self._explaining.rate.fps:.1f} FPS"
        return Hud(
            notes=self._notes() if explanation is not None else (),
            minimal_note=rate if explanation is not None else "",
            banner=self._banner(now),
            notice=self._compiling() or (self._notice if now < self._notice_until else None),
            recording=_recording_time(self._recorder.seconds) if self._recorder.is_on else None,
            full_scale=self._explained.full_scale if self._explained and explanation is not None else None,
            help=HELP if self._controls.help else (),
            names_classes=self._controls.view != "grid",
            notes_in_a_line=self._controls.view in ("grid", "side-by-side"),
            level=self._options.hud,
        )

    def _notes(self) -> list[str]:
        explained = self._explained
        if explained is None or explained.explanation is None:
            return []
        target = explained.explanation.targets[0].label
        notes = [
            f"{self._explaining.rate.fps:.1f} FPS · camera {self._camera_rate.fps:.1f}",
            f"{self._latency_ms:.0f} ms · {self.dropped()} dropped",
            explained.model,
            f"{explained.method} · {explained.layer}",
            f"fit: {describe_fit(explained.explanation.fit, explained.explanation.tiles)}",
            f"pinned: {target}" if self._explaining.pinned else "top class",
        ]
        if self._smooth_display and self._frame is not None:
            age = self._frame.captured_at - explained.frame.captured_at
            notes.append(f"map {1e3 * max(0.0, age):.0f} ms old")
        if self._controls.timings:
            notes += [
                f"{name} {duration.percentile_ms(50):.1f} ms"
                for name, duration in {
                    "wait": self._explaining.waiting,
                    "explain": self._explaining.explaining,
                    "draw": self.drawing,
                    "show": self.showing,
                    "encode": self._recorder.encoding,
                }.items()
                if duration.percentile_ms(50) is not None
            ]
        return notes

    def _banner(self, now: float) -> str | None:
        outage = self._capture.outage
        if outage is not None:
            wait = max(0.0, outage.retry_at - now)
            return f"RECONNECTING ({outage.attempt})" + (f" in {wait:.0f} s" if wait >= 1 else "")
        if self._explaining.variants is None:
            return "warming up"
        if self._controls.paused:
            return "PAUSED"
        if self._explained is not None and self._explained.explanation is None:
            return "BLACK PICTURE"
        return None

    def _compiling(self) -> str | None:
        variants = self._explaining.variants
        if variants is None:
            return None
        if variants.failure:
            self._tell(variants.failure)
            variants.failure = None
        return f"compiling {variants.compiling}…" if variants.compiling else None

    def _tell(self, notice: str) -> None:
        self._notice, self._notice_until = notice, time.monotonic() + _NOTICE_SECONDS

    # --- obeying --------------------------------------------------------------------------------------------------

    def _obey_all(self, window: Window) -> None:
        wish = window.poll()
        if wish is not None:
            self._obey(wish)
            self._drawn_at = 0.0  # what it changed is seen at once, even where no new frame comes
        clicked = window.clicked_class()
        if clicked is not None:
            self._pin(clicked)
        message = self._snapshots.message()
        if message:
            self._tell(message)

    def _obey(self, wish: Wish) -> None:
        controls, variants = self._controls, self._explaining.variants
        if wish.action is Action.QUIT:
            self._quit = True
        elif wish.action is Action.PAUSE:
            controls.paused = not controls.paused
            if self._is_playing:
                self._capture.let_play(not controls.paused)
        elif wish.action is Action.NEXT_VIEW:
            views = list(VIEWS)
            controls.view = views[(views.index(controls.view) + 1) % len(views)]
            self._tell(controls.view.replace("-", " "))
        elif wish.action is Action.HELP:
            controls.help = not controls.help
        elif wish.action is Action.SNAPSHOT:
            if self._picture is not None and self._explained is not None:
                boxed = replace(self._explained, explanation=self._boxed(self._explained, maps=None))
                self._snapshots.take(self._picture, boxed)
        elif wish.action is Action.RECORD:
            self._toggle_recording()
        elif wish.action is Action.MIRROR:
            controls.mirror = not controls.mirror
        elif wish.action is Action.COLORMAP:
            self._overlay.next_colormap()
            self._tell(f"colour map {self._overlay.colormap}")
        elif wish.action in (Action.MORE_OPAQUE, Action.LESS_OPAQUE):
            self._overlay.change_alpha(_ALPHA_STEP if wish.action is Action.MORE_OPAQUE else -_ALPHA_STEP)
            self._tell(f"heatmap {100 * self._overlay.alpha:.0f} %")
        elif wish.action is Action.BOXES:
            controls.boxes = not controls.boxes
        elif wish.action is Action.TIMINGS:
            controls.timings = not controls.timings
        elif wish.action is Action.PIN:
            self._pin_place(wish.place)
        elif wish.action is Action.TRACK:
            self._explaining.pinned = ()
        elif wish.action is Action.FREEZE:
            explanation = self._explained.explanation if self._explained else None
            if explanation is not None and not self._explaining.pinned:
                self._pin(explanation.target)
        elif variants is not None:
            if wish.action is Action.METHOD:
                variants.step_method()
            elif wish.action is Action.FIT:
                variants.step_fit()
            else:
                variants.step_layer(1 if wish.action is Action.LAYER_FORTH else -1)

    def _pin_place(self, place: int) -> None:
        explanation = self._explained.explanation if self._explained else None
        if explanation is not None and place < len(explanation.predictions):
            self._pin(explanation.predictions[place].index)

    def _pin(self, class_index: int) -> None:
        self._explaining.pinned = (Target(class_index),)

    def _toggle_recording(self) -> None:
        if self._recorder.is_on:
            path = self._recorder.stop()
            self._tell(f"recorded {path}" if path else "nothing was recorded")
        else:
            self._record_next = self._options.snapshots / timestamped_name(".mp4")
            self._start_recording()

    def _start_recording(self) -> None:
        path, self._record_next = self._record_next, None
        assert path is not None  # the callers have set it
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        self._recorder.start(path)


def _as_in_a_mirror(image: np.ndarray, explanation: Explanation | None) -> tuple[np.ndarray, Explanation | None]:
    if explanation is None:
        return np.asarray(cv2.flip(image, 1)), None
    return mirrored(image, explanation)


def _recording_time(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    return f"REC {minutes:02d}:{seconds:02d}"
