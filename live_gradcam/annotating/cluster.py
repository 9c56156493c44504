"""Workers on the machines of a Ray cluster."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from live_gradcam.annotating.messages import TaskResult, WarningCollector, WarningRelay
from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.annotating.tasks import Task, WorkerState
from live_gradcam.attribution.session import SessionOptions
from live_gradcam.compiling.runtime import quiet_tensorflow
from live_gradcam.errors import LiveGradcamError, UsageError, first_line

#: The address of a cluster that is started on this machine for the run.
LOCAL = "local"
_DEFAULT_CORES = 2
#: How often the work of a lost worker is done again by another.
_RETRIES = 3
_ADDRESS_SECONDS = 10


class ClusterError(LiveGradcamError):
    """The cluster cannot be used."""


def check_cluster() -> None:
    """Make sure that Ray is there.

    Raises:
        UsageError: it is not.
    """
    if find_spec("ray") is None:
        raise UsageError("--cluster needs Ray: pip install 'live-gradcam[cluster]'")


class ClusterWorkers:
    """Actors on a Ray cluster: one for each graphics processor, or else for each so many cores.

    Use as a context manager; leaving it ends the actors. Ray starts a lost actor again and has its task done again.

    Args:
        address: of the cluster, such as 10.0.0.1:6379; "auto" for the one that this machine belongs to; "local" for one
            of this machine's own.
        session: what each explains with; its `threads` are the cores of an actor, 2 by default.
        options: how recordings are annotated.

    Raises:
        UsageError: Ray is not installed.
        ClusterError: the cluster cannot be reached, or has too few cores for one actor.
    """

    def __init__(self, address: str, session: SessionOptions, options: AnnotateOptions) -> None:
        check_cluster()
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # errors are reported in one line of ours
        import ray

        self._ray = ray
        cores = session.threads or _DEFAULT_CORES
        try:
            _check_address(address)  # Ray would wait for minutes
            with quiet_tensorflow():  # Ray's C++ code prints as much
                ray.init(
                    address=None if address == LOCAL else address,
                    log_to_driver=False,
                    logging_level=logging.CRITICAL,
                    include_dashboard=False if address == LOCAL else None,
                )
        except Exception as error:  # Ray's many kinds
            raise ClusterError(f"the cluster {address} cannot be reached: {first_line(error)}") from error
        resources = ray.cluster_resources()
        gpus = int(resources.get("GPU", 0))
        self.count = gpus or int(resources.get("CPU", 0)) // cores
        if not self.count:
            ray.shutdown()
            raise ClusterError(
                f"the cluster {address} has fewer than the {cores} cores that one worker needs: add --threads 1"
            )
        actor: Any = ray.remote(num_cpus=cores, num_gpus=1 if gpus else 0, max_restarts=-1, max_task_retries=_RETRIES)(
            _Actor
        )
        session = replace(session, threads=cores)
        self._idle = [actor.remote(session, options) for _ in range(self.count)]
        self._running: dict[Any, tuple[Task, Any]] = {}
        self._warnings = WarningRelay()

    def submit(self, task: Task) -> None:
        """Have a task done: there is an idle worker, as no more are submitted than there are workers."""
        actor = self._idle.pop()
        self._running[actor.run.remote(task)] = (task, actor)

    def next_done(self, seconds: float) -> tuple[Task, Callable[[], Any]] | None:
        """See `Workers`."""
        done, _ = self._ray.wait(list(self._running), timeout=seconds)
        if not done:
            return None
        task, actor = self._running.pop(done[0])
        self._idle.append(actor)
        return task, lambda: self._result(done[0])

    def _result(self, reference: Any) -> Any:
        try:
            return self._warnings.result(self._ray.get(reference))
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause or error from None
        except self._ray.exceptions.RayError as error:
            raise ClusterError(f"the cluster lost a worker {_RETRIES} times: {first_line(error)}") from error

    def __enter__(self) -> ClusterWorkers:
        return self

    def __exit__(self, *_: object) -> None:
        self._ray.shutdown()


def _check_address(address: str) -> None:
    """Make sure that something answers at HOST:PORT; Ray checks an address of another form.

    Raises:
        OSError: nothing does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ADDRESS_SECONDS).close()


class _Actor:
    """A worker on the cluster."""

    def __init__(self, session: SessionOptions, options: AnnotateOptions) -> None:
        self._state, self._collector = WorkerState(session, options), WarningCollector()

    def run(self, task: Task) -> TaskResult:
        return self._collector.done(task.run(self._state))
