"""What tiles share, and rows that are run apart: the numbers are those of each tile by itself."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from live_gradcam import Classifier, Explainer
from live_gradcam.attribution.one_pass import run_apart
from live_gradcam.attribution.shared_start import shared_start
from live_gradcam.explanations.tiles import plan_tiling
from live_gradcam.networks.graph import flatten, run
from live_gradcam.networks.preprocessing import PREPROCESSINGS
from live_gradcam.networks.split import split_at
from live_gradcam.networks.target_layer import default_target

SIDE = 96
WIDE = np.random.default_rng(1).integers(0, 256, (180, 320, 3), np.uint8)
TALL = np.ascontiguousarray(WIDE.transpose(1, 0, 2))


def model_of(*first: keras.layers.Layer) -> keras.Model:
    """These layers, then two branches that are added up, and a pooled head."""
    keras.utils.set_random_seed(1)
    x = image = keras.Input((SIDE, SIDE, 3))
    for layer in first:
        x = layer(x)
    y = layers.Conv2D(8, 3, padding="same", activation="relu", name="of_three")(x)
    x = layers.Add(name="maps")([layers.Conv2D(8, 1, name="of_one")(x), y])
    return keras.Model(image, layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


def convolution(size: int, **settings) -> keras.layers.Layer:
    return layers.Conv2D(6, size, bias_initializer="random_normal", **settings)


# Layers, how many are shared, and by hand: pixels per column, and how many columns depend on a tile's begin and end.
CASES = {
    "stride 2, padded at the end alone": ([convolution(3, strides=2, padding="same")], 1, 2, (0, 1)),
    "stride 1, padded on both sides": ([convolution(3, padding="same"), layers.ReLU()], 2, 1, (1, 1)),
    "two after another": ([convolution(3, strides=2, padding="same"), convolution(3, padding="same")], 2, 2, (1, 2)),
    "depthwise, dilated": (
        [layers.DepthwiseConv2D(3, padding="same", dilation_rate=2), layers.BatchNormalization()], 2, 1, (2, 2),
    ),
    "as EfficientNet begins": (
        [
            convolution(3, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(6),
            layers.DepthwiseConv2D(3, padding="same"),
            convolution(1),
            layers.DepthwiseConv2D(3, strides=2, padding="same"),
        ],
        6,
        4,
        (1, 2),
    ),
    "nothing is padded": ([convolution(2, strides=2, padding="valid")], 1, 2, (0, 0)),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("frame_size", [(180, 320), (320, 180)], ids=["wide", "tall"])
@pytest.mark.parametrize("case", CASES)
def test_what_is_shared_is_what_each_tile_has_alone(case: str, frame_size: tuple[int, int]) -> None:
    first, shared_layers, stride, ends = CASES[case]
    network = flatten(model_of(*first), (SIDE, SIDE))
    split = split_at(network, default_target(network).outputs[0])
    tiling = plan_tiling(frame_size, (SIDE, SIDE))
    shared = shared_start(network, split, tiling)
    assert shared is not None
    assert (len(shared.operations), shared.stride, (shared.before, shared.after)) == (shared_layers, stride, ends)
    assert shared.strip < SIDE // 2
    frames = np.random.default_rng(0).normal(size=(2, *tiling.size, 3)).astype(np.float32)
    actual = shared.values_of_tiles(tf.constant(frames)).numpy()
    tiles = np.concatenate([tiling.cut(frame) for frame in frames])
    expected = run(shared.operations, {split.input: tf.constant(tiles)})[shared.value].numpy()
    np.testing.assert_allclose(actual, expected, atol=1e-5)


@pytest.mark.parametrize(
    "first",
    [
        [layers.Flatten(), layers.Reshape((SIDE, SIDE, 3))],  # of which it is not known what they do to columns
        [layers.ZeroPadding2D(1)],
        [convolution(3, strides=5, padding="same")],  # tiles do not begin at multiples of 5
        [convolution(3, strides=2, padding="valid")],  # which gives 47 columns, not 48
        [layers.Normalization(axis=(1, 2, 3), mean=np.zeros((SIDE, SIDE, 3)), variance=np.ones((SIDE, SIDE, 3)))],
    ],
)
def test_what_is_not_known_to_be_the_same_is_not_shared(first) -> None:
    network = flatten(model_of(*first), (SIDE, SIDE))
    split = split_at(network, default_target(network).outputs[0])
    assert shared_start(network, split, plan_tiling((180, 320), (SIDE, SIDE))) is None


@pytest.mark.slow
@pytest.mark.parametrize("frame", [WIDE, TALL], ids=["wide", "tall"])
def test_an_explainer_that_knows_its_frames_gives_the_same(frame: np.ndarray) -> None:
    model = model_of(*CASES["as EfficientNet begins"][0])
    classifier = Classifier("toy", model, tuple("abcde"), (SIDE, SIDE), PREPROCESSINGS["unit"])
    knows, does_not = (Explainer(classifier, fit="tiles", maps=2, tune="off") for _ in range(2))
    knows.warm_up(frame_size=frame.shape[:2])
    assert knows.shares_tiles((frame.shape[0], frame.shape[1]))
    for image in (frame, np.ascontiguousarray(frame[::-1])):
        actual, expected = knows(image, target=[1, 2]), does_not(image, target=[1, 2])
        np.testing.assert_allclose(actual.probabilities, expected.probabilities, atol=1e-6)
        np.testing.assert_allclose(actual.evidence, expected.evidence, rtol=1e-4)
        np.testing.assert_allclose(actual.heatmaps, expected.heatmaps, atol=1e-4)
        assert knows.predict(image)[0].index == expected.predictions[0].index
    assert knows.trace_count == does_not.trace_count == 1
    knows(np.ascontiguousarray(frame[:150, :150]))  # another size is explained all the same
    assert knows.trace_count == 2


@pytest.mark.slow
def test_other_numbers_of_tiles_have_their_own_share() -> None:
    """Two tiles and three are cut from a frame of the same size, at other places."""
    model = model_of(*CASES["as EfficientNet begins"][0])
    classifier = Classifier("toy", model, tuple("abcde"), (SIDE, SIDE), PREPROCESSINGS["unit"])
    three = Explainer(classifier, fit="tiles", maps=1, tune="off")
    three.warm_up(frame_size=WIDE.shape[:2])
    two = three.variant(method=three.method, layer=three.layer, fit="tiles", tiles=2)
    two.warm_up(frame_size=WIDE.shape[:2])
    for explainer, tiles in ((three, 3), (two, 2)):
        expected = Explainer(classifier, fit="tiles", tiles=tiles, maps=1, tune="off", engine="graph")(WIDE)
        np.testing.assert_allclose(explainer(WIDE).probabilities, expected.probabilities, atol=1e-6)
        assert explainer.predict(WIDE)[0].index == expected.predictions[0].index
        assert expected.tiles == tiles


@pytest.mark.parametrize("apart", [0, 1, 3, 4])
def test_rows_that_are_run_apart_give_the_same(apart: int) -> None:
    network = flatten(model_of(convolution(3, strides=2, padding="same")), (SIDE, SIDE))
    split = split_at(network, default_target(network).outputs[0])
    images = {split.input: tf.constant(np.random.default_rng(0).normal(size=(3, SIDE, SIDE, 3)), tf.float32)}
    expected = run(split.trunk, images)[split.target].numpy()
    assert len(split.trunk) == 4
    values = run_apart(split.trunk, images, apart, split.targets)
    np.testing.assert_allclose(values[split.target], expected, atol=1e-6)
