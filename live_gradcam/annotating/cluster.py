"""Workers on the machines of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from live_gradcam.annotating.messages import TaskResult, WarningCollector, WarningRelay
from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.annotating.tasks import Task, WorkerState
from live_gradcam.attribution.session import SessionOptions
from live_gradcam.cluster import Cluster, ClusterError
from live_gradcam.errors import first_line

#: How often the work of a lost worker is done again by another.
_RETRIES = 3


class ClusterWorkers:
    """Actors on a Ray cluster: one for each graphics processor, or else for each so many cores.

    Use as a context manager; leaving it ends the actors. Ray starts a lost actor again and has its task done again.

    Args:
        address: see `Cluster`.
        session: what each explains with; its `threads` are the cores of an actor, 2 by default.
        options: how recordings are annotated.

    Raises:
        UsageError: Ray is not installed.
        ClusterError: the cluster cannot be reached, or has too few cores for one actor.
    """

    def __init__(self, address: str, session: SessionOptions, options: AnnotateOptions) -> None:
        self._cluster = Cluster(address, session.threads)
        self.count = self._cluster.count
        actor = self._cluster.actor(_Actor, max_restarts=-1, max_task_retries=_RETRIES)
        session = replace(session, threads=self._cluster.cores)
        self._idle = [actor.remote(session, options) for _ in range(self.count)]
        self._running: dict[Any, tuple[Task, Any]] = {}
        self._warnings = WarningRelay()

    def submit(self, task: Task) -> None:
        """Have a task done: there is an idle worker, as no more are submitted than there are workers."""
        actor = self._idle.pop()
        self._running[actor.run.remote(task)] = (task, actor)

    def next_done(self, seconds: float) -> tuple[Task, Callable[[], Any]] | None:
        """See `Workers`."""
        done, _ = self._cluster.ray.wait(list(self._running), timeout=seconds)
        if not done:
            return None
        task, actor = self._running.pop(done[0])
        self._idle.append(actor)
        return task, lambda: self._result(done[0])

    def _result(self, reference: Any) -> Any:
        ray = self._cluster.ray
        try:
            return self._warnings.result(ray.get(reference))
        except ray.exceptions.RayTaskError as error:
            raise error.cause or error from None
        except ray.exceptions.RayError as error:
            raise ClusterError(f"the cluster lost a worker {_RETRIES} times: {first_line(error)}") from error

    def __enter__(self) -> ClusterWorkers:
        return self

    def __exit__(self, *_: object) -> None:
        self._cluster.close()


class _Actor:
    """A worker on the cluster."""

    def __init__(self, session: SessionOptions, options: AnnotateOptions) -> None:
        self._state, self._collector = WorkerState(session, options), WarningCollector()

    def run(self, task: Task) -> TaskResult:
        return self._collector.done(task.run(self._state))
