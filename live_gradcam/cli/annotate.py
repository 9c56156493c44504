"""`live-gradcam annotate`."""

import importlib.metadata
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from live_gradcam.attribution.session import SessionOptions
from live_gradcam.cli.command import command
from live_gradcam.cli.flags import (
    Flags,
    JsonPath,
    Overwrite,
    PictureLevels,
    SourceFps,
    box_flags,
    encoding_flags,
    overlay_flags,
    session_flags,
)
from live_gradcam.cli.parsing import parse_batch, parse_levels, parse_output_size, parse_rate, parse_time
from live_gradcam.cli.terminal import (
    FAILED,
    INTERRUPTED,
    PROCESS_START,
    check_json_path,
    complain,
    start_session,
    terminal,
    write_json,
)
from live_gradcam.errors import LiveGradcamError, UsageError

if TYPE_CHECKING:
    from live_gradcam.annotating.cluster import ClusterWorkers
    from live_gradcam.annotating.jobs import AnnotateJob
    from live_gradcam.annotating.options import AnnotateOptions
    from live_gradcam.annotating.summary import AnnotateSummary
    from live_gradcam.annotating.workers import ProcessWorkers
    from live_gradcam.drawing.overlay import Overlay
    from live_gradcam.explanations.boxes import BoxOptions
    from live_gradcam.sinks.encoding import Encoding


