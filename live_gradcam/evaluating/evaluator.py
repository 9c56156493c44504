"""Measures the maps of methods on one picture after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from live_gradcam.attribution.session import Session
from live_gradcam.errors import UsageError
from live_gradcam.evaluating.figures import CENTRED_BLOB, RANDOM_MAP, Evaluation, Figures
from live_gradcam.evaluating.pictures import Boxes, Picture
from live_gradcam.evaluating.random_head import with_random_head
from live_gradcam.explanations import faithfulness
from live_gradcam.explanations.explanation import Region
from live_gradcam.explanations.faithfulness import ObjectBox
from live_gradcam.explanations.fits import enlarged

#: Over how many random maps the control is averaged.
_RANDOM_MAPS = 5


class Evaluator:
    """Measures the maps of several methods, and of the two controls, on one picture after the other.

    The controls are random maps of the resolution of the session's own, whose figures are averaged, and a blob in the
    middle of the input.

    Args:
        session: the network, the target layer and the class, if one is pinned.
        methods: the methods' names.
        steps: of deletion and insertion.
        boxes: of the objects, by the picture's name.
        random_head: whether to compare with the maps of a network with a random head, which compiles each
            method once more.

    Raises:
        UsageError: a method that there is not or that is not defined for the network; several classes, a contrast,
            values, or the fit native, none of which the measures are defined for.
        ModelError: the network cannot be given a random head.
    """

    def __init__(
        self, session: Session, methods: Sequence[str], *, steps: int, boxes: Boxes | None = None, random_head: bool
    ) -> None:
        if len(session.targets) > 1 or any(target.against is not None for target in session.targets):
            raise UsageError("maps are evaluated for one class: give one with --class, and no contrast")
        if session.vocabulary.are_values:
            raise UsageError("maps are evaluated by how probabilities change, and the network gives values")
        if session.fit == "native":
            raise UsageError("maps are evaluated at one input size: use --fit tiles, stretch, crop or letterbox")
        (self._session,) = session.side_by_side([session.method]).values()
        self._steps = steps
        self._boxes = boxes or {}
        self._colour = session.classifier.preprocessing.mean_colour
        self._methods = session.side_by_side(methods)
        self._with_random_head: dict[str, Session] = {}
        if random_head:
            classifier = with_random_head(session.classifier)
            self._with_random_head = session.of_classifier(classifier).side_by_side(methods)

    def evaluate(self, picture: Picture, *, on_progress: Callable[[str], None] = lambda map_: None) -> Evaluation:
        """Measure everything on one picture.

        Args:
            picture: what the network is shown.
            on_progress: called before each map is measured, with its name.
        """
        session = self._session
        pixels, region = session.as_seen(picture.image)
        first = session.explain(pixels)
        target, map_size = first.targets[0], first.heatmaps.shape[1:]
        boxes = self._boxes.get(picture.name)
        figures: dict[str, Figures] = {}
        for name, method in self._methods.items():
            on_progress(f"{picture.name}: {name}")
            explanation = first if name == session.method else method.explain(pixels, targets=target.index)
            heatmap = explanation.heatmaps[0]
            figures[name] = self._measure(heatmap, pixels, target.index, region, boxes)
            if name in self._with_random_head:
                other = self._with_random_head[name].explain(pixels, targets=target.index).heatmaps[0]
                correlation = faithfulness.rank_correlation(heatmap, other)
                figures[name] = replace(
                    figures[name], rank_correlation=correlation, absolute_rank_correlation=abs(correlation)
                )
        for name, controls in {
            RANDOM_MAP: [faithfulness.random_map(map_size, seed) for seed in range(_RANDOM_MAPS)],
            CENTRED_BLOB: [faithfulness.centred_blob(pixels.shape[:2])],
        }.items():
            on_progress(f"{picture.name}: {name}")
            figures[name] = Figures.mean(
                [self._measure(control, pixels, target.index, region, boxes) for control in controls]
            )
        truth = None
        if picture.truth is not None:
            truth = session.vocabulary.prediction(picture.truth, first.probabilities)
        return Evaluation(picture.name, target, figures, truth)

    def _measure(
        self,
        heatmap: np.ndarray,
        pixels: np.ndarray,
        target: int,
        region: Region,
        boxes: Sequence[ObjectBox] | None,
    ) -> Figures:
        """All figures of one map but the rank correlation."""
        saliency = enlarged(heatmap, pixels.shape[:2])
        order = faithfulness.pixel_order(saliency)
        changed = chain(
            faithfulness.replaced(pixels, self._colour, order, self._steps),
            faithfulness.replaced(faithfulness.blurred(pixels), pixels, order, self._steps),
            [faithfulness.explanation_map(pixels, saliency, self._colour)],
        )
        probabilities = self._session.probabilities(changed)[:, target]
        deletion, insertion, explained = np.split(probabilities, [self._steps + 1, 2 * self._steps + 2])
        whole, shown = float(deletion[0]), float(explained[0])
        return Figures(
            deletion,
            insertion,
            faithfulness.drop(whole, shown),
            faithfulness.increase(whole, shown),
            None if boxes is None else faithfulness.hit(saliency, region, boxes),
        )
