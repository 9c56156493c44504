"""OpenCV's own messages, which nobody asked for."""

from __future__ import annotations

import os

import cv2


def silence_opencv() -> None:
    """Keep OpenCV and its FFmpeg from printing: what goes wrong is said in one line of ours.

    FFmpeg's level is read once, from the environment, so this must come before the first capture is opened.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
