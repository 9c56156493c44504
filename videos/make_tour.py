"""Make `tour.mp4`, a slow tour of four photographs that scikit-image ships.

Everything comes from the installed packages: there is no network and no randomness. The same versions of them give the
same bytes.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from importlib.resources import files
from pathlib import Path

import av
import cv2
import numpy as np

WIDTH, HEIGHT = 1280, 720
FRAME_RATE = 30

#: One thread: x264 takes as many as there are processors, and writes other bytes with another number of them.
_ENCODER_OPTIONS = {"crf": "21", "preset": "medium", "threads": "1"}
_KEYFRAME_SECONDS = 2
_BT709 = 1  # ITU-T H.273, for matrix, primaries and transfer alike
_LIMITED_RANGE = 1
#: The pictures are enlarged once, with Lanczos, before the camera moves over them. warpAffine rounds positions to 1/32
#: of a pixel; on an enlarged picture that is too little to see as jitter.
_ENLARGEMENT = 4


@dataclass(frozen=True)
class Window:
    """A 16:9 part of a photograph that fills the frame, in the photograph's pixels.

    Attributes:
        left: from the photograph's left edge.
        top: from its upper edge.
        width: the height is 9/16 of it.
    """

    left: float
    top: float
    width: float

    @property
    def height(self) -> float:
        """The window's height."""
        return self.width * HEIGHT / WIDTH

    def is_inside(self, width: int, height: int) -> bool:
        """Whether a photograph of this size covers the whole window."""
        return 0 <= self.left <= width - self.width and 0 <= self.top <= height - self.height

    def towards(self, end: Window, progress: float) -> Window:
        """The window on the straight way to another one.

        The zoom goes by equal factors, not by equal differences: that is what looks even.

        Args:
            end: where the way leads.
            progress: 0 for this window, 1 for `end`.
        """
        width = self.width * (end.width / self.width) ** progress
        share = progress if end.width == self.width else (width - self.width) / (end.width - self.width)
        return Window(
            self.left + (end.left - self.left) * share,
            self.top + (end.top - self.top) * share,
            width,
        )


@dataclass(frozen=True)
class Shot:
    """One photograph and the camera's way over it.

    Attributes:
        photograph: its file name in scikit-image's data directory.
        seconds: how long it is shown.
        start: what the first frame shows.
        end: what the last frame shows.
    """

    photograph: str
    seconds: float
    start: Window
    end: Window


SHOTS = (
    Shot("chelsea.png", 3.5, Window(0, 31, 451), Window(30, 76, 350)),
    Shot("coffee.png", 3.5, Window(10, 5, 430), Window(40, 8, 560)),
    Shot("rocket.jpg", 2.5, Window(25, 100, 560), Window(75, 108, 480)),
    Shot("camera.png", 2.5, Window(0, 95, 512), Window(72, 210, 440)),
)


def read_photograph(name: str) -> np.ndarray:
    """Read a photograph that scikit-image has in its wheel.

    Args:
        name: its file name.

    Returns:
        uint8 (height, width, 3), BGR.

    Raises:
        FileNotFoundError: this scikit-image does not ship it.
        ValueError: the file is no picture.
    """
    data = files("skimage").joinpath("data", name).read_bytes()
    photograph = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if photograph is None:
        raise ValueError(f"scikit-image's {name} cannot be read")
    return photograph


def look_through(picture: np.ndarray, window: Window, enlargement: int) -> np.ndarray:
    """Render what a window shows, as a frame.

    Args:
        picture: the enlarged photograph.
        window: in pixels of the photograph before it was enlarged.
        enlargement: how many times the picture is larger than the photograph.

    Returns:
        uint8 (HEIGHT, WIDTH, 3), BGR.
    """
    scale = window.width * enlargement / WIDTH
    # A window is measured from the pixels' edges, warpAffine measures from their centres: hence the halves.
    to_picture = np.array(
        [
            [scale, 0, window.left * enlargement + scale / 2 - 0.5],
            [0, scale, window.top * enlargement + scale / 2 - 0.5],
        ]
    )
    return cv2.warpAffine(
        picture,
        to_picture,
        (WIDTH, HEIGHT),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def film(shot: Shot) -> Iterator[np.ndarray]:
    """Render the frames of a shot: the camera starts gently, moves, and comes gently to rest.

    Args:
        shot: the photograph and the way.

    Yields:
        uint8 (HEIGHT, WIDTH, 3), BGR.

    Raises:
        ValueError: the way leads past the photograph's edge.
    """
    photograph = read_photograph(shot.photograph)
    height, width = photograph.shape[:2]
    if not (shot.start.is_inside(width, height) and shot.end.is_inside(width, height)):
        raise ValueError(f"{shot.photograph} is {width}x{height}: the camera would look past its edge")
    picture = cv2.resize(photograph, None, fx=_ENLARGEMENT, fy=_ENLARGEMENT, interpolation=cv2.INTER_LANCZOS4)
    count = round(shot.seconds * FRAME_RATE)
    for index in range(count):
        progress = (1 - math.cos(math.pi * index / (count - 1))) / 2
        yield look_through(picture, shot.start.towards(shot.end, progress), _ENLARGEMENT)


def write_video(path: Path, images: Iterator[np.ndarray]) -> int:
    """Write frames as H.264 in MP4. The file appears under its name only when it is finished.

    Args:
        path: the file; it grows as `NAME.part`.
        images: uint8 (HEIGHT, WIDTH, 3), BGR.

    Returns:
        The number of frames.
    """
    part = path.with_name(path.name + ".part")
    time_base = Fraction(1, FRAME_RATE)
    count = 0
    try:
        with av.open(str(part), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            stream = container.add_stream("libx264", rate=FRAME_RATE, options=_ENCODER_OPTIONS)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            context = stream.codec_context
            context.time_base = time_base
            context.gop_size = _KEYFRAME_SECONDS * FRAME_RATE
            context.colorspace = context.color_primaries = context.color_trc = _BT709
            context.color_range = _LIMITED_RANGE
            for image in images:
                frame = av.VideoFrame.from_ndarray(image, format="bgr24")
                frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
                frame.pts, frame.time_base = count, time_base
                container.mux(stream.encode(frame))
                count += 1
            container.mux(stream.encode(None))
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return count


def main() -> None:
    """Make the video."""
    parser = argparse.ArgumentParser(description="Make tour.mp4 from photographs that scikit-image ships.")
    parser.add_argument("output", nargs="?", type=Path, default=Path(__file__).with_name("tour.mp4"))
    output: Path = parser.parse_args().output
    count = write_video(output, (image for shot in SHOTS for image in film(shot)))
    print(f"{output}: {count} frames, {count / FRAME_RATE:g} s, {output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
