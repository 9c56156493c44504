"""`live-gradcam bench`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from live_gradcam.attribution.fit_choice import describe_fit
from live_gradcam.attribution.session import SessionOptions
from live_gradcam.cli.command import command
from live_gradcam.cli.flags import JsonPath, Overwrite, overlay_flags, session_flags, source_flags
from live_gradcam.cli.marks import Flags, sources_help
from live_gradcam.cli.parsing import parse_size
from live_gradcam.cli.terminal import (
    PROCESS_START,
    check_json_path,
    complain,
    is_stdout,
    print_table,
    start_session,
    write_json,
)
from live_gradcam.compiling.compilation import describe_way

if TYPE_CHECKING:
    from live_gradcam.drawing.overlay import Overlay
    from live_gradcam.sources.options import SourceOptions


@command
def bench(
    session: Annotated[SessionOptions, Flags(session_flags, "Explanation")],
    overlay: Annotated["Overlay", Flags(overlay_flags, "Heatmap")],
    reading: Annotated["SourceOptions", Flags(source_flags, "Source")],
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="[SOURCE]", help=sources_help("A video, pictures or a camera. Default: a synthetic stream.")
        ),
    ] = None,
    frames: Annotated[
        int, typer.Option("--frames", "-n", min=1, metavar="N", help="How many frames to measure.")
    ] = 200,
    size: Annotated[
        str | None,
        typer.Option("--size", metavar="WxH", help="Frame size of the synthetic stream. Default: 1280x720."),
    ] = None,
    json_path: JsonPath = None,
    overwrite: Overwrite = False,
) -> None:
    """Measure throughput: frames per second, the time of each stage, and what Grad-CAM costs over the prediction."""
    from live_gradcam.benchmark import bench as measure

    check_json_path(json_path, overwrite=overwrite)
    if size is not None and source is not None:
        complain(f"--size is for the synthetic stream, and {source} has its own size: it is not used")
    report = measure(
        source,
        reading=reading,
        session=session,
        overlay=overlay,
        frames=frames,
        size=parse_size(size or "1280x720"),
        process_start=PROCESS_START,
        start=start_session,
    )
    if not is_stdout(json_path):
        _print_report(report)
    if json_path is not None:
        write_json(report, json_path)


def _print_report(report: dict[str, Any]) -> None:
    height, width = report["frame_size"]
    latency, stages, threads = report["latency_ms"], report["stages_ms"], report["threads"]
    rows = {
        "model": f"{report['model']} · {report['method']} · {report['layer']}",
        "engine": _describe_engine(report),
        "fit": describe_fit(report["fit"], report["tiles"]),
        "device": report["device"],
        "threads": ", ".join(f"{name} {count}" for name, count in threads.items()),
        "frames": f"{report['frames']} of {width}×{height}",
        "throughput": f"{report['fps']:.1f} FPS (read, explain, draw and write, one after the other)",
        "latency": f"{latency['p50']:.1f} ms p50, {latency['p95']:.1f} p95, {latency['p99']:.1f} p99 (explain, draw)",
        "stages": ", ".join(f"{stage} {milliseconds:.1f} ms" for stage, milliseconds in stages.items()),
        "prediction only": f"{report['forward_ms']:.2f} ms",
        "with Grad-CAM": f"{report['explain_ms']:.2f} ms, {report['gradcam_overhead']:.3f} × the prediction",
        **({"two at a time": _describe_two(report["two_at_a_time"])} if report["two_at_a_time"] else {}),
        **({"agreement": _describe_agreement(report["agreement"])} if report["agreement"] else {}),
        "compiling": f"{report['compile_s']:.1f} s",
        "first frame after": f"{report['time_to_first_frame_s']:.1f} s",
    }
    table = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        table.add_row(name, escape(value))
    print_table(table)


def _describe_two(two: dict[str, float]) -> str:
    return (
        f"{two['fps']:.1f} FPS explained, {two['gain']:.2f} × one at a time ({two['fps_of_one']:.1f} FPS); "
        "each frame takes longer"
    )


def _describe_engine(report: dict[str, Any]) -> str:
    engine = describe_way(report["engine"], report["precision"])
    return f"{engine}: {report['engine_choice']}" if report["engine_choice"] else engine


def _describe_agreement(agreement: dict[str, float]) -> str:
    return (
        f"{100 * agreement['top1']:.1f} % of top classes, maps correlated by {agreement['map_correlation']:.4f} "
        f"(worst {agreement['map_correlation_min']:.4f}) with f32"
    )
