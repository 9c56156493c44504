"""`live-gradcam teach`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from live_gradcam.attribution.session import SessionOptions
from live_gradcam.choices import METHODS
from live_gradcam.cli.command import command
from live_gradcam.cli.flags import JsonPath, Overwrite, TuneFlag, backbone_flags, overlay_flags, source_flags
from live_gradcam.cli.live_flags import (
    CameraFps,
    Driver,
    EveryFrame,
    Headless,
    LiveSource,
    MaxFrames,
    Mirror,
    Record,
    Resolution,
    Smooth,
    Snapshots,
    SurfaceName,
    surface_of,
    with_camera,
)
from live_gradcam.cli.marks import Flags, chosen
from live_gradcam.cli.terminal import (
    FAILED,
    INTERRUPTED,
    check_json_path,
    complain,
    end_process,
    is_stdout,
    start_teaching,
    write_json,
)
from live_gradcam.fitting.options import FITS_OF_FITTING, FitOfFitting

if TYPE_CHECKING:
    from live_gradcam.drawing.overlay import Overlay
    from live_gradcam.live_loop.teaching import Taught
    from live_gradcam.sources.options import SourceOptions


@command
def teach(
    session: Annotated[SessionOptions, Flags(backbone_flags, "Network")],
    overlay: Annotated["Overlay", Flags(overlay_flags, "Heatmap")],
    reading: Annotated["SourceOptions", Flags(source_flags, "Source")],
    source: LiveSource = "0",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.keras",
            help="The model to write, with the key w and at the end. Default: a new name, with the key w alone.",
        ),
    ] = None,
    fit: Annotated[
        FitOfFitting | None,
        chosen(
            FITS_OF_FITTING,
            "--fit",
            help="How to fit a frame into the network's input, now and whenever the model is used. Default: as the "
            "pictures were collected, the network's own way, or stretch.",
        ),
        FITS_OF_FITTING,
    ] = None,
    method: Annotated[str, chosen(METHODS, "--method", help="How to make the map."), METHODS] = "grad-cam",
    tune: TuneFlag = "auto",
    surface: SurfaceName = None,
    headless: Headless = False,
    script: Annotated[
        Path | None,
        typer.Option(
            "--script",
            metavar="FILE",
            help="Give the commands in this file. Each line is SECONDS COMMAND [ARGUMENT], such as 2.5 teach-hold 1.",
        ),
    ] = None,
    max_frames: MaxFrames = None,
    every_frame: EveryFrame = False,
    record: Record = None,
    snapshots: Snapshots = Path(),
    smooth: Smooth = 0.2,
    resolution: Resolution = None,
    camera_fps: CameraFps = None,
    driver: Driver = None,
    mirror: Mirror = None,
    json_path: JsonPath = None,
    overwrite: Overwrite = False,
) -> None:
    """Teach a network your own classes at the camera. Hold 1 to 9 to collect pictures of a class; h shows the keys."""
    surface = surface_of(surface, headless=headless)
    from live_gradcam.live_loop.options import LiveOptions, TeachingOptions
    from live_gradcam.live_loop.run import live as run_live
    from live_gradcam.live_loop.teaching_commands import ALL_COMMANDS
    from live_gradcam.surfaces.script import read_script

    options = LiveOptions(
        surface=surface,
        every_frame=every_frame,
        max_frames=max_frames,
        record=record,
        overwrite=overwrite,
        snapshots=snapshots,
        smooth=smooth,
        mirror=mirror,
        reading=with_camera(reading, resolution, camera_fps, driver, sources=[source]),
        teaching=TeachingOptions(output, fit, start_teaching),
        script=read_script(script, ALL_COMMANDS) if script else (),
    )
    check_json_path(json_path, overwrite=overwrite)
    summary = run_live(source, session=replace(session, method=method, tune=tune), overlay=overlay, options=options)
    if not is_stdout(json_path):
        for line in (*_lines(summary.taught), *(f"recorded in {path}" for path in summary.recordings)):
            print(line)
    if json_path is not None:
        write_json(summary.to_json(), json_path)
    taught = summary.taught
    if taught is not None and taught.failure is not None:
        complain(taught.failure)
        end_process(FAILED)
    if taught is not None and taught.is_unsaved:
        complain("what you taught last is not written: use the key w, or -o FILE.keras")
    end_process(INTERRUPTED if summary.stopped else 0)


def _lines(taught: "Taught | None") -> list[str]:
    """What was taught, in lines."""
    from live_gradcam.fitting.report.words import counted

    if taught is None:
        return ["nothing was taught"]
    lines = [f"{one.name}: {counted(one.count, 'picture')} in {counted(one.bursts, 'burst')}" for one in taught.classes]
    if taught.accuracy is not None:
        lines.append(f"accuracy on bursts that the head never saw: {100 * taught.accuracy:.0f} %")
    return lines + [f"written as {path}" for path in taught.models]
