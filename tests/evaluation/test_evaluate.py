"""Faithfulness against toys whose answers are known in closed form, by hand, or by SciPy; and the command."""

from __future__ import annotations

import errno
import json
import math
import os
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from command_line import AT_ONCE
from keras import layers
from scipy.stats import spearmanr
from typer.testing import CliRunner
from video_files import cut, make_video, number_of, numbered

from live_gradcam import Classifier, Explainer
from live_gradcam.attribution.session import Session
from live_gradcam.cli import app
from live_gradcam.errors import ArgumentError, ModelError, OutputError, SourceError, UsageError
from live_gradcam.evaluating.evaluate import EvaluationOptions, evaluate, parse_methods
from live_gradcam.evaluating.evaluator import Evaluator
from live_gradcam.evaluating.figures import CENTRED_BLOB, RANDOM_MAP, Figures, mean_figures
from live_gradcam.evaluating.pictures import Picture, plan_sources, read_boxes, read_pictures
from live_gradcam.evaluating.random_head import with_random_head
from live_gradcam.explanations.explanation import Region, Target
from live_gradcam.explanations.faithfulness import (
    area_under_curve,
    blurred,
    centred_blob,
    drop,
    explanation_map,
    hit,
    increase,
    pixel_order,
    random_map,
    rank_correlation,
    replaced,
)
from live_gradcam.explanations.fits import enlarged
from live_gradcam.networks.preprocessing import PREPROCESSINGS, Preprocessing

TOUR = Path(__file__).parents[2] / "videos" / "tour.mp4"
SIDE = 20
OBJECT = np.zeros((SIDE, SIDE), bool)
OBJECT[2:10, 3:13] = True  # 80 of 400 pixels, a fifth

# --- deletion and insertion: a "network" whose probability is the share of the object's pixels that is there --------


def curve(saliency: np.ndarray, *, start: float, end: float, steps: int) -> np.ndarray:
    picture = np.full((SIDE, SIDE, 3), start, np.uint8)
    pictures = replaced(picture, np.array([end] * 3, np.uint8), pixel_order(saliency), steps)
    return np.array([(one[..., 0][OBJECT] == 1).mean() for one in pictures])


@pytest.mark.parametrize(("best_first", "deletion"), [(True, 0.1), (False, 0.9)])
def test_the_areas_of_the_best_and_the_worst_order_are_known(best_first: bool, deletion: float) -> None:
    # The object is a fifth of the picture: its probability falls linearly to 0 over the first fifth, 0.2 / 2; or, when
    # the object comes last, it is 1 over four fifths and falls over the last one, 0.8 + 0.2 / 2.
    saliency = (OBJECT if best_first else ~OBJECT).astype(np.float32)
    assert area_under_curve(curve(saliency, start=1, end=0, steps=50)) == pytest.approx(deletion, abs=1e-12)
    assert area_under_curve(curve(saliency, start=0, end=1, steps=50)) == pytest.approx(1 - deletion, abs=1e-12)


def test_a_random_order_has_half_the_area_in_the_mean() -> None:
    areas = [area_under_curve(curve(random_map((SIDE, SIDE), seed), start=1, end=0, steps=50)) for seed in range(100)]
    # Of 80 uniform places the mean has a standard deviation of at most sqrt(1 / 12 / 80) = 0.032.
    assert np.mean(areas) == pytest.approx(0.5, abs=3 * 0.0033)
    assert 0.01 < np.std(areas) < 0.04


def test_a_map_without_any_evidence_counts_as_a_random_one() -> None:
    random = enlarged(random_map((7, 7), seed=0), (224, 224))
    order = pixel_order(np.zeros((224, 224), np.float32))
    assert (np.diff(random.reshape(-1)[order]) <= 0).all()
    object_ = np.zeros((224, 224), np.float32)
    object_[100:120, 50:80] = 1
    order = pixel_order(object_)
    assert object_.reshape(-1)[order[:600]].all()
    assert (np.diff(random.reshape(-1)[order[600:]]) <= 0).all()


