"""How long the stages take, and how many frames a second come out."""

from __future__ import annotations

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
        self._window = window
        self._times: deque[float] = deque()

    def tick(self, now: float) -> float:
        """Count a frame at `now` (monotonic seconds) and return the frames per second; 0 until there are two."""
        self._times.append(now)
        while len(self._times) > 2 and now - self._times[0] > self._window:
            self._times.popleft()
        span = now - self._times[0]
        return (len(self._times) - 1) / span if span > 0 else 0.0


def percentiles_ms(seconds: list[float]) -> dict[str, float]:
    """The 50th, 95th and 99th percentile of times in seconds, in milliseconds."""
    p50, p95, p99 = 1e3 * np.percentile(seconds, [50, 95, 99])
    return {"p50": float(p50), "p95": float(p95), "p99": float(p99)}
