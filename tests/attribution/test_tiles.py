"""A frame as overlapping tiles: how it is cut, what is said of the whole, and the one map that is made of theirs."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

import cv2
import keras
import numpy as np
import pytest
from keras import layers
from memory import resident_mib

from live_gradcam import Classifier, Explainer
from live_gradcam.attribution.functions import Functions
from live_gradcam.attribution.methods.method import load_method, quick_methods
from live_gradcam.attribution.session import Session
from live_gradcam.errors import UsageError
from live_gradcam.evaluating.evaluator import Evaluator
from live_gradcam.evaluating.pictures import Picture
from live_gradcam.explanations.explanation import Region, Target
from live_gradcam.explanations.fits import shrink
from live_gradcam.explanations.tiles import plan_tiling
from live_gradcam.networks.preprocessing import PREPROCESSINGS

SIDE = 32
WIDE = np.random.default_rng(1).integers(0, 256, (90, 160, 3), np.uint8)
TALL = np.ascontiguousarray(WIDE.transpose(1, 0, 2))


def pooled_model(outputs: int = 6, activation: str | None = "softmax") -> keras.Model:
    keras.utils.set_random_seed(2)
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="maps")(image)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(outputs, activation=activation, name="scores")(x))


def flattened_model() -> keras.Model:
    keras.utils.set_random_seed(3)
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(4, 3, strides=4, padding="same", activation="relu", name="maps")(image)
    x = layers.Dense(7, activation="relu")(layers.Flatten()(x))
    return keras.Model(image, layers.Dense(5, activation="softmax")(x))


def classifier_of(model: keras.Model) -> Classifier:
    labels = tuple(f"class {index}" for index in range(max(2, model.output_shape[-1])))
    return Classifier("toy", model, labels, (SIDE, SIDE), PREPROCESSINGS["unit"])


def parts_of(frame: np.ndarray) -> list[np.ndarray]:
    """The three tiles of a frame of 16:9, either way, cut by hand: 57 long at 32 across, from 0, 12 (12.5) and 25."""
    if frame.shape[0] > frame.shape[1]:
        return [shrink(frame, SIDE, 57)[start : start + SIDE] for start in (0, 12, 25)]
    return [shrink(frame, 57, SIDE)[:, start : start + SIDE] for start in (0, 12, 25)]


# --- how a frame is cut -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "count", "expected"),
    [
        ((720, 1280), None, ((224, 400), (0, 88, 176), 1)),
        ((1280, 720), None, ((400, 224), (0, 88, 176), 0)),
        ((480, 640), None, ((224, 300), (0, 76), 1)),
        ((400, 600), None, ((224, 336), (0, 112), 1)),
        ((1000, 1000), None, ((224, 224), (0,), 0)),
        ((500, 540), None, ((224, 224), (0,), 1)),  # a little longer: squeezed
        ((540, 500), None, ((224, 224), (0,), 0)),
        ((100, 235), None, ((224, 528), (0, 100, 204, 304), 1)),
        ((720, 1280), 1, ((224, 224), (0,), 1)),  # one tile of all of it: stretched
        ((720, 1280), 2, ((224, 400), (0, 176), 1)),
        ((100, 300), 2, ((224, 420), (0, 196), 1)),  # squeezed until they overlap by an eighth
        ((10, 500), None, ((224, 1596), (0, 196, 392, 588, 784, 980, 1176, 1372), 1)),
    ],
)
def test_a_frame_is_cut_into_as_many_tiles_as_its_shape_asks_for(size, count, expected) -> None:
    tiling = plan_tiling(size, (224, 224), count)
    assert (tiling.size, tiling.starts, tiling.axis) == expected
    assert tiling.starts[-1] + 224 == max(tiling.size)  # all of the frame is seen
    again = plan_tiling(tiling.size, (224, 224), count)
    assert (again.size, again.starts) == (tiling.size, tiling.starts)  # the frame as it is seen is cut the same


@pytest.mark.parametrize("side", [224, 240, 300, 331, 32])
def test_a_frame_as_it_is_seen_is_cut_like_the_frame(side: int) -> None:
    for height in range(200, 800, 7):
        for width in (100, 333, 640, 1279):
            tiling = plan_tiling((height, width), (side, side))
            again = plan_tiling(tiling.size, (side, side), tiling.count)
            assert (again.size, again.starts) == (tiling.size, tiling.starts)
            assert plan_tiling(tiling.size, (side, side)).count == tiling.count


def test_the_tiles_of_a_network_that_is_no_square_have_its_shape() -> None:
    tiling = plan_tiling((100, 100), (40, 20))
    assert (tiling.tile, tiling.size, tiling.starts, tiling.axis) == ((40, 20), (40, 40), (0, 10, 20), 1)
    pixels = np.arange(40 * 40 * 3, dtype=np.uint32).reshape(40, 40, 3)
    np.testing.assert_array_equal(tiling.cut(pixels)[1], pixels[:, 10:30])


def test_a_tile_weighs_as_much_as_the_place_is_away_from_its_end() -> None:
    tiling = plan_tiling((50, 75), (50, 50))  # two tiles, from 0 and from 25
    positions = np.array([1.0, 24.0, 30.0, 37.5, 49.0, 74.0])
    first = np.array([1, 1, 20 / 25, 0.5, 1 / 25, 0])  # at 30: 20 from its end, and 5 from the other's beginning
    np.testing.assert_allclose(tiling.weights(positions), [first, 1 - first])


# --- one map of the tiles' maps -----------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1])
def test_maps_that_agree_are_one_map_of_the_frame(axis: int) -> None:
    """Each tile's map has at each place the place's position on the frame, which is what the whole map then has."""
    tiling = plan_tiling((90, 160) if axis else (160, 90), (32, 32))
    assert (tiling.size[axis], tiling.starts) == (57, (0, 12, 25))
    centres = (np.arange(8) + 0.5) * 4  # of places of 4 pixels
    maps = np.stack([np.broadcast_to(start + centres, (8, 8)) for start in tiling.starts])
    maps = maps if axis else maps.transpose(0, 2, 1)
    whole = tiling.compose(np.stack([maps, 2 * maps + 3, np.ones_like(maps)], axis=1).astype(np.float32))
    assert whole.shape == ((3, 8, 14) if axis else (3, 14, 8))
    positions = np.clip((np.arange(14) + 0.5) * 57 / 14, 2, 55)  # beyond the outermost places nothing is known
    expected = np.broadcast_to(positions, (8, 14)) if axis else np.broadcast_to(positions[:, None], (14, 8))
    np.testing.assert_allclose(whole, [expected, 2 * expected + 3, np.ones_like(expected)], rtol=1e-6)


def test_maps_that_do_not_agree_go_over_into_one_another() -> None:
    """By hand: two tiles of two places each, at 0 and 25 of 75 pixels; the whole map has three places."""
    tiling = plan_tiling((50, 75), (50, 50))
    maps = np.array([[[[4.0, 8.0]]], [[[16.0, 32.0]]]], np.float32)  # (tiles, maps, h, w): at 12.5, 37.5; at 37.5, 62.5
    # At 12.5 and 62.5 one tile alone; at 37.5 both, half each: 8 and 16.
    np.testing.assert_allclose(tiling.compose(maps), [[[4, 12, 32]]])


# --- what is said of the whole ------------------------------------------------------------------------------------


def closed_form(model: keras.Model, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each of a frame's three tiles the logits (tiles, classes), and the CAMs / (h·w) (tiles, classes, h, w)."""
    x = np.stack([part[..., ::-1] / 255 for part in parts_of(frame)]).astype(np.float32)
    activations = keras.Model(model.input, model.get_layer("maps").output)(x).numpy()
    kernel, bias = model.get_layer("scores").get_weights()
    maps = np.moveaxis(activations @ kernel, -1, 1)
    return maps.mean(axis=(2, 3)) + bias, maps / (maps.shape[2] * maps.shape[3])


def softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


@pytest.mark.slow
@pytest.mark.parametrize("frame", [WIDE, TALL], ids=["wide", "tall"])
@pytest.mark.parametrize("engine", ["graph", "xla", "openvino", "onnxruntime"])
def test_probabilities_are_the_tiles_mean_and_the_map_is_made_of_theirs(engine: str, frame: np.ndarray) -> None:
    model = pooled_model()
    explainer = Explainer(classifier_of(model), fit="tiles", maps=3, engine=engine)
    explanation = explainer(frame, target=[4, Target(1, 3)])
    logits, cams = closed_form(model, frame)
    mean = softmax(logits).mean(axis=0)
    np.testing.assert_allclose(explanation.probabilities, mean, atol=1e-5)
    np.testing.assert_allclose(softmax(explanation.logits), mean, atol=1e-5)
    best = int(np.argsort(mean)[::-1][[index not in (1, 4) for index in np.argsort(mean)[::-1]]][0])
    assert [target.index for target in explanation.targets] == [4, 1, best]
    assert explanation.predictions[0].index == mean.argmax()
    assert explanation.region == Region(0, 0, frame.shape[1], frame.shape[0])
    assert (explanation.fit, explanation.tiles) == ("tiles", 3)
    tiling = plan_tiling(frame.shape[:2], (SIDE, SIDE))
    expected = tiling.compose(np.stack([cams[:, 4], cams[:, 1] - cams[:, 3], cams[:, best]], axis=1))
    positive = np.maximum(expected, 0)
    np.testing.assert_allclose(explanation.evidence, positive.max(axis=(1, 2)), rtol=1e-4)
    np.testing.assert_allclose(explanation.heatmaps, positive / positive.max(axis=(1, 2), keepdims=True), atol=1e-4)
    assert explanation.heatmaps.shape == ((3, 16, 28) if frame is WIDE else (3, 28, 16))
    assert [p.index for p in explainer.predict(frame)] == [p.index for p in explanation.predictions]


