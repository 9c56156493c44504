"""How a frame of any size becomes the network's input, and of which part of the frame that is. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from live_gradcam.choices import Fit
from live_gradcam.errors import ArgumentError
from live_gradcam.explanations.explanation import Region
from live_gradcam.explanations.fits import fit_frame, native_size
from live_gradcam.explanations.tiles import Tiling, plan_tiling


class Framed(NamedTuple):
    """A frame as the network sees it.

    Attributes:
        pixels: uint8 (height, width, 3), BGR.
        region: the part of the frame that they show.
        tiling: how they are cut into tiles; None where they are not.
    """

    pixels: np.ndarray
    region: Region
    tiling: Tiling | None


@dataclass(frozen=True)
class Framing:
    """A fit for a network.

    Attributes:
        fit: how frames enter.
        input_size: (height, width) of the network's input in pixels.
        tiles: how many tiles a frame is cut into; None for as many as its shape asks for.
    """

    fit: Fit
    input_size: tuple[int, int]
    tiles: int | None = None

    def tiling(self, frame_size: tuple[int, int]) -> Tiling | None:
        """How a frame of (height, width) pixels is cut; None with another fit than tiles."""
        return plan_tiling(frame_size, self.input_size, self.tiles) if self.fit == "tiles" else None

    def tiles_for(self, frame_size: tuple[int, int]) -> int:
        """How many tiles a frame of (height, width) pixels is."""
        tiling = self.tiling(frame_size)
        return tiling.count if tiling else 1

    def input_size_for(self, frame_size: tuple[int, int]) -> tuple[int, int]:
        """The (height, width) at which the network sees a frame of (height, width) pixels, all tiles together."""
        if self.fit == "native":
            return native_size(frame_size, shorter_side=min(self.input_size))
        tiling = self.tiling(frame_size)
        return tiling.size if tiling else self.input_size

    def framed(self, frame: np.ndarray) -> Framed:
        """A frame, uint8 (H, W, 3) BGR, as the network sees it: of `input_size_for` the frame.

        Raises:
            ArgumentError: not such a frame.
        """
        check_frame(frame)
        height, width = frame.shape[:2]
        tiling = self.tiling((height, width))
        if tiling is not None:
            return Framed(tiling.scaled(frame), Region(0, 0, width, height), tiling)
        fit = "letterbox" if self.fit == "native" else self.fit
        return Framed(*fit_frame(frame, self.input_size_for((height, width)), fit), None)

    def rows(self, seen: np.ndarray) -> np.ndarray:
        """A frame as the network sees it as rows of a batch, (rows, height, width, 3): its tiles, or itself."""
        tiling = self.tiling((seen.shape[0], seen.shape[1]))
        return tiling.cut(seen) if tiling else seen[None]

    def check_seen(self, pixels: np.ndarray) -> None:
        """Raise an ArgumentError for pixels that are not as `framed` gives them."""
        check_frame(pixels)
        expected = self.input_size if self.fit != "tiles" else self.input_size_for((pixels.shape[0], pixels.shape[1]))
        if pixels.shape[:2] != expected:
            raise ArgumentError(f"the network's input is {expected}, not {pixels.shape[:2]}")


def check_frame(frame: np.ndarray) -> None:
    """Raise an ArgumentError for what is no uint8 (height, width, 3) of at least one pixel."""
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        found = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise ArgumentError(f"a frame is a uint8 BGR array of shape (height, width, 3), not {found}")
    if 0 in frame.shape:
        raise ArgumentError(f"the frame is empty: {frame.shape}")
