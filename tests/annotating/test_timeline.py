"""What is kept of a video over its time, and the sheet that shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from live_gradcam.annotating.timeline import Sample, Timeline
from live_gradcam.drawing.contact_sheet import clock, draw_contact_sheet, main_curves, thumbnail_samples
from live_gradcam.drawing.overlay import Overlay
from live_gradcam.explanations.explanation import Explanation, Prediction, Region

CAT = Prediction(3, "cat", 0.75)
BLUE = (178, 114, 0)  # BGR, of the first class's line
PLOT = slice(110, 470), slice(120, 1180)


def explained(maps: np.ndarray) -> Explanation:
    logits = np.linspace(-1, 1, 1000, dtype=np.float32)
    return Explanation((CAT,), maps, (CAT,), np.array([2.5], np.float32), logits, np.exp(logits), Region(0, 0, 8, 8))


def timeline_of(count: int, capacity: int) -> Timeline:
    timeline = Timeline(capacity)
    for index in range(count):
        timeline.add(index, Fraction(index, 30), explained(np.zeros((1, 2, 2), np.float32)))
    return timeline


@pytest.mark.parametrize(
    ("count", "capacity", "kept"),
    [
        (0, 9, []),
        (1, 9, [0]),
        (8, 9, [0, 1, 2, 3, 4, 5, 6, 7]),
        (9, 9, [0, 2, 4, 6, 8]),
        (10, 9, [0, 2, 4, 6, 8, 9]),
        (16, 9, [0, 2, 4, 6, 8, 10, 12, 14, 15]),
        (17, 9, [0, 4, 8, 12, 16]),
        (19, 9, [0, 4, 8, 12, 16, 18]),
        (8, 8, [0, 2, 4, 6, 7]),  # an odd number is kept beside the last: the frame that finds no room is not in step
        (9, 8, [0, 2, 4, 6, 8]),
        (3, 2, [0, 2]),
    ],
)
def test_every_other_sample_is_dropped_when_there_is_no_room(count: int, capacity: int, kept: list[int]) -> None:
    timeline = timeline_of(count, capacity)
    assert [sample.index for sample in timeline.samples] == kept
    assert [sample.pts for sample in timeline.samples] == [Fraction(index, 30) for index in kept]
    assert [sample.index for sample in timeline.samples[-1:]] == kept[-1:]


@pytest.mark.slow
def test_two_hours_keep_a_thousand_evenly_spaced_samples() -> None:
    timeline = Timeline()
    explanation = explained(np.zeros((1, 2, 2), np.float32))
    most = 0
    for index in range(216_000):
        timeline.add(index, Fraction(index, 30), explanation)
        most = max(most, len(timeline._spaced))
    indices = [sample.index for sample in timeline.samples]
    assert indices[:-1] == list(range(0, 216_000, 256))
    assert indices[-1] == 215_999
    assert most == 1023


def test_a_sample_is_light_and_keeps_what_it_says() -> None:
    batch = np.arange(8 * 9, dtype=np.float32).reshape(8, 1, 3, 3)
    timeline = Timeline()
    timeline.add(7, Fraction(7, 25), explained(batch[1]))
    (sample,) = timeline.samples
    np.testing.assert_array_equal(sample.explanation.heatmaps, batch[1])
    assert sample.explanation.heatmaps.base is None  # else the whole batch would stay
    assert sample.explanation.logits.size == sample.explanation.probabilities.size == 0
    assert sample.explanation.predictions == sample.explanation.targets == (CAT,)
    assert sample.explanation.evidence.tolist() == [2.5]
    assert sample.explanation.region == Region(0, 0, 8, 8)


# --- the sheet ----------------------------------------------------------------------------------------------------


def named(*classes: tuple[int, float], target: int | None = None, evidence: float = 1.0) -> Explanation:
    """Of a frame with these classes and probabilities, best first."""
    predictions = tuple(Prediction(index, f"class {index}", probability) for index, probability in classes)
    targets = predictions[:1] if target is None else (Prediction(target, f"class {target}", 0.01),)
    maps, none = np.zeros((1, 7, 7), np.float32), np.empty(0, np.float32)
    region = Region(0, 0, 365, 200)
    return Explanation(predictions, maps, targets, np.array([evidence], np.float32), none, none, region)


def sampled(explanations: Sequence[Explanation], every: Fraction = Fraction(1)) -> list[Sample]:
    return [Sample(index, index * every, explanation) for index, explanation in enumerate(explanations)]


def is_blue(sheet: np.ndarray) -> np.ndarray:
    return (sheet[PLOT] == BLUE).all(axis=2)


@pytest.mark.parametrize(
    ("seconds", "options", "text"),
    [
        (0, {}, "0:00"),
        (59.9, {}, "0:59"),
        (60, {}, "1:00"),
        (3599, {}, "59:59"),
        (3600, {}, "1:00:00"),
        (36_061, {}, "10:01:01"),
        (61, {"hours": True}, "0:01:01"),
        (3 * 0.1, {"tenths": True}, "0:00.3"),
        (59.96, {"tenths": True}, "1:00.0"),
        (3 * 19.999999999, {}, "1:00"),  # what a sum of floats makes of a minute
    ],
)
def test_times_are_told_as_a_player_tells_them(seconds: float, options: dict[str, bool], text: str) -> None:
    assert clock(seconds, **options) == text


def test_thumbnails_are_the_middles_of_equal_parts_of_the_time() -> None:
    samples = sampled([named((1, 0.5))] * 121, Fraction(1, 10))
    assert [sample.index for sample in thumbnail_samples(samples)] == list(range(5, 120, 10))
    assert [sample.index for sample in thumbnail_samples(samples, 2)] == [30, 90]
    assert thumbnail_samples(samples[:12]) == samples[:12]
    slow_then_fast = [Sample(i, Fraction(i if i < 9 else 9 * 100 + i), named((1, 0.5))) for i in range(18)]
    assert [sample.index for sample in thumbnail_samples(slow_then_fast, 4)] == [8, 9]  # each once


def test_a_probability_that_nobody_told_is_not_0() -> None:
    frames = [named((1, 0.9), (2, 0.1)), named((3, 0.6), (1, 0.4)), named((3, 0.7), (4, 0.3))]
    curves = dict(main_curves(frames, most=9))
    np.testing.assert_array_equal(curves["class 1"], [0.9, 0.4, np.nan])
    np.testing.assert_array_equal(curves["class 2"], [0.1, np.nan, np.nan])
    np.testing.assert_array_equal(curves["class 3"], [np.nan, 0.6, 0.7])


def test_the_classes_that_are_clear_or_long_come_first() -> None:
    frames = [named((1, 0.5), (2, 0.1))] * 10 + [named((3, 0.9), (2, 0.1))] * 3
    # The sums of squares are 2.5, 0.13 and 2.43.
    assert [label for label, _ in main_curves(frames, most=9)] == ["class 1", "class 3", "class 2"]
    assert [label for label, _ in main_curves(frames, most=2)] == ["class 1", "class 3"]


def test_a_class_that_every_map_explains_is_shown_however_unlikely() -> None:
    curves = main_curves([named((1, 0.8), (2, 0.2), target=7)] * 3, most=2)
    assert [label for label, _ in curves] == ["class 7", "class 1"]
    assert curves[0][1].tolist() == [0.01] * 3


def test_a_line_is_as_high_as_its_probability_and_has_gaps() -> None:
    frames = [named((1, 0.75))] * 21 + [named((2, 0.1))] * 59 + [named((1, 0.75))] * 21
    sheet = draw_contact_sheet(sampled(frames), [], Overlay(), title="gap")
    rows, columns = np.nonzero(is_blue(sheet))
    assert abs(rows - 90).max() <= 2  # of 360, from the top
    assert {*columns} >= {*range(212), *range(1060 - 212, 1060)}  # 20 of the 100 seconds at either end
    assert not {*columns} & {*range(214, 1060 - 214)}


def test_a_value_that_stands_alone_is_a_dot() -> None:
    frames = [named((2, 0.1)), named((1, 0.5)), named((2, 0.1))]
    rows, columns = np.nonzero(is_blue(draw_contact_sheet(sampled(frames), [], Overlay(), title="dot")))
    assert abs(rows.mean() - 180) <= 1
    assert abs(columns.mean() - 530) <= 1
    assert 4 <= np.ptp(columns) <= 9
    (only,) = sampled([named((1, 0.25))])
    rows, columns = np.nonzero(is_blue(draw_contact_sheet([only], [], Overlay(), title="one frame")))
    assert abs(rows.mean() - 270) <= 1
    assert abs(columns.mean() - 530) <= 1


def test_a_thumbnail_is_the_frame_under_its_map() -> None:
    image = np.random.default_rng(0).integers(0, 256, (200, 365, 3), np.uint8)
    heat = np.zeros((2, 7, 7), np.float32)
    heat[0, 3:6, 3:6] = 1  # of several maps it is the first
    heat[1, :2] = 1
    explanation = replace(named((1, 0.9), (2, 0.1)), heatmaps=heat)
    samples = sampled([explanation] * 3)
    overlay = Overlay("jet", 0.7)
    sheet = draw_contact_sheet(samples, [(image, samples[1])], overlay, title="thumbnail")
    expected = overlay.blend(image, explanation)
    assert (expected != image).any()
    found = cv2.matchTemplate(sheet, expected[40:], cv2.TM_SQDIFF)  # below its number
    left, top = cv2.minMaxLoc(found)[2]
    np.testing.assert_array_equal(sheet[top : top + 160, left : left + 365], expected[40:])


def test_a_portrait_frame_keeps_its_shape() -> None:
    samples = sampled([replace(named((1, 0.9)), region=Region(0, 0, 900, 1600))])
    green = np.full((1600, 900, 3), (40, 160, 40), np.uint8)
    sheet = draw_contact_sheet(samples, [(green, samples[0])], Overlay(), title="portrait")
    rows, columns = np.nonzero((sheet == (40, 160, 40)).all(axis=2))
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (300, 169)


def test_no_evidence_is_said_below_the_picture() -> None:
    image = np.full((200, 365, 3), 90, np.uint8)
    some, none = (
        draw_contact_sheet(samples, [(image, samples[0])], Overlay(), title="evidence")
        for samples in (sampled([named((1, 0.9), evidence=evidence)]) for evidence in (0.5, 0.0))
    )
    rows = np.nonzero((some != none).any(axis=(1, 2)))[0]
    picture = np.nonzero((some == 90).all(axis=2).sum(axis=1) > 300)[0]
    assert rows.size
    assert rows.min() > picture.max() + 30  # on the second line


@pytest.mark.slow
@pytest.mark.versions
@pytest.mark.filterwarnings("error")
def test_labels_of_any_kind_stay_on_the_sheet() -> None:
    labels = ["long " * 60, "$x^$ {", "_hidden", "猫", "two\nlines", "É"]
    predictions = tuple(Prediction(index, label, 0.15) for index, label in enumerate(labels))
    explanation = replace(named((1, 0.9)), predictions=predictions, targets=predictions[:1])
    samples = sampled([explanation] * 24)
    image = np.full((200, 365, 3), 90, np.uint8)
    sheet = draw_contact_sheet(samples, [(image, one) for one in samples[:12]], Overlay(), title="title " * 90)
    assert sheet.shape[1] == 1600
    assert (sheet[:, -30:] == 255).all()
    gutters = sheet[PLOT[0].stop + 60 :, 40 + 236 + 2 : 40 + 236 + 18]  # between the first two columns of pictures
    assert (gutters == 255).all()


@pytest.mark.parametrize("names", [("猫", "犬"), ("고양이", "강아지"), ("\U00011c72", "\U00011c73")])
def test_names_in_every_script_can_be_told_apart(names: tuple[str, str]) -> None:
    image = np.full((200, 365, 3), 90, np.uint8)
    sheets = []
    for index, name in enumerate(names):
        row = Prediction(index, name, 0.9)
        samples = sampled([replace(explained(np.ones((1, 7, 7), np.float32)), predictions=(row,), targets=(row,))])
        sheets.append(draw_contact_sheet(samples, [(image, samples[0])], Overlay(), title="names"))
    differs = (sheets[0] != sheets[1]).any(axis=2)
    assert differs[:470, 1180:].any()  # beside the plot
    assert differs[600:].any()  # below the picture
