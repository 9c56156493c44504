"""The recordings of a run: what is still to do, what became of each, and who is notified of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple

from live_gradcam.annotating.jobs import AnnotateJob
from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.annotating.provenance import Provenance
from live_gradcam.annotating.report import AnnotateSummary, Result
from live_gradcam.errors import LiveGradcamError, OutputError
from live_gradcam.files import claimed, identity
from live_gradcam.flow.stopping import StopRequest
from live_gradcam.sources.times import frames_in_words

#: What just happened: the network begins to start; it has started; a recording is a bit further; one is over.
Stage = Literal["starting", "started", "annotating", "over"]


@dataclass(frozen=True)
class Progress:
    """What `annotate` notifies its caller of, while it works.

    Attributes:
        stage: what just happened. "starting" and "started" are of the network, which is not started where nothing is
            to do, or where a session was given.
        recordings: how many recordings there are to annotate, without those that were done before.
        job: the recording, and its files; None while the network starts.
        frames: how many frames of it are done.
        seconds: how much of the recording's time that is.
        of_seconds: the recording's time in all; None if its header does not say.
        result: what became of it, once it is "over".
    """

    stage: Stage
    recordings: int
    job: AnnotateJob | None = None
    frames: int = 0
    seconds: float = 0.0
    of_seconds: float | None = None
    result: Result | None = None

    @property
    def share(self) -> float | None:
        """How much of the recording is done, 0…1, by its own time; None if its header does not say how long it is."""
        return min(1.0, max(0.0, self.seconds) / self.of_seconds) if self.of_seconds else None

    def rate(self, elapsed: float) -> float:
        """Frames per second, after so many seconds of work on the recording."""
        return self.frames / elapsed if elapsed > 0 else 0.0

    def in_words(self, elapsed: float) -> list[str]:
        """How far the recording is after so many seconds of work: frames, their rate, and how long it will take yet."""
        words = [frames_in_words(self.frames), f"{self.rate(elapsed):.1f} FPS"]
        return words + ([f"{elapsed / self.share - elapsed:.0f} s to go"] if self.share else [])


#: Is called with each `Progress`. It may be called from another thread than that of `annotate`, but never twice at the
#: same time. The work waits for it. What it raises ends the work, and is raised by `annotate`.
OnProgress = Callable[[Progress], None]


class Planned(NamedTuple):
    """A recording to annotate.

    Attributes:
        job: what becomes what.
        provenance: how its output comes about.
        replaces: the identity of the output that was there before; None for none.
    """

    job: AnnotateJob
    provenance: Provenance
    replaces: tuple[int, int] | None

    @classmethod
    def of(cls, job: AnnotateJob, provenance: Provenance) -> Planned:
        """It as of now."""
        return cls(job, provenance, identity(job.output))

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep other processes from writing the output meanwhile.

        Raises:
            OutputError: another one is writing it, or has written it since this was planned.
        """
        with claimed(self.job.output):
            if identity(self.job.output) != self.replaces:
                raise OutputError(f"{self.job.output} was written by another process meanwhile: give another name")
            yield


class Batch:
    """The recordings of a run.

    Args:
        todo: those that are to be annotated.
        options: how.
        stop: ends the work.
        on_progress: is notified of what happens; None for nobody.
        unreadable: how many recordings there are besides of which nothing can become. Each is to be taken note of.

    Attributes:
        results: what became of each so far.
    """

    def __init__(
        self,
        todo: Sequence[Planned],
        options: AnnotateOptions,
        stop: StopRequest,
        on_progress: OnProgress | None = None,
        unreadable: int = 0,
    ) -> None:
        self.todo = list(todo)
        self.options = options
        self.stop = stop
        self.results: list[Result] = []
        self._on_progress = on_progress
        self._recordings = len(self.todo) + unreadable

    def skip(self, job: AnnotateJob) -> None:
        """Take note of a recording that was done before."""
        self._over(Result(job))

    def done(self, job: AnnotateJob, summary: AnnotateSummary) -> None:
        """Take note of a recording that is annotated, as far as it goes."""
        self._over(Result(job, summary))

    def failed(self, job: AnnotateJob, error: LiveGradcamError) -> None:
        """Take note of a recording of which nothing becomes."""
        self.todo = [planned for planned in self.todo if planned.job is not job]
        self._over(Result(job, error=error))

    def advance(self, job: AnnotateJob, frames: int, seconds: float, of_seconds: float | None) -> None:
        """Take note of how far a recording is: see `Progress`."""
        self._notify(Progress("annotating", self._recordings, job, frames, seconds, of_seconds))

    def start(self, stage: Literal["starting", "started"]) -> None:
        """Take note of the network's start."""
        self._notify(Progress(stage, self._recordings))

    def _over(self, result: Result) -> None:
        self.results.append(result)
        self._notify(Progress("over", self._recordings, result.job, result=result))

    def _notify(self, progress: Progress) -> None:
        if self._on_progress is not None:
            self._on_progress(progress)