def test_the_order_is_by_saliency_and_every_pixel_is_replaced_once() -> None:
    saliency = np.array([[0.2, 0.9, 0.0], [0.5, 0.0, 0.7]], np.float32)
    order = pixel_order(saliency)
    np.testing.assert_array_equal(order[:4], [1, 5, 3, 0])
    assert set(order[4:]) == {2, 4}
    np.testing.assert_array_equal(pixel_order(saliency), order)
    picture = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    other = picture + 100
    steps = list(replaced(picture, other, order, 3))
    np.testing.assert_array_equal(steps[0], picture)
    np.testing.assert_array_equal(steps[1].reshape(-1, 3)[:, 0], [0, 103, 6, 9, 12, 115])  # pixels 1 and 5
    np.testing.assert_array_equal(steps[2].reshape(-1, 3)[:, 0], [100, 103, 6, 109, 12, 115])
    np.testing.assert_array_equal(steps[3], other)


def test_the_area_is_that_of_trapezoids() -> None:
    assert area_under_curve(np.array([1.0, 0.5, 0.5, 0.0])) == pytest.approx((0.75 + 0.5 + 0.25) / 3)
    assert area_under_curve(np.array([0.4, 0.8])) == pytest.approx(0.6)


def test_the_mean_colour_is_the_input_s_zero() -> None:
    for name, expected in {"raw": 0, "unit": 0, "tf": 128, "efficientnet-lite": 127}.items():
        np.testing.assert_array_equal(PREPROCESSINGS[name].mean_colour, [expected] * 3)
    np.testing.assert_array_equal(PREPROCESSINGS["caffe"].mean_colour, [104, 117, 124])  # BGR as it is
    np.testing.assert_array_equal(
        PREPROCESSINGS["torch"].mean_colour, [104, 116, 124]
    )  # of RGB 123.675, 116.28, 103.53
    np.testing.assert_array_equal(Preprocessing((50, 0, 0), channels="grey").mean_colour, [50] * 3)


def test_the_blur_is_rise_s() -> None:
    dot = np.zeros((224, 224, 3), np.uint8)
    dot[112, 112] = 255
    rows, columns = np.nonzero(blurred(dot)[..., 0])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (107, 117, 107, 117)  # 11 × 11
    weights = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 5**2))
    expected = 255 * np.outer(weights, weights) / weights.sum() ** 2
    np.testing.assert_allclose(blurred(dot)[107:118, 107:118, 0], expected, atol=1)


# --- average drop, increase ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("whole", "explained", "drop_percent", "increase_percent"),
    [(0.8, 0.6, 25, 0), (0.8, 0.8, 0, 0), (0.5, 0.9, 0, 100), (0.4, 0.0, 100, 0), (0.0, 0.0, 0, 0)],
)
def test_drop_and_increase_by_hand(
    whole: float, explained: float, drop_percent: float, increase_percent: float
) -> None:
    assert drop(whole, explained) == pytest.approx(drop_percent)
    assert increase(whole, explained) == increase_percent


def test_the_explanation_map_is_the_product_in_the_network_s_input() -> None:
    pixels = np.array([[[0, 127, 255], [27, 227, 127]]], np.uint8)
    shown = explanation_map(pixels, np.array([[1.0, 0.25]], np.float32), np.array([127] * 3, np.uint8))
    # 127 + 0.25 · (27 − 127), 127 + 0.25 · (227 − 127), 127
    np.testing.assert_array_equal(shown, [[[0, 127, 255], [102, 152, 127]]])


# --- the pointing game --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("boxes", "percent"),
    [
        ([(0, 0, 30, 30)], 0),
        ([(60, 20, 80, 60)], 100),  # the point (65, 25) is inside
        ([(0, 0, 30, 30), (60, 20, 80, 60)], 100),
        ([(80, 20, 90, 60)], 100),  # 15 to the right
        ([(80.1, 20, 90, 60)], 0),
        ([(74, 37, 90, 60)], 100),  # 9 and 12 off: 15
        ([(74, 37.1, 90, 60)], 0),
        ([], 0),
    ],
)
def test_the_pointing_game_by_hand(boxes: list[tuple[float, ...]], percent: float) -> None:
    # 10 × 10 pixels of input that show the picture from (0, 0) to (100, 100): row 2, column 6 is (65, 25).
    saliency = np.zeros((10, 10), np.float32)
    saliency[2, 6], saliency[8, 1] = 0.9, 0.8
    assert hit(saliency, Region(0, 0, 100, 100), boxes) == percent


