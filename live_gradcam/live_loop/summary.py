"""What a live run did, and how long that took."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from live_gradcam.flow.metrics import Durations
from live_gradcam.live_loop.explaining import ExplainingStatus
from live_gradcam.live_loop.recording import Recorder
from live_gradcam.live_loop.teaching import Taught
from live_gradcam.sources.frame import Frame

#: Of the summary's JSON. New fields may come under the same number.
SCHEMA = 1
_PERCENTILES = {"p50": 50, "p95": 95, "p99": 99, "max": 100}
#: The weight of a new frame in the latency that is shown.
_NEW_WEIGHT = 0.1


class LiveMetrics:
    """Counts the frames that are shown.

    Attributes:
        displayed: how many explained frames were shown.
        latency_ms: the latency of late, in milliseconds.
        drawing: how long it takes to draw a frame.
        showing: how long it takes to show one.
    """

    def __init__(self) -> None:
        self.displayed = 0
        self.latency_ms = 0.0
        self.drawing, self.showing = Durations(), Durations()
        self._latency = Durations()

    def count(self, frame: Frame, ready_at: float) -> None:
        """Count an explained frame that is on the screen now; `ready_at` is when the session was ready."""
        self.displayed += 1
        if frame.captured_at < ready_at:
            return  # it waited for the session
        latency = time.monotonic() - frame.captured_at
        self._latency.add(latency)
        before = self.latency_ms or 1e3 * latency
        self.latency_ms = before + _NEW_WEIGHT * (1e3 * latency - before)

    def latency_percentiles_ms(self) -> dict[str, float | None]:
        """The latency's percentiles by name, in milliseconds; None for each if there was no frame."""
        return {name: self._latency.percentile_ms(percent) for name, percent in _PERCENTILES.items()}


def stages_ms(status: ExplainingStatus, metrics: LiveMetrics, recorder: Recorder) -> dict[str, float | None]:
    """The medians of the stages by name, in milliseconds; None for one that nothing went through."""
    stages = {
        "wait": status.waiting,
        "explain": status.explaining,
        "draw": metrics.drawing,
        "show": metrics.showing,
        "encode": recorder.encoding,
    }
    return {name: durations.percentile_ms(50) for name, durations in stages.items()}


@dataclass(frozen=True)
class LiveSummary:
    """What a live run did.

    Attributes:
        frames: how many were explained.
        captured: how many the source gave from when the session was ready.
        displayed: how many explained frames were shown.
        dropped: how many were replaced by newer ones before they could be explained.
        reconnects: how often the source came back.
        seconds: from the first explained frame to the end, with pauses and while the source was gone.
        latency_ms: of shown frames, from when they came to when they were on the screen: p50, p95, p99 and max; without
            a surface, to when they were drawn. None for each if there were none.
        stages_ms: the medians of the stages: wait (for the explaining thread), explain, draw, show, encode.
        recordings: the files.
        left_out: how many frames are not in the recording because the encoder had no time.
        stopped: whether Ctrl-C or SIGTERM ended it.
        taught: what the network was taught; None where it was not.
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
    taught: Taught | None = None

    @property
    def fps(self) -> float:
        """Explained frames per second."""
        return self._per_second(self.frames)

    def to_json(self) -> dict[str, Any]:
        """The same for JSON, with the frames per second of the explaining, the source and the screen."""
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
            **({} if self.taught is None else {"taught": self.taught.to_json()}),
        }

    def _per_second(self, count: int) -> float:
        return count / self.seconds if self.seconds else 0.0
