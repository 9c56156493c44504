"""Which cameras this machine has, and which drivers OpenCV has for them."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2

from live_gradcam.errors import UsageError, did_you_mean
from live_gradcam.sources.silence import silence_opencv

#: How many cameras are tried where no files say which there are.
_INDEXES = 10


def camera_index(uri: str) -> int | None:
    """The camera that a text names ("0", "/dev/video2", "/dev/v4l/by-id/…"); None for a file or an address."""
    device = str(Path(uri).resolve()) if uri.startswith("/dev/") else uri
    number = device.removeprefix("/dev/video")
    return int(number) if number.isdecimal() else None


def driver_number(name: str) -> int:
    """OpenCV's number of a driver for cameras.

    Raises:
        UsageError: this OpenCV has no such driver.
    """
    numbers = cv2.videoio_registry.getCameraBackends()
    known = {cv2.videoio_registry.getBackendName(number).lower(): int(number) for number in numbers}
    if name.lower() not in known:
        hint = did_you_mean(name, known) or f": this OpenCV has {', '.join(sorted(known))}"
        raise UsageError(f"there is no camera driver {name!r}{hint}")
    return known[name.lower()]


def list_cameras() -> list[tuple[int, str]]:
    """The cameras that open and deliver a picture: (index, "width × height at rate FPS").

    On Linux the device files say which to try; elsewhere the first ten indexes are tried.
    """
    silence_opencv()
    if sys.platform == "linux":
        candidates = sorted(int(path.name[5:]) for path in Path("/dev").glob("video*") if path.name[5:].isdecimal())
    else:
        candidates = list(range(_INDEXES))
    cameras = []
    for index in candidates:
        capture = cv2.VideoCapture(index)
        delivered, image = capture.read() if capture.isOpened() else (False, None)
        if delivered and image is not None:
            rate = capture.get(cv2.CAP_PROP_FPS)
            cameras.append((index, f"{image.shape[1]}×{image.shape[0]} at {rate:.0f} FPS"))
        capture.release()
    return cameras
