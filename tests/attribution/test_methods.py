"""Each method against its formula: by hand, by closed forms, and by NumPy on a network's own gradients."""

from __future__ import annotations

import json
import sys
from functools import lru_cache
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from command_line import run
from keras import layers
from other_packages import install
from toy_networks import FRAME, classifier_of, two_dense_layers
from typer.main import get_command

from live_gradcam import Explainer
from live_gradcam.attribution.methods.finer_cam import finer_score
from live_gradcam.attribution.methods.method import Method, load_method, quick_methods
from live_gradcam.attribution.session import Session, SessionOptions, start_session
from live_gradcam.choices import METHODS
from live_gradcam.cli import app
from live_gradcam.errors import LiveGradcamError, UsageError
from live_gradcam.evaluating.evaluator import Evaluator
from live_gradcam.evaluating.pictures import Picture
from live_gradcam.explanations.explanation import Explanation

# --- by hand ------------------------------------------------------------------------------------------------------

# Two channels on 1 × 2 places, by place: (A₁, A₂) and (G₁, G₂).
ACTIVATIONS = np.array([[[[1.0, 2.0], [3.0, 0.0]]]], np.float32)
GRADIENTS = np.array([[[[2.0, -1.0], [0.0, 3.0]]]], np.float32)


@pytest.mark.parametrize(
    ("method", "by_hand"),
    [
        ("grad-cam", [1 * 1 + 2 * 1, 3 * 1 + 0 * 1]),  # mean gradients 1 and 1
        ("counterfactual", [-3, -3]),
        ("cam", [1 * 2 + 2 * 2, 3 * 2 + 0 * 2]),  # gradients sum to 2 and 2
        ("grad-cam++", [1 * 0.2 + 2 * 0.375, 3 * 0.2]),  # 2 · 4 / (2·4 + 4·8) and 3 · 9 / (2·9 + 2·27)
        ("hirescam", [1 * 2 - 2 * 1, 3 * 0 + 0 * 3]),
        ("layercam", [1 * 2 + 2 * 0, 3 * 0 + 0 * 3]),
        ("elementwise", [2 + 0, 0]),
        ("xgrad-cam", [1 * 0.5 - 2 * 1, 3 * 0.5 - 0 * 1]),  # weights 2 / 4 and -2 / 2
        ("finer-cam", [3, 3]),  # Grad-CAM's map, of another score
    ],
)
def test_the_map_by_hand(method: str, by_hand: list[float]) -> None:
    raw_map = load_method(method).raw_map(tf.constant(ACTIVATIONS), tf.constant(GRADIENTS))
    np.testing.assert_allclose(raw_map.numpy(), [[by_hand]], atol=1e-6)


@pytest.mark.parametrize(
    ("method", "gradients", "by_hand"),
    [
        # less their means (-1, -2) and (1, 2), so along (1, 2) / √5; the second place has more in it
        ("eigen-cam", None, [-np.sqrt(5), np.sqrt(5)]),
        # A · G = (2, 0) and (3, 2): (-0.5, -1) and (0.5, 1)
        ("eigengrad-cam", [[[[2.0, 1.0], [1.0, 0.5]]]], [-np.sqrt(1.25), np.sqrt(1.25)]),
    ],
)
def test_a_principal_component_by_hand(method: str, gradients: list | None, by_hand: list[float]) -> None:
    activations = tf.constant([[[[1.0, 0.0], [3.0, 4.0]]]])
    raw_map = load_method(method).raw_map(activations, None if gradients is None else tf.constant(gradients))
    np.testing.assert_allclose(raw_map.numpy(), [[by_hand]], rtol=1e-5)


