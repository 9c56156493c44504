"""`live-gradcam serve`."""

import sys
import threading
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from live_gradcam.attribution.session import SessionOptions
from live_gradcam.choices import VIEWS, View
from live_gradcam.cli.command import command
from live_gradcam.cli.flags import box_flags, overlay_flags, session_flags, source_flags
from live_gradcam.cli.live_flags import CameraFps, Driver, Mirror, Resolution, Smooth, with_camera
from live_gradcam.cli.marks import Flags, chosen, sources_help
from live_gradcam.cli.terminal import INTERRUPTED, end_process

if TYPE_CHECKING:
    from live_gradcam.drawing.overlay import Overlay
    from live_gradcam.explanations.boxes import BoxOptions
    from live_gradcam.serving.addresses import PageAddress
    from live_gradcam.sources.options import SourceOptions


@command
def serve(
    session: Annotated[SessionOptions, Flags(session_flags, "Explanation")],
    overlay: Annotated["Overlay", Flags(overlay_flags, "Heatmap")],
    boxes: Annotated["BoxOptions", Flags(box_flags, "Boxes")],
    reading: Annotated["SourceOptions", Flags(source_flags, "Source")],
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SOURCE]...",
            help=sources_help(
                "What visitors can watch besides their own camera: a camera of this machine (0), a video, a picture, a "
                "folder, or an address."
            ),
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option("--host", metavar="ADDRESS", help="Listen on this address. 0.0.0.0: let other machines in."),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="N", help="Listen on this port. 0: any free one.")] = 8000,
    https: Annotated[
        bool,
        typer.Option("--https", help="Serve over https, which phones need for their camera. Makes a certificate."),
    ] = False,
    certfile: Annotated[
        Path | None, typer.Option("--certfile", metavar="FILE.pem", help="Serve over https with this certificate.")
    ] = None,
    keyfile: Annotated[
        Path | None, typer.Option("--keyfile", metavar="FILE.pem", help="The key of the certificate.")
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            metavar="NAME",
            help="Another name of this machine by which browsers may ask for the page. Repeat it for several.",
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            metavar="TEXT",
            envvar="LIVE_GRADCAM_TOKEN",
            show_envvar=False,
            help="The secret in the address. Default: LIVE_GRADCAM_TOKEN, or a new one at each start.",
        ),
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser of this machine.")] = False,
    max_clients: Annotated[
        int, typer.Option("--max-clients", min=1, metavar="N", help="How many visitors there may be at a time.")
    ] = 64,
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            min=1,
            metavar="N",
            help="Explain in N processes, which share the processors: for many visitors.",
        ),
    ] = 1,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            metavar="ADDRESS",
            help="Explain on the machines of this Ray cluster. auto: the one of this machine. local: a new one.",
        ),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep",
            metavar="FOLDER",
            help="Keep the snapshots and models that visitors save. The page tells them. Default: keep nothing.",
        ),
    ] = None,
    view: Annotated[View, chosen(VIEWS, "--view", help="What to show at first."), VIEWS] = "overlay",
    smooth: Smooth = 0.2,
    resolution: Resolution = None,
    camera_fps: CameraFps = None,
    driver: Driver = None,
    mirror: Mirror = None,
) -> None:
    """Serve a page that explains the camera of whoever opens it, on this machine, a phone, or in a classroom."""
    from live_gradcam.serving.options import ServeOptions, ViewerOptions
    from live_gradcam.serving.serve import serve as run_server

    options = ServeOptions(
        host=host,
        port=port,
        https=https,
        certfile=certfile,
        keyfile=keyfile,
        hosts=tuple(allow_host or ()),
        token=token,
        max_clients=max_clients,
        workers=workers,
        cluster=cluster,
        keep=keep,
        reading=with_camera(reading, resolution, camera_fps, driver, sources=sources or ()),
        viewer=ViewerOptions(
            smooth=smooth, view=view, boxes=boxes, colormap=overlay.colormap, alpha=overlay.alpha, mirror=mirror
        ),
    )

    def show(address: "PageAddress") -> None:
        for line in _lines(address):
            print(line, flush=True)
        if address.others and sys.stdout.isatty():
            _print_code(address.others[0])
        if open_browser:
            threading.Thread(target=webbrowser.open, args=(address.local,), daemon=True).start()  # it may wait for it

    stopped = run_server(sources or (), session=session, options=options, on_start=show)
    end_process(INTERRUPTED if stopped else 0)


def _lines(address: "PageAddress") -> list[str]:
    """Where the page is, and what to do where a browser will not give its camera to it."""
    lines = [f"The page is at {address.local}", *(f"On other machines: {other}" for other in address.others)]
    lines.append("Whoever has the address gets in. Ctrl-C ends it.")
    if address.has_own_certificate:
        lines.append("Browsers warn of the certificate, because this machine made it. Go on, or install /ca.pem once.")
    if not address.is_secure and (address.others or address.login):
        lines += [
            "From another machine, a browser gives its camera to https and to localhost alone. So either",
            "- start the page with --https --host 0.0.0.0, or",
            f"- run there: ssh -L {address.port}:localhost:{address.port} {address.login or 'USER@THIS-MACHINE'}",
            f"  and open there: {address.at_localhost}",
        ]
    return lines


def _print_code(text: str) -> None:
    """Print a QR code for a phone."""
    import segno

    print("\nFor a phone:")
    segno.make(text, error="l").terminal(compact=True)