def test_a_crop_is_taken_into_account_and_no_evidence_misses() -> None:
    saliency = np.zeros((10, 10), np.float32)
    assert hit(saliency, Region(0, 0, 10, 10), [(0, 0, 10, 10)]) == 0
    saliency[0, 0] = 1
    assert hit(saliency, Region(200, 0, 10, 10), [(200, 0, 205, 5)]) == 100
    assert hit(saliency, Region(0, 0, 10, 10), [(200, 0, 205, 5)]) == 0


# --- rank correlation, controls -----------------------------------------------------------------------------------


def test_the_rank_correlation_is_scipy_s() -> None:
    generator = np.random.default_rng(0)
    for _ in range(5):
        first, second = np.maximum(generator.normal(size=(2, 7, 7)), 0)  # half of them are 0, as in a map
        expected = spearmanr(first.ravel(), second.ravel()).statistic
        assert rank_correlation(first, second) == pytest.approx(expected, abs=1e-12)


def test_rank_correlations_that_are_known() -> None:
    map_ = np.array([[0.1, 0.4], [0.2, 1.0]])
    assert rank_correlation(map_, map_**3) == pytest.approx(1)
    assert rank_correlation(map_, 1 - map_) == pytest.approx(-1)
    assert rank_correlation(map_, np.array([[2.0, 1.0], [3.0, 4.0]])) == pytest.approx(1 - 6 * 6 / (4 * 15))
    assert rank_correlation(map_, np.zeros((2, 2))) == 0
    assert rank_correlation(np.zeros((2, 2)), np.zeros((2, 2))) == 1


def test_the_blob_is_a_gaussian_in_the_middle() -> None:
    blob = centred_blob((5, 9))
    assert np.unravel_index(blob.argmax(), blob.shape) == (2, 4)
    assert blob[2, 4] == 1
    np.testing.assert_allclose(blob, blob[::-1, ::-1], rtol=1e-6)
    assert blob[0, 4] == pytest.approx(math.exp(-((0.4 / 0.25) ** 2) / 2))  # row centres are at 0.1, 0.3, 0.5, …
    assert centred_blob((8, 8))[2, 4] == pytest.approx(math.exp(-((1.5 / 2) ** 2 + (0.5 / 2) ** 2) / 2))


def test_an_enlarged_map_keeps_its_range() -> None:
    heatmap = random_map((7, 7), seed=1)
    assert heatmap.min() <= enlarged(heatmap, (224, 224)).min()
    assert enlarged(heatmap, (224, 224)).max() <= heatmap.max()
    np.testing.assert_array_equal(enlarged(heatmap, (7, 7)), heatmap)


# --- the evaluator on a toy network -------------------------------------------------------------------------------

GAIN = 8.0
RED = np.zeros((8, 8), bool)
RED[:4, :4] = True


def toy(kernel: list[list[float]]) -> Classifier:
    """Global means of red, green and blue, and a dense softmax on them: Grad-CAM is a sum of the colours."""
    inputs = keras.Input((8, 8, 3))
    maps = layers.Conv2D(3, 1, use_bias=False, name="colours")(inputs)
    outputs = layers.Dense(2, activation="softmax", name="head")(layers.GlobalAveragePooling2D()(maps))
    model = keras.Model(inputs, outputs)
    model.get_layer("colours").set_weights([np.eye(3).reshape(1, 1, 3, 3)])
    model.get_layer("head").set_weights([np.array(kernel), np.zeros(2)])
    return Classifier("toy", model, ("red", "blue"), (8, 8), PREPROCESSINGS["unit"])


def toy_engine(classifier: Classifier, target: int | None = 0) -> Session:
    explainer = Explainer(classifier, maps=1, lowering=False, engine="graph", tune="off")
    return Session(explainer, () if target is None else (Target(target),), {})