@pytest.mark.parametrize("shape", [(7, 7, 40), (7, 7, 4), (2, 3, 6)])
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e4])
def test_a_principal_component_is_numpys(shape: tuple[int, int, int], size: float) -> None:
    activations = size * np.abs(np.random.default_rng(0).normal(0, 1, (2, *shape))).astype(np.float32)
    raw_maps = load_method("eigen-cam").raw_map(tf.constant(activations), None).numpy()
    for features, raw_map in zip(activations.reshape(2, -1, shape[-1]), raw_maps.reshape(2, -1), strict=True):
        centred = features - features.mean(axis=0)
        component = centred @ np.linalg.svd(centred.astype(np.float64))[2][0]
        component *= np.sign(component @ features.sum(axis=1))
        np.testing.assert_allclose(raw_map, component, atol=2e-2 * np.abs(component).max())


@pytest.mark.parametrize("value", [1.0, 0.9256])
def test_activations_that_are_the_same_everywhere_have_no_component(value: float) -> None:
    activations = tf.fill((1, 21, 25, 5), value)
    np.testing.assert_array_equal(load_method("eigen-cam").raw_map(activations, None), np.zeros((1, 21, 25)))


def test_a_component_of_almost_the_same_activations_has_its_sign() -> None:
    """The sum of the channels goes with the first one: a little of it, over much that is the same everywhere."""
    places = np.random.default_rng(0).normal(0, 1, (21, 25)).astype(np.float32)
    little = places[..., np.newaxis] * np.array([1.0, -0.95], np.float32) / 512
    activations = 1000 + little
    raw_map = load_method("eigen-cam").raw_map(tf.constant(activations[np.newaxis]), None).numpy()[0]
    seen = (activations - 1000).astype(np.float64).reshape(-1, 2)
    centred = seen - seen.mean(axis=0)
    component = centred @ np.linalg.svd(centred)[2][0]
    component *= np.sign(component @ centred.sum(axis=1))
    np.testing.assert_allclose(raw_map.reshape(-1), component, atol=1e-2 * np.abs(component).max())


