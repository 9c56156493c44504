"""Models of many kinds are explained as they are: `benchmarks/models.py` has all kinds and compiles them, too."""

from __future__ import annotations

import numpy as np
import pytest

from tests.model_kinds import KINDS
from tests.model_kinds.comparison import compare, difference_of_maps, tolerance_of

SOME = (
    "Sequential from scratch",
    "mini-Xception with residuals",
    "weight standardization",
    "convolution, global pooling, softmax (NiN)",
    "several labels (sigmoids)",
    "regression",
    "twice nested",
    "picture and metadata",
    "several outputs",
    "two backbones, concatenated",
    "subclass with a graph and its own train_step",
    "subclassed model",
    "subclassed model with functions of tf",
    "ViT with a class token",
    "Cropping2D in front",
    "grey",
    "mixed_float16",
    "int8",
    "LoRA",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", SOME)
def test_numbers_and_map_are_those_of_the_users_model(name: str) -> None:
    kind = KINDS[name]
    found = compare(kind, "graph")
    assert found.of_numbers <= tolerance_of(kind)
    assert found.of_maps <= tolerance_of(kind)
    assert "differ" not in found.note


def test_a_map_that_is_off_is_seen() -> None:
    raw_map = np.array([[-1.0, 0.0], [1.0, 3.0]])
    heatmap = (raw_map + 1) / 4
    assert difference_of_maps(raw_map, heatmap, 3.0) == 0
    assert difference_of_maps(raw_map, heatmap, 3.3) == pytest.approx(0.1)
    assert difference_of_maps(raw_map, heatmap[::-1], 3.0) == pytest.approx(1)
