"""Recordings, and parts of long ones, in parallel, wherever the workers are. The result is that of one process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from live_gradcam.annotating.batch import Batch, Planned
from live_gradcam.annotating.segmented import NotCutError, SegmentedRecording
from live_gradcam.annotating.segments import cut
from live_gradcam.annotating.tasks import Start, Task
from live_gradcam.annotating.workers import Workers
from live_gradcam.errors import LiveGradcamError
from live_gradcam.flow.stopping import StopRequest

_POLL_SECONDS = 0.2


def start_workers(workers: Workers, stop: StopRequest) -> dict[str, float]:
    """Start the session of one worker, so that what it times is remembered for the others.

    Returns:
        The seconds of each stage of the start; nothing after a stop request.

    Raises:
        LiveGradcamError: as `start_session`.
    """
    workers.submit(Start())
    while not stop.requested:
        done = workers.next_done(_POLL_SECONDS)
        if done is not None:
            return done[1]()
    return {}


def annotate_in_parallel(batch: Batch, workers: Workers) -> None:
    """Annotate the recordings of a batch; one that fails does not stop the others.

    After a stop request the files are finished with the segments that are done so far.

    Args:
        batch: which, and how; is notified of what becomes of each.
        workers: do the work.

    Raises:
        LiveGradcamError: the workers are gone.
    """
    schedule = _Schedule(batch, workers)
    try:
        while not batch.stop.requested and schedule.submit():
            schedule.wait()
        schedule.end_all()
    finally:
        schedule.discard()


class _Schedule:
    """Which recordings are worked on, and which task is whose."""

    def __init__(self, batch: Batch, workers: Workers) -> None:
        self._batch = batch
        self._workers = workers
        self._waiting = deque(batch.todo)
        self._begun: list[SegmentedRecording] = []
        self._tasks: dict[int, SegmentedRecording] = {}

    def submit(self) -> bool:
        """Give all workers something to do. Returns whether any works."""
        while len(self._tasks) < self._workers.count and (found := self._next_task()) is not None:
            recording, task = found
            self._tasks[id(task)] = recording
            self._workers.submit(task)
        return bool(self._tasks)

    def _next_task(self) -> tuple[SegmentedRecording, Task] | None:
        for recording in self._begun:
            if (task := recording.next_task()) is not None:
                return recording, task
        if not self._waiting:
            return None
        self._begin(self._waiting.popleft())
        return self._next_task()

    def wait(self) -> None:
        """Wait for a result, for a while, and go on with it."""
        done = self._workers.next_done(_POLL_SECONDS)
        if done is not None:
            task, result = done
            recording = self._tasks.pop(id(task))
            if recording in self._begun:  # else it failed, or is done as a whole now
                self._take(recording, task, result)

    def _take(self, recording: SegmentedRecording, task: Task, result: Callable[[], Any]) -> None:
        try:
            recording.take(task, result())
        except NotCutError:
            self._begin_again(recording)
        except LiveGradcamError as error:
            self._begun.remove(recording)
            recording.discard()
            self._batch.failed(recording.job, error)
        else:
            self._batch.advance(recording.job, *recording.progress)
            if recording.is_drawn:
                self._end(recording, complete=True)

    def _begin(self, planned: Planned) -> None:
        options = self._batch.options
        try:
            segments = cut(planned.job, options, self._workers.count)
            self._begun.append(SegmentedRecording(planned, options, segments))
        except LiveGradcamError as error:
            self._batch.failed(planned.job, error)

    def _begin_again(self, recording: SegmentedRecording) -> None:
        """In one segment."""
        recording.discard()
        place = self._begun.index(recording)
        try:
            self._begun[place] = SegmentedRecording(recording.planned, self._batch.options, [recording.whole])
        except LiveGradcamError as error:
            del self._begun[place]
            self._batch.failed(recording.job, error)

    def _end(self, recording: SegmentedRecording, *, complete: bool) -> None:
        self._begun.remove(recording)
        try:
            summary = recording.finish(complete=complete)
        except LiveGradcamError as error:
            self._batch.failed(recording.job, error)
        else:
            if summary is not None:
                self._batch.done(recording.job, summary)

    def end_all(self) -> None:
        """Finish what was begun, as far as it is."""
        for recording in list(self._begun):
            self._end(recording, complete=False)

    def discard(self) -> None:
        """Remove what was written of all that is not finished."""
        for recording in self._begun:
            recording.discard()