def red_and_blue() -> np.ndarray:
    """A red quarter, and blue everywhere of growing brightness."""
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[RED] = 0, 0, 255
    picture[..., 0] = np.arange(64).reshape(8, 8)
    return picture


def sigmoid(z: np.ndarray | float) -> np.ndarray:
    return 1 / (1 + np.exp(-np.asarray(z, np.float64)))


def test_grad_cam_on_a_toy_has_the_curves_that_are_worked_out_by_hand() -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[RED] = 0, 0, 255
    engine = toy_engine(toy([[GAIN, 0], [0, 0], [0, 0]]))
    evaluation = Evaluator(engine, ["grad-cam"], steps=16, random_head=False).evaluate(Picture("red", picture))
    figures = evaluation.figures["grad-cam"]
    # The logits are 8 · mean(red) and 0, and the map is 1 on the red pixels, 0 elsewhere: 4 of 64 pixels a step go,
    # the 16 red ones first; p = sigmoid(8 · red pixels / 64).
    left = np.maximum(0, 16 - 4 * np.arange(17))
    np.testing.assert_allclose(figures.deletion, sigmoid(GAIN * left / 64), atol=1e-6)
    whole = float(sigmoid(2))
    assert evaluation.target.probability == pytest.approx(whole, abs=1e-6)
    trapezoids = sum(sigmoid(GAIN * (16 - 4 * k) / 64) for k in range(1, 4)) + (whole + 0.5) / 2 + 12 * 0.5
    assert figures.deletion_auc == pytest.approx(trapezoids / 16, abs=1e-6)
    # Insertion starts from the blurred picture, and is done with the red pixels after four steps; what the blur put
    # outside of them goes afterwards.
    assert figures.insertion[0] == pytest.approx(sigmoid(GAIN * blurred(picture)[..., 2].mean() / 255), abs=1e-6)
    outside = blurred(picture)[..., 2][~RED].sum() / 255
    assert figures.insertion[4] == pytest.approx(sigmoid(GAIN * (16 + outside) / 64), abs=1e-6)
    assert figures.insertion[16] == pytest.approx(whole, abs=1e-6)
    # The explanation map is the picture itself.
    assert (figures.drop, figures.increase, figures.hit, figures.rank_correlation) == (0, 0, None, None)
    assert figures.deletion_auc < evaluation.figures[CENTRED_BLOB].deletion_auc
    assert figures.deletion_auc < evaluation.figures[RANDOM_MAP].deletion_auc


@pytest.mark.slow
def test_the_random_head_on_a_toy_is_what_its_kernel_gives_by_hand() -> None:
    classifier = toy([[3, -1], [0, 0.5], [-2, 4]])
    kernel = classifier.model.get_layer("head").get_weights()[0]
    other = with_random_head(classifier)
    shuffled = other.model.get_layer("head").get_weights()[0]
    assert not np.array_equal(shuffled, kernel)
    np.testing.assert_array_equal(np.sort(shuffled, axis=None), np.sort(kernel, axis=None))
    np.testing.assert_array_equal(classifier.model.get_layer("head").get_weights()[0], kernel)  # the user's stays
    np.testing.assert_array_equal(other.model.get_layer("colours").get_weights()[0][0, 0], np.eye(3))

    picture = red_and_blue()
    evaluator = Evaluator(toy_engine(classifier), ["grad-cam", "eigen-cam"], steps=2, random_head=True)
    figures = evaluator.evaluate(Picture("both", picture)).figures
    colours = picture[..., ::-1] / 255  # the activations, RGB
    maps = [np.maximum(np.float32(colours @ weights[:, 0]), 0) for weights in (kernel, shuffled)]
    expected = spearmanr(maps[0].ravel(), maps[1].ravel()).statistic
    assert -0.99 < expected < 0.99
    assert figures["grad-cam"].rank_correlation == pytest.approx(expected, abs=1e-6)
    assert figures["grad-cam"].absolute_rank_correlation == pytest.approx(abs(expected), abs=1e-6)
    assert figures["eigen-cam"].rank_correlation == 1.0  # it asks for no head
    assert figures[RANDOM_MAP].rank_correlation is None


