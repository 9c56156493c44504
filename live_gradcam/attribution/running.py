"""Frames through the compiled functions of a plan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np

from live_gradcam.attribution.answers import explanation_of, predictions_of, raw_maps_of
from live_gradcam.attribution.functions import Functions
from live_gradcam.attribution.methods.method import ExplainedInput, OnProgress, Passes
from live_gradcam.attribution.plan import Plan
from live_gradcam.attribution.sharing import Sharing
from live_gradcam.attribution.targets import as_arrays
from live_gradcam.explanations.explanation import Explanation, Prediction, Target
from live_gradcam.explanations.heatmaps import scale

#: How many inputs go through the network at a time where there are many.
_MANY = 16


class Runner:
    """Runs frames through the compiled functions of a plan, whose fit is any but native.

    Args:
        plan: what is computed.
        sharing: what tiles share, where that is known of the same network already.

    Attributes:
        functions: compiled when they are first needed.
        sharing: what tiles share.
    """

    def __init__(self, plan: Plan, sharing: Sharing | None = None) -> None:
        self.functions = Functions(plan)
        self.sharing = sharing or Sharing(plan.written.network, plan.one_pass.split, plan.classifier.preprocessing)
        self._plan = plan

    def expect(self, frame_size: tuple[int, int]) -> None:
        """Find out what the tiles of frames of (height, width) pixels share."""
        tiling = self._plan.framing.tiling(frame_size)
        if tiling is not None and self._plan.tiles_may_share:
            self.sharing.expect(tiling)

    def warm_up(self, batch: int, frame_size: tuple[int, int]) -> None:
        """Compile the one-pass function for so many frames of (height, width) pixels at a time.

        Raises:
            ModelError: the engine cannot compile the network.
        """
        tiling = self._plan.framing.tiling(frame_size)
        self.functions.explain(batch, tiling.count if tiling else 1, self.sharing.by([tiling]))

    def is_ready_for(self, frame_size: tuple[int, int]) -> bool:
        """Whether a frame of (height, width) pixels is explained without anything being compiled."""
        tiling = self._plan.framing.tiling(frame_size)
        return self.functions.has_explain(tiling.count if tiling else 1, self.sharing.by([tiling]))

    def explain(
        self, frames: Sequence[np.ndarray], targets: Sequence[Target], on_progress: OnProgress | None
    ) -> list[Explanation]:
        """Explain several frames in one pass.

        Args:
            frames: uint8 (H, W, 3), BGR, at least one; they may differ in size.
            targets: the classes to explain, at most as many as there are maps; none for each frame's own top class.
            on_progress: called after each pass of a method that takes many passes.
        """
        framing = self._plan.framing
        tilings = [framing.tiling((frame.shape[0], frame.shape[1])) for frame in frames]
        tiles = 1 if tilings[0] is None else tilings[0].count
        if any(tiling is not None and tiling.count != tiles for tiling in tilings):  # each number has its own function
            return [self.explain([frame], targets, on_progress)[0] for frame in frames]
        framed = [framing.framed(frame) for frame in frames]
        shared = self.sharing.by(tilings)
        seen = [one.pixels for one in framed]
        pixels = np.stack(seen) if shared else np.concatenate([framing.rows(one) for one in seen])
        classes = as_arrays(targets, batch=len(frames), maps=self._plan.one_pass.maps)
        answers = self.functions.explain(len(frames), tiles, shared)(pixels, *classes)
        relu = self._plan.options.explained.relu
        maps = self._plan.layers.on_input(raw_maps_of(answers), relu=relu)
        passes = self.functions.passes
        if passes is not None:
            maps = self._maps_of_passes(passes, (pixels, answers["targets"], classes[1]), maps[0], on_progress)
        return [
            explanation_of(
                self._plan,
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
        relu = self._plan.options.explained.relu
        raw_maps = []
        for pixels, classes, contrasts, of_pass in zip(*inputs, first_maps, strict=True):
            heatmaps, _ = scale(of_pass[0], relu=relu)
            raw_maps.append(passes.raw_maps(ExplainedInput(pixels, classes, contrasts, heatmaps), on_progress)[None])
        stacked = np.stack(raw_maps)
        return [stacked] if passes.are_of_input else self._plan.layers.on_input([stacked], relu=relu)

    def predict(self, frame: np.ndarray) -> tuple[Prediction, ...]:
        """The top k of a frame, uint8 (H, W, 3) BGR, without any map."""
        framed = self._plan.framing.framed(frame)
        rows = self._plan.framing.rows(framed.pixels)
        shared = self.sharing.by([framed.tiling])
        answers = self.functions.predict(1, len(rows), shared)(framed.pixels[None] if shared else rows)
        return predictions_of(self._plan.vocabulary, answers["indices"][0], answers["probabilities"][0])

    def probabilities(self, pixels: Iterable[np.ndarray]) -> np.ndarray:
        """The probabilities, float32 (n, classes + groups), of any number of frames as the network sees them.

        Args:
            pixels: uint8 (height, width, 3), BGR, all of one size.

        Raises:
            ValueError: not such an input.
        """
        framing = self._plan.framing
        rest, results = iter(pixels), [np.zeros((0, len(self._plan.vocabulary.names)), np.float32)]
        while group := list(islice(rest, _MANY)):
            for one in group:
                framing.check_seen(one)
            filled_up = [framing.rows(one) for one in group + [group[-1]] * (_MANY - len(group))]
            predicted = self.functions.predict(_MANY, len(filled_up[0]))(np.concatenate(filled_up))
            results.append(predicted["probabilities"][: len(group)])
        return np.concatenate(results)
