"""Names in scripts that OpenCV does not write: in their order and joined, or as the class's number."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
from PIL import features

from live_gradcam.drawing import names, scripts
from live_gradcam.drawing.hud import Hud, draw_hud
from live_gradcam.drawing.names import legible, named_legibly
from live_gradcam.drawing.overlay import Overlay
from live_gradcam.drawing.text import put_text, text_width
from live_gradcam.explanations.explanation import Explanation, Prediction, Region

_HEBREW, _ARABIC = "שלום", "قطة"
#: Of a script in which no language is written any more, and that no font here has: Tibet's old Marchen.
_UNKNOWN = "\U00011c72\U00011c73"
#: The last of the signs of Unicode's first plane for private use, which no font has.
_NO_SIGN = "\U000ffffd"

needs_raqm = pytest.mark.skipif(not features.check("raqm"), reason="libfribidi is not installed")


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_said", [])


def _ink(text: str) -> np.ndarray:
    """Which columns of a line have ink, from its first one to its last."""
    image = np.zeros((60, 400, 3), np.uint8)
    put_text(image, text, (20, 40), 32, max_width=380)
    seen = image.max(axis=(0, 2)) > 64
    used = np.flatnonzero(seen)
    return image[:, used[0] : used[-1] + 1]


def _explanation(*labels: str) -> Explanation:
    rows = tuple(Prediction(index, label, 0.5) for index, label in enumerate(labels))
    return Explanation(
        predictions=rows,
        heatmaps=np.ones((1, 2, 2), np.float32),
        targets=rows[:1],
        evidence=np.ones(1, np.float32),
        logits=np.zeros(len(rows), np.float32),
        probabilities=np.full(len(rows), 0.5, np.float32),
        region=Region(0, 0, 640, 360),
    )


@needs_raqm
def test_hebrew_begins_at_the_right() -> None:
    first, whole = _ink(_HEBREW[0]), _ink(_HEBREW)
    width = first.shape[1]
    right = np.abs(whole[:, -width:].astype(int) - first).mean()
    left = np.abs(whole[:, :width].astype(int) - first).mean()
    assert right < 10 < left


@needs_raqm
def test_arabic_letters_are_joined() -> None:
    joined = text_width(_ARABIC, 32)
    alone = sum(text_width(letter, 32) for letter in _ARABIC)
    assert joined < 0.9 * alone
    assert (_ink("بببب").max(axis=(0, 2)) > 64).all()  # one stroke, without a gap from letter to letter


def test_what_opencv_writes_is_written_by_opencv() -> None:
    for text in ("golden retriever", "café · 3 ms", "猫 犬 고양이", "кошка", "cat 🐱"):
        assert scripts.is_simple(text)
        assert scripts.is_legible(text)


@needs_raqm
def test_an_emoji_is_drawn_in_a_font_that_has_it() -> None:
    assert not np.array_equal(_ink("cat 🐱"), _ink("cat ?"))
    assert text_width("cat 🐱", 32) > text_width("cat", 32)  # which matplotlib's own font has


def test_an_emoji_that_no_font_has_is_left_out() -> None:
    for text in (f"cat {_NO_SIGN}", f"{_NO_SIGN} cat", f"cat{_NO_SIGN}\ufe0f\u200d{_NO_SIGN}"):
        assert np.array_equal(_ink(text), _ink("cat"))
        assert text_width(text, 32) == text_width("cat", 32)
    assert text_width(f"big {_NO_SIGN} cat", 32) == text_width("big cat", 32)
    assert named_legibly(Prediction(3, _NO_SIGN, 0.5)).label == "class 3"


@needs_raqm
def test_a_line_that_is_partly_outside_is_cut_off() -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    for origin in ((-10, 10), (25, 15), (5, 2), (5, 60), (-400, 10)):
        put_text(image, _ARABIC, origin, 24, max_width=400)
    assert image.any()


@needs_raqm
def test_a_long_line_from_the_right_is_shortened() -> None:
    image = np.zeros((60, 400, 3), np.uint8)
    put_text(image, 8 * f"{_HEBREW} ", (20, 40), 32, max_width=150)
    used = np.flatnonzero(image.max(axis=(0, 2)) > 64)
    assert used[0] >= 20
    assert used[-1] < 20 + 150


def test_a_class_whose_letters_no_font_has_is_named_by_its_number(caplog: pytest.LogCaptureFixture) -> None:
    explanation = _explanation("cat", _UNKNOWN, 2 * _UNKNOWN)
    with caplog.at_level(logging.WARNING):
        shown = legible(explanation)
        legible(explanation)
    assert [one.label for one in shown.predictions] == ["cat", "class 1", "class 2"]
    assert [record.getMessage() for record in caplog.records] == [
        f"no font of this machine can write the name {_UNKNOWN}: the picture shows class 1. Other names in "
        "such letters are shown by their numbers too. Install a font that has them, and libfribidi"
    ]
    group = Prediction(7, "cat", 0.5, finest=Prediction(3, _UNKNOWN, 0.5))
    assert named_legibly(group).finest == Prediction(3, "class 3", 0.5)


def test_an_explanation_of_names_that_can_be_drawn_is_left_as_it_is() -> None:
    explanation = _explanation("cat", "猫")
    assert legible(explanation) is explanation


def test_two_such_classes_can_be_told_apart_in_the_picture() -> None:
    one, other = _explanation(_UNKNOWN), _explanation(_UNKNOWN[::-1])
    other = replace(other, targets=(replace(other.targets[0], index=1),))
    other = replace(other, predictions=other.targets)
    pictures = []
    for explanation in (one, other):
        picture = np.zeros((360, 640, 3), np.uint8)
        draw_hud(picture, Hud(), explanation, Overlay())
        pictures.append(picture)
    assert not np.array_equal(*pictures)


def test_without_libfribidi_such_a_name_is_a_number_and_not_written_backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check", lambda _: False)
    scripts.font_of.cache_clear()
    scripts.is_legible.cache_clear()
    try:
        assert legible(_explanation(_HEBREW)).targets[0].label == "class 0"
    finally:
        scripts.font_of.cache_clear()
        scripts.is_legible.cache_clear()
