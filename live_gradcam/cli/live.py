"""`live-gradcam live`."""

import os
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from live_gradcam.attribution.session import SessionOptions
from live_gradcam.choices import HUD_LEVELS, VIEWS, HudLevel, View
from live_gradcam.cli.command import command
from live_gradcam.cli.flags import (
    Flags,
    JsonPath,
    Overwrite,
    box_flags,
    chosen,
    overlay_flags,
    session_flags,
    source_flags,
)
from live_gradcam.cli.parsing import parse_size
from live_gradcam.cli.terminal import INTERRUPTED, check_json_path, complain, renamed_flag, start_session, write_json

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
    source: Annotated[
        str,
        typer.Argument(
            metavar="[SOURCE]",
            help="A camera (0, /dev/video0), a video, a picture, a folder of pictures, or an address (rtsp://…).",
        ),
    ] = "0",
    headless: Annotated[bool, typer.Option("--headless", help="No window.")] = False,
    max_frames: Annotated[
        int | None, typer.Option("--max-frames", min=1, metavar="N", help="Stop after N explained frames.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option("--record", metavar="FILE.mp4", help="Write what is seen to a video.")
    ] = None,
    record_clean: Annotated[
        bool, typer.Option("--record-clean", help="Record the frames without anything drawn.")
    ] = False,
    snapshots: Annotated[
        Path, typer.Option("--snapshots", metavar="FOLDER", help="Where the keys s and r write to.")
    ] = Path(),
    view: Annotated[View, chosen(VIEWS, "--view", help="What the window shows first."), VIEWS] = "overlay",
    hud: Annotated[
        HudLevel, chosen(HUD_LEVELS, "--hud", help="How much text to draw over the picture."), HUD_LEVELS
    ] = "full",
    smooth: Annotated[
        float,
        typer.Option(
            "--smooth", min=0, metavar="SECONDS", help="Smooth predictions, maps and boxes over time; 0: not."
        ),
    ] = 0.2,
    smooth_display: Annotated[
        bool,
        typer.Option("--smooth-display", help="Show each frame at once, under the newest map; its age is told."),
    ] = False,
    every_frame: Annotated[
        bool,
        typer.Option("--every-frame/--latest", help="Drop no frame: the source waits. Default: the newest frame wins."),
    ] = False,
    reconnect: Annotated[
        int | None,
        typer.Option(
            "--reconnect", min=0, metavar="N", help="Tries to open a source again that stopped. Default: for ever."
        ),
    ] = None,
    resolution: Annotated[
        str | None, typer.Option("--resolution", metavar="WxH", help="Picture size to ask the camera for.")
    ] = None,
    camera_fps: Annotated[
        float | None, typer.Option("--camera-fps", min=1, metavar="N", help="Frame rate to ask the camera for.")
    ] = None,
    driver: Annotated[
        str | None, typer.Option("--driver", metavar="NAME", help="The camera's driver: v4l2, dshow, avfoundation, …")
    ] = None,
    backend: Annotated[str | None, typer.Option("--backend", hidden=True)] = None,
    mirror: Annotated[
        bool | None, typer.Option("--mirror/--no-mirror", help="As in a mirror. Default: on for a local camera.")
    ] = None,
    json_path: JsonPath = None,
    overwrite: Overwrite = False,
) -> None:
    """Explain a camera, a stream or a file as it comes. In the window, h shows the keys and q quits."""
    from live_gradcam.files import check_output
    from live_gradcam.live_loop.run import LiveOptions, run_live
    from live_gradcam.sources.devices import camera_index
    from live_gradcam.sources.opening import open_source
    from live_gradcam.sources.options import CameraOptions
    from live_gradcam.surfaces.window import check_display

    session = replace(session, maps=1 if headless else None, is_live=True)  # the grid shows a map a class
    session.check()
    camera = CameraOptions(
        parse_size(resolution) if resolution else None,
        camera_fps,
        renamed_flag("--backend", backend, "--driver", driver),
    )
    camera.check()
    check_json_path(json_path, overwrite=overwrite)
    if record:
        check_output(record, overwrite=overwrite)
    if not headless:
        check_display()
    options = LiveOptions(
        headless=headless,
        every_frame=every_frame,
        max_frames=max_frames,
        record=record,
        record_clean=record_clean,
        snapshots=snapshots,
        smooth=smooth,
        smooth_display=smooth_display,
        reconnect=reconnect,
        mirror=camera_index(source) is not None if mirror is None else mirror,
        view=view,
        hud=hud,
        boxes=boxes,
    )
    wanted = replace(reading, camera=camera)
    summary = run_live(
        source,
        lambda look: start_session(session, look=look),
        overlay,
        options,
        opener=lambda name: open_source(name, wanted),
    )
    if str(json_path) != "-":
        recorded = "".join(f", recorded in {path}" for path in summary.recordings)
        print(f"{summary.frames} frames explained at {summary.fps:.1f} FPS, {summary.dropped} dropped{recorded}")
    if json_path is not None:
        write_json(summary.record(), json_path)
    if summary.left_out:
        complain(f"{summary.left_out} frames are not in the recording: the encoder did not keep up")
    code = INTERRUPTED if summary.stopped else 0
    _leave_threads_behind(code)
    if code:
        raise typer.Exit(code)


def _leave_threads_behind(code: int) -> None:
    """End the process where a driver or a compiler does not come back: all files are finished, and nothing is lost."""
    threads = [thread for thread in threading.enumerate() if thread.name in ("capture-reader", "explain", "compile")]
    if threads:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
