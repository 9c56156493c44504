"""Which tiles share something, as an earlier start has found out."""

from __future__ import annotations

from collections.abc import Callable

from live_gradcam.attribution.kept.facts import recalled
from live_gradcam.attribution.tile_sharing import TileSharing
from live_gradcam.compiling.kept_files import KeptFiles, Key
from live_gradcam.explanations.tiles import Tiling


class KeptSharing(TileSharing):
    """What is known of what tiles share, with a memory.

    Args:
        files: where it is kept.
        key: what it depends on.
        build: what finds it out, with the network.
    """

    def __init__(self, files: KeptFiles, key: Key, build: Callable[[], TileSharing | None]) -> None:
        super().__init__()
        self._files = files
        self._key = key
        self._build = build

    def _shares(self, tiling: Tiling) -> bool:
        key = {**self._key, "kind": "sharing", "cut": tiling.cut_at}
        return recalled(self._files, key, lambda: self._find_out(tiling))

    def _find_out(self, tiling: Tiling) -> bool:
        found = self._build()
        if found is None:
            return False
        found.expect(tiling)
        return found.by([tiling]) is not None