def test_with_probability_as_score_the_map_is_that_of_the_probability_that_is_shown() -> None:
    """P_c = mean p_c; on a pooled head each tile's map is p_c (CAM_c − Σ p_j CAM_j), and their sum that of 3 P_c."""
    model = pooled_model()
    explanation = Explainer(classifier_of(model), fit="tiles", maps=1, score="probability", engine="graph")(
        WIDE, target=2
    )
    logits, cams = closed_form(model, WIDE)
    p = softmax(logits)
    maps = p[:, 2, None, None] * (cams[:, 2] - np.einsum("tc,tchw->thw", p, cams))
    expected = np.maximum(plan_tiling((90, 160), (SIDE, SIDE)).compose(maps[:, None]), 0)
    np.testing.assert_allclose(explanation.evidence, expected.max(axis=(1, 2)), rtol=1e-4)
    np.testing.assert_allclose(explanation.heatmaps * explanation.evidence, expected, atol=1e-6)


def test_a_unit_that_says_yes_or_no_is_averaged_too() -> None:
    model = pooled_model(1, "sigmoid")
    explanation = Explainer(classifier_of(model), fit="tiles", engine="graph")(WIDE)
    logits, _ = closed_form(model, WIDE)
    yes = (1 / (1 + np.exp(-logits[:, 0]))).mean()
    np.testing.assert_allclose(explanation.probabilities, [1 - yes, yes], atol=1e-6)
    np.testing.assert_allclose(explanation.logits[1], np.log(yes / (1 - yes)), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("make", [pooled_model, flattened_model])
def test_a_square_frame_is_explained_as_ever(make) -> None:
    frame = WIDE[:, :90]
    tiles, whole = (Explainer(classifier_of(make()), fit=fit, engine="graph")(frame) for fit in ("tiles", "stretch"))
    np.testing.assert_array_equal(tiles.heatmaps, whole.heatmaps)
    np.testing.assert_array_equal(tiles.logits, whole.logits)
    assert tiles.predictions == whole.predictions
    assert tiles.tiles == 1


@lru_cache
def explained_by(make: Callable[[], keras.Model]) -> Explainer:
    """What explains a model, and has variants of the same network."""
    return Explainer(classifier_of(make()), layer="maps", maps=2, engine="graph", tune="off")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "method"),
    [(pooled_model, method) for method in quick_methods()]
    + [(flattened_model, method) for method in quick_methods() if not load_method(method).needs_pooled_head],
)
def test_with_every_method_each_tile_has_the_map_that_it_has_alone(make, method: str) -> None:
    alone, tiled = (explained_by(make).variant(method=method, layer="maps", fit=fit) for fit in ("stretch", "tiles"))
    explanation = tiled(WIDE, target=[1, Target(2, 3)])
    classes = np.array([[1, 2]], np.int32), np.array([[-1, 3]], np.int32)
    raw_maps = np.stack(
        [Functions(alone.plan).explain(1)(part[None], *classes)["raw_maps_0"][0] for part in parts_of(WIDE)]
    )
    expected = np.maximum(plan_tiling((90, 160), (SIDE, SIDE)).compose(raw_maps), 0)
    evidence = expected.max(axis=(1, 2))
    np.testing.assert_allclose(explanation.evidence, evidence, rtol=1e-3, atol=1e-6 * np.abs(raw_maps).max())
    actual = explanation.heatmaps * explanation.evidence[:, None, None]
    np.testing.assert_allclose(actual, expected, atol=1e-4 * np.abs(raw_maps).max())


