"""An RTSP server that plays an MP4 file: GStreamer's, run by the system's Python, which has its bindings.

`python3 gstreamer_rtsp.py FILE.mp4 PORT` prints the port that it listens on (PORT 0: one that is free), and serves
`/stream` until it is killed. `--check` only says whether all that it needs is there.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402 (their versions come first)

_ELEMENTS = ("filesrc", "qtdemux", "h264parse", "rtph264pay", "rtpbin")


def check() -> None:
    """Exit with what is missing."""
    missing = [name for name in _ELEMENTS if Gst.ElementFactory.find(name) is None]
    if missing:
        sys.exit(f"GStreamer has no {', '.join(missing)}")


def serve(path: str, port: str) -> None:
    """Serve until the process ends. Each viewer sees the file from its beginning, at its own rate."""
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f'( filesrc location="{path}" ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96 )')
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    server.get_mount_points().add_factory("/stream", factory)
    if not server.attach(None):
        sys.exit(f"port {port} cannot be had")
    print(server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


Gst.init(None)
check()
if "--check" not in sys.argv:
    serve(*sys.argv[1:])
