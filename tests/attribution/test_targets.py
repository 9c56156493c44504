"""What is explained, and where: several classes, contrasts, several layers, other input sizes, smoothed maps."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from typer.testing import CliRunner

from live_gradcam import Classifier, Explainer
from live_gradcam.attribution.resizing import resized
from live_gradcam.attribution.session import Session, SessionOptions, start_session
from live_gradcam.cli import app
from live_gradcam.errors import ArgumentError, ModelError, UsageError
from live_gradcam.explanations.explanation import Target
from live_gradcam.explanations.fits import fit_frame, native_size
from live_gradcam.networks.preprocessing import PREPROCESSINGS

FRAME = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
PLACES = 15 * 15


def pooled_model(channels: int = 8) -> keras.Model:
    keras.utils.set_random_seed(2)
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(channels, 3, strides=2, activation="relu", name="maps")(image)
    return keras.Model(image, layers.Dense(6, name="scores")(layers.GlobalAveragePooling2D()(x)))


def classifier_of(model: keras.Model) -> Classifier:
    labels = tuple(f"class {index}" for index in range(model.output_shape[-1]))
    return Classifier("toy", model, labels, (32, 32), PREPROCESSINGS["unit"])


def cams(model: keras.Model, frame: np.ndarray = FRAME) -> np.ndarray:
    """CAM / (h·w) of every class, (classes, h, w): what Grad-CAM is on such a head."""
    x = (frame[None, :, :, ::-1] / 255).astype(np.float32)
    activations = keras.Model(model.input, model.get_layer("maps").output)(x).numpy()[0]
    kernel = model.get_layer("scores").get_weights()[0]
    return np.moveaxis(activations @ kernel, -1, 0) / PLACES


def assert_map(explanation, position: int, raw_map: np.ndarray) -> None:
    positive = np.maximum(raw_map, 0)
    np.testing.assert_allclose(explanation.evidence[position], positive.max(), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(explanation.heatmaps[position], positive / (positive.max() or 1), atol=1e-4)


# --- classes ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["graph", "xla", "openvino", "onnxruntime"])
def test_several_classes_a_contrast_and_the_best_others_come_from_one_pass(engine: str) -> None:
    model = pooled_model()
    explainer = Explainer(classifier_of(model), maps=5, engine=engine)
    best_first = np.argsort(explainer(FRAME).logits)[::-1]
    asked = [int(best_first[4]), Target(int(best_first[1]), int(best_first[5])), Target(int(best_first[1]))]
    explanation = explainer(FRAME, target=asked)
    classes = [best_first[4], best_first[1], best_first[1], best_first[0], best_first[2]]
    assert [target.index for target in explanation.targets] == classes
    assert [other and other.index for other in explanation.contrasts] == [None, best_first[5], None, None, None]
    assert explanation.contrasts[1].label == f"class {best_first[5]}"
    maps = cams(model)
    for position, index in enumerate(classes):
        assert_map(explanation, position, maps[index] - (maps[best_first[5]] if position == 1 else 0))
    assert explainer.trace_count == 1


@pytest.mark.parametrize("score", ["margin", "probability"])
def test_a_contrast_of_another_score_is_the_difference_of_the_two(score: str) -> None:
    """∂margin_c = ∂z_c − Σ_{j≠c} p_j/(1 − p_c) ∂z_j, ∂p_c = p_c (∂z_c − Σ p_j ∂z_j); CAM is linear in the gradient."""
    model = pooled_model()
    explanation = Explainer(classifier_of(model), maps=1, score=score, engine="graph")(FRAME, target=Target(1, 4))
    maps, p = cams(model), explanation.probabilities.astype(np.float64)

    def map_of(c: int) -> np.ndarray:
        if score == "probability":
            return p[c] * (maps[c] - np.einsum("c,chw->hw", p, maps))
        others = np.where(np.arange(6) == c, 0, p) / (1 - p[c])
        return maps[c] - np.einsum("c,chw->hw", others, maps)

    assert_map(explanation, 0, map_of(1) - map_of(4))


def test_finer_cam_with_a_contrast_compares_with_the_class_that_is_given() -> None:
    model = pooled_model()
    explanation = Explainer(classifier_of(model), method="finer-cam", maps=1, engine="graph")(
        FRAME, target=Target(2, 3)
    )
    maps = cams(model)
    assert_map(explanation, 0, maps[2] - maps[3])


def test_what_cannot_be_asked_for() -> None:
    explainer = Explainer(classifier_of(pooled_model()), maps=2, engine="graph")
    for target, message in (
        (6, "there is no class 6: the classes are 0 to 5"),
        (Target(0, -1), "there is no class -1"),
        (Target(3, 3), "class 3 cannot be contrasted with itself"),
        ([0, 1, 2], "3 classes need as many maps, and there are 2"),
        (1.0, r"the class 1\.0 is no whole number: give its place among the labels"),
        ([0, 1.5], r"the class 1\.5 is no whole number"),
        (np.float32(1), r"is no whole number"),
        (np.array(1.5), r"is no whole number"),
    ):
        with pytest.raises(ArgumentError, match=message):
            explainer(FRAME, target=target)
    for text in ("12", ["12"]):
        with pytest.raises(UsageError, match="the class '12' is a text: give its number"):
            explainer(FRAME, target=text)


def test_classes_and_frames_may_come_as_numpy_and_generators_have_them() -> None:
    explainer = Explainer(classifier_of(pooled_model()), maps=2, topk=2, engine="graph", tune="off")
    expected = explainer(FRAME, target=[3, 1])
    for target in ((3, 1), np.array([3, 1]), tf.constant([3, 1]), (one for one in (3, 1))):
        assert explainer(FRAME, target=target).explained == expected.explained
    for target in (3, np.int64(3), np.array(3), tf.constant(3)):
        assert explainer(FRAME, target=target).target == 3
    pair = explainer.explain_batch(frame for frame in (FRAME, FRAME[::-1].copy()))
    assert [one.predictions for one in pair] == [explainer(one).predictions for one in (FRAME, FRAME[::-1].copy())]


# --- several layers -----------------------------------------------------------------------------------------------


def test_maps_of_several_layers_are_scaled_enlarged_and_averaged() -> None:
    """Grad-CAM at three layers, each by a tape of its own."""
    keras.utils.set_random_seed(4)
    image = keras.Input((32, 32, 3))
    a = layers.Conv2D(5, 3, strides=2, activation="relu", name="a")(image)
    b = layers.Conv2D(6, 3, strides=2, activation="relu", name="b")(a)
    c = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="c")(a)
    both = layers.Concatenate()([layers.GlobalAveragePooling2D()(b), layers.Flatten()(layers.MaxPooling2D()(c))])
    model = keras.Model(image, layers.Dense(4)(both))
    explanation = Explainer(classifier_of(model), layer="c, a,b", maps=2, engine="graph")(FRAME)
    explainer = Explainer(classifier_of(model), layer="c, a,b", maps=2, engine="graph")
    assert explainer.layer.split(",")[0] == "a"

    x = (FRAME[None, :, :, ::-1] / 255).astype(np.float32)
    probe = keras.Model(image, [a, b, c, model.output])
    for position, target in enumerate(explanation.targets):
        with tf.GradientTape(persistent=True) as tape:
            *activations, logits = probe(x)
            score = logits[0, target.index]
        scaled = []
        for values in activations:
            weights = tf.reduce_mean(tape.gradient(score, values), axis=(1, 2))[0]
            raw_map = tf.nn.relu(tf.reduce_sum(values[0] * weights, axis=-1)).numpy()
            scaled.append(cv2.resize(raw_map / (raw_map.max() or 1), (15, 15), interpolation=cv2.INTER_LINEAR))
        mean = np.mean(scaled, axis=0)
        np.testing.assert_allclose(explanation.heatmaps[position], mean / mean.max(), atol=1e-4)


def test_maps_are_enlarged_as_opencv_does_it() -> None:
    maps = np.random.default_rng(0).normal(0, 1, (5, 7)).astype(np.float32)
    for size in ((5, 7), (10, 7), (23, 40), (224, 224)):
        expected = cv2.resize(maps, size[::-1], interpolation=cv2.INTER_LINEAR)
        np.testing.assert_allclose(resized(tf.constant(maps), size), expected, atol=1e-5)


# --- resolution ---------------------------------------------------------------------------------------------------


def test_a_network_of_a_fixed_size_runs_at_another() -> None:
    """The same weights in a model that is built for the size give the same."""
    large = np.random.default_rng(5).integers(0, 256, (48, 64, 3), np.uint8)
    model = pooled_model()
    explanation = Explainer(classifier_of(model), input_size=(48, 64), maps=1, engine="graph")(large)
    image = keras.Input((48, 64, 3))
    rebuilt = keras.Model(
        image, model.get_layer("scores")(layers.GlobalAveragePooling2D()(model.get_layer("maps")(image)))
    )
    expected = Explainer(
        Classifier("toy", rebuilt, tuple("abcdef"), (48, 64), PREPROCESSINGS["unit"]), maps=1, engine="graph"
    )(large)
    assert explanation.heatmaps.shape == (1, 23, 31)
    np.testing.assert_allclose(explanation.logits, expected.logits, atol=1e-5)
    np.testing.assert_allclose(explanation.heatmaps, expected.heatmaps, atol=1e-5)


def test_a_network_that_is_held_to_its_size_says_so_in_a_line() -> None:
    image = keras.Input((32, 32, 3))
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(layers.Conv2D(2, 3)(image))))
    with pytest.raises(ModelError, match=r"takes no input of 64×48 but 32×32") as raised:
        Explainer(classifier_of(model), input_size=(48, 64))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("frame", "shorter_side", "expected"),
    [
        ((1080, 1920), 384, (384, 672)),
        ((1080, 1920), 224, (224, 384)),
        ((640, 480), 224, (288, 224)),
        ((500, 500), 448, (448, 448)),
        ((10, 1000), 64, (64, 256)),  # at most four times as long as wide
        ((300, 400), 20, (32, 32)),
    ],
)
def test_the_native_size_has_the_frames_shape(frame, shorter_side: int, expected: tuple[int, int]) -> None:
    assert native_size(frame, shorter_side=shorter_side) == expected


@pytest.mark.slow
def test_native_explains_the_whole_frame_in_its_own_shape() -> None:
    """As letterboxing into the size by hand: nothing is cropped, and a circle stays one."""
    frame = np.random.default_rng(6).integers(0, 256, (90, 160, 3), np.uint8)
    model = pooled_model()
    native = Explainer(classifier_of(model), fit="native", input_size=(64, 64), maps=1, engine="graph")
    boxed = Explainer(classifier_of(model), fit="letterbox", input_size=(64, 128), maps=1, engine="graph")
    actual, expected = native(frame), boxed(frame)
    np.testing.assert_array_equal(actual.heatmaps, expected.heatmaps)
    assert actual.region == expected.region == fit_frame(frame, (64, 128), "letterbox")[1]
    assert actual.region.width / 128 == pytest.approx(actual.region.height / 64, rel=0.5 / 57)  # to the nearest pixel
    tall = native(np.ascontiguousarray(frame.transpose(1, 0, 2)))
    assert tall.heatmaps.shape == (1, 63, 31)
    assert [one.heatmaps.shape for one in native.explain_batch([frame, frame])] == [(1, 31, 63)] * 2
    assert native.predict(frame)[0].index == actual.predictions[0].index


def test_what_is_found_in_nothing_does_not_depend_on_the_frames_size() -> None:
    """Noise of the frame's size would be shrunk to grey."""
    explainer = Explainer(classifier_of(pooled_model()), maps=1, engine="graph")
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    engine = Session(explainer, (), {})
    for frame_size in ((32, 32), (720, 1280)):
        assert engine.noise_floor(frame_size) == explainer(noise).evidence[0]


