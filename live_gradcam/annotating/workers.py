"""Workers in processes on this machine."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from typing import Any, Protocol

from live_gradcam.annotating.messages import TaskResult, WarningCollector, WarningRelay
from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.annotating.tasks import Task, WorkerState
from live_gradcam.attribution.session import SessionOptions
from live_gradcam.errors import LiveGradcamError
from live_gradcam.flow.processes import (
    WorkerContext,
    WorkerProcess,
    leave_signals_to_parent,
    threads_of_each,
    without_interrupts,
)


class Workers(Protocol):
    """Do tasks, one each at a time. A context manager.

    Attributes:
        count: how many there are.
    """

    count: int

    def submit(self, task: Task) -> None:
        """Have a task done."""

    def next_done(self, seconds: float) -> tuple[Task, Callable[[], Any]] | None:
        """A task that is done, and a function that gives its result or raises what it raised.

        None if none is done after so many seconds.
        """


class WorkersLostError(LiveGradcamError):
    """The processes that work are gone."""


class ProcessWorkers:
    """Processes on this machine. Use as a context manager; leaving it stops their work.

    Args:
        count: how many.
        session: what each explains with.
        options: how recordings are annotated.
    """

    def __init__(self, count: int, session: SessionOptions, options: AnnotateOptions) -> None:
        self.count = count
        if session.threads is None:
            session = replace(session, threads=threads_of_each(count))
        context = WorkerContext()
        self._stop = context.Event()
        self._scratch = tempfile.TemporaryDirectory(prefix="live-gradcam-")
        self._pool = ProcessPoolExecutor(
            count, mp_context=context, initializer=_begin, initargs=(session, options, self._stop, self._scratch.name)
        )
        self._tasks: dict[Future, Task] = {}
        self._warnings = WarningRelay()

    def submit(self, task: Task) -> None:
        """Have a task done.

        Raises:
            WorkersLostError: a process died.
        """
        try:
            with without_interrupts():  # a process may be started now
                self._tasks[self._pool.submit(_run, task)] = task
        except BrokenProcessPool:
            raise WorkersLostError(_LOST) from None

    def next_done(self, seconds: float) -> tuple[Task, Callable[[], Any]] | None:
        """See `Workers`."""
        done, _ = wait(self._tasks, timeout=seconds, return_when=FIRST_COMPLETED)
        if not done:
            return None
        future = done.pop()
        task = self._tasks.pop(future)
        if isinstance(future.exception(), BrokenProcessPool):
            raise WorkersLostError(_LOST)
        return task, lambda: self._warnings.result(future.result())

    def __enter__(self) -> ProcessWorkers:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        try:
            self._pool.shutdown(cancel_futures=True)
        except BaseException:  # a second Ctrl-C; the end of Python would wait for processes that it no longer reaches
            for process in multiprocessing.active_children():
                if isinstance(process, WorkerProcess):
                    process.kill()
            raise
        finally:
            self._scratch.cleanup()  # of processes that died, too


_LOST = "a worker process died, perhaps because the memory was full: try fewer --workers. Finished files are kept"


class _ProcessState(WorkerState):
    """Of a worker in a process of its own, which ends with the one that started it."""

    def __init__(self, session: SessionOptions, options: AnnotateOptions, stop: Any, scratch: str) -> None:
        super().__init__(session, options, scratch)
        self._stop = stop

    def is_stopped(self) -> bool:
        return self._stop.is_set()


_state: _ProcessState
_collector: WarningCollector


def _begin(session: SessionOptions, options: AnnotateOptions, stop: Any, scratch: str) -> None:
    global _state, _collector
    leave_signals_to_parent()
    threading.Thread(target=_end_with_parent, args=(scratch,), daemon=True).start()
    _state, _collector = _ProcessState(session, options, stop, scratch), WarningCollector()


def _end_with_parent(scratch: str) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        shutil.rmtree(scratch, ignore_errors=True)
        os._exit(1)


def _run(task: Task) -> TaskResult:
    return _collector.done(task.run(_state))
