"""The flags that `live` and `teach` share: where frames come from, where they are shown, what is recorded."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from live_gradcam.choices import SURFACES
from live_gradcam.cli.marks import chosen, sources_help
from live_gradcam.cli.parsing import parse_size
from live_gradcam.cli.terminal import complain
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
    reading: "SourceOptions",
    resolution: str | None,
    camera_fps: float | None,
    driver: str | None,
    *,
    sources: Sequence[str],
) -> "SourceOptions":
    """What is wanted of the sources, with what is wanted of a camera. Where none is one, a line says so.

    Raises:
        UsageError: a resolution that is none.
    """
    from live_gradcam.sources.options import CameraOptions

    wanted = {"--resolution": resolution, "--camera-fps": camera_fps, "--driver": driver}
    given = [flag for flag, value in wanted.items() if value is not None]
    if given and not any(_may_be_camera(source) for source in sources):
        said = (
            "is for a camera of this machine, and no source is one: it is"
            if len(given) == 1
            else ("are for a camera of this machine, and no source is one: they are")
        )
        complain(f"{' and '.join(given)} {said} not used")
    size = parse_size(resolution) if resolution else None
    return replace(reading, camera=CameraOptions(size, camera_fps, driver))


def _may_be_camera(source: str) -> bool:
    from live_gradcam.sources.devices import camera_index
    from live_gradcam.sources.opening import is_of_another_package

    return camera_index(source) is not None or is_of_another_package(source)


def complain_of_reconnect(source: str) -> None:
    """Say that a source that is not live is not opened again."""
    from live_gradcam.sources.opening import is_live

    if not is_live(source):
        complain(f"--reconnect is for a camera or a stream, and {source} is none: it is not used")
