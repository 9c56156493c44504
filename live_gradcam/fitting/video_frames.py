"""Frames of videos by their times, for whoever asks for one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from live_gradcam.errors import SourceError
from live_gradcam.sources.frame import Frame
from live_gradcam.sources.opening import open_recording
from live_gradcam.sources.source import Recording


class VideoFrames:
    """Keeps the video open that was asked for last: while times rise, it is opened and decoded once."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._recording: Recording | None = None
        self._frames: Iterator[Frame] = iter(())
        self._latest: Frame | None = None
        self._asked = Fraction(0)  # seconds: the time that the latest frame is for

    def at(self, path: Path, time: float) -> np.ndarray:
        """The first frame that is not before a time.

        Args:
            path: of the video.
            time: seconds on its clock.

        Returns:
            uint8 (height, width, 3), BGR.

        Raises:
            SourceError: the file cannot be read, or has no frame at that time.
        """
        start = Fraction(time)
        if path != self._path or start < self._asked:
            self._open(path, start)
        self._asked = start
        while self._latest is None or self._latest.pts < start:
            self._latest = next(self._frames, None)
            if self._latest is None:
                self.close()
                raise SourceError(f"{path} has no frame at {time:.3f} s")
        return self._latest.image

    def close(self) -> None:
        """Close the video that is open, if one is. Another one can be asked for."""
        if self._recording is not None:
            self._recording.close()
        self._path, self._recording, self._frames, self._latest = None, None, iter(()), None

    def _open(self, path: Path, start: Fraction) -> None:
        self.close()
        self._recording = open_recording(path)
        self._path, self._frames = path, self._recording.frames(start=start)
