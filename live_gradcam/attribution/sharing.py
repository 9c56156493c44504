"""What tiles of frames of one size share, found once for each size, and compared with each tile's own."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import tensorflow as tf

from live_gradcam.attribution.photograph import photograph
from live_gradcam.attribution.shared_start import SharedStart, shared_start
from live_gradcam.explanations.tiles import Cut, Tiling
from live_gradcam.networks.graph import Network
from live_gradcam.networks.network_input import network_input
from live_gradcam.networks.preprocessing import Preprocessing
from live_gradcam.networks.split import SplitNetwork

_log = logging.getLogger(__name__)

#: The largest difference that passes for rounding: see `Sharing._difference`.
_TOLERANCE = 1e-5


class Sharing:
    """What the tiles of frames share, for the ways of cutting that were announced.

    Args:
        network: as it runs.
        split: the same, cut at the target layers.
        preprocessing: how pixels become its input.
    """

    def __init__(self, network: Network, split: SplitNetwork, preprocessing: Preprocessing) -> None:
        self._network = network
        self._split = split
        self._preprocessing = preprocessing
        self._found: dict[Cut, SharedStart | None] = {}

    def expect(self, tiling: Tiling) -> None:
        """Find out what the tiles of frames share that are cut in this way."""
        if tiling.count == 1 or tiling.cut_at in self._found:
            return
        self._found[tiling.cut_at] = None
        shared = shared_start(self._network, self._split, tiling)
        if shared is None:
            return
        difference = self._difference(shared)
        if difference <= _TOLERANCE:
            self._found[tiling.cut_at] = shared
        else:
            _log.warning(
                "tiles are computed one by one, which takes longer: what they would share differs by %.1e of its "
                "largest value, and %.1e is allowed",
                difference,
                _TOLERANCE,
            )

    def by(self, tilings: Sequence[Tiling | None]) -> SharedStart | None:
        """What the tiles of frames share; None where the frames are not all of a size for which that is known."""
        cuts = {None if tiling is None else tiling.cut_at for tiling in tilings}
        cut = cuts.pop()
        return self._found.get(cut) if cut is not None and not cuts else None

    def _difference(self, shared: SharedStart) -> float:
        """The largest difference to each tile's own, relative to the largest value."""
        picture, preprocessing = shared.tiling.scaled(photograph()), self._preprocessing
        together = shared.values_of_tiles(network_input(tf.constant(picture[None]), preprocessing))
        alone = shared.values(network_input(tf.constant(shared.tiling.cut(picture)), preprocessing))
        return float(tf.reduce_max(tf.abs(together - alone)) / tf.reduce_max(tf.abs(alone)))