def test_boxes_belong_to_pictures_and_means_leave_out_what_is_not_known() -> None:
    picture = np.zeros((80, 80, 3), np.uint8)
    picture[:40, :40] = 0, 0, 255
    boxes = {"hit": [(0, 0, 40, 40)], "miss": [(70, 70, 80, 80)]}
    engine = toy_engine(toy([[GAIN, 0], [0, 0], [0, 0]]), target=None)
    evaluator = Evaluator(engine, ["grad-cam"], steps=1, boxes=boxes, random_head=False)
    evaluations = [evaluator.evaluate(Picture(name, picture)) for name in ("hit", "miss", "no boxes")]
    assert [evaluation.target.label for evaluation in evaluations] == ["red"] * 3
    assert [evaluation.figures["grad-cam"].hit for evaluation in evaluations] == [100, 0, None]
    assert mean_figures(evaluations)["grad-cam"].hit == 50


def test_a_mean_of_figures_is_that_of_each_of_them() -> None:
    first = Figures(np.array([1, 0.5]), np.array([0, 1]), 10, 0, 100, -0.5, 0.5)
    second = Figures(np.array([0.5, 0]), np.array([1, 1]), 30, 100, None, 0.3, 0.3)
    mean = Figures.mean([first, second])
    np.testing.assert_allclose(mean.deletion, [0.75, 0.25])
    assert mean.deletion_auc == pytest.approx((first.deletion_auc + second.deletion_auc) / 2)
    assert mean.insertion_auc == pytest.approx(0.75)
    assert (mean.drop, mean.increase, mean.hit) == (20, 50, 100)
    assert (mean.rank_correlation, mean.absolute_rank_correlation) == (pytest.approx(-0.1), pytest.approx(0.4))


def test_many_inputs_have_the_probabilities_that_each_has_alone() -> None:
    explainer = toy_engine(toy([[3, -1], [0, 0.5], [-2, 4]])).explainer
    pixels = np.random.default_rng(0).integers(0, 256, (19, 8, 8, 3), np.uint8)  # more than fit at a time
    means = pixels[..., ::-1].mean(axis=(1, 2)) / 255
    logits = means @ np.array([[3, -1], [0, 0.5], [-2, 4]])
    expected = sigmoid(logits[:, 0] - logits[:, 1])
    np.testing.assert_allclose(explainer.probabilities(pixels), np.stack([expected, 1 - expected], -1), atol=1e-6)
    assert explainer.probabilities(iter([])).shape == (0, 2)
    with pytest.raises(ArgumentError, match="the network's input is"):
        explainer.probabilities(np.zeros((1, 9, 8, 3), np.uint8))


def test_what_cannot_be_evaluated_is_said() -> None:
    engine = toy_engine(toy([[1, 0], [0, 1], [0, 0]]))
    for targets in ((Target(0), Target(1)), (Target(0, 1),)):
        with pytest.raises(UsageError, match="one class"):
            Evaluator(Session(engine.explainer, targets, {}), ["grad-cam"], steps=1, random_head=False)
    native = Explainer(engine.explainer.classifier, fit="native", engine="graph", tune="off")
    with pytest.raises(UsageError, match="one input size"):
        Evaluator(Session(native, (), {}), ["grad-cam"], steps=1, random_head=False)
    inputs = keras.Input((8, 8, 3))
    pooled = keras.Model(inputs, layers.Softmax()(layers.GlobalAveragePooling2D()(layers.ReLU()(inputs))))
    with pytest.raises(ModelError, match="no dense layer"):
        with_random_head(Classifier("bare", pooled, ("a", "b", "c"), (8, 8), PREPROCESSINGS["unit"]))