def test_recipro_cam_scores_each_place_alone() -> None:
    """The score is (Σ A₁ + 10 A₂)² + 7: 21² and 3² over that of nothing."""

    def scores(activations: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(activations * [1.0, 10.0], axis=(2, 3, 4)) ** 2 + 7

    raw_map = load_method("recipro-cam").raw_map(tf.constant(ACTIVATIONS), scores)
    np.testing.assert_allclose(raw_map.numpy(), [[[441, 9]]])


def test_finer_cams_score_by_hand() -> None:
    """The three nearest to 5 are 4, 3 and 1, weighing e⁴, e³ and e: Σ e^z (5 − z) / Σ e^z."""
    logits = tf.constant([[5.0, -2.0, 1.0, 4.0, 3.0]])
    expected = (np.exp(4) * 1 + np.exp(3) * 2 + np.exp(1) * 4) / (np.exp(4) + np.exp(3) + np.exp(1))
    np.testing.assert_allclose(finer_score(logits, tf.one_hot([0], 5)), [expected], rtol=1e-5)


def test_a_channel_of_nothing_has_no_weight() -> None:
    for method in ("xgrad-cam", "grad-cam++"):
        raw_map = load_method(method).raw_map(tf.zeros((1, 2, 2, 3)), tf.ones((1, 2, 2, 3)))
        np.testing.assert_array_equal(raw_map.numpy(), np.zeros((1, 2, 2)))


def test_every_method_is_checked_and_told_of() -> None:
    quick = {"grad-cam", "grad-cam++", "hirescam", "xgrad-cam", "layercam", "elementwise", "cam"} | {
        *("eigen-cam", "eigengrad-cam", "finer-cam", "recipro-cam", "counterfactual")
    }
    assert set(quick_methods()) == quick
    assert set(METHODS) == quick | {"guided-grad-cam", "score-cam", "ablation-cam"}
    (option,) = (option for option in get_command(app).commands["explain"].params if option.name == "method")
    assert set(option.help.replace(",", "").replace(";", "").rstrip(".").split()) > {*METHODS}


def test_the_table_knows_what_is_quick_enough_for_a_camera_as_the_methods_do() -> None:
    for name in METHODS.of_this_package:
        assert METHODS.row(name).is_quick is load_method(name).is_quick


# --- in a network -------------------------------------------------------------------------------------------------


def pooled() -> keras.Model:
    keras.utils.set_random_seed(6)
    image = keras.Input((12, 14, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(6, 3, activation="relu", name="maps")(image))
    return keras.Model(image, layers.Dense(5, activation="softmax", name="scores")(x))


def parts(model: keras.Model) -> tuple[np.ndarray, keras.Model]:
    """The activations (h, w, channels) of the frame, and the head from them to the logits."""
    activations = keras.Model(model.input, model.get_layer("maps").output)(FRAME[None, :, :, ::-1] / np.float32(255))
    x = inner = keras.Input(activations.shape[1:])
    for layer in model.layers[model.layers.index(model.get_layer("maps")) + 1 :]:
        if layer.name == "scores":
            x = layers.Lambda(lambda y, scores=layer: y @ scores.kernel + scores.bias)(x)
        else:
            x = layer(x)
    return activations.numpy()[0], keras.Model(inner, x)


def gradient(head: keras.Model, activations: np.ndarray, score) -> np.ndarray:
    with tf.GradientTape() as tape:
        x = tf.constant(activations[None])
        tape.watch(x)
        value = score(head(x)[0])
    return tape.gradient(value, x).numpy()[0]


def by_numpy(method: str, a: np.ndarray, g: np.ndarray) -> np.ndarray:
    """The formulas of the papers, in float64."""
    a, g = a.astype(np.float64), g.astype(np.float64)
    if method == "grad-cam++":
        denominator = 2 * g**2 + a.sum(axis=(0, 1)) * g**3
        alpha = np.where(g != 0, g**2 / np.where(g != 0, denominator, 1), 0)
        return a @ (alpha * np.maximum(g, 0)).sum(axis=(0, 1))
    if method == "xgrad-cam":
        return a @ ((a * g).sum(axis=(0, 1)) / np.maximum(a.sum(axis=(0, 1)), 1e-30))
    if method == "eigengrad-cam":
        features = (a * g).reshape(-1, a.shape[-1])
        centred = features - features.mean(axis=0)
        component = centred @ np.linalg.svd(centred)[2][0]
        return (component * np.sign(component @ features.sum(axis=1))).reshape(a.shape[:2])
    return {
        "grad-cam": a @ g.mean(axis=(0, 1)),
        "counterfactual": -a @ g.mean(axis=(0, 1)),
        "hirescam": (a * g).sum(axis=-1),
        "layercam": (a * np.maximum(g, 0)).sum(axis=-1),
        "elementwise": np.maximum(a * g, 0).sum(axis=-1),
    }[method]


def assert_map(explanation, raw_map: np.ndarray, position: int = 0, rtol: float = 1e-3) -> None:
    positive = np.maximum(raw_map, 0)
    np.testing.assert_allclose(explanation.evidence[position], positive.max(), rtol=rtol, atol=1e-7)
    np.testing.assert_allclose(explanation.heatmaps[position], positive / (positive.max() or 1), atol=rtol)


@pytest.mark.slow
@pytest.mark.versions
@pytest.mark.parametrize(
    "method",
    [
        *("grad-cam", "grad-cam++", "hirescam", "xgrad-cam", "layercam", "elementwise"),
        *("eigengrad-cam", "counterfactual"),
    ],
)
def test_the_one_pass_gives_the_formulas_map(method: str) -> None:
    """With gradients that differ from place to place, for three classes at once."""
    model = two_dense_layers()
    explanation = Explainer(classifier_of(model), method=method, maps=3, engine="graph")(FRAME)
    assert explanation.against is (method == "counterfactual")
    activations, head = parts(model)
    for position, target in enumerate(explanation.targets):
        g = gradient(head, activations, lambda logits, c=target.index: logits[c])
        assert_map(explanation, by_numpy(method, activations, g), position)


@lru_cache
def by_a_graph(method: str) -> Explanation:
    return Explainer(classifier_of(two_dense_layers()), method=method, maps=2, engine="graph")(FRAME)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["xla", "openvino", "onnxruntime"])
@pytest.mark.parametrize("method", ["grad-cam++", "eigengrad-cam", "finer-cam", "recipro-cam"])
def test_every_engine_gives_the_same(method: str, engine: str) -> None:
    expected = by_a_graph(method)
    actual = Explainer(classifier_of(two_dense_layers()), method=method, maps=2, engine=engine, tune="off")(FRAME)
    assert actual.evidence.all()
    np.testing.assert_allclose(actual.evidence, expected.evidence, rtol=1e-3)
    np.testing.assert_allclose(actual.heatmaps, expected.heatmaps, atol=2e-3)


@pytest.mark.slow
def test_recipro_cam_is_the_heads_score_of_each_place() -> None:
    model = two_dense_layers()
    explanation = Explainer(classifier_of(model), method="recipro-cam", maps=2, engine="graph")(FRAME)
    activations, head = parts(model)
    nothing = head(np.zeros((1, *activations.shape), np.float32)).numpy()[0]
    for position, target in enumerate(explanation.targets):
        raw_map = np.zeros(activations.shape[:2])
        for place in np.ndindex(raw_map.shape):
            alone = np.zeros_like(activations)
            alone[place] = activations[place]
            raw_map[place] = head(alone[None]).numpy()[0, target.index] - nothing[target.index]
        assert_map(explanation, raw_map, position)


def test_finer_cam_is_grad_cam_against_similar_classes() -> None:
    model = two_dense_layers()
    explanation = Explainer(classifier_of(model), method="finer-cam", maps=2, engine="graph")(FRAME)
    activations, head = parts(model)
    for position, target in enumerate(explanation.targets):
        nearest = np.argsort(np.abs(explanation.logits - explanation.logits[target.index]))[1:4]

        def score(logits, c=target.index, nearest=nearest):
            similar = tf.gather(logits, nearest)
            return tf.reduce_sum(tf.nn.softmax(similar) * (logits[c] - similar))

        assert_map(explanation, by_numpy("grad-cam", activations, gradient(head, activations, score)), position)


@pytest.mark.slow
def test_on_a_pooled_head_the_closed_forms_hold() -> None:
    """CAM = Σ w A; Grad-CAM, HiResCAM, XGrad-CAM and Recipro-CAM are CAM / (h·w), the counterfactual its negative."""
    model = pooled()
    activations, _ = parts(model)
    kernel = model.get_layer("scores").get_weights()[0]
    for method, factor in {
        "cam": 1,
        "grad-cam": 1 / 120,
        "hirescam": 1 / 120,
        "xgrad-cam": 1 / 120,
        "recipro-cam": 1 / 120,
        "counterfactual": -1 / 120,
    }.items():
        explanation = Explainer(classifier_of(model), method=method, maps=3, engine="graph")(FRAME)
        for position, target in enumerate(explanation.targets):
            assert_map(explanation, factor * (activations @ kernel[:, target.index]), position)


def test_eigen_cam_is_of_no_class() -> None:
    explanation = Explainer(classifier_of(pooled()), method="eigen-cam", maps=2, engine="graph")(FRAME)
    activations, _ = parts(pooled())
    expected = load_method("eigen-cam").raw_map(tf.constant(activations[None]), None).numpy()[0]
    for position in range(2):
        assert_map(explanation, expected, position)


# --- pictures and files -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_ablation_cam_is_the_share_of_the_score_that_goes_with_a_channel() -> None:
    model = two_dense_layers()
    explanation = Explainer(classifier_of(model), method="ablation-cam", maps=5, engine="graph")(FRAME)
    activations, head = parts(model)
    logits = head(activations[None]).numpy()[0]
    assert (logits < 0).any()  # whose drops still count as drops
    for position, target in enumerate(explanation.targets):
        weights = []
        for channel in range(activations.shape[-1]):
            without = activations.copy()
            without[..., channel] = 0
            drop = logits[target.index] - head(without[None]).numpy()[0, target.index]
            weights.append(drop / abs(logits[target.index]))
        assert_map(explanation, activations @ np.array(weights), position)


def test_score_cam_weighs_channels_by_the_score_of_what_they_show() -> None:
    model = two_dense_layers()
    steps: list[tuple[int, int]] = []
    explainer = Explainer(classifier_of(model), method="score-cam", maps=2, engine="graph")
    explanation = explainer(FRAME, on_progress=lambda done, total: steps.append((done, total)))
    assert steps == [(7, 7)]  # six channels, and no change at all
    activations, head = parts(model)
    to_maps = keras.Model(model.input, model.get_layer("maps").output)
    image = FRAME[:, :, ::-1] / np.float32(255)
    masks = tf.image.resize(activations, image.shape[:2]).numpy()
    masks -= masks.min(axis=(0, 1))
    masks /= np.maximum(masks.max(axis=(0, 1)), 1e-30)
    logits = np.stack([head(to_maps((image * masks[..., k : k + 1])[None])).numpy()[0] for k in range(6)])
    for position, target in enumerate(explanation.targets):
        assert_map(explanation, activations @ tf.nn.softmax(logits[:, target.index]).numpy(), position)


def test_guided_grad_cam_lets_no_negative_gradient_back() -> None:
    """Guided backpropagation written with `tf.custom_gradient`, times the map enlarged by TensorFlow."""
    model = two_dense_layers()
    explanation = Explainer(classifier_of(model), method="guided-grad-cam", maps=2, engine="graph")(FRAME)
    grad_cam = Explainer(classifier_of(model), maps=2, engine="graph")(FRAME)

    @tf.custom_gradient
    def guided_relu(x):
        return tf.nn.relu(x), lambda upstream: tf.where(x > 0, tf.nn.relu(upstream), 0)

    maps, hidden, scores = (layer for layer in model.layers if layer.weights)
    for position, target in enumerate(explanation.targets):
        x = tf.constant(FRAME[None, :, :, ::-1] / np.float32(255))
        with tf.GradientTape() as tape:
            tape.watch(x)
            pooled_maps = tf.nn.max_pool2d(
                guided_relu(tf.nn.conv2d(x, maps.kernel, 1, "VALID") + maps.bias), 2, 2, "VALID"
            )
            inner = guided_relu(tf.reshape(pooled_maps, (1, -1)) @ hidden.kernel + hidden.bias)
            score = (inner @ scores.kernel + scores.bias)[0, target.index]
        guided = np.abs(tape.gradient(score, x).numpy()[0]).max(axis=-1)
        enlarged = tf.image.resize(grad_cam.heatmaps[position][..., None], FRAME.shape[:2]).numpy()[..., 0]
        assert_map(explanation, guided * enlarged, position)


class InFunction(layers.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.function = tf.function(tf.nn.relu)

    def call(self, x):
        return self.function(x)


def with_second_relu(relu) -> keras.Model:
    """A ReLU of TensorFlow's after the first layer, and another one after the second."""
    keras.utils.set_random_seed(7)
    image = keras.Input((*FRAME.shape[:2], 3))
    x = layers.Conv2D(6, 3, activation="relu", name="maps")(layers.Rescaling(4.0)(image))
    x = relu(layers.Conv2D(8, 3)(x))
    return keras.Model(image, layers.Dense(4, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "relu",
    [
        lambda x: keras.ops.maximum(x, 0.0),
        lambda x: keras.ops.maximum(0.0, x),
        layers.ReLU(max_value=1e6),
        layers.ReLU(threshold=1e-12),
    ],
    ids=["maximum", "maximum-of-0", "ReLU-with-maximum", "ReLU-with-threshold"],
)
def test_guided_grad_cam_guides_a_relu_in_other_words(relu, caplog: pytest.LogCaptureFixture) -> None:
    options = {"method": "guided-grad-cam", "layer": "maps", "maps": 2, "engine": "graph"}
    expected = Explainer(classifier_of(with_second_relu(layers.ReLU())), **options)(FRAME, target=[0, 1])
    found = Explainer(classifier_of(with_second_relu(relu)), **options)(FRAME, target=[0, 1])
    np.testing.assert_allclose(found.heatmaps, expected.heatmaps, atol=1e-5)
    assert "guided-grad-cam" not in caplog.text


class OwnMaximum(layers.Layer):
    def call(self, x):
        return 2.0 * tf.maximum(x, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("layer", [InFunction, OwnMaximum])
def test_guided_grad_cam_says_that_it_does_not_guide_all(layer, caplog: pytest.LogCaptureFixture) -> None:
    model = with_second_relu(layer())
    Explainer(classifier_of(model), method="guided-grad-cam", layer="maps", engine="graph")(FRAME)
    (message,) = [record.getMessage() for record in caplog.records if "guided-grad-cam" in record.getMessage()]
    assert message.startswith("guided-grad-cam does not guide all ReLUs of this network: ")


# --- what cannot be -----------------------------------------------------------------------------------------------


def test_cam_is_refused_where_it_is_not_defined() -> None:
    with pytest.raises(
        UsageError, match=r"^cam works only where global pooling and one dense layer follow the target layer"
    ):
        Explainer(classifier_of(two_dense_layers()), method="cam")


@pytest.mark.parametrize("method", ["cam", "recipro-cam", "score-cam"])
def test_methods_of_one_layer_refuse_several(method: str) -> None:
    model = pooled()
    image = keras.Input((12, 14, 3))
    deeper = keras.Model(image, model(layers.Conv2D(3, 1, name="first")(image)))
    with pytest.raises(UsageError, match=rf"^{method} takes one layer"):
        Explainer(classifier_of(deeper), method=method, layer="first,maps")


def test_finer_cam_refuses_another_score() -> None:
    with pytest.raises(UsageError, match=r"^finer-cam compares logits: use the score logit, not margin"):
        Explainer(classifier_of(pooled()), method="finer-cam", score="margin")


def test_recipro_cam_refuses_a_layer_of_too_many_places() -> None:
    image = keras.Input((40, 40, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3, name="maps")(image))
    with pytest.raises(
        UsageError, match=r"^recipro-cam runs the head for each place of the layer, and 38 × 38 places are too many"
    ):
        Explainer(classifier_of(keras.Model(image, layers.Dense(2)(x))), method="recipro-cam")


# --- of another package -------------------------------------------------------------------------------------------


def brightest(activations: tf.Tensor, _: None) -> tf.Tensor:
    """The strongest activation of each place, whatever the class."""
    return tf.reduce_max(activations, axis=-1)


class Everywhere:
    """A method of many passes: each map is the same everywhere, but for its first place."""

    are_of_input = False
    is_signed = False

    def __init__(self, one_pass, compile_, signature) -> None:
        self._maps = one_pass.maps

    def raw_maps(self, explained, on_progress) -> np.ndarray:
        on_progress(1, 1)
        maps = np.ones((self._maps, 3, 4), np.float32)
        maps[:, 0, 0] = 2
        return maps


@pytest.fixture
def _outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another package adds the methods brightest and everywhere, and one that is none."""
    package = ModuleType("outside_package")
    package.brightest = Method(brightest, "nothing")
    package.everywhere = Method(load_method("grad-cam").raw_map, "mean gradient", passes=Everywhere)
    package.wrong = brightest
    monkeypatch.setitem(sys.modules, "outside_package", package)
    names = ("brightest", "everywhere", "wrong", "missing")
    points = {name: EntryPoint(name, f"outside_package:{name}", METHODS.group) for name in names}
    monkeypatch.setattr(METHODS, "added", points)


@pytest.fixture
def toy_session(tmp_path: Path) -> Session:
    two_dense_layers().save(tmp_path / "toy.keras")
    return start_session(
        SessionOptions(str(tmp_path / "toy.keras"), preprocessing="unit", engine="graph", tune="off", fit="stretch")
    )


@pytest.mark.usefixtures("_outside")
def test_a_method_of_another_package_explains() -> None:
    model = two_dense_layers()
    activations, _ = parts(model)
    explanation = Explainer(classifier_of(model), method="brightest", maps=2, engine="graph")(FRAME)
    assert explanation.method == "brightest"
    for position in range(2):
        assert_map(explanation, activations.max(axis=-1), position)


@pytest.mark.usefixtures("_outside")
def test_a_method_of_many_passes_of_another_package_explains() -> None:
    steps: list[tuple[int, int]] = []
    explainer = Explainer(classifier_of(two_dense_layers()), method="everywhere", maps=2, engine="graph")
    explanation = explainer(FRAME, on_progress=lambda *step: steps.append(step))
    assert steps == [(1, 1)]
    np.testing.assert_array_equal(explanation.evidence, [2, 2])
    assert (explanation.heatmaps[:, 0, 0] == 1).all()
    assert (explanation.heatmaps[:, 1:, 1:] == 0.5).all()


@pytest.mark.usefixtures("_outside")
def test_the_camera_steps_through_the_quick_methods_of_other_packages_too(toy_session: Session, caplog) -> None:
    assert toy_session.methods == (
        *(name for name in METHODS.of_this_package if METHODS.row(name).is_quick),
        "brightest",
    )
    assert len(caplog.messages) == 2
    assert all("from the package outside_package" in message for message in caplog.messages)
    assert toy_session.variant(method="brightest", layer=toy_session.layer).explain(FRAME).method == "brightest"


@pytest.mark.usefixtures("_outside")
def test_a_method_of_another_package_is_evaluated_beside_ours(toy_session: Session) -> None:
    evaluator = Evaluator(toy_session, ["grad-cam", "brightest"], steps=2, random_head=False)
    figures = evaluator.evaluate(Picture("a.png", FRAME)).figures
    assert list(figures)[:2] == ["grad-cam", "brightest"]


@pytest.mark.usefixtures("_outside")
def test_a_slow_method_of_another_package_is_refused_for_a_camera(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^everywhere is too slow for a camera"):
        start_session(SessionOptions(method="everywhere", is_live=True))


@pytest.mark.usefixtures("_outside")
def test_what_is_no_method_is_refused_with_the_package_that_adds_it() -> None:
    with pytest.raises(LiveGradcamError, match=r"^the method wrong from the package outside_package is a function"):
        load_method("wrong")
    with pytest.raises(LiveGradcamError, match=r"^the method missing from the package .* cannot be loaded"):
        load_method("missing")


@pytest.mark.slow
def test_the_command_line_knows_the_method_of_an_installed_package(tmp_path: Path) -> None:
    content = (
        "import tensorflow as tf\n"
        "from live_gradcam.attribution.methods.method import Method\n\n"
        'METHOD = Method(lambda activations, _: tf.reduce_max(activations, axis=-1), "nothing")\n'
    )
    groups = {"live_gradcam.methods": ["brightest = outside:METHOD"]}
    installed = install(tmp_path / "site", "outside", groups=groups, modules={"outside": content})
    two_dense_layers().save(tmp_path / "toy.keras")
    cv2.imwrite(str(tmp_path / "frame.png"), FRAME)
    path = ":".join([str(installed), *sys.path])
    help_ = run("explain", "--help", PYTHONPATH=path, COLUMNS="200")
    assert (help_.code, "brightest" in help_.out) == (0, True)
    typo = run("explain", tmp_path / "frame.png", "--method", "brightes", PYTHONPATH=path)
    assert (typo.code, typo.err) == (2, "live-gradcam: there is no method 'brightes'; did you mean brightest?\n")
    model = ("-m", tmp_path / "toy.keras", "--preprocessing", "unit", "--engine", "graph", "--tune", "off")
    explained = run("explain", tmp_path / "frame.png", *model, "--method", "brightest", "--json", "-", PYTHONPATH=path)
    assert (explained.code, explained.err) == (0, "")
    assert json.loads(explained.out)["method"] == "brightest"


@pytest.mark.slow
def test_a_method_that_is_too_slow_for_a_camera_is_refused_before_anything_is_opened() -> None:
    refused = run("live", "no.mp4", "--headless", "--method", "score-cam")
    assert (refused.code, refused.err) == (
        2,
        "live-gradcam: score-cam is too slow for a camera: it is for live-gradcam explain and annotate\n",
    )
