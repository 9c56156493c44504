"""Frames through the compiled functions of a plan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Protocol

import numpy as np

from live_gradcam.attribution.answers import explanation_of, predictions_of, raw_maps_of
from live_gradcam.attribution.methods.method import ExplainedInput, OnProgress, Passes
from live_gradcam.attribution.outline import Outline
from live_gradcam.attribution.targets import as_arrays
from live_gradcam.attribution.tile_sharing import TileSharing
from live_gradcam.compiling.engines.engine import CompiledFunction
from live_gradcam.explanations.explanation import Explanation, Prediction, Target
from live_gradcam.explanations.heatmaps import scale
from live_gradcam.explanations.tiles import Tiling

if TYPE_CHECKING:
    from live_gradcam.attribution.sharing import Sharing

#: How many inputs go through the network at a time where there are many.
_MANY = 16


class RunFunctions(Protocol):
    """The compiled functions, each ready when it is first needed: see `attribution.functions`.

    Attributes:
        trace_count: how often the one-pass function has been traced.
        sharing: what tiles share; None where they share nothing.
        built_sharing: likewise, where the network is there.
    """

    @property
    def trace_count(self) -> int:
        """See the class."""

    @property
    def sharing(self) -> TileSharing | None:
        """See the class."""

    @property
    def built_sharing(self) -> Sharing | None:
        """See the class."""

    def explain(self, batch: int, tiles: int = 1, shared: Tiling | None = None) -> CompiledFunction:
        """The one-pass function for this many frames at a time, of this many tiles each.

        Where these share something, `shared` is how whole frames are cut, which the function takes then.
        """

    def predict(self, batch: int, tiles: int = 1, shared: Tiling | None = None) -> CompiledFunction:
        """The predictions alone, likewise."""

    def has_explain(self, tiles: int, shared: Tiling | None) -> bool:
        """Whether the one-pass function for one frame at a time, of this many tiles, is there at once."""

    @property
    def passes(self) -> Passes | None:
        """What makes the raw maps, where the method takes more than the one pass."""


class Runner:
    """Runs frames through compiled functions, whose fit is any but native.

    Args:
        outline: of what is computed.
        functions: what computes it.

    Attributes:
        functions: see above.
    """

    def __init__(self, outline: Outline, functions: RunFunctions) -> None:
        self.functions = functions
        self._outline = outline

    def expect(self, frame_size: tuple[int, int]) -> None:
        """Find out what the tiles of frames of (height, width) pixels share."""
        tiling = self._outline.framing.tiling(frame_size)
        if tiling is not None and self.functions.sharing is not None:
            self.functions.sharing.expect(tiling)

    def shared_by(self, tilings: Sequence[Tiling | None]) -> Tiling | None:
        """How frames are cut whose tiles share something; None where they share nothing."""
        return None if self.functions.sharing is None else self.functions.sharing.by(tilings)

    def warm_up(self, batch: int, frame_size: tuple[int, int]) -> None:
        """Compile the one-pass function for so many frames of (height, width) pixels at a time.

        Raises:
            ModelError: the engine cannot compile the network.
        """
        tiling = self._outline.framing.tiling(frame_size)
        self.functions.explain(batch, tiling.count if tiling else 1, self.shared_by([tiling]))

    def is_ready_for(self, frame_size: tuple[int, int]) -> bool:
        """Whether a frame of (height, width) pixels is explained without anything being compiled."""
        tiling = self._outline.framing.tiling(frame_size)
        return self.functions.has_explain(tiling.count if tiling else 1, self.shared_by([tiling]))

    def explain(
        self, frames: Sequence[np.ndarray], targets: Sequence[Target], on_progress: OnProgress | None
    ) -> list[Explanation]:
        """Explain several frames in one pass.

        Args:
            frames: uint8 (H, W, 3), BGR, at least one; they may differ in size.
            targets: the classes to explain, at most as many as there are maps; none for each frame's own top class.
            on_progress: called after each pass of a method that takes many passes.
        """
        if len(frames) > 1 and not self._outline.takes_batches:
            return [self.explain([frame], targets, on_progress)[0] for frame in frames]
        framing = self._outline.framing
        tilings = [framing.tiling((frame.shape[0], frame.shape[1])) for frame in frames]
        tiles = 1 if tilings[0] is None else tilings[0].count
        if any(tiling is not None and tiling.count != tiles for tiling in tilings):  # each number has its own function
            return [self.explain([frame], targets, on_progress)[0] for frame in frames]
        framed = [framing.framed(frame) for frame in frames]
        shared = self.shared_by(tilings)
        seen = [one.pixels for one in framed]
        pixels = np.stack(seen) if shared else np.concatenate([framing.rows(one) for one in seen])
        classes = as_arrays(targets, batch=len(frames), maps=self._outline.maps)
        answers = self.functions.explain(len(frames), tiles, shared)(pixels, *classes)
        relu = self._outline.options.explained.relu
        maps = self._outline.layers.on_input(raw_maps_of(answers), relu=relu)
        passes = self.functions.passes
        if passes is not None:
            maps = self._maps_of_passes(passes, (pixels, answers["targets"], classes[1]), maps[0], on_progress)
        return [
            explanation_of(
                self._outline,
                {name: values[row] for name, values in answers.items()},
                [of_layer[row] for of_layer in maps],
                framed[row],
                targets,
                is_signed=passes is not None and passes.is_signed,
            )
            for row in range(len(frames))
        ]

    def _maps_of_passes(
        self,
        passes: Passes,
        inputs: tuple[np.ndarray, np.ndarray, np.ndarray],
        first_maps: np.ndarray,
        on_progress: OnProgress | None,
    ) -> list[np.ndarray]:
        """The raw maps, as of one layer, of a method that takes more than the one pass.

        Args:
            passes: what makes them.
            inputs: for each frame its pixels, the classes and what they are contrasted with.
            first_maps: for each frame, those of the one pass, float32 (1, maps, h, w).
            on_progress: as for a call.
        """
        relu = self._outline.options.explained.relu
        raw_maps = []
        for pixels, classes, contrasts, of_pass in zip(*inputs, first_maps, strict=True):
            heatmaps, _ = scale(of_pass[0], relu=relu)
            raw_maps.append(passes.raw_maps(ExplainedInput(pixels, classes, contrasts, heatmaps), on_progress)[None])
        stacked = np.stack(raw_maps)
        return [stacked] if passes.are_of_input else self._outline.layers.on_input([stacked], relu=relu)

    def predict(self, frame: np.ndarray) -> tuple[Prediction, ...]:
        """The top k of a frame, uint8 (H, W, 3) BGR, without any map."""
        framed = self._outline.framing.framed(frame)
        rows = self._outline.framing.rows(framed.pixels)
        shared = self.shared_by([framed.tiling])
        answers = self.functions.predict(1, len(rows), shared)(framed.pixels[None] if shared else rows)
        return predictions_of(self._outline.vocabulary, answers["indices"][0], answers["probabilities"][0])

    def probabilities(self, pixels: Iterable[np.ndarray]) -> np.ndarray:
        """The probabilities, float32 (n, classes + groups), of any number of frames as the network sees them.

        Args:
            pixels: uint8 (height, width, 3), BGR, all of one size.

        Raises:
            ArgumentError: not such an input.
        """
        framing = self._outline.framing
        many = _MANY if self._outline.takes_batches else 1
        rest, results = iter(pixels), [np.zeros((0, len(self._outline.vocabulary.names)), np.float32)]
        while group := list(islice(rest, many)):
            for one in group:
                framing.check_seen(one)
            filled_up = [framing.rows(one) for one in group + [group[-1]] * (many - len(group))]
            predicted = self.functions.predict(many, len(filled_up[0]))(np.concatenate(filled_up))
            results.append(predicted["probabilities"][: len(group)])
        return np.concatenate(results)
