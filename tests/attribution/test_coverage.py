"""A map lies where the target layer looks, also where layers in front cut, pad or move pixels."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from live_gradcam import Classifier, Explainer
from live_gradcam.attribution.coverage import coverage_of
from live_gradcam.networks.graph import flatten
from live_gradcam.networks.preprocessing import PREPROCESSINGS
from live_gradcam.networks.target_layer import default_target

SIZE = (96, 128)


def model_of(*front, target=None, size=SIZE) -> keras.Model:
    """The layers in front, then a convolution that passes brightness on, and a head that reads it as class 1."""
    x = image = keras.Input((*size, 3))
    for layer in front:
        x = layer(x)
    x = (target or layers.Conv2D(1, 3, strides=2, padding="same", kernel_initializer="ones", name="target"))(x)
    head = layers.Dense(2, activation="softmax")
    model = keras.Model(image, head(layers.GlobalAveragePooling2D()(x)))
    head.set_weights([np.array([[-1.0, 1.0]]), np.zeros(2)])
    return model


def covered(model: keras.Model) -> tuple[tuple[float, float], ...] | None:
    network = flatten(model, tuple(model.input_shape[1:3]))
    found = coverage_of(network, default_target(network).outputs[0])
    return None if found is None else tuple(tuple(round(end, 3) for end in extent) for extent in found.extents)


@pytest.mark.parametrize(
    ("front", "expected"),
    [
        ([], None),
        ([layers.Cropping2D(((60, 0), (0, 0)))], ((60, 96), (0, 128))),
        ([layers.Cropping2D(((10, 6), (20, 4)))], ((10, 90), (20, 124))),
        ([layers.CenterCrop(64, 64)], ((16, 80), (32, 96))),
        ([layers.ZeroPadding2D(((16, 16), (0, 0)))], ((-15, 111), (0, 128))),  # a 3 × 3 window could make up for one
        ([layers.ZeroPadding2D(((0, 0), (20, 12))), layers.Activation("linear")], ((0, 96), (-20, 140))),
        ([layers.Resizing(64, 64, crop_to_aspect_ratio=True)], ((0, 96), (16, 112))),
        ([layers.Resizing(64, 64, pad_to_aspect_ratio=True)], ((-16, 112), (0, 128))),
        ([layers.Resizing(48, 48)], None),
        ([layers.Resizing(48, 48), layers.Cropping2D(((24, 0), (0, 12)))], ((48, 96), (0, 96))),
        ([lambda x: x[:, 32:, :96]], ((32, 96), (0, 96))),
        ([lambda x: x[:, ::2, 64::2]], ((0, 96), (64, 128))),
        ([lambda x: keras.ops.image.crop_images(x, 30, 8, target_height=50, target_width=80)], ((30, 80), (8, 88))),
        ([lambda x: x[:, :, ::-1]], ((0, 96), (128, 0))),
        ([lambda x: keras.ops.flip(x, 1)], ((96, 0), (0, 128))),
        ([layers.Normalization(mean=[1, 2, 3], variance=[4, 5, 6]), lambda x: x[:, ::-1]], ((96, 0), (0, 128))),
        ([lambda x: x[:, ::-1], layers.Cropping2D(((60, 0), (0, 0)))], ((36, 0), (0, 128))),
        ([lambda x: 2 * x[:, 32:, :96] - 1], ((32, 96), (0, 96))),  # two layers
        ([layers.Lambda(lambda x: 2 * x[:, 32:, :96] - 1)], ((32, 96), (0, 96))),  # one
        ([lambda x: 5 * x - 3, lambda x: keras.ops.silu(x)], None),
        ([lambda x: keras.ops.sigmoid(x)], None),
        ([lambda x: keras.ops.reciprocal(x)], None),
        ([lambda x: keras.ops.sin(x), layers.Cropping2D(((60, 0), (0, 0)))], ((60, 96), (0, 128))),
        ([lambda x: x - keras.ops.mean(x)], None),
        ([layers.RandomCrop(64, 64)], None),  # at inference Keras leaves the picture as it is
        ([layers.RandomZoom(0.2), layers.RandomFlip()], None),
    ],
)
def test_what_a_map_covers(front, expected) -> None:
    found = covered(model_of(*front, target=layers.Conv2D(1, 3, strides=1, padding="valid", name="target")))
    if expected is None or found is None:
        assert found == expected
    else:
        np.testing.assert_allclose(found, expected, atol=0.6)


@pytest.mark.parametrize(
    "front",
    [
        [layers.ZeroPadding2D(3), layers.Conv2D(4, 7, strides=2), layers.ZeroPadding2D(1), layers.MaxPooling2D(3, 2)],
        [layers.ZeroPadding2D(((0, 1), (0, 1))), layers.DepthwiseConv2D(3, strides=2)],
        [layers.ZeroPadding2D(2), layers.Conv2D(4, 3, dilation_rate=2)],
        [layers.Conv2D(4, 3), layers.AveragePooling2D(2), layers.UpSampling2D(2)],
    ],
)
def test_a_padding_that_stands_for_same_does_not_move_the_map(front) -> None:
    assert covered(model_of(*front)) is None


@pytest.mark.parametrize(
    ("front", "expected"),
    [
        ([layers.ZeroPadding2D(16), layers.Conv2D(4, 16, strides=16)], ((-16, 112), (-16, 144))),
        ([layers.ZeroPadding2D(8), layers.Conv2D(4, 16, strides=16)], ((-8, 104), (-8, 136))),
        ([layers.ZeroPadding2D(((0, 32), (32, 0))), layers.AveragePooling2D(8)], ((0, 128), (-32, 128))),
        ([layers.ZeroPadding2D(16), layers.MaxPooling2D(2)], ((-16, 112), (-16, 144))),
        ([layers.ZeroPadding2D(16), layers.Conv2D(4, 1, strides=2)], ((-16, 112), (-16, 144))),
        ([layers.ZeroPadding2D(16), layers.Conv2D(4, 7, strides=2)], ((-13, 109), (-13, 141))),
        ([layers.ZeroPadding2D((16, 0)), layers.Conv2D(4, (5, 1), strides=(2, 1))], ((-14, 110), (0, 128))),
    ],
)
def test_a_padding_in_front_of_windows_with_strides(front, expected) -> None:
    assert covered(model_of(*front)) == expected


def test_a_layer_of_ones_own_may_say_its_window_with_one_number() -> None:
    class Windows(layers.Layer):
        def __init__(self, kernel_size: int = 3, padding: str = "valid") -> None:
            super().__init__()
            self.kernel_size, self.padding = kernel_size, padding
            self.inner = layers.Conv2D(4, kernel_size, padding=padding)

        def call(self, x):
            return self.inner(x)

    assert covered(model_of(layers.ZeroPadding2D(2), Windows())) == ((-1, 97), (-1, 129))


def spot(size: tuple[int, int] = SIZE, rows=slice(66, 74), columns=slice(70, 90)) -> np.ndarray:
    frame = np.full((*size, 3), 20, np.uint8)
    frame[rows, columns] = 255
    return frame


def heat_of(front, method: str = "grad-cam", *, target=None, **options) -> tuple[float, float]:
    """The (row, column) in the middle of the heat that class 1 has."""
    model, frame = model_of(*front, target=target), spot()
    classifier = Classifier("toy", model, ("dark", "bright"), SIZE, PREPROCESSINGS["unit"])
    explanation = Explainer(classifier, method=method, maps=1, tune="off", engine="graph", **options)(frame, target=1)
    heat = np.where(explanation.heatmaps[0] > 0.5, explanation.heatmaps[0], 0)
    rows, columns = (np.arange(side) + 0.5 for side in heat.shape)
    row = (heat.sum(axis=1) * rows).sum() / heat.sum() / heat.shape[0]
    column = (heat.sum(axis=0) * columns).sum() / heat.sum() / heat.shape[1]
    region = explanation.region
    return region.y + row * region.height, region.x + column * region.width


FRONTS = {
    "cropped": lambda: [layers.Cropping2D(((60, 0), (0, 0)))],
    "cropped to the middle": lambda: [layers.CenterCrop(64, 64)],
    "padded": lambda: [layers.ZeroPadding2D(((0, 40), (30, 0)))],
    "cropped by resizing": lambda: [layers.Resizing(64, 64, crop_to_aspect_ratio=True)],
    "sliced": lambda: [lambda x: x[:, 32:, 50:]],
}


@pytest.mark.slow
@pytest.mark.parametrize("front", FRONTS)
def test_the_heat_lies_on_the_spot(front: str) -> None:
    assert heat_of(FRONTS[front]()) == pytest.approx((70, 80), abs=1.5)


@pytest.mark.slow
def test_the_heat_lies_there_with_patches_of_a_padded_picture_too() -> None:
    front = [layers.ZeroPadding2D(((0, 32), (32, 0))), layers.AveragePooling2D(8)]
    target = layers.Conv2D(1, 1, kernel_initializer="ones", name="target")
    assert heat_of(front, target=target) == pytest.approx((70, 80), abs=1)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["score-cam", "ablation-cam", "layercam", "hirescam"])
def test_the_heat_of_other_methods_lies_there_too(method: str) -> None:
    assert heat_of(FRONTS["cropped"](), method) == pytest.approx((70, 80), abs=2)


@pytest.mark.slow
def test_the_heat_lies_there_in_tiles_and_letterboxed_too() -> None:
    for fit in ("letterbox", "tiles"):
        assert heat_of(FRONTS["cropped"](), fit=fit) == pytest.approx((70, 80), abs=2)


def test_without_relu_what_is_cut_off_is_not_the_hottest() -> None:
    """All that the layer sees speaks against the class: still more than nothing is not to be seen outside."""
    model = model_of(layers.Cropping2D(((60, 0), (0, 0))))
    classifier = Classifier("toy", model, ("dark", "bright"), SIZE, PREPROCESSINGS["unit"])
    heat = Explainer(classifier, maps=1, relu=False, tune="off", engine="graph")(spot(), target=0).heatmaps[0]
    assert (heat.min(), heat.max()) == (0, 1)
    assert heat[: heat.shape[0] // 2].max() == 0


def test_the_map_of_a_mirrored_picture_lies_where_the_picture_is_bright() -> None:
    model = model_of(lambda x: x[:, :, ::-1])
    frame = np.full((*SIZE, 3), 10, np.uint8)
    frame[16:32, 88:112] = 250
    classifier = Classifier("mirrored", model, ("dark", "bright"), SIZE, PREPROCESSINGS["unit"])
    heatmap = Explainer(classifier, engine="graph", tune="off", maps=1)(frame, target=1).heatmaps[0]
    strongest = np.unravel_index(np.argmax(heatmap), heatmap.shape)
    row, column = (place * side / places for place, side, places in zip(strongest, SIZE, heatmap.shape, strict=True))
    assert 16 <= row <= 32
    assert 88 <= column <= 112


@pytest.mark.parametrize("size", [(96, 96), (96, 128)])
def test_a_picture_that_is_turned_on_its_side_is_told(size: tuple[int, int], caplog: pytest.LogCaptureFixture) -> None:
    assert covered(model_of(layers.Permute((2, 1, 3), name="turned"), size=size)) is None
    assert caplog.messages == [
        "the layer turned swaps the height and width of the picture, and the map is not turned back"
    ]
