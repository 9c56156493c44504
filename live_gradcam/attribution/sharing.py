"""What tiles of frames of one size share, found once for each size, and compared with each tile's own."""

from __future__ import annotations

import logging

import tensorflow as tf

from live_gradcam.attribution.photograph import photograph
from live_gradcam.attribution.shared_start import SharedStart, shared_start
from live_gradcam.attribution.tile_sharing import TileSharing
from live_gradcam.explanations.tiles import Cut, Tiling
from live_gradcam.networks.graph import Network
from live_gradcam.networks.network_input import network_input
from live_gradcam.networks.preprocessing import Preprocessing
from live_gradcam.networks.split import SplitNetwork

_log = logging.getLogger(__name__)

#: The largest difference that passes for rounding: see `Sharing._difference`.
_TOLERANCE = 1e-5


class Sharing(TileSharing):
    """What the tiles of frames share, for the ways of cutting that were announced.

    Args:
        network: as it runs.
        split: the same, cut at the target layers.
        preprocessing: how pixels become its input.
    """

    def __init__(self, network: Network, split: SplitNetwork, preprocessing: Preprocessing) -> None:
        super().__init__()
        self._network = network
        self._split = split
        self._preprocessing = preprocessing
        self._starts: dict[Cut, SharedStart | None] = {}

    def start_of(self, tiling: Tiling) -> SharedStart | None:
        """What the tiles of frames have in common that are cut in this way; None where that is nothing."""
        if tiling.cut_at not in self._starts:
            self._starts[tiling.cut_at] = shared_start(self._network, self._split, tiling)
        return self._starts[tiling.cut_at]

    def _shares(self, tiling: Tiling) -> bool:
        """Whether they share something, and what is computed once is what each tile would have by itself."""
        shared = self.start_of(tiling)
        if shared is None:
            return False
        difference = self._difference(shared)
        if difference > _TOLERANCE:
            _log.warning(
                "tiles are computed one by one, which takes longer: what they would share differs by %.1e of its "
                "largest value, and %.1e is allowed",
                difference,
                _TOLERANCE,
            )
        return difference <= _TOLERANCE

    def _difference(self, shared: SharedStart) -> float:
        """The largest difference to each tile's own, relative to the largest value."""
        picture, preprocessing = shared.tiling.scaled(photograph()), self._preprocessing
        together = shared.values_of_tiles(network_input(tf.constant(picture[None]), preprocessing))
        alone = shared.values(network_input(tf.constant(shared.tiling.cut(picture)), preprocessing))
        return float(tf.reduce_max(tf.abs(together - alone)) / tf.reduce_max(tf.abs(alone)))
