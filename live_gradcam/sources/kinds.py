"""What a file is: a video, a picture, or neither."""

from __future__ import annotations

from enum import Enum, auto
from pathlib import Path

import cv2

from live_gradcam.errors import SourceError
from live_gradcam.sources.animation import is_animated
from live_gradcam.sources.avif import is_avif
from live_gradcam.sources.dicom import is_dicom
from live_gradcam.sources.heic import is_heic
from live_gradcam.sources.image import beginning_of
from live_gradcam.sources.reader import VideoReader

#: What is a video by its ending, whatever is in it. A GIF is one.
VIDEO_SUFFIXES = frozenset(
    {
        *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v", ".flv", ".avi", ".divx"),
        *(".mkv", ".webm", ".ogv", ".ogm"),
        *(".mpg", ".mpeg", ".m2p", ".vob", ".ts", ".m2t", ".mts", ".m2ts", ".wmv", ".asf", ".mxf", ".dv", ".gif"),
        *(".h264", ".264", ".h265", ".265", ".hevc", ".mjpeg", ".mjpg", ".m1v", ".m2v", ".ivf", ".y4m"),
    }
)
#: What is a picture by its ending, whatever is in it.
PICTURE_SUFFIXES = frozenset(
    {
        *(".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"),
        *(".dcm", ".dicom", ".heic", ".heif", ".hif", ".avif"),
    }
)
#: What is one JPEG after the other, and so begins like one, by its ending.
_OF_JPEGS = frozenset({".mjpeg", ".mjpg"})
#: FFmpeg's names of what it reads as video and is none: text, lists of other files, more pictures than end in
#: `_PICTURES`, and karaoke, for which it takes all kinds of things.
_NO_VIDEOS = frozenset({"tty", "hls", "dash", "concat", "sdp", "image2", "ico", "fits", "cdg"})
_PICTURES = "_pipe"


class Kind(Enum):
    """What a file may be."""

    VIDEO = auto()
    PICTURE = auto()
    OTHER = auto()


def kind_of(path: Path) -> Kind:
    """What a file is: by its ending where that says it, else by what is in it.

    Cameras and players have many endings. Machines write DICOM without one, or with any: a number's last part may be
    `.264`. A PNG or a JPEG that is called like a video is a picture, too: it would make a folder of pictures one of
    videos.
    """
    suffix = path.suffix.lower()
    if suffix in PICTURE_SUFFIXES:
        return Kind.PICTURE
    beginning = beginning_of(path)
    if is_dicom(beginning):
        return Kind.PICTURE
    if suffix in VIDEO_SUFFIXES:
        return Kind.PICTURE if _is_still(beginning, suffix) else Kind.VIDEO
    if is_heic(beginning) or is_avif(beginning):  # which FFmpeg takes for videos
        return Kind.PICTURE
    return _kind_for_ffmpeg(path)


def _is_still(beginning: bytes, suffix: str) -> bool:
    """Whether what is called like a video is a PNG of one picture, or a JPEG, by its first bytes."""
    if beginning.startswith(b"\x89PNG\r\n\x1a\n"):
        return not is_animated(beginning)
    return beginning.startswith(b"\xff\xd8\xff") and suffix not in _OF_JPEGS


def _kind_for_ffmpeg(path: Path) -> Kind:
    """What a file is by what FFmpeg reads of it; pictures only those that OpenCV reads too."""
    try:
        with VideoReader(path) as reader:
            if reader.file_format.endswith(_PICTURES):
                return Kind.PICTURE if cv2.haveImageReader(str(path)) else Kind.OTHER
            is_video = reader.file_format not in _NO_VIDEOS and next(reader.frames(), None) is not None
            return Kind.VIDEO if is_video else Kind.OTHER
    except SourceError:
        return Kind.OTHER