@pytest.mark.parametrize("is_turned", [True, False])
def test_the_random_head_is_random_in_all_that_makes_the_classes(is_turned: bool) -> None:
    """In whatever order a gate and the classes' own layer come, and of each member of an ensemble."""
    image = keras.Input((8, 8, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 1, name="features")(image))
    parts = [layers.Dense(3, name="classes")(x), layers.Dense(1, activation="sigmoid", name="gate")(x)]
    product = layers.Multiply()(parts[::-1] if is_turned else parts)
    answer = layers.Average()([layers.Softmax()(product), layers.Dense(3, activation="softmax", name="other")(x)])
    classifier = Classifier("both", keras.Model(image, answer), ("a", "b", "c"), (8, 8), PREPROCESSINGS["unit"])
    other = with_random_head(classifier).model
    changed = {
        name
        for name in ("features", "classes", "gate", "other")
        if not np.array_equal(other.get_layer(name).kernel, classifier.model.get_layer(name).kernel)
    }
    assert changed == {"classes", "gate", "other"}


@pytest.mark.parametrize("kept", ["lora", "int4"])
def test_a_kernel_that_is_kept_in_parts_is_told(kept: str) -> None:
    classifier = toy([[3, -1], [0, 0.5], [-2, 4]])
    head = classifier.model.get_layer("head")
    if kept == "lora":
        head.enable_lora(1)
    else:
        head.quantize("int4")
    with pytest.raises(ModelError, match="the kernel of head is kept in parts: evaluate it with --no-random-head"):
        with_random_head(classifier)


# --- sources ------------------------------------------------------------------------------------------------------


