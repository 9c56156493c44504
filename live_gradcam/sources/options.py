"""What is wanted of sources, whichever kind they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from live_gradcam.sources.devices import driver_number
from live_gradcam.sources.levels import Levels
from live_gradcam.sources.times import parse_rate


@dataclass(frozen=True)
class CameraOptions:
    """What is asked of a camera; it gives what it can.

    Attributes:
        size: (height, width) in pixels; None for the camera's own.
        fps: frames per second; None for the camera's own.
        driver: its name in OpenCV, such as "v4l2", "dshow" or "avfoundation"; None for the first that works.
    """

    size: tuple[int, int] | None = None
    fps: float | None = None
    driver: str | None = None

    def check(self) -> None:
        """Refuse a driver that this OpenCV does not have.

        Raises:
            UsageError: there is no such driver.
        """
        if self.driver is not None:
            driver_number(self.driver)


@dataclass(frozen=True)
class SourceOptions:
    """What is wanted of a source. Each kind of source takes what means something to it.

    Rates may be given as any numbers, and become fractions: 29.97 is 2997/100.

    Attributes:
        camera: what is asked of a camera.
        source_fps: frames per second of a file that has no times of its own, such as `.h264`; None for what it names.
        picture_fps: pictures per second, of a folder or a pattern of pictures.
        levels: which values of pictures are black and white; None for what the files and their values say.

    Raises:
        UsageError: a rate that is not possible.
    """

    camera: CameraOptions = field(default_factory=CameraOptions)
    source_fps: Fraction | None = None
    picture_fps: Fraction = Fraction(25)
    levels: Levels | None = None

    def __post_init__(self) -> None:
        if self.source_fps is not None:
            object.__setattr__(self, "source_fps", parse_rate(self.source_fps, "--source-fps"))
        object.__setattr__(self, "picture_fps", parse_rate(self.picture_fps, "--picture-fps"))


DEFAULT_OPTIONS = SourceOptions()
