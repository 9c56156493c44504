"""Video files in, annotated video files out: every frame explained, at its own time."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from live_gradcam.cam.boxes import DEFAULT_BOXES, BoxOptions, SteadyBoxes
from live_gradcam.cam.explanation import Explanation
from live_gradcam.display.hud import draw_predictions
from live_gradcam.display.overlay import Overlay
from live_gradcam.display.views import View, compose, draw_boxes
from live_gradcam.errors import LiveGradcamError, OutputError, SourceError, UsageError
from live_gradcam.pipelines.engine import Engine
from live_gradcam.pipelines.overlap import Ahead, Behind
from live_gradcam.pipelines.records import explanation_record
from live_gradcam.pipelines.sources import files_of
from live_gradcam.pipelines.stopping import StopRequest
from live_gradcam.video.frame import Frame
from live_gradcam.video.output import check_output, part_path
from live_gradcam.video.reader import VIDEO_SUFFIXES, Loss, VideoReader
from live_gradcam.video.writer import COPIED_AUDIO, VideoWriter

#: How many frames may wait between two stages: enough to even out, few enough for 4K frames in memory.
_DEPTH = 8
#: Timing batches takes two more compilations: from this many frames on they are worth it.
_WORTH_TIMING = 1000

#: What an output is called after its source; such files in a folder are not annotated again.
_OUTPUT_ENDING = "-gradcam.mp4"

#: Is told of each frame written: (frames written, frames expected or None).
OnProgress = Callable[[int, "int | None"], None]


@dataclass(frozen=True)
class AnnotateJob:
    """One file to annotate.

    Attributes:
        source: the video.
        output: the MP4 file to write.
        jsonl: one line of JSON a frame, or None.
        heatmaps: NumPy archive of the raw maps, or None.
    """

    source: Path
    output: Path
    jsonl: Path | None = None
    heatmaps: Path | None = None


@dataclass(frozen=True)
class AnnotateSummary:
    """What became of a job.

    Attributes:
        frames: how many were explained and written.
        expected_frames: how many the file's header promised; None if it does not say.
        seconds: how long that took, without the engine's start.
        loss: what could not be read.
        stopped: whether Ctrl-C or SIGTERM cut it short.
        audio_dropped: the codec of an audio stream that MP4 cannot carry; None when nothing was lost.
    """

    frames: int
    expected_frames: int | None
    seconds: float
    loss: Loss
    stopped: bool
    audio_dropped: str | None

    @property
    def fps(self) -> float:
        """Frames per second: decoded, explained, drawn and encoded."""
        return self.frames / self.seconds if self.seconds else 0.0


def plan_jobs(
    sources: Sequence[Path],
    output: Path | None,
    *,
    jsonl: Path | None = None,
    heatmaps: Path | None = None,
    overwrite: bool = False,
) -> list[AnnotateJob]:
    """Work out which file becomes which, and that every output can be written, before anything is begun.

    One file becomes the file `output` (or, in a folder, `NAME-gradcam.mp4`; beside the source by default). Several
    files, or a folder's videos, go into the folder `output`, and so do their sidecars into the folders `jsonl` and
    `heatmaps`.

    Raises:
        UsageError: several sources and no folder for them, or two that would get the same name.
        SourceError: a source that does not exist, or a folder with no videos.
        OutputError: an output that exists, or cannot be written.
    """
    files = [file for source in sources for file in _videos_of(source)]
    if len(files) == 1 and not sources[0].is_dir():
        target = output or files[0].with_name(_output_name(files[0]))
        if target.is_dir():
            target = target / _output_name(files[0])
        jobs = [AnnotateJob(files[0], target, jsonl, heatmaps)]
    else:
        if output is None:
            raise UsageError("several videos need a folder to go into: give it with -o FOLDER")
        jobs = [
            AnnotateJob(
                file,
                output / _output_name(file),
                jsonl / f"{file.stem}.jsonl" if jsonl else None,
                heatmaps / f"{file.stem}.npz" if heatmaps else None,
            )
            for file in files
        ]
    _check_jobs(jobs, overwrite=overwrite)
    return jobs


def _videos_of(source: Path) -> list[Path]:
    def is_ours(path: Path) -> bool:
        return path.name.endswith(_OUTPUT_ENDING)

    return files_of(source, VIDEO_SUFFIXES, is_ours=is_ours, called="file", kind="videos")


def _output_name(source: Path) -> str:
    return f"{source.stem}{_OUTPUT_ENDING}"


def _check_jobs(jobs: Sequence[AnnotateJob], *, overwrite: bool) -> None:
    outputs = [path for job in jobs for path in (job.output, job.jsonl, job.heatmaps) if path is not None]
    for job in jobs:
        if job.output.suffix.lower() not in (".mp4", ".m4v"):
            raise UsageError(f"{job.output} is not an MP4 file's name: annotated videos are MP4, call it NAME.mp4")
    for path in outputs:
        if outputs.count(path) > 1:
            raise UsageError(f"several outputs would be called {path}: annotate those videos one by one, with -o FILE")
        check_output(path, overwrite=overwrite)
        for job in jobs:
            if path.exists() and path.samefile(job.source):
                raise OutputError(f"{path} is the source itself: give another name with -o")


class SourceAhead:
    """A video that is decoded ahead, from now on. Use as a context manager.

    Args:
        path: the video.

    Raises:
        SourceError: it is not a video.
    """

    def __init__(self, path: Path) -> None:
        self.reader = VideoReader(path)
        stream = self.reader.audio
        #: The sound that can be copied; None without.
        self.audio = stream if stream and stream.codec_context.name in COPIED_AUDIO else None
        #: Its packets, as far as the frames are decoded.
        self.audio_packets: deque[Any] = deque()
        decoded = self.reader.frames(on_audio=self.audio_packets.append if self.audio else None)
        self.frames = Ahead(decoded, _DEPTH)

    def __enter__(self) -> SourceAhead:
        return self

    def __exit__(self, *_: object) -> None:
        self.frames.close()
        self.reader.close()


def annotate(
    job: AnnotateJob,
    engine: Engine,
    overlay: Overlay,
    *,
    stop: StopRequest,
    opened: SourceAhead | None = None,
    batch: int | None = None,
    boxes: BoxOptions = DEFAULT_BOXES,
    on_progress: OnProgress | None = None,
) -> AnnotateSummary:
    """Annotate one file.

    Args:
        job: what becomes what.
        engine: explains.
        overlay: draws.
        stop: ends the work after the frames in hand.
        opened: the job's source, where it is being decoded already.
        batch: how many frames are explained at a time; None for what is fastest, where the file is long enough to pay
            for finding out.
        boxes: which there are, and whether they are drawn; they are steady over the video's time.
        on_progress: is told of each frame: (frames written, frames expected).

    What can be read of a damaged file is annotated, and `loss` says what could not. After a stop request the files are
    finished with the frames that were explained so far.

    Raises:
        SourceError: it is not a video, or not one frame of it can be read. Nothing is left behind.
        OutputError: the output cannot be written. Nothing is left behind.
    """
    begun = time.perf_counter()
    with ExitStack() as stack:
        source = opened or stack.enter_context(SourceAhead(job.source))
        reader, audio, audio_packets = source.reader, source.audio, source.audio_packets
        first = next(source.frames, None)
        if first is None:
            raise SourceError(f"not one frame of {job.source} can be read")
        writer = stack.enter_context(
            VideoWriter(
                job.output,
                size=first.image.shape[:2],
                frame_rate=reader.frame_rate,
                time_base=reader.time_base,
                audio=audio,
            )
        )
        sidecars = stack.enter_context(_Sidecars(job))
        steady_boxes = SteadyBoxes(threshold=boxes.threshold)

        def draw_and_write(explained: tuple[Frame, Explanation]) -> None:
            frame, explanation = explained
            if boxes.drawn or job.jsonl:
                explanation = steady_boxes.steady(explanation, frame.image.shape[:2], float(frame.pts))
            picture = _drawn(frame.image, explanation, overlay, boxes=boxes.drawn)
            writer.write(picture, frame.pts)
            sidecars.add(frame, explanation)
            while audio_packets:
                writer.write_audio(audio_packets.popleft())
            if on_progress:
                on_progress(writer.frames_written, reader.expected_frames)

        size = batch or _fastest_batch(engine, first.image.shape[:2], reader.expected_frames)
        waiting = chain([first], source.frames)
        with Behind(draw_and_write, _DEPTH) as drawing:
            while not stop.requested and (group := list(islice(waiting, size))):
                explanations = engine.explain_batch([frame.image for frame in group], size)
                for explained in zip(group, explanations, strict=True):
                    drawing.submit(explained)
        while audio_packets and not stop.requested:  # what was read ahead of the last frame is not part of it
            writer.write_audio(audio_packets.popleft())
    return AnnotateSummary(
        frames=writer.frames_written,
        expected_frames=reader.expected_frames,
        seconds=time.perf_counter() - begun,
        loss=reader.loss,
        stopped=stop.requested,
        audio_dropped=reader.audio.codec_context.name if reader.audio and not audio else None,
    )


def _drawn(image: np.ndarray, explanation: Explanation, overlay: Overlay, *, boxes: bool) -> np.ndarray:
    """The annotated frame, drawn over the frame itself; where several classes were asked for, a pane for each."""
    if len(explanation.targets) > 1:
        return compose(View.GRID, image, explanation, overlay, boxes=boxes)[0]
    picture = overlay.blend(image, explanation, in_place=True)
    if boxes:
        draw_boxes(picture, explanation)
    draw_predictions(picture, explanation)
    return picture


def _fastest_batch(engine: Engine, frame_size: tuple[int, int], expected_frames: int | None) -> int:
    return engine.explainer.fastest_batch(frame_size) if (expected_frames or 0) >= _WORTH_TIMING else 1


class _Sidecars:
    """The numbers beside the video. Use as a context manager: they appear when they are complete, or not at all."""

    def __init__(self, job: AnnotateJob) -> None:
        self._job = job
        self._lines: IO[str] | None = None
        self._explanations: list[Explanation] = []
        self._times: list[Fraction] = []

    def __enter__(self) -> _Sidecars:
        if self._job.jsonl:
            try:
                self._lines = open(part_path(self._job.jsonl), "w", encoding="utf-8")
            except OSError as error:
                raise OutputError(f"cannot write {self._job.jsonl}: {error.strerror}") from error
        return self

    def add(self, frame: Frame, explanation: Explanation) -> None:
        if self._lines:
            record = {"frame": frame.index, "time": round(float(frame.pts), 6)}
            record |= explanation_record(explanation)
            try:
                self._lines.write(json.dumps(record, ensure_ascii=False) + "\n")
            except OSError as error:
                raise OutputError(f"cannot write {self._job.jsonl}: {error.strerror}") from error
        if self._job.heatmaps:
            self._explanations.append(explanation)
            self._times.append(frame.pts)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        parts = [part_path(path) for path in (self._job.jsonl, self._job.heatmaps) if path is not None]
        try:
            if self._lines:
                self._lines.close()
            if kind is None:
                self._finish()
        except OSError as failure:
            raise OutputError(f"cannot write the numbers of {self._job.source}: {failure.strerror}") from failure
        finally:
            for part in parts:
                part.unlink(missing_ok=True)

    def _finish(self) -> None:
        if self._job.jsonl:
            os.replace(part_path(self._job.jsonl), self._job.jsonl)
        if self._job.heatmaps:
            with open(part_path(self._job.heatmaps), "wb") as file:
                np.savez_compressed(
                    file,
                    heatmaps=np.stack([explanation.heatmaps[0] for explanation in self._explanations]),
                    evidence=np.array([explanation.evidence[0] for explanation in self._explanations], np.float32),
                    target=np.array([explanation.target for explanation in self._explanations], np.int32),
                    time=np.array(self._times, np.float64),
                )
            os.replace(part_path(self._job.heatmaps), self._job.heatmaps)


def describe_loss(job: AnnotateJob, summary: AnnotateSummary) -> str:
    """One line on what could not be read of a job's source."""
    of = f" of {summary.expected_frames}" if summary.expected_frames else ""
    return f"{job.source} is damaged: {summary.loss}; {summary.frames}{of} frames are in {job.output}"


