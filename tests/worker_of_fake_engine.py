"""A worker of `annotate` in this process, apart from `fake_engine`, which is there before tasks are imported."""

from __future__ import annotations

from typing import Any

from fake_engine import FakeEngine

from live_gradcam.annotating.tasks import WorkerState


class FakeWorker(WorkerState):
    """A worker of `annotate` in this process, with the fake engine."""

    fake: Any = FakeEngine()

    @property
    def session(self) -> Any:
        return self.fake