@pytest.mark.slow
def test_maps_of_several_layers_are_composed_each_and_then_fused() -> None:
    keras.utils.set_random_seed(4)
    image = keras.Input((SIDE, SIDE, 3))
    a = layers.Conv2D(5, 3, strides=2, padding="same", name="a")(image)
    b = layers.Conv2D(6, 3, strides=2, padding="same", name="b")(a)
    model = keras.Model(image, layers.Dense(12)(layers.GlobalAveragePooling2D()(b)))
    of = {
        name: Explainer(classifier_of(model), layer=name, maps=12, fit="tiles", engine="graph")(WIDE, target=range(12))
        for name in ("a", "b", "a,b")
    }
    assert ((of["a"].evidence > 0) & (of["b"].evidence > 0)).any()
    for fused, fine, coarse in zip(*(of[name].heatmaps for name in ("a,b", "a", "b")), strict=True):
        mean = (fine + cv2.resize(coarse, (28, 16), interpolation=cv2.INTER_LINEAR)) / 2
        np.testing.assert_allclose(fused, mean / (mean.max() or 1), atol=1e-5)
    np.testing.assert_allclose(of["a,b"].evidence, of["b"].evidence, rtol=1e-5)


# --- a thing that moves -------------------------------------------------------------------------------------------


def spot_model() -> keras.Model:
    """Class 1 speaks of what is bright: a pooled head on a blurred brightness, in places of 4 pixels."""
    image = keras.Input((SIDE, SIDE, 3))
    maps = layers.Conv2D(1, 8, strides=4, padding="same", use_bias=False, name="maps")
    model = keras.Model(
        image, layers.Dense(2, use_bias=False, name="scores")(layers.GlobalAveragePooling2D()(maps(image)))
    )
    window = np.bartlett(10)[1:-1]
    maps.set_weights([np.outer(window, window)[..., None, None].repeat(3, axis=2) / window.sum() ** 2])
    model.get_layer("scores").set_weights([np.array([[-1.0, 1.0]])])
    return model