def annotate_all(
    jobs: Sequence[AnnotateJob],
    engine: Engine,
    overlay: Overlay,
    *,
    stop: StopRequest,
    opened: SourceAhead | None = None,
    batch: int | None = None,
    boxes: BoxOptions = DEFAULT_BOXES,
    on_done: Callable[[AnnotateJob, AnnotateSummary], None],
    on_failed: Callable[[AnnotateJob, LiveGradcamError], None],
    on_progress: Callable[[AnnotateJob, int, int | None], None] | None = None,
) -> None:
    """Annotate several files; one that fails does not stop the others.

    Args:
        jobs: from `plan_jobs`.
        engine: explains.
        overlay: draws.
        stop: ends the work after the frames in hand.
        opened: the only job's source, where it is being decoded already.
        batch: as for `annotate`.
        boxes: as for `annotate`.
        on_done: is told of each file written.
        on_failed: is told of each file that could not be.
        on_progress: is told of each frame: (job, frames written, frames expected).
    """
    for job in jobs:
        if stop.requested:
            return

        def progress(count: int, expected: int | None, job: AnnotateJob = job) -> None:
            if on_progress:
                on_progress(job, count, expected)

        try:
            summary = annotate(
                job, engine, overlay, stop=stop, opened=opened, batch=batch, boxes=boxes, on_progress=progress
            )
            on_done(job, summary)
        except LiveGradcamError as error:
            on_failed(job, error)
