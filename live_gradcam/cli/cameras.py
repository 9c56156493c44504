"""`live-gradcam cameras`."""

from live_gradcam.cli.command import command


@command
def cameras() -> None:
    """List the cameras that open and deliver a picture."""
    from live_gradcam.sources.devices import list_cameras

    found = list_cameras()
    for index, description in found:
        print(f"{index}: {description}")
    if not found:
        print("no camera opens on this machine; live-gradcam live also takes a file or an address")