def test_of_native_inputs_the_batch_is_timed_on_the_frames_own() -> None:
    native = Explainer(classifier_of(pooled_model()), fit="native", input_size=(64, 64), maps=1, engine="graph")
    assert native.fastest_batch((90, 160)) in (1, 2, 4)
    assert native.trace_count == 0
    assert native.at_size((90, 160)).trace_count == 3  # one for each size of batch


# --- smoothing ----------------------------------------------------------------------------------------------------


def test_the_smoothed_map_is_the_mean_over_noisy_copies() -> None:
    model = pooled_model()
    explainer = Explainer(classifier_of(model), maps=2, engine="graph")
    steps = []
    smoothed = explainer.explain_smoothed(FRAME, samples=4, noise=0.1, on_progress=lambda *step: steps.append(step))
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    plain = explainer(FRAME)
    assert smoothed.predictions == plain.predictions
    assert smoothed.targets == plain.targets
    generator = np.random.default_rng(0)
    total = np.zeros((6, 15, 15))
    for _ in range(4):
        noisy = np.clip(np.rint(FRAME + generator.normal(0, 25.6, FRAME.shape)), 0, 255).astype(np.uint8)
        total += np.maximum(cams(model, noisy), 0)
    for position, target in enumerate(plain.targets):
        assert_map(smoothed, position, total[target.index] / 4)