@command
def annotate(
    session: Annotated[SessionOptions, Flags(session_flags, "Explanation")],
    overlay: Annotated["Overlay", Flags(overlay_flags, "Heatmap")],
    boxes: Annotated["BoxOptions", Flags(box_flags, "Boxes")],
    encoding: Annotated["Encoding", Flags(encoding_flags, "Encoding")],
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...", help="Videos, pictures, folders of them, or numbered pictures: shots/%04d.png."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="The .mp4, .mkv, .webm or .gif to write, or the folder for several. Default: beside SOURCE.",
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--start", metavar="TIME", help="Begin there: seconds, m:ss or h:mm:ss.")
    ] = None,
    end: Annotated[str | None, typer.Option("--end", metavar="TIME", help="End before there.")] = None,
    stride: Annotated[
        int, typer.Option("--stride", min=1, metavar="N", help="Explain every N-th frame, and hold its map.")
    ] = 1,
    output_fps: Annotated[
        str | None,
        typer.Option("--output-fps", metavar="N", help="So many frames a second, such as 25 or 30000/1001."),
    ] = None,
    picture_fps: Annotated[
        str, typer.Option("--picture-fps", metavar="N", help="Pictures a second, where SOURCE is a sequence of them.")
    ] = "25",
    source_fps: SourceFps = None,
    levels: PictureLevels = None,
    size: Annotated[
        str | None, typer.Option("--size", metavar="WxH", help="Size of the output; 1280x or x720: in proportion.")
    ] = None,
    layout: Annotated[
        str,
        typer.Option(
            "--layout", "--view", metavar="NAME", help="overlay, side-by-side, panels, heatmap, raw or grid of classes."
        ),
    ] = "overlay",
    smooth: Annotated[
        float,
        typer.Option("--smooth", min=0, metavar="SECONDS", help="Smooth what is drawn over time; the numbers are not."),
    ] = 0.0,
    jsonl: Annotated[
        Path | None,
        typer.Option("--jsonl", metavar="PATH", help="Write a line of JSON a frame. Several videos: a folder."),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="PATH", help="Write a row a frame. Several videos: a folder.")
    ] = None,
    heatmaps: Annotated[
        Path | None,
        typer.Option(
            "--heatmaps", metavar="PATH", help="Write the raw maps: NAME.npz or NAME.zarr. Several videos: a folder."
        ),
    ] = None,
    contact_sheet: Annotated[
        Path | None,
        typer.Option(
            "--contact-sheet",
            metavar="PATH.png",
            help="Draw the video's classes over time, with some frames. Several videos: a folder.",
        ),
    ] = None,
    batch: Annotated[
        str, typer.Option("--batch", metavar="auto|N", help="Explain so many frames at a time; auto: what is fastest.")
    ] = "auto",
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, max=256, metavar="N", help="Work in N processes, on files and their parts."),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster", metavar="ADDRESS", help="Work on a Ray cluster: HOST:PORT, auto, or local for one here."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on: leave out what is done in this way, begin anew what was cut short.")
    ] = False,
    json_path: JsonPath = None,
    overwrite: Overwrite = False,
) -> None:
    """Write annotated copies of recordings: every frame explained, at its own time, with sound and subtitles."""
    from live_gradcam.annotating.jobs import SidecarPaths, check_jobs, plan_jobs
    from live_gradcam.annotating.options import AnnotateOptions
    from live_gradcam.annotating.parallel import annotate_in_parallel, start_workers
    from live_gradcam.annotating.progress import AnnotateProgress
    from live_gradcam.annotating.provenance import Provenance
    from live_gradcam.annotating.run import annotate_all
    from live_gradcam.annotating.source import SourceAhead, obstacle
    from live_gradcam.annotating.summary import Report, describe_loss, describe_notes
    from live_gradcam.flow.overlap import let_stages_run_on
    from live_gradcam.flow.stopping import StopRequest

    session.check()
    _check_workers(workers, cluster, encoding)
    options = AnnotateOptions(
        start=parse_time(start, "--start"),
        end=parse_time(end, "--end"),
        stride=stride,
        output_fps=parse_rate(output_fps, "--output-fps") if output_fps else None,
        picture_fps=parse_rate(picture_fps, "--picture-fps"),
        source_fps=parse_rate(source_fps, "--source-fps") if source_fps else None,
        levels=parse_levels(levels),
        size=parse_output_size(size) if size else None,
        layout=layout,
        smooth=smooth,
        boxes=boxes,
        batch=parse_batch(batch),
        colormap=overlay.colormap,
        alpha=overlay.alpha,
        encoding=encoding,
    )
    session = options.for_session(session)
    jobs = plan_jobs(sources, output, options, SidecarPaths(jsonl, csv, heatmaps, contact_sheet))
    provenances = [Provenance.of(job.source, session, options) for job in jobs]
    are_done = check_jobs(jobs, provenances, options, overwrite=overwrite, resume=resume)
    check_json_path(json_path, overwrite=overwrite or resume)
    report = Report(importlib.metadata.version("live-gradcam"))
    failed: list[Path] = []

    def say(text: str) -> None:
        if str(json_path) != "-":
            print(text)

    def done(job: "AnnotateJob", summary: "AnnotateSummary") -> None:
        report.done(job, summary)
        progress.done(job)
        say(f"{job.output}: {summary.frames} frames in {summary.seconds:.1f} s ({summary.fps:.1f} FPS)")
        for note in describe_notes(job, summary):
            complain(note)
        if summary.loss:
            failed.append(job.source)
            complain(describe_loss(job, summary))

    def not_done(job: "AnnotateJob", error: LiveGradcamError) -> None:
        report.failed(job, error)
        progress.done(job)
        failed.append(job.source)
        complain(str(error))

    for job in (job for job, is_done in zip(jobs, are_done, strict=True) if is_done):
        report.skipped(job)
        say(f"{job.output} is done already")
    todo = [pair for pair, is_done in zip(zip(jobs, provenances, strict=True), are_done, strict=True) if not is_done]
    progress = AnnotateProgress(terminal, len(todo))
    for job, _ in todo:  # what is no recording is told before TensorFlow has started
        if (error := obstacle(job.source, options)) is not None:
            not_done(job, error)
    todo = [pair for pair in todo if pair[0].source not in failed]
    stop = StopRequest()
    let_stages_run_on()
    with ExitStack() as stack:
        if todo:
            several = _several_workers(workers, cluster, session, options)
            if several is None:
                # A single recording is decoded while TensorFlow starts.
                opened = stack.enter_context(SourceAhead(todo[0][0].source, options)) if len(todo) == 1 else None
                started = start_session(session, look=opened.look if opened else None)
                report.start_s = started.start_s
                stack.enter_context(stop)
                work: Callable[..., None] = partial(annotate_all, todo, started, options, opened=opened)
            else:
                stack.enter_context(stop)
                stack.enter_context(several)
                with terminal.status(f"starting {session.model}"):
                    report.start_s = start_workers(several, stop)
                work = partial(annotate_in_parallel, todo, options, several)
            stack.enter_context(progress)
            work(stop=stop, on_done=done, on_failed=not_done, on_progress=progress.update)
    report.seconds, report.stopped = time.perf_counter() - PROCESS_START, stop.requested
    if json_path is not None:
        write_json(report.record(), json_path)
    if stop.requested:
        raise typer.Exit(INTERRUPTED)
    if failed:
        raise typer.Exit(FAILED)


def _check_workers(count: int | None, cluster: str | None, encoding: "Encoding") -> None:
    if cluster is None and count is None:
        return
    if cluster is not None and count is not None:
        raise UsageError("--workers are processes on this machine, --cluster has workers of its own: give one of them")
    if encoding.codec == "png":
        raise UsageError("a folder of pictures is written by one process: leave out --workers and --cluster")
    if cluster is not None:
        from live_gradcam.annotating.cluster import check_cluster

        check_cluster()


def _several_workers(
    count: int | None, cluster: str | None, session: SessionOptions, options: "AnnotateOptions"
) -> "ProcessWorkers | ClusterWorkers | None":
    """What works, besides this process; None for nothing."""
    from live_gradcam.annotating.cluster import ClusterWorkers
    from live_gradcam.annotating.workers import ProcessWorkers

    if cluster is None and count is None:
        return None
    if cluster is not None:
        return ClusterWorkers(cluster, session, options)
    return ProcessWorkers(count or 1, session, options)
