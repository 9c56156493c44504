"""What a notebook's kernel makes of an answer to the page: the explanation that it was made from."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest

from live_gradcam.drawing.overlay import Overlay, contrast_of, detail_of
from live_gradcam.explanations.explanation import Box, Explanation, Prediction, Region
from live_gradcam.explanations.stability import StableExplanation
from live_gradcam.notebook.explained import Snapshot, explanation_of
from live_gradcam.serving.explaining.answers import facts_of, maps_of
from live_gradcam.serving.messages import pack_answer, parse_answer
from live_gradcam.sources.frame import Frame
from live_gradcam.surfaces.scene import LiveExplanation

_CAT, _DOG = Prediction(285, "cat", 0.75, Prediction(281, "tabby", 0.5)), Prediction(207, "dog", 0.125)
_MAPS = np.array([[[0, 51], [102, 255]], [[255, 0], [17, 34]]], np.float32) / 255


def _explanation(**changes) -> Explanation:
    said = {
        "predictions": (_CAT, _DOG),
        "heatmaps": _MAPS,
        "targets": (_CAT, _DOG),
        "evidence": np.array([2.5, 0.25], np.float32),
        "logits": np.zeros(3, np.float32),
        "probabilities": np.zeros(3, np.float32),
        "region": Region(8.0, -4.0, 48.0, 44.0),
        "boxes": ((Box(10, 2, 20, 12),), ()),
        "contrasts": (_DOG, None),
        "fit": "letterbox",
        "model": "net",
        "method": "grad-cam",
        "layer": "last",
    }
    return Explanation(**{**said, **changes})


def _answered(explanation: Explanation | None, size=None) -> Explanation | None:
    """What is in Python after the way to the page and back."""
    frame = Frame(np.zeros((36, 64, 3), np.uint8), 1, Fraction(0), 0.0)
    stable = None if explanation is None else StableExplanation(explanation, 0.61, (36, 64))
    facts = facts_of(LiveExplanation(frame, stable, "net", "grad-cam", "last"))
    answer = parse_answer(pack_answer(1, facts, maps_of(explanation)))
    return explanation_of(answer.facts, answer.maps, size)


def test_an_explanation_comes_back_as_it_was():
    said = _explanation()
    back = _answered(said)
    assert back is not None
    np.testing.assert_array_equal(back.heatmaps, said.heatmaps)
    np.testing.assert_array_equal(back.evidence, said.evidence)
    assert back.heatmaps.dtype == np.float32
    for name in ("predictions", "targets", "region", "boxes", "against", "fit", "tiles", "model", "method", "layer"):
        assert getattr(back, name) == getattr(said, name), name
    assert back.target == 285
    assert back.explained == said.explained
    assert back.logits.size == back.probabilities.size == 0


def test_a_class_that_is_not_listed_keeps_its_name():
    back = _answered(_explanation(targets=(Prediction(9, "hen", 0.01), _DOG), contrasts=()))
    assert back is not None
    assert (back.targets[0].index, back.targets[0].label) == (9, "hen")
    assert np.isnan(back.targets[0].probability)
    assert back.contrasts == ()


def test_it_is_put_into_the_pixels_of_the_cameras_own_picture():
    back = _answered(_explanation(), size=(72, 192))
    assert back is not None
    assert back.region == Region(24.0, -8.0, 144.0, 88.0)
    assert back.boxes == ((Box(30, 4, 60, 24),), ())


def test_a_black_frame_has_no_explanation():
    assert _answered(None) is None


def test_signs_come_back():
    signs = np.array([[[1, -1], [-1, 1]]], np.int8)
    maps = np.array([[[0.0625, 0.25], [0.0, 0.16]]], np.float32)  # 1.75 · the root stays below 1
    back = _answered(_explanation(heatmaps=maps, signs=signs, targets=(_CAT,), boxes=((),), contrasts=()))
    assert back is not None
    np.testing.assert_allclose(back.heatmaps, maps, atol=0.005)
    np.testing.assert_array_equal(back.signs, np.sign(maps * signs))
    detail = np.array([-0.3, -0.01, 0.0, 0.2])
    np.testing.assert_allclose(detail_of(contrast_of(detail)), detail, rtol=1e-12)


def test_a_snapshot_shows_its_overlay():
    picture = np.full((36, 64, 3), 90, np.uint8)
    snapshot = Snapshot(picture, _answered(_explanation()), 1.5)
    assert repr(snapshot) == "Snapshot(64x36, cat)"
    own = Overlay().blend(picture, _explanation())
    np.testing.assert_array_equal(snapshot.overlay(), own)
    shown = cv2.imdecode(np.frombuffer(snapshot._repr_png_(), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(shown, own)


@pytest.mark.parametrize("name", ["overlay", "_repr_png_"])
def test_a_snapshot_of_a_black_picture_is_the_picture(name):
    snapshot = Snapshot(np.zeros((2, 4, 3), np.uint8), None, 0.0)
    assert getattr(snapshot, name)() is not None
    np.testing.assert_array_equal(snapshot.overlay(), snapshot.picture)
    assert repr(snapshot) == "Snapshot(4x2, nothing)"
