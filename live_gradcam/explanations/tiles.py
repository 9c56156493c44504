"""A wide or tall frame as overlapping tiles of the network's size, and the tiles' maps as one map of the frame.

A square network that is given a whole wide frame sees it squeezed, and one that is given the middle does not see the
sides. Square tiles along the longer side show it all, in its own proportions and at the network's own scale. NumPy
only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from live_gradcam.explanations.fits import shrink

#: A frame up to so many times as long as the network's input is one tile: it is squeezed by that little.
_ONE_TILE = 1.1
#: Another tile for each so many of its sides: neighbours share about half of what they show.
_STEP = 0.5
#: Longer frames are squeezed into these.
_MOST_TILES = 8
#: The least share of a tile that its neighbour shows too; where there are fewer tiles, each shows more, squeezed.
_LEAST_OVERLAP = 1 / 8
#: Tiles from this size on begin at multiples of so many pixels, where the columns of networks' first layers lie alike.
_LARGE, _ALIGNED = 64, 4


#: The (height, width) of the scaled frame, and where the tiles begin: what tells two ways of cutting apart.
Cut = tuple[tuple[int, int], tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Tiling:
    """How a frame is cut into overlapping tiles, each an input of the network.

    Attributes:
        size: (height, width) that the frame is scaled to, in pixels.
        tile: (height, width) of each tile, in pixels: the network's input, mostly a square.
        starts: where each tile begins along the frame's longer side, in pixels.
        axis: the longer side: 0 for a tall frame, whose tiles lie below one another; 1 for a wide one.
    """

    size: tuple[int, int]
    tile: tuple[int, int]
    starts: tuple[int, ...]
    axis: int

    @property
    def count(self) -> int:
        """How many tiles there are."""
        return len(self.starts)

    @property
    def cut_at(self) -> Cut:
        """What tells this way of cutting from others."""
        return self.size, self.starts

    def scaled(self, frame: np.ndarray) -> np.ndarray:
        """The frame at the tiles' scale: uint8 (*size, 3) of uint8 (height, width, 3)."""
        return shrink(frame, self.size[1], self.size[0])

    def cut(self, scaled: np.ndarray) -> np.ndarray:
        """The tiles of a frame at their scale: (count, *tile, 3), as the network is given them."""
        side = self.tile[self.axis]
        whole = slice(None)
        parts = [
            (slice(start, start + side), whole) if self.axis == 0 else (whole, slice(start, start + side))
            for start in self.starts
        ]
        return np.stack([scaled[part] for part in parts])

    def compose(self, raw_maps: np.ndarray) -> np.ndarray:
        """One map of the whole frame from the tiles' maps.

        At each of its places stands the mean of the tiles' maps there, each interpolated linearly, with weights that
        fall to 0 towards a tile's ends (`weights`): where a tile ends, nothing jumps. Numbers keep their unit:
        maps that agree make the map that they agree on. A single tile's map is its own.

        Args:
            raw_maps: float32 (count, maps, h, w), of the target layer.

        Returns:
            float32 (maps, h', w'): as fine as the tiles' maps across the frame, and in proportion along it.
        """
        if self.count == 1:
            return raw_maps[0]
        places = self._places(raw_maps.shape[2 + self.axis])
        return np.einsum("trh,tmhw->mrw" if self.axis == 0 else "tcw,tmhw->mhc", places, raw_maps)

    def weights(self, positions: np.ndarray, margin: float = 0.0) -> np.ndarray:
        """What each tile's map weighs, of two tiles or more, along the longer side: float64 (count, n), sums of 1.

        A tile weighs as much as a position is away from its nearer end, over the sum of all tiles there. Where it ends
        with the frame, it does not fall.

        Args:
            positions: in pixels, (n,).
            margin: how far before its end a tile weighs nothing already, in pixels.
        """
        starts = np.array(self.starts, np.float64)
        ends = starts + self.tile[self.axis] - margin
        starts += margin
        starts[0], ends[-1] = -np.inf, np.inf
        weights = np.maximum(np.minimum(positions - starts[:, np.newaxis], ends[:, np.newaxis] - positions), 0)
        return weights / weights.sum(axis=0)

    def _places(self, size: int) -> np.ndarray:
        """What goes into each place of the whole map of each place of each tile's, float32 (count, whole, size)."""
        if size not in self._made:
            side, length = self.tile[self.axis], self.size[self.axis]
            whole = max(size, round(size * length / side))
            centres = (np.arange(whole) + 0.5) * length / whole
            inside = (centres - np.array(self.starts)[:, np.newaxis]) * size / side - 0.5
            distances = np.abs(np.clip(inside, 0, size - 1)[..., np.newaxis] - np.arange(size))
            # In the outer half of a tile's last place nothing is known of what comes next.
            margin = min(side / size / 2, (side - max(np.diff(self.starts))) / 4)
            places = self.weights(centres, margin)[..., np.newaxis] * np.maximum(0, 1 - distances)
            self._made[size] = places.astype(np.float32)
        return self._made[size]

    @cached_property
    def _made(self) -> dict[int, np.ndarray]:
        return {}


@lru_cache(maxsize=64)
def plan_tiling(frame_size: tuple[int, int], tile: tuple[int, int], count: int | None = None) -> Tiling:
    """How a frame is cut into tiles.

    Args:
        frame_size: (height, width) of the frame in pixels.
        tile: (height, width) of the network's input.
        count: how many tiles; None for as many as the frame's shape asks for: 1 up to 1.1 times as long as the
            input, 2 for 4:3 and 3:2, 3 for 16:9 and 2:1, and one more for each half of a side, up to 8.
    """
    longer = [frame_size[axis] / tile[axis] for axis in (0, 1)]
    axis = int(np.argmax(longer))
    side = tile[axis]
    aligned = _ALIGNED if side % _ALIGNED == 0 and side >= _LARGE else 1
    beyond = _multiple(side * (longer[axis] / longer[1 - axis] - 1), aligned)  # of the frame, after the first tile
    if count is None:
        count = min(_MOST_TILES, 1 + max(0, math.ceil((1 + beyond / side - _ONE_TILE) / _STEP)))
    last = _multiple(min(beyond, (count - 1) * (1 - _LEAST_OVERLAP) * side), aligned)
    starts = tuple(_multiple(start, aligned) for start in np.linspace(0, last, count))
    size = (last + side, tile[1]) if axis == 0 else (tile[0], last + side)
    return Tiling(size, tile, starts, axis)


def _multiple(pixels: float, of: int) -> int:
    """The nearest multiple."""
    return round(pixels / of) * of