def test_a_folder_gives_its_pictures_and_a_video_is_taken_as_it_is(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "a-gradcam.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in plan_sources([tmp_path, TOUR])] == ["a.JPG", "b.png", TOUR.name]
    with pytest.raises(SourceError, match="there is no picture"):
        plan_sources([tmp_path / "c.png"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="has no pictures"):
        plan_sources([tmp_path / "empty"])


def test_the_frames_of_a_video_are_a_second_apart_or_as_asked(tmp_path: Path) -> None:
    video = make_video(tmp_path / "numbers.mp4", [numbered(index, noise=4) for index in range(60)], rate=5)
    pictures = list(read_pictures(video, None))
    assert [picture.name for picture in pictures] == [f"numbers.mp4#{5 * second}" for second in range(12)]
    assert [number_of(picture.image) for picture in pictures] == list(range(0, 60, 5))
    assert [picture.name for picture in read_pictures(video, 40)] == ["numbers.mp4#0", "numbers.mp4#40"]


def test_what_is_there_of_a_damaged_video_is_given_before_the_damage_is_reported(tmp_path: Path) -> None:
    images = [numbered(index, noise=4) for index in range(60)]
    path = make_video(
        tmp_path / "cut.mp4", images, rate=5, codec_options={"g": "5"}, container_options={"movflags": "+faststart"}
    )
    pictures = read_pictures(cut(path, 0.6), 10)
    assert [number_of(next(pictures).image) for _ in range(3)] == [0, 10, 20]
    with pytest.raises(SourceError, match=r"cut\.mp4 is damaged: the last"):
        list(pictures)


def test_boxes_are_read_by_the_name_of_the_picture(tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.json"
    boxes.write_text('{"cat.png": [[1, 2, 3, 4.5], [0, 0, 9, 9]], "tour.mp4#30": [[0, 0, 1, 1]]}')
    assert read_boxes(boxes, [Path("far/cat.png")])["cat.png"] == ((1, 2, 3, 4.5), (0, 0, 9, 9))
    assert read_boxes(boxes, [TOUR])["tour.mp4#30"] == ((0, 0, 1, 1),)
    with pytest.raises(UsageError, match=r"names none of the pictures: .* dog\.png"):
        read_boxes(boxes, [Path("dog.png")])
    for content in ("{", "[1]", '{"cat.png": 3}', '{"cat.png": [[1, 2, 3]]}', '{"cat.png": [[3, 0, 1, 1]]}'):
        boxes.write_text(content)
        with pytest.raises(SourceError, match="is not JSON of the form"):
            read_boxes(boxes, [Path("cat.png")])


def test_boxes_of_a_name_that_two_pictures_have_are_refused(tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.json"
    boxes.write_text('{"cat.png": [[1, 2, 3, 4]]}')
    with pytest.raises(UsageError, match=r"a.cat\.png and b.cat\.png have one name, .*: evaluate one folder at a time"):
        read_boxes(boxes, [Path("a/cat.png"), Path("a/dog.png"), Path("b/cat.png")])
    twice = [Path("a/cat.png"), Path("a/../a/cat.png"), Path("a/dog.png"), Path("b/dog.png")]
    assert read_boxes(boxes, twice) == {"cat.png": ((1, 2, 3, 4),)}


def test_boxes_may_be_the_table_that_fit_takes(tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.csv"
    rows = "path,left,top,right,bottom\nfar/cat.png,1,2,3,4.5\ntour.mp4#30,0,0,1,1\nfar/cat.png,0,0,9,9\n"
    boxes.write_text(rows)
    assert read_boxes(boxes, [Path("far/cat.png")]) == {
        "cat.png": ((1, 2, 3, 4.5), (0, 0, 9, 9)),
        "tour.mp4#30": ((0, 0, 1, 1),),
    }
    boxes.write_text(f"{rows}near/cat.png,0,0,1,1\n")
    with pytest.raises(UsageError, match=r"far/cat\.png and near/cat\.png in .* have one name"):
        read_boxes(boxes, [Path("far/cat.png")])


def test_methods_are_a_list_with_commas() -> None:
    assert parse_methods("grad-cam, hirescam,grad-cam,") == ("grad-cam", "hirescam")
    with pytest.raises(UsageError, match="no methods"):
        parse_methods(" , ")


# --- the command --------------------------------------------------------------------------------------------------


def run(*arguments: object):
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments), "--engine", "graph", "--tune", "off"])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """The working folder, with a picture, a file that is none, and a small network."""
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("both.png", red_and_blue())
    Path("notes.png").write_text("no picture")
    Path("there").mkdir()
    toy([[3, -1], [0, 0.5], [-2, 4]]).model.save("toy.keras")
    return tmp_path


@pytest.mark.slow
@pytest.mark.usefixtures("lite0_is_loaded")
def test_the_command_gives_a_table_the_numbers_and_a_plot(tmp_path: Path, coffee: np.ndarray) -> None:
    picture, numbers, plot, boxes = (tmp_path / name for name in ("cup.png", "n.json", "curves.png", "boxes.json"))
    cv2.imwrite(str(picture), coffee)
    boxes.write_text('{"cup.png": [[60, 30, 480, 370]]}')
    flags = ("--boxes", boxes, "--steps", 4, "--no-random-head", *AT_ONCE)
    done = run(picture, *flags, "--json", numbers, "-o", plot)
    assert done.exit_code == 0, done.output
    content = json.loads(numbers.read_text())
    assert (content["model"], content["steps"]) == ("efficientnet-lite0", 4)
    (of_picture,) = content["pictures"]
    assert (of_picture["picture"], of_picture["target_label"]) == ("cup.png", "espresso")
    assert list(content["maps"]) == ["grad-cam", "random map", "centred blob"]
    for name, figures in content["maps"].items():
        assert figures == of_picture["maps"][name]
        unchanged = [figures["deletion"][0], figures["insertion"][-1]]  # in other places of a batch: other last digits
        assert unchanged == pytest.approx([of_picture["probability"]] * 2, abs=2e-6)
        assert of_picture["probability"] > 0.8
        assert figures["deletion_auc"] == pytest.approx(area_under_curve(np.array(figures["deletion"])), abs=2e-6)
        assert figures["pointing_percent"] == 100 or name == "random map"
    grad_cam = content["maps"]["grad-cam"]
    assert grad_cam["deletion_auc"] < content["maps"]["random map"]["deletion_auc"]
    title, _, head, row, *_ = done.stdout.splitlines()
    assert title == "efficientnet-lite0 · head_relu6 · 1 picture · 4 steps"
    assert "deletion ↓" in head
    assert row.split()[:3] == ["grad-cam", f"{grad_cam['deletion_auc']:.3f}", f"{grad_cam['insertion_auc']:.3f}"]
    assert row.split()[-3:] == ["100.0", "-", "-"]
    drawn = cv2.imread(str(plot))
    assert drawn.shape[1] == 12 * 120
    assert (drawn == (180, 119, 31)).all(axis=-1).sum() > 500  # Grad-CAM's blue, which is first


@pytest.mark.slow
def test_a_file_that_is_no_picture_is_reported_and_left_out(folder: Path) -> None:
    flags = ("-m", "toy.keras", "--preprocessing", "unit", "--methods", "layercam,eigen-cam", "--steps", 2)
    done = run("both.png", "notes.png", *flags, "--json", "-")
    assert done.exit_code == 1
    assert done.stderr == "live-gradcam: notes.png is not a picture that can be read\n"
    content = json.loads(done.stdout)
    assert [picture["picture"] for picture in content["pictures"]] == ["both.png"]
    assert list(content["maps"]) == ["layercam", "eigen-cam", "random map", "centred blob"]
    assert content["maps"]["layercam"]["random_head_correlation"] < 0.99
    assert content["maps"]["eigen-cam"]["random_head_correlation"] == 1.0


def test_a_file_that_fails_is_reported_at_once(folder: Path) -> None:
    events: list[str] = []
    found = evaluate(
        ["notes.png", "both.png"],
        session=toy_engine(toy([[3, -1], [0, 0.5], [-2, 4]])),
        options=EvaluationOptions(steps=2, random_head=False),
        on_progress=events.append,
        on_failed=lambda file, error: events.append(f"{file} failed: {error}"),
    )
    assert events[0] == "notes.png failed: notes.png is not a picture that can be read"
    assert events[1:] == ["both.png: grad-cam", "both.png: random map", "both.png: centred blob"]
    assert [(file.name, str(error)) for file, error in found.failed] == [
        ("notes.png", "notes.png is not a picture that can be read")
    ]


def test_curves_that_cannot_be_written_leave_those_of_before(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    session = toy_engine(toy([[3, -1], [0, 0.5], [-2, 4]]))
    found = evaluate("both.png", session=session, options=EvaluationOptions(steps=2, random_head=False))
    Path("curves.svg").write_text("those of before")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"cannot write curves.svg: No space left"):
        found.write_curves("curves.svg")
    assert Path("curves.svg").read_text() == "those of before"
    assert not Path("curves.svg.part").exists()


def test_what_failed_is_said_before_ctrl_c(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Evaluator, "evaluate", interrupted)
    flags = ("-m", "toy.keras", "--preprocessing", "unit", "--no-random-head")
    done = run("notes.png", "both.png", *flags)
    assert (done.exit_code, done.stdout) == (130, "")
    assert done.stderr == "live-gradcam: notes.png is not a picture that can be read\n"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nowhere.png"], 1, "there is no picture nowhere.png"),
        (
            ["both.png", "-m", "toy.keras", "--preprocessing", "unit", "--method", "grid-cam"],
            2,
            "no method 'grid-cam'; did you mean grad-cam",
        ),
        (
            ["both.png", "-m", "toy.keras", "--preprocessing", "unit", "--methods", "grad-cam,bad"],
            2,
            "there is no method 'bad'",
        ),
        (["both.png", "--methods", ","], 2, "no methods in the list"),
        (["both.png", "--boxes", "none.json"], 1, "the boxes file none.json cannot be read: No such file"),
        (["both.png", "--boxes", "both.png"], 1, "the boxes file both.png is not JSON of the form"),
        (["both.png", "-o", "curves.gif"], 2, "cannot be written as 'curves.gif': end it in .png"),
        (["both.png", "--json", "there", "--overwrite"], 1, "there is a folder"),
        (["there"], 1, "the folder there has no pictures in it"),
    ],
)
def test_what_is_wrong_is_one_line(folder: Path, arguments: list[str], code: int, words: str) -> None:
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert words in done.stderr
    assert done.stderr.startswith("live-gradcam: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--steps", "0"], ["--every", "0"], ["--bogus"]])
def test_wrong_flags_exit_with_2(arguments: list[str]) -> None:
    assert run("both.png", *arguments).exit_code == 2
