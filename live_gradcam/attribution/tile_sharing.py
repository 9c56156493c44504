"""What is known of what the tiles of frames share, for the ways of cutting that were announced. Without TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence

from live_gradcam.explanations.tiles import Cut, Tiling


class TileSharing:
    """Which tiles share something, found out once for each way of cutting: `_shares` says how."""

    def __init__(self) -> None:
        self._found: dict[Cut, Tiling | None] = {}

    def expect(self, tiling: Tiling) -> None:
        """Find out whether the tiles of frames share something that are cut in this way."""
        if tiling.count > 1 and tiling.cut_at not in self._found:
            self._found[tiling.cut_at] = tiling if self._shares(tiling) else None

    def by(self, tilings: Sequence[Tiling | None]) -> Tiling | None:
        """How frames are cut whose tiles share something; None where they are not all of a size that was announced."""
        cuts = {None if tiling is None else tiling.cut_at for tiling in tilings}
        cut = cuts.pop()
        return self._found.get(cut) if cut is not None and not cuts else None

    def _shares(self, tiling: Tiling) -> bool:
        raise NotImplementedError
