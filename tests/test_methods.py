"""Each method against its formula, worked out by NumPy on numbers that are small enough to check by hand."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from live_gradcam.cam.methods import METHODS

# Two channels on 1 × 2 places, by place: (A₁, A₂) and (G₁, G₂).
ACTIVATIONS = np.array([[[[1.0, 2.0], [3.0, 0.0]]]], np.float32)
GRADIENTS = np.array([[[[2.0, -1.0], [0.0, 3.0]]]], np.float32)


@pytest.mark.parametrize(
    ("method", "by_hand"),
    [
        ("grad-cam", [1 * 1 + 2 * 1, 3 * 1 + 0 * 1]),  # mean gradients 1 and 1
        ("hirescam", [1 * 2 - 2 * 1, 3 * 0 + 0 * 3]),
        ("layercam", [1 * 2 + 2 * 0, 3 * 0 + 0 * 3]),
        ("elementwise", [2 + 0, 0]),
        ("xgrad-cam", [1 * 0.5 - 2 * 1, 3 * 0.5 - 0 * 1]),  # weights 2 / 4 and -2 / 2
    ],
)
def test_the_map_by_hand(method: str, by_hand: list[float]) -> None:
    raw_map = METHODS[method].raw_map(tf.constant(ACTIVATIONS), tf.constant(GRADIENTS))
    np.testing.assert_allclose(raw_map.numpy(), [[by_hand]], atol=1e-6)


def test_every_method_is_checked() -> None:
    assert set(METHODS) == {"grad-cam", "hirescam", "layercam", "elementwise", "xgrad-cam"}


def test_a_channel_of_nothing_has_no_weight() -> None:
    raw_map = METHODS["xgrad-cam"].raw_map(tf.zeros((1, 2, 2, 3)), tf.ones((1, 2, 2, 3)))
    np.testing.assert_array_equal(raw_map.numpy(), np.zeros((1, 2, 2)))