def test_a_map_over_no_copies_is_refused() -> None:
    explainer = Explainer(classifier_of(pooled_model()), maps=1, engine="graph", tune="off")
    for samples in (0, -1):
        with pytest.raises(UsageError, match=f"samples is {samples}: give a number from 1 on"):
            explainer.explain_smoothed(FRAME, samples=samples)


# --- the command line ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def toy_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "toy.keras"
    pooled_model().save(path)
    return path


@pytest.fixture
def explain(toy_file: Path, tmp_path: Path):
    """Runs `live-gradcam explain` on the frame with the toy, and returns (exit code, stderr, the numbers)."""
    picture = tmp_path / "frame.png"
    cv2.imwrite(str(picture), FRAME)

    def run(*options: str):
        arguments = ["explain", str(picture), "-m", str(toy_file), "--preprocessing", "unit", "--engine", "graph"]
        result = CliRunner().invoke(app, [*arguments, *options, "--json", str(tmp_path / "out.json"), "--overwrite"])
        numbers = json.loads((tmp_path / "out.json").read_text()) if result.exit_code == 0 else None
        return result.exit_code, result.stderr, numbers

    return run


def test_a_contrast_by_its_labels(explain) -> None:
    code, err, numbers = explain("-c", "Class 2 > class_3", "--output-kind", "classes")
    assert (code, err) == (0, "")
    maps = cams(pooled_model())
    assert numbers["target"] == 2
    assert numbers["evidence"] == pytest.approx(max(0, (maps[2] - maps[3]).max()), abs=1e-5)


