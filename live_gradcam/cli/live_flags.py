"""The flags that `live` and `teach` share: where frames come from, where they are shown, what is recorded."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from live_gradcam.choices import SURFACES
from live_gradcam.cli.marks import chosen, sources_help
from live_gradcam.cli.parsing import parse_size
from live_gradcam.errors import UsageError

if TYPE_CHECKING:
    from live_gradcam.sources.options import SourceOptions

LiveSource = Annotated[
    str,
    typer.Argument(
        metavar="[SOURCE]",
        help=sources_help(
            "A camera (0, /dev/video0), a video, a picture, a folder of pictures, or an address (rtsp://…)."
        ),
    ),
]
SurfaceName = Annotated[
    str | None,
    chosen(SURFACES, "--surface", help="Where to show the picture. none: nowhere. Default: window."),
    SURFACES,
]
Headless = Annotated[bool, typer.Option("--headless", help="Open no window: the same as --surface none.")]
MaxFrames = Annotated[
    int | None, typer.Option("--max-frames", min=1, metavar="N", help="Stop after N explained frames.")
]
Record = Annotated[
    Path | None, typer.Option("--record", metavar="FILE.mp4", help="Record the picture, with heatmap and text.")
]
Snapshots = Annotated[
    Path, typer.Option("--snapshots", metavar="FOLDER", help="The folder for the files of the keys s and r.")
]
Smooth = Annotated[
    float,
    typer.Option(
        "--smooth",
        min=0,
        metavar="SECONDS",
        help="Smooth predictions, maps and boxes over about this many seconds. 0: not at all.",
    ),
]
EveryFrame = Annotated[
    bool,
    typer.Option(
        "--every-frame/--latest",
        help="Explain every frame: the source waits. --latest: explain the newest frame, drop others.",
    ),
]
Resolution = Annotated[
    str | None, typer.Option("--resolution", metavar="WxH", help="Ask the camera for pictures of this size.")
]
CameraFps = Annotated[
    float | None,
    typer.Option("--camera-fps", min=1, metavar="N", help="Ask the camera for this many frames per second."),
]
Driver = Annotated[
    str | None,
    typer.Option("--driver", metavar="NAME", help="The driver that reads the camera: v4l2, dshow, avfoundation, …"),
]
Mirror = Annotated[
    bool | None,
    typer.Option("--mirror/--no-mirror", help="Flip the picture as in a mirror. Default: for a local camera."),
]


def surface_of(surface: str | None, *, headless: bool) -> str:
    """The surface that is asked for. Of a window, it begins to be found out whether it can open.

    Raises:
        UsageError: two are.
    """
    from live_gradcam.surfaces.probe import begin_probe

    if headless and surface not in (None, "none"):
        raise UsageError(f"--headless means --surface none, and the surface is {surface}: leave one of them out")
    chosen = "none" if headless else surface or "window"
    if chosen == "window":
        begin_probe()
    return chosen


def with_camera(
    reading: "SourceOptions", resolution: str | None, camera_fps: float | None, driver: str | None
) -> "SourceOptions":
    """What is wanted of the source, with what is wanted of a camera.

    Raises:
        UsageError: a resolution that is none.
    """
    from live_gradcam.sources.options import CameraOptions

    size = parse_size(resolution) if resolution else None
    return replace(reading, camera=CameraOptions(size, camera_fps, driver))
