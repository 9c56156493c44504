"""Annotated copies of recordings, from Python: what `live-gradcam annotate` calls."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import Any

from live_gradcam.annotating.batch import Batch, OnProgress, Planned
from live_gradcam.annotating.cluster import ClusterWorkers
from live_gradcam.annotating.jobs import AnnotateJob, check_jobs, plan_jobs
from live_gradcam.annotating.options import PANELS, AnnotateOptions
from live_gradcam.annotating.parallel import annotate_in_parallel, start_workers
from live_gradcam.annotating.provenance import Provenance, made_with
from live_gradcam.annotating.report import Report
from live_gradcam.annotating.run import annotate_all
from live_gradcam.annotating.source import SourceAhead, obstacle
from live_gradcam.annotating.workers import ProcessWorkers, Workers
from live_gradcam.attribution import session as sessions
from live_gradcam.attribution.session import Session, SessionOptions
from live_gradcam.choices import AUTO_PRECISION
from live_gradcam.cluster import check_cluster
from live_gradcam.errors import SourceError, UsageError
from live_gradcam.flow.stopping import StopRequest
from live_gradcam.sources.levels import Levels

_log = logging.getLogger(__name__)

_DEFAULT_SESSION = SessionOptions()
_DEFAULT_OPTIONS = AnnotateOptions()
#: The layouts that show several classes, and the usual one, in whose place a grid is shown.
_OF_SEVERAL_CLASSES = ("overlay", "grid", PANELS)
_NO_SIDECARS: Mapping[str, str | PathLike[str]] = {}


def annotate(
    sources: str | PathLike[str] | Sequence[str | PathLike[str]],
    output: str | PathLike[str] | None = None,
    *,
    session: SessionOptions | Session = _DEFAULT_SESSION,
    options: AnnotateOptions = _DEFAULT_OPTIONS,
    sidecars: Mapping[str, str | PathLike[str]] = _NO_SIDECARS,
    workers: int | str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    on_progress: OnProgress | None = None,
    stop: StopRequest | None = None,
) -> Report:
    """Write annotated copies of recordings: every frame explained, at its own time, with sound and subtitles.

    A recording that cannot be annotated does not stop the others: the report says what became of each.

    Examples:
        >>> report = annotate("in.mp4", "out.mp4", session=SessionOptions(method="layercam"))
        >>> [(str(result.job.output), result.status) for result in report.results]
        [('out.mp4', 'done')]

    Args:
        sources: videos, pictures, folders of them, or patterns of numbered pictures ("shots/%04d.png").
        output: the file to write, or a folder; a folder for several recordings. None for one beside the source.
        session: what to explain with. A `Session` is used as it is; of `SessionOptions` one is started once it is known
            that there is something to do.
        options: how the recordings are annotated.
        sidecars: files to write besides, by the names of `choices.SIDECARS`: {"jsonl": "numbers.jsonl"}. For several
            recordings, folders.
        workers: a number of processes on this machine, or the address of a Ray cluster ("HOST:PORT", "auto", or
            "local" for one that is started here); None for this process alone. Processes import the main script: it
            needs `if __name__ == "__main__":`.
        overwrite: replace outputs that exist.
        resume: leave out what was done before in the same way, and begin what was cut short again.
        on_progress: is notified of what happens; see `OnProgress`.
        stop: ends the work after the frames in hand once its `requested` is true; the files are finished with the
            frames that were explained. By default Ctrl-C and SIGTERM do that, where this is the main thread.

    Returns:
        What became of each recording.

    Raises:
        UsageError: what is asked for does not go together, or does not exist.
        LiveGradcamError: a source does not exist, an output exists or cannot be written, the session cannot be
            started, or the workers are gone.
    """
    begun = time.perf_counter()
    session_options = _check(session, options, workers)
    if options.levels is None:
        options = replace(options, levels=Levels.of_card(session_options.card_levels))
    paths = [sources] if isinstance(sources, (str, PathLike)) else list(sources)
    if not paths:
        raise UsageError("there is nothing to annotate: give a video, a picture, or a folder of them")
    beside = {name: Path(path) for name, path in sidecars.items()}
    jobs = plan_jobs([Path(path) for path in paths], None if output is None else Path(output), options, beside)
    way = made_with(session_options, options)
    planned, unreadable = _plan(jobs, way, options)
    are_done = check_jobs([(one.job, one.provenance) for one in planned], options, overwrite=overwrite, resume=resume)
    todo = [one for one, is_done in zip(planned, are_done, strict=True) if not is_done]
    batch = Batch(todo, options, stop or StopRequest(), on_progress, len(unreadable))
    for job in (one.job for one, is_done in zip(planned, are_done, strict=True) if is_done):
        batch.skip(job)
    for job, error in unreadable:
        batch.failed(job, error)
    for one in todo:  # what is no recording is known before TensorFlow has started
        if (found := obstacle(one.job.source, options)) is not None:
            batch.failed(one.job, found)
    signals = batch.stop if stop is None else nullcontext()
    start_s: dict[str, float] = {}
    if batch.todo:
        if workers is None:
            start_s = _annotate_here(batch, session, signals)
        else:
            start_s = _annotate_in_workers(batch, session_options, workers, signals)
    seconds = time.perf_counter() - begun
    return Report(version("live-gradcam"), tuple(batch.results), start_s, seconds, batch.stop.requested)


def _check(session: SessionOptions | Session, options: AnnotateOptions, workers: int | str | None) -> SessionOptions:
    """Make sure that what is asked for goes together, before anything slow.

    Returns:
        What the session explains with, with as many maps as are needed.
    """
    if workers is not None and not options.encoding.sink.endings:
        noun = options.encoding.sink.noun
        raise UsageError(f"a {noun} is written by one process: leave out --workers and --cluster")
    if isinstance(workers, str):
        check_cluster()
    elif workers is not None and workers < 1:
        raise UsageError(f"{workers} workers cannot do anything: give a number from 1 on")
    wanted = session if isinstance(session, SessionOptions) else session.options
    if wanted is not None and len(wanted.classes) > 1 and options.layout not in _OF_SEVERAL_CLASSES:
        _log.warning("--layout %s shows one class: several classes are shown as a grid", options.layout)
    if isinstance(session, SessionOptions):
        session.check()
        return options.for_session(session)
    if workers is not None:
        raise UsageError("workers start their own sessions: pass SessionOptions, not a Session")
    if session.options is None:
        raise UsageError("the session does not know its own options: make it with start_session")
    needed = options.for_session(session.options).maps
    if session.options.maps is not None and (needed is None or needed > session.options.maps):
        raise UsageError(
            "the session makes too few maps for these options: start it with options.for_session(SessionOptions(...))"
        )
    return session.options


def _plan(
    jobs: Sequence[AnnotateJob], way: dict[str, Any], options: AnnotateOptions
) -> tuple[list[Planned], list[tuple[AnnotateJob, SourceError]]]:
    """Which recordings are to be annotated, and which cannot even be read, and why."""
    planned, unreadable = [], []
    for job in jobs:
        try:
            planned.append(Planned.of(job, Provenance.of(job.source, way)))
        except SourceError as error:
            unreadable.append((job, obstacle(job.source, options) or error))
    return planned, unreadable


def _annotate_here(
    batch: Batch, session: SessionOptions | Session, signals: AbstractContextManager[object]
) -> dict[str, float]:
    """Annotate in this process. Returns the seconds of each stage of the session's start."""
    with ExitStack() as stack:
        opened = None
        if isinstance(session, SessionOptions):
            if len(batch.todo) == 1:  # a single recording is decoded while TensorFlow starts
                opened = stack.enter_context(SourceAhead(batch.todo[0].job.source, batch.options))
            batch.start("starting")
            session = sessions.start_session(
                batch.options.for_session(session),
                look=opened.look if opened else None,
                let_tensorflow_talk=_log.isEnabledFor(logging.DEBUG),
            )
            batch.start("started")
        stack.enter_context(signals)
        annotate_all(batch, session, opened)
        return session.start_s


def _annotate_in_workers(
    batch: Batch, session: SessionOptions, workers: int | str, signals: AbstractContextManager[object]
) -> dict[str, float]:
    """Annotate in other processes. Returns the seconds of each stage of the first one's start.

    Each of them would choose an engine for itself, and a file is to be by one: by the usual one.
    """
    if session.precision == AUTO_PRECISION:
        _log.warning("the precision is f32: where several processes work, none is chosen")
    session = session.by_usual_engine()
    with signals, _workers(workers, session, batch.options) as several:
        batch.start("starting")
        start_s = start_workers(several, batch.stop)
        batch.start("started")
        annotate_in_parallel(batch, several)
        return start_s


def _workers(workers: int | str, session: SessionOptions, options: AnnotateOptions) -> AbstractContextManager[Workers]:
    if isinstance(workers, str):
        return ClusterWorkers(workers, session, options)
    return ProcessWorkers(workers, session, options)
