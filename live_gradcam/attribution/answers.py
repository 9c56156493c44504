"""From the numbers that the compiled function gives for a frame to its explanation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from live_gradcam.attribution.framing import Framed
from live_gradcam.attribution.outline import Outline
from live_gradcam.explanations.explanation import Explanation, Prediction, Target
from live_gradcam.explanations.vocabulary import Vocabulary

_RAW_MAPS = "raw_maps_"


def raw_maps_of(answers: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Each layer's raw maps by frame, float32 (frames, tiles, maps, h, w), of what `OnePass.explain` gives."""
    frames = len(answers["targets"])
    names = sorted(
        (name for name in answers if name.startswith(_RAW_MAPS)), key=lambda name: int(name.removeprefix(_RAW_MAPS))
    )
    return [answers[name].reshape(frames, -1, *answers[name].shape[1:]) for name in names]


def explanation_of(
    outline: Outline,
    answer: Mapping[str, np.ndarray],
    raw_maps: Sequence[np.ndarray],
    framed: Framed,
    targets: Sequence[Target],
    *,
    is_signed: bool,
) -> Explanation:
    """The explanation of a frame.

    Args:
        outline: of what was computed.
        answer: the numbers of the one pass: `indices`, `targets`, `logits` and `probabilities`, and perhaps `features`.
        raw_maps: of each layer, float32 (tiles, maps, h, w).
        framed: the frame as the network saw it.
        targets: the classes that were asked for.
        is_signed: whether the strength of a map is its absolute value.
    """
    is_undefined = not all(np.isfinite(one).all() for one in raw_maps)
    if is_undefined:
        raw_maps = [np.where(np.isfinite(one).all(axis=(-2, -1), keepdims=True), one, 0) for one in raw_maps]
    explained, vocabulary, probabilities = outline.options.explained, outline.vocabulary, answer["probabilities"]
    signs = None
    if is_signed:
        signs = np.sign(raw_maps[0][0]).astype(np.int8)
        raw_maps = [np.abs(raw_maps[0])]
    heatmaps, evidence = outline.layers.heatmaps(raw_maps, framed.tiling, relu=explained.relu)
    contrasts = [targets[k].against if k < len(targets) else None for k in range(outline.maps)]
    return Explanation(
        predictions=predictions_of(vocabulary, answer["indices"], probabilities),
        heatmaps=heatmaps,
        targets=predictions_of(vocabulary, answer["targets"], probabilities),
        contrasts=tuple(None if other is None else vocabulary.prediction(other, probabilities) for other in contrasts),
        against=outline.against,
        evidence=evidence,
        logits=answer["logits"],
        probabilities=probabilities,
        region=framed.region,
        fit=outline.framing.fit,
        tiles=framed.tiling.count if framed.tiling else 1,
        signs=signs,
        model=outline.name,
        method=explained.method,
        layer=outline.layers.name,
        features=answer.get("features"),
        is_undefined=is_undefined,
    )


def predictions_of(vocabulary: Vocabulary, indices: np.ndarray, probabilities: np.ndarray) -> tuple[Prediction, ...]:
    """The classes of some indices, int32 (n,), with their probabilities, float32 (classes + groups,)."""
    return tuple(vocabulary.prediction(int(index), probabilities) for index in indices)
