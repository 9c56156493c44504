"""`live-gradcam live`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from live_gradcam.attribution.session import SessionOptions
from live_gradcam.choices import HUD_LEVELS, VIEWS, HudLevel, View
from live_gradcam.cli.command import command
from live_gradcam.cli.flags import JsonPath, Overwrite, box_flags, overlay_flags, session_flags, source_flags
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
    complain_of_reconnect,
    surface_of,
    with_camera,
)
from live_gradcam.cli.marks import Flags, chosen
from live_gradcam.cli.terminal import (
    INTERRUPTED,
    check_json_path,
    complain,
    end_process,
    is_stdout,
    renamed_flag,
    start_session,
    write_json,
)
from live_gradcam.sources.times import frames_in_words

if TYPE_CHECKING:
    from live_gradcam.drawing.overlay import Overlay
    from live_gradcam.explanations.boxes import BoxOptions
    from live_gradcam.sources.options import SourceOptions


@command
def live(
    session: Annotated[SessionOptions, Flags(session_flags, "Explanation")],
    overlay: Annotated["Overlay", Flags(overlay_flags, "Heatmap")],
    boxes: Annotated["BoxOptions", Flags(box_flags, "Boxes")],
    reading: Annotated["SourceOptions", Flags(source_flags, "Source")],
    source: LiveSource = "0",
    surface: SurfaceName = None,
    headless: Headless = False,
    max_frames: MaxFrames = None,
    record: Record = None,
    record_clean: Annotated[
        bool, typer.Option("--record-clean", help="Record the frames without heatmap and text.")
    ] = False,
    snapshots: Snapshots = Path(),
    view: Annotated[View, chosen(VIEWS, "--view", help="What to show at first."), VIEWS] = "overlay",
    hud: Annotated[
        HudLevel, chosen(HUD_LEVELS, "--hud", help="How much text to write over the picture."), HUD_LEVELS
    ] = "full",
    smooth: Smooth = 0.2,
    smooth_display: Annotated[
        bool,
        typer.Option(
            "--smooth-display",
            help="Show every frame as it comes, under the newest map. The text says how old the map is.",
        ),
    ] = False,
    every_frame: EveryFrame = False,
    reconnect: Annotated[
        int | None,
        typer.Option(
            "--reconnect",
            min=0,
            metavar="N",
            help="If the source stops, try N times to open it again. Default: try for ever.",
        ),
    ] = None,
    resolution: Resolution = None,
    camera_fps: CameraFps = None,
    driver: Driver = None,
    backend: Annotated[str | None, typer.Option("--backend", hidden=True)] = None,
    mirror: Mirror = None,
    json_path: JsonPath = None,
    overwrite: Overwrite = False,
) -> None:
    """Explain a camera, a stream or a file as it comes. In the window, h shows the keys and q quits."""
    surface = surface_of(surface, headless=headless)
    from live_gradcam.live_loop.options import LiveOptions
    from live_gradcam.live_loop.run import live as run_live

    driver = renamed_flag("--backend", backend, "--driver", driver)
    options = LiveOptions(
        surface=surface,
        every_frame=every_frame,
        max_frames=max_frames,
        record=record,
        record_clean=record_clean,
        overwrite=overwrite,
        snapshots=snapshots,
        smooth=smooth,
        smooth_display=smooth_display,
        reconnect=reconnect,
        mirror=mirror,
        view=view,
        hud=hud,
        boxes=boxes,
        reading=with_camera(reading, resolution, camera_fps, driver, sources=[source]),
    )
    check_json_path(json_path, overwrite=overwrite)
    if reconnect is not None:
        complain_of_reconnect(source)
    if record_clean and record is None and surface == "none":
        complain("--record-clean is for a recording, and nothing is recorded: add --record FILE.mp4")
    summary = run_live(source, session=session, overlay=overlay, options=options, start=start_session)
    if not is_stdout(json_path):
        recorded = "".join(f", recorded in {path}" for path in summary.recordings)
        print(
            f"{frames_in_words(summary.frames)} explained at {summary.fps:.1f} FPS, {summary.dropped} dropped{recorded}"
        )
    if json_path is not None:
        write_json(summary.to_json(), json_path)
    if summary.left_out:
        complain(f"{summary.left_out} frames are not in the recording: the encoder did not keep up")
    end_process(INTERRUPTED if summary.stopped else 0)
