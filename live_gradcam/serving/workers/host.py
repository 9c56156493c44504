"""What is around a worker where it runs: what is asked of it for each viewer is done in order, in a thread or two.

The next frame is decoded beside.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

from live_gradcam.annotating.messages import TaskResult, WarningCollector, WarningRelay
from live_gradcam.choices import blamed
from live_gradcam.errors import LiveGradcamError, UsageError, first_line, kind_and_line
from live_gradcam.serving.messages import FrameBytes, Reply, pack_text
from live_gradcam.serving.workers.lanes import Lanes

_log = logging.getLogger(__name__)


class Explains(Protocol):
    """What a worker's host needs to know of it; see `explaining.worker.Worker`, whose other methods are called too."""

    def start(self) -> bytes:
        """Load the network. Returns the message `ready`."""

    def callers(self) -> int:
        """How many threads may do what is asked of it, once it has started: for different viewers at a time."""

    def decode(self, frame: FrameBytes) -> Any:
        """A frame's picture, ready to be explained."""

    def explain(self, viewer: str, frame: Any) -> Reply:
        """Explain a decoded frame."""


#: Makes a worker, quickly. It is sent to where the worker runs.
MakeWorker = Callable[[], Explains]


class Failure(NamedTuple):
    """An error that is sent back instead of a result.

    Attributes:
        text: the error's message.
        exit_code: the error's.
    """

    text: str
    exit_code: int


def result_of(done: Any, warnings: WarningRelay) -> Any:
    """The result that a worker sent back; its warnings are logged.

    Raises:
        LiveGradcamError: what the method raised.
    """
    result = warnings.result(done)
    if isinstance(result, Failure):
        raise (UsageError if result.exit_code == UsageError.exit_code else LiveGradcamError)(result.text)
    return result


#: Is given what is sent back: a `TaskResult`, whose result is a `Failure` where the method raised.
Answer = Callable[[Any], object]
#: What takes longer than frames may wait for it, and goes beside them.
_BESIDE = frozenset(("model", "explain_once"))
#: What is asked for no viewer in particular. All else is about the viewer who is its first argument.
_OF_WORKER = frozenset(("start", "callers", "stop"))
_Job = tuple[Callable[[], Any], Answer]


class WorkerHost:
    """A worker and the threads that explain: one, and as many as the worker takes once it has started.

    Args:
        make: makes the worker.
        is_apart: whether it has a process of its own, whose warnings are sent back. Elsewhere they are logged at once.
    """

    def __init__(self, make: MakeWorker, *, is_apart: bool = True) -> None:
        self._collector = WarningCollector() if is_apart else None
        self._worker = make()
        self._jobs: Lanes[_Job] = Lanes()
        self._beside = ThreadPoolExecutor(len(_BESIDE), thread_name_prefix="beside")
        self._threads: list[threading.Thread] = []
        self._have_threads(1)

    def ask(self, name: str, arguments: tuple[Any, ...], answer: Answer) -> None:
        """Have a method called, after all that was asked before for the same viewer.

        A frame is decoded here and now, in this thread.

        Args:
            name: of the method.
            arguments: for it.
            answer: is given what is sent back, in a thread that explains.
        """
        if name == "explain":
            viewer, frame = arguments
            self._jobs.put(viewer, (self._explanation_of(viewer, frame), answer))
            return
        call = self._start if name == "start" else lambda: getattr(self._worker, name)(*arguments)
        if name in _BESIDE:
            self._beside.submit(self._do, call, answer)
        else:
            self._jobs.put("" if name in _OF_WORKER else arguments[0], (call, answer))

    def end(self, seconds: float) -> None:
        """Do what was asked, and no more. Waits so many seconds for it: Python may end under it, which crashes."""
        self._jobs.close()
        self._beside.shutdown(wait=False)
        deadline = time.monotonic() + seconds
        for thread in list(self._threads):
            thread.join(max(0.0, deadline - time.monotonic()))

    def _start(self) -> Any:
        result = self._worker.start()
        self._have_threads(self._worker.callers())
        return result

    def _have_threads(self, count: int) -> None:
        while len(self._threads) < count:
            self._threads.append(threading.Thread(target=self._work, name="explain", daemon=True))
            self._threads[-1].start()

    def _explanation_of(self, viewer: str, frame: FrameBytes) -> Callable[[], Reply]:
        try:
            decoded = self._worker.decode(frame)
        except Exception as error:  # a decoder's many kinds; the viewer's next frame may be good
            refused = Reply(texts=[pack_text("error", text=first_line(error), id=frame.id)])
            return lambda: refused
        return lambda: self._worker.explain(viewer, decoded)

    def _work(self) -> None:
        while (taken := self._jobs.take()) is not None:
            lane, job = taken
            self._do(*job)
            self._jobs.done(lane)

    def _do(self, job: Callable[[], Any], answer: Answer) -> None:
        result: Any
        try:
            result = job()
        except LiveGradcamError as error:
            result = Failure(str(error), error.exit_code)
        except Exception as error:  # a mistake, which must not end what all other viewers look at
            reason = blamed(error) or f"unexpected {kind_and_line(error)}"
            _log.warning("%s", reason)
            result = Failure(reason, LiveGradcamError.exit_code)
        answer(TaskResult(result, ()) if self._collector is None else self._collector.done(result))