def spot_at(x: float, width: int) -> np.ndarray:
    """A frame 90 high with a soft bright spot at x."""
    rows, columns = np.arange(90)[:, None], np.arange(width)
    spot = 255 * np.exp(-((rows - 45) ** 2 + (columns - x) ** 2) / (2 * 12**2))
    return np.repeat(np.rint(spot).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.slow
def test_the_map_follows_what_moves_and_its_evidence_jumps_no_more_than_one_tiles() -> None:
    tiled = Explainer(classifier_of(spot_model()), fit="tiles", maps=1, engine="graph")
    single = Explainer(classifier_of(spot_model()), maps=1, engine="graph")
    steps = np.linspace(20, 140, 100)  # 1.2 pixels each
    seen, evidence = [], []
    for x in steps:
        explanation = tiled(spot_at(x, 160), target=1)
        heatmap = explanation.heatmaps[0]
        centres = (np.arange(heatmap.shape[1]) + 0.5) * 160 / heatmap.shape[1]
        seen.append(float((heatmap**2).sum(axis=0) @ centres / (heatmap**2).sum()))
        evidence.append(float(explanation.evidence[0]))
    alone = [float(single(spot_at(x, 90), target=1).evidence[0]) for x in np.arange(20, 70, 1.2)]
    assert np.abs(np.array(seen) - steps).max() < 90 / 8  # within a place of the map
    assert all(after > before for before, after in pairwise(seen))
    assert np.abs(np.diff(evidence)).max() <= np.abs(np.diff(alone)).max()
    assert min(evidence) > 0.75 * max(alone)  # and nowhere is it lost between the tiles


# --- how it is run ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_each_number_of_tiles_and_frames_is_traced_once_and_memory_stays() -> None:
    explainer = Explainer(classifier_of(pooled_model()), fit="tiles", maps=1, engine="graph")
    explainer.warm_up()
    assert explainer.trace_count == 1  # for 16:9, before any frame has come
    four_to_three = np.ascontiguousarray(WIDE[:, :120])
    frames = (WIDE, TALL, four_to_three, np.ascontiguousarray(WIDE[:, :90]))
    for frame in frames:
        explainer(frame)
    assert explainer.trace_count == 3  # for three, two and one
    before = resident_mib()
    for _ in range(300):
        for frame in frames:
            explainer(frame)
    assert explainer.trace_count == 3
    assert resident_mib() - before < 30


@pytest.mark.slow
def test_a_batch_is_explained_like_its_frames() -> None:
    explainer = Explainer(classifier_of(pooled_model()), fit="tiles", maps=2, engine="graph")
    other = np.ascontiguousarray(WIDE[::-1])
    assert explainer.explain_batch([]) == []
    for frames in ([WIDE, other], [WIDE, TALL], [WIDE, WIDE[:, :90]]):  # also of other shapes, and of fewer tiles
        for one, alone in zip(explainer.explain_batch(frames), map(explainer, frames), strict=True):
            np.testing.assert_allclose(one.heatmaps, alone.heatmaps, atol=1e-5)
            np.testing.assert_allclose(one.probabilities, alone.probabilities, atol=1e-6)
            assert one.predictions[0].index == alone.predictions[0].index


def test_the_frame_as_it_is_seen_is_explained_alike() -> None:
    explainer = Explainer(classifier_of(pooled_model()), fit="tiles", engine="graph")
    seen, region = explainer.as_seen(WIDE)
    assert seen.shape == (SIDE, 57, 3)
    assert region == Region(0, 0, 160, 90)
    np.testing.assert_array_equal(explainer(seen).heatmaps, explainer(WIDE).heatmaps)
    np.testing.assert_allclose(explainer.probabilities([seen, seen])[1], explainer(WIDE).probabilities, atol=1e-6)


def test_what_takes_many_passes_is_refused() -> None:
    with pytest.raises(UsageError, match="score-cam takes many passes"):
        Explainer(classifier_of(pooled_model()), fit="tiles", method="score-cam")
    explainer = Explainer(classifier_of(pooled_model()), fit="tiles", engine="graph")
    with pytest.raises(UsageError, match="guided-grad-cam takes many passes"):
        explainer.variant(method="guided-grad-cam", layer=explainer.layer)
    with pytest.raises(UsageError, match="tiles is 0: give a number from 1 on"):
        Explainer(classifier_of(pooled_model()), fit="tiles", tiles=0)


def test_maps_of_tiles_are_evaluated_on_the_whole_frame() -> None:
    """A spot on the right, beyond the first tile: a map that finds it takes the class away at the first step."""
    explainer = Explainer(classifier_of(spot_model()), fit="tiles", maps=1, engine="graph")
    frame = spot_at(130, 160)
    evaluator = Evaluator(
        Session(explainer, (Target(1),), {}),
        ["grad-cam"],
        steps=20,
        boxes={"a": [(110, 30, 150, 60)]},
        random_head=False,
    )
    figures = evaluator.evaluate(Picture("a", frame)).figures["grad-cam"]
    np.testing.assert_allclose(figures.deletion[0], explainer(frame).probabilities[1], atol=1e-6)
    np.testing.assert_allclose(figures.insertion[-1], figures.deletion[0], atol=1e-6)
    assert figures.hit == 100
    left = figures.deletion - figures.deletion[-1]
    assert left[6] < 0.05 * left[0]  # after three tenths of the pixels, all of the spot


def test_smoothed_maps_are_of_the_whole_frame() -> None:
    explainer = Explainer(classifier_of(spot_model()), fit="tiles", maps=1, engine="graph")
    plain, smoothed = explainer(spot_at(80, 160)), explainer.explain_smoothed(spot_at(80, 160), samples=4, noise=0.02)
    assert smoothed.heatmaps.shape == plain.heatmaps.shape
    assert smoothed.heatmaps[0].argmax() == plain.heatmaps[0].argmax()
