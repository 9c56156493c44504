"""`live-gradcam annotate`."""

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from live_gradcam.attribution.session import SessionOptions
from live_gradcam.choices import LAYOUTS, SIDECARS
from live_gradcam.cli.annotate_progress import AnnotateProgress
from live_gradcam.cli.command import command
from live_gradcam.cli.flags import (
    JsonPath,
    Overwrite,
    PictureFps,
    PictureLevels,
    SourceFps,
    box_flags,
    encoding_flags,
    overlay_flags,
    session_flags,
)
from live_gradcam.cli.marks import Flags, chosen, path_flags, sources_help
from live_gradcam.cli.parsing import parse_batch, parse_levels, parse_output_size
from live_gradcam.cli.terminal import (
    FAILED,
    INTERRUPTED,
    PROCESS_START,
    check_json_path,
    complain,
    is_stdout,
    say,
    terminal,
    write_json,
)
from live_gradcam.errors import UsageError
from live_gradcam.sources.times import frames_in_words, parse_rate, parse_time

if TYPE_CHECKING:
    from live_gradcam.annotating.batch import Progress
    from live_gradcam.annotating.report import Result
    from live_gradcam.drawing.overlay import Overlay
    from live_gradcam.explanations.boxes import BoxOptions
    from live_gradcam.sinks.encoding import Encoding


@command
def annotate(
    session: Annotated[SessionOptions, Flags(session_flags, "Explanation")],
    overlay: Annotated["Overlay", Flags(overlay_flags, "Heatmap")],
    boxes: Annotated["BoxOptions", Flags(box_flags, "Boxes")],
    encoding: Annotated["Encoding", Flags(encoding_flags, "Encoding")],
    sidecars: Annotated[
        dict[str, Path], Flags(path_flags(SIDECARS, help="Several videos: a folder."), "Files beside OUT")
    ],
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...",
            help=sources_help("Videos, pictures, folders of them, or numbered pictures: shots/%04d.png."),
            readable=False,  # Click would refuse all for one without permission, which here fails by itself
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="The file to write (.mp4, .mkv, .webm or .gif), or a folder for several. Default: beside SOURCE.",
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--start", metavar="TIME", help="Start at this time: seconds, m:ss or h:mm:ss.")
    ] = None,
    end: Annotated[str | None, typer.Option("--end", metavar="TIME", help="Stop before this time.")] = None,
    stride: Annotated[
        int, typer.Option("--stride", min=1, metavar="N", help="Explain every N-th frame. Those between keep its map.")
    ] = 1,
    output_fps: Annotated[
        str | None,
        typer.Option(
            "--output-fps",
            metavar="N",
            help="Frames per second of the output, such as 25 or 30000/1001. Default: as SOURCE.",
        ),
    ] = None,
    picture_fps: PictureFps = "25",
    source_fps: SourceFps = None,
    levels: PictureLevels = None,
    size: Annotated[
        str | None,
        typer.Option("--size", metavar="WxH", help="Size of the output. 1280x or x720: keep the proportions."),
    ] = None,
    layout: Annotated[
        str,
        chosen(LAYOUTS, "--layout", "--view", help="What the output shows."),
        LAYOUTS,
    ] = "overlay",
    smooth: Annotated[
        float,
        typer.Option(
            "--smooth",
            min=0,
            metavar="SECONDS",
            help="Smooth what is drawn over this many seconds. The numbers stay as they are.",
        ),
    ] = 0.0,
    batch: Annotated[
        str, typer.Option("--batch", metavar="auto|N", help="Explain N frames at a time. auto: as many as is fastest.")
    ] = "auto",
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=1,
            max=256,
            metavar="N",
            help="Use N processes. They share the files, and the parts of long files.",
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            metavar="ADDRESS",
            help="Use a Ray cluster: HOST:PORT, auto for the one of this machine, or local to start one here.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Skip outputs that were made in the same way before. Start those again that were cut short.",
        ),
    ] = False,
    json_path: JsonPath = None,
    overwrite: Overwrite = False,
) -> None:
    """Write annotated copies of recordings: every frame is explained and keeps its time, with sound and subtitles."""
    from live_gradcam.annotating.annotate import annotate
    from live_gradcam.annotating.options import AnnotateOptions
    from live_gradcam.flow.overlap import let_stages_run_on

    if cluster is not None and workers is not None:
        raise UsageError("--workers and --cluster do not go together: give one of them")
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
    check_json_path(json_path, overwrite=overwrite or resume)
    let_stages_run_on()
    with AnnotateProgress(terminal(), f"starting {session.model}") as bars:

        def on_progress(progress: "Progress") -> None:
            bars(progress)
            if progress.result is not None:
                _print_result(progress.result, quiet=is_stdout(json_path))

        report = annotate(
            sources,
            output,
            session=session,
            options=options,
            sidecars=sidecars,
            workers=workers if cluster is None else cluster,
            overwrite=overwrite,
            resume=resume,
            on_progress=on_progress,
        )
    if json_path is not None:
        write_json(replace(report, seconds=time.perf_counter() - PROCESS_START).to_json(), json_path)
    if report.stopped:
        raise typer.Exit(INTERRUPTED)
    if not report.is_complete:
        raise typer.Exit(FAILED)


def _print_result(result: "Result", *, quiet: bool) -> None:
    """Print what became of a recording: on stdout, unless that is for JSON, and what went wrong on stderr."""
    output, summary = result.job.output, result.summary
    if result.error is not None:
        complain(str(result.error))
        return
    if not quiet:
        if summary is None:
            say(f"{output} is done already")
        else:
            say(f"{output}: {frames_in_words(summary.frames)} in {summary.seconds:.1f} s ({summary.fps:.1f} FPS)")
    for note in result.notes:
        complain(note)
    if result.damage is not None:
        complain(result.damage)
