"""How long the stages take, and how many frames come out per second."""

from __future__ import annotations

import math
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


class StageTimings:
    """The time of each stage of each frame, in seconds."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Time what is done inside, as one more run of the stage."""
        start = time.perf_counter()
        yield
        self._seconds[stage].append(time.perf_counter() - start)

    def medians_ms(self) -> dict[str, float]:
        """The median of each stage in milliseconds."""
        return {stage: 1e3 * float(np.median(seconds)) for stage, seconds in self._seconds.items()}


class FrameRate:
    """Frames per second over the last few seconds.

    Args:
        window: how many seconds to look back.
    """

    def __init__(self, window: float = 2.0) -> None:
        #: Frames per second; 0 until there are two frames.
        self.fps = 0.0
        self._window = window
        self._times: deque[float] = deque()

    def tick(self, now: float) -> float:
        """Count a frame at `now` (monotonic seconds) and return `fps`."""
        self._times.append(now)
        while len(self._times) > 2 and now - self._times[0] > self._window:
            self._times.popleft()
        span = now - self._times[0]
        self.fps = (len(self._times) - 1) / span if span > 0 else 0.0
        return self.fps


class Durations:
    """How long something took, over any number of times in the same memory.

    Kept as counts in steps of 1 %, so that percentiles are right to 1 %.
    """

    _SHORTEST, _STEP, _STEPS = 1e-5, 1.01, 2100  # from 10 µs to three hours

    def __init__(self) -> None:
        self._counts = np.zeros(self._STEPS, np.int64)

    def add(self, seconds: float) -> None:
        """Count one more time."""
        step = math.log(max(seconds, self._SHORTEST) / self._SHORTEST, self._STEP)
        self._counts[min(self._STEPS - 1, round(step))] += 1

    def percentile_ms(self, percent: float) -> float | None:
        """What so many per cent of the times do not exceed, in milliseconds; None when there are none."""
        total = self._counts.sum()
        if not total:
            return None
        step = int(np.searchsorted(np.cumsum(self._counts), max(1, math.ceil(total * percent / 100))))
        return round(1e3 * self._SHORTEST * self._STEP**step, 3)


def percentiles_ms(seconds: list[float]) -> dict[str, float]:
    """The 50th, 95th and 99th percentile of times in seconds, in milliseconds."""
    p50, p95, p99 = 1e3 * np.percentile(seconds, [50, 95, 99])
    return {"p50": float(p50), "p95": float(p95), "p99": float(p99)}
