"""A camera of this machine, by its number or device file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from live_gradcam.errors import SourceError
from live_gradcam.sources.devices import camera_index, driver_number
from live_gradcam.sources.live import LiveSource, refuse_options_of_files
from live_gradcam.sources.options import CameraOptions, SourceOptions
from live_gradcam.sources.silence import silence_opencv
from live_gradcam.sources.source import FrameSource


class _Cameras:
    """Opens cameras."""

    is_live = True

    def matches(self, uri: str) -> bool:
        """Whether it is a camera's number or device file."""
        return camera_index(uri) is not None

    def open(self, uri: str, options: SourceOptions) -> FrameSource:
        """Open a camera and ask it for a size and a rate, which it may give.

        Raises:
            SourceError: it does not open.
            UsageError: there is no such driver, or an option is for files.
        """
        refuse_options_of_files(uri, options)
        index = camera_index(uri)
        assert index is not None  # it matches
        driver = cv2.CAP_ANY if options.camera.driver is None else driver_number(options.camera.driver)
        silence_opencv()
        capture = cv2.VideoCapture(index, driver)
        if not capture.isOpened():
            raise SourceError(f"camera {index} does not open: {_why_not(index)}")
        _ask_for(capture, options.camera)
        return LiveSource(_pictures(capture), capture.release, uri)


def _pictures(capture: cv2.VideoCapture) -> Iterator[np.ndarray]:
    """What a camera shows, until a read fails."""
    while True:
        delivered, image = capture.read()
        if not delivered or image is None:
            return
        yield image


def _ask_for(capture: cv2.VideoCapture, options: CameraOptions) -> None:
    if options.size is not None:
        # Most USB cameras give large pictures at their full rate only as JPEG.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, options.size[0])
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, options.size[1])
    if options.fps is not None:
        capture.set(cv2.CAP_PROP_FPS, options.fps)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # where the driver listens


def _why_not(index: int) -> str:
    device = Path(f"/dev/video{index}")
    if sys.platform == "linux" and not device.exists():
        return f"there is no {device}; live-gradcam cameras lists those that open; or give a file or an address"
    if sys.platform == "linux" and not os.access(device, os.R_OK | os.W_OK):
        return f"no permission for {device}: add yourself to the group video, or log in again"
    return "is another program using it, or is access to cameras switched off?"


SOURCE = _Cameras()
