"""Boxes: around every region of a map, in the frame's pixels, and steady from frame to frame."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from live_gradcam.errors import UsageError
from live_gradcam.explanations.boxes import BoxOptions, SteadyBoxes, find_boxes, with_boxes
from live_gradcam.explanations.explanation import Box, Explanation, Prediction, Region

SIZE = (100, 100)
WHOLE = Region(0, 0, 100, 100)


def blocks(*rectangles: tuple[int, int, int, int], level: float = 1.0) -> np.ndarray:
    """A map of a cell a pixel of the frame, which is `level` in rectangles of (left, top, right, bottom)."""
    heatmap = np.zeros(SIZE, np.float32)
    for left, top, right, bottom in rectangles:
        heatmap[top:bottom, left:right] = level
    return heatmap


def explained(*heatmaps: np.ndarray, first_class: int = 0) -> Explanation:
    targets = tuple(
        Prediction(first_class + place, f"class {first_class + place}", 0.5) for place in range(len(heatmaps))
    )
    return Explanation(
        predictions=targets,
        heatmaps=np.stack(heatmaps).astype(np.float32),
        targets=targets,
        evidence=np.ones(len(heatmaps), np.float32),
        logits=np.zeros(8, np.float32),
        probabilities=np.zeros(8, np.float32),
        region=WHOLE,
    )


# --- all regions of a map -----------------------------------------------------------------------------------------


def test_every_region_has_its_box_the_largest_first() -> None:
    heatmap = blocks((70, 60, 90, 80), (10, 10, 60, 50), (5, 70, 25, 82))
    assert find_boxes(heatmap, WHOLE, SIZE, threshold=0.5) == (
        Box(10, 10, 60, 50),
        Box(70, 60, 90, 80),
        Box(5, 70, 25, 82),
    )


def test_the_larger_region_is_that_of_more_area_not_of_the_larger_box() -> None:
    corner = blocks((0, 0, 40, 4), (0, 0, 4, 40))  # a box of 1600 pixels around 304
    boxes = find_boxes(corner + blocks((60, 60, 80, 80)), WHOLE, SIZE, threshold=0.5)
    assert boxes == (Box(60, 60, 80, 80), Box(0, 0, 40, 40))


def test_a_place_belongs_to_a_region_from_the_threshold_on() -> None:
    heatmap = blocks((20, 20, 50, 50)) + blocks((50, 20, 80, 50), level=0.3)
    for scale in (1.0, 0.25):  # of the map's own maximum, whatever that is
        assert find_boxes(scale * heatmap, WHOLE, SIZE, threshold=0.2) == (Box(20, 20, 80, 50),)
        assert find_boxes(scale * heatmap, WHOLE, SIZE, threshold=0.4) == (Box(20, 20, 50, 50),)


def test_specks_below_a_twentieth_of_the_largest_region_have_no_box() -> None:
    large = (0, 0, 40, 50)  # 2000 pixels
    assert len(find_boxes(blocks(large, (60, 60, 70, 70)), WHOLE, SIZE, threshold=0.5)) == 2  # 100 pixels
    assert find_boxes(blocks(large, (60, 60, 70, 69)), WHOLE, SIZE, threshold=0.5) == (Box(*large),)


def test_boxes_are_in_pixels_of_the_frame_and_inside_it() -> None:
    heatmap = np.zeros((20, 20), np.float32)
    heatmap[2:10, 4:16] = 1  # x 0.2…0.8, y 0.1…0.5
    (box,) = find_boxes(heatmap, Region(0, 0, 400, 200), (200, 400), threshold=0.5)
    np.testing.assert_allclose(box, (80, 20, 320, 100), atol=4)
    (box,) = find_boxes(heatmap, Region(75, -25, 100, 100), (50, 250), threshold=0.5)  # of the middle, with bars
    np.testing.assert_allclose(box, (95, 0, 155, 25), atol=3)
    assert find_boxes(np.ones((7, 7), np.float32), Region(0, -74, 200, 200), (50, 200)) == (Box(0, 0, 200, 50),)


def test_no_evidence_has_no_box_nor_has_what_is_outside_of_the_frame() -> None:
    assert find_boxes(np.zeros((7, 7), np.float32), WHOLE, SIZE) == ()
    in_the_bar = np.zeros((8, 8), np.float32)
    in_the_bar[0] = 1
    assert find_boxes(in_the_bar, Region(0, -75, 200, 200), (50, 200), threshold=0.5) == ()


def test_an_explanation_gets_the_boxes_of_each_map() -> None:
    explanation = with_boxes(explained(blocks((0, 0, 10, 10)), blocks((50, 50, 60, 60))), SIZE, threshold=0.5)
    assert explanation.boxes == ((Box(0, 0, 10, 10),), (Box(50, 50, 60, 60),))


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.1, 15.0, math.nan])
def test_a_threshold_that_divides_nothing_is_refused(threshold: float) -> None:
    with pytest.raises(UsageError, match=r"above 0 and below 1"):
        BoxOptions(threshold)


# --- steady over time ---------------------------------------------------------------------------------------------


def follow(steady: SteadyBoxes, time: float, *rectangles: tuple[int, int, int, int]) -> tuple[Box, ...]:
    return steady.steady(explained(blocks(*rectangles)), SIZE, time).boxes[0]


@pytest.mark.parametrize("frames", [1, 4])
def test_the_edges_follow_exponentially_by_time_at_any_frame_rate(frames: int) -> None:
    steady = SteadyBoxes(threshold=0.5, seconds=0.2)
    assert follow(steady, 7.0, (20, 20, 60, 60)) == (Box(20, 20, 60, 60),)
    for frame in range(1, frames + 1):
        boxes = follow(steady, 7.0 + 0.2 * frame / frames, (30, 20, 70, 64))
    moved = 1 - math.exp(-1)
    assert boxes == (Box(round(20 + 10 * moved), 20, round(60 + 10 * moved), round(60 + 4 * moved)),)


def test_the_same_frame_again_has_the_same_boxes() -> None:
    steady = SteadyBoxes(threshold=0.5, seconds=0.2)
    follow(steady, 0.0, (20, 20, 60, 60))
    once = follow(steady, 0.1, (30, 20, 70, 60))
    assert follow(steady, 0.1, (30, 20, 70, 60)) == once != (Box(30, 20, 70, 60),)


def test_what_appears_is_shown_at_once_and_what_is_gone_is_not() -> None:
    steady = SteadyBoxes(threshold=0.5, seconds=0.2)
    follow(steady, 0.0, (10, 10, 50, 50))
    assert follow(steady, 0.01, (10, 10, 50, 50), (70, 70, 90, 90)) == (Box(10, 10, 50, 50), Box(70, 70, 90, 90))
    assert follow(steady, 0.02, (70, 70, 90, 90)) == (Box(70, 70, 90, 90),)
    assert follow(steady, 0.03) == ()
    assert follow(steady, 0.04, (12, 10, 52, 50)) == (Box(12, 10, 52, 50),)  # nothing is left to follow


def test_a_jump_is_followed_at_once() -> None:
    """Boxes that overlap by less than 0.3 are not of one region: 25 of 40 columns further, 15 / 65 is left."""
    steady = SteadyBoxes(threshold=0.5, seconds=10.0)
    follow(steady, 0.0, (10, 10, 50, 50))
    assert follow(steady, 0.01, (35, 10, 75, 50)) == (Box(35, 10, 75, 50),)


def test_each_region_is_followed_by_the_one_that_it_overlaps_most() -> None:
    steady = SteadyBoxes(threshold=0.5, seconds=0.2)
    follow(steady, 0.0, (0, 0, 40, 40), (50, 0, 80, 40))
    boxes = follow(steady, 1e-9, (2, 0, 42, 40), (52, 0, 82, 40))
    assert boxes == (Box(0, 0, 40, 40), Box(50, 0, 80, 40))


def test_of_equals_the_first_stays_first_until_the_other_is_clearly_larger() -> None:
    steady = SteadyBoxes(threshold=0.5, seconds=0)
    left, right = Box(0, 0, 40, 40), Box(50, 0, 90, 40)
    larger = {side: side._replace(bottom=42) for side in (left, right)}
    assert follow(steady, 0.0, larger[left], right) == (larger[left], right)
    for frame in range(1, 7):
        pair = (left, larger[right]) if frame % 2 else (larger[left], right)
        assert follow(steady, 0.1 * frame, *pair) == pair
    grown = right._replace(bottom=50)
    assert follow(steady, 1.0, left, grown) == (grown, left)


def test_a_small_region_does_not_come_and_go() -> None:
    """One of 100 of 2000 pixels gets a box, and keeps it with 60, but not with 40."""
    steady = SteadyBoxes(threshold=0.5, seconds=0)
    large, counts = (0, 0, 40, 50), []
    for frame, width in enumerate((6, 10, 6, 6, 4, 6)):
        counts.append(len(follow(steady, 0.1 * frame, large, (60, 60, 60 + width, 70))))
    assert counts == [1, 2, 2, 2, 1, 1]


def test_each_class_has_boxes_of_its_own() -> None:
    here, there = blocks((10, 10, 50, 50)), blocks((14, 10, 54, 50))
    steady = SteadyBoxes(threshold=0.5, seconds=1000.0)
    steady.steady(explained(here, first_class=3), SIZE, 0.0)
    assert steady.steady(explained(there, first_class=3), SIZE, 0.1).boxes == ((Box(10, 10, 50, 50),),)
    assert steady.steady(explained(there, first_class=4), SIZE, 0.2).boxes == ((Box(14, 10, 54, 50),),)
    against = replace(explained(here, first_class=4), against=True)
    assert steady.steady(against, SIZE, 0.3).boxes == ((Box(10, 10, 50, 50),),)
    both = explained(here, there)
    assert steady.steady(both, SIZE, 0.4, maps=1).boxes == ((Box(10, 10, 50, 50),),)
    assert steady.steady(both, SIZE, 0.5).boxes == ((Box(10, 10, 50, 50),), (Box(14, 10, 54, 50),))


def test_a_source_of_another_size_starts_anew() -> None:
    steady = SteadyBoxes(threshold=0.5, seconds=1000.0)
    follow(steady, 0.0, (10, 10, 50, 50))
    larger = replace(explained(blocks((10, 10, 50, 50))), region=Region(0, 0, 120, 120))
    (boxes,) = steady.steady(larger, (120, 120), 0.1).boxes
    np.testing.assert_allclose(boxes, [(12, 12, 60, 60)], atol=1)


def test_steady_boxes_jitter_less_and_follow_a_move_to_its_end() -> None:
    """A blob in noise on a map of 14 × 14: it stands for 3 s, moves for 1 s, and stands again."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:14, :14] + 0.5
    plain, steady = [], []
    follower = SteadyBoxes(threshold=0.3)
    for frame in range(210):
        time = frame / 30
        centre = 4 + 5 * min(1, max(0, time - 3))
        blob = np.exp(-((x - centre) ** 2 + (y - 7) ** 2) / 6) + random.normal(0, 0.06, (14, 14))
        explanation = explained(np.clip(blob / blob.max(), 0, 1))
        explanation = replace(explanation, region=Region(0, 0, 640, 480))
        plain.append(with_boxes(explanation, (480, 640), threshold=0.3).boxes[0][0])
        steady.append(follower.steady(explanation, (480, 640), time).boxes[0][0])
    jitter = [np.abs(np.diff(boxes[10:90], axis=0)).mean() for boxes in (plain, steady)]
    assert jitter[0] > 4  # pixels a frame and edge
    assert jitter[1] < 0.3 * jitter[0]
    start, end = (np.mean(steady[part], axis=0) for part in (slice(30, 90), slice(150, 210)))
    np.testing.assert_allclose(end - start, [5 * 640 / 14, 0, 5 * 640 / 14, 0], atol=6)
    for part in (slice(30, 90), slice(150, 210)):
        np.testing.assert_allclose(np.mean(steady[part], axis=0), np.mean(plain[part], axis=0), atol=2)


def test_cubic_enlargement_keeps_boxes_of_a_smooth_map_within_a_cell() -> None:
    """On a map of 7 × 7, whose cells are 32 pixels: the box is where the map, enlarged by OpenCV, is above."""
    y, x = np.mgrid[:7, :7]
    heatmap = np.exp(-((x - 2.5) ** 2 + (y - 3) ** 2) / 3).astype(np.float32)
    (box,) = find_boxes(heatmap, Region(0, 0, 224, 224), (224, 224), threshold=0.15)
    above = cv2.resize(heatmap / heatmap.max(), (224, 224), interpolation=cv2.INTER_CUBIC) > 0.15
    rows, columns = np.flatnonzero(above.any(axis=1)), np.flatnonzero(above.any(axis=0))
    np.testing.assert_allclose(box, (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1), atol=3)