@pytest.mark.slow
def test_a_larger_input_gives_a_finer_map(explain) -> None:
    for options, shape in (
        (["--input-size", "64"], (31, 31)),
        (["--input-size", "96x64"], (31, 47)),
        (["--fit", "native", "--input-size", "48"], (31, 31)),
    ):
        code, _, numbers = explain(*options)
        assert code == 0
        assert np.shape(numbers["heatmap"]) == shape


def test_a_smoothed_map(explain) -> None:
    (_, _, plain), (_, _, smoothed) = explain(), explain("--smooth-grad", "3")
    assert smoothed["predictions"] == plain["predictions"]
    assert smoothed["heatmap"] != plain["heatmap"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-c", "class 1>class 1"], "'class 1>class 1' contrasts a class with itself"),
        (["-c", "class 1>"], "there is no class ''"),
        (["--input-size", "16"], "the input size '16' is not from 32 to 4096 pixels"),
        (["--input-size", "big"], "the size 'big' is not of the form WIDTHxHEIGHT, such as 1280x720"),
        (["--method", "grad-cam+"], "there is no method 'grad-cam+'; did you mean grad-cam"),
        (["--method", "finer-cam", "--score", "margin"], "finer-cam compares logits: use the score logit, not margin"),
        (["--layer", "maps,map"], "there is no layer 'map'; did you mean maps?"),
    ],
)
def test_usage_errors_are_one_line(explain, options: list[str], message: str) -> None:
    code, err, _ = explain(*options)
    assert code == 2
    assert err.startswith(f"live-gradcam: {message}")
    assert err.count("\n") == 1


def test_a_live_camera_refuses_what_is_too_slow() -> None:
    with pytest.raises(UsageError, match=r"^score-cam is too slow for a camera"):
        start_session(SessionOptions(method="score-cam", is_live=True))


@pytest.mark.slow
def test_the_default_network_sees_the_cat_in_finer_maps(lite0: Classifier, chelsea: np.ndarray) -> None:
    """12 × 18 places instead of 7 × 7, nothing cropped or squeezed, and the strongest one is on the cat's head."""
    explainer = Explainer(lite0, fit="native", input_size=(384, 384), maps=1, engine="graph", tune="off")
    explanation = explainer(chelsea)
    assert explanation.heatmaps.shape == (1, 12, 18)
    assert explanation.predictions[0].index in {281, 282, 285}
    row, column = np.unravel_index(explanation.heatmaps[0].argmax(), (12, 18))
    assert 0.1 < (column + 0.5) / 18 < 0.85
    assert 0.05 < (row + 0.5) / 12 < 0.95
