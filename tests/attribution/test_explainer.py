"""The one-pass engine against closed forms, eager TensorFlow, PyTorch's numbers, and real photographs."""

from __future__ import annotations

import copy
import hashlib
import pickle
from dataclasses import fields, replace
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from memory import resident_mib
from skimage import data

from live_gradcam import Classifier, Explainer, load_classifier
from live_gradcam.attribution.options import Compiling, Explained, ExplainerKeywords, ExplainerOptions, Fitting
from live_gradcam.errors import ArgumentError, LiveGradcamError, ModelError, UsageError
from live_gradcam.networks.preprocessing import PREPROCESSINGS

FIXTURES = Path(__file__).parents[1] / "fixtures"
CATS = {281, 282, 285}
ESPRESSO = 967


def classifier_of(model: keras.Model, preprocessing: str = "unit") -> Classifier:
    classes = max(2, model.output_shape[-1])
    labels = tuple(f"class {index}" for index in range(classes))
    return Classifier("toy", model, labels, tuple(model.input_shape[1:3]), PREPROCESSINGS[preprocessing])


def noise(seed: int, size: tuple[int, int] = (32, 32)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def unit_rgb(frame: np.ndarray) -> np.ndarray:
    return (frame[None, :, :, ::-1] / 255).astype(np.float32)


def eager_grad_cam(to_maps: keras.Model, head, images: np.ndarray, class_index: int) -> tuple[np.ndarray, np.ndarray]:
    """Grad-CAM by hand, before the ReLU: (raw map (h, w), class scores)."""
    activations = tf.convert_to_tensor(to_maps(images, training=False))
    with tf.GradientTape() as tape:
        tape.watch(activations)
        scores = head(activations)
        score = scores[0, class_index]
    weights = tape.gradient(score, activations).numpy()[0].mean(axis=(0, 1))
    return (activations.numpy()[0] * weights).sum(axis=-1), scores.numpy()[0]


def relu_scaled(raw: np.ndarray) -> np.ndarray:
    positive = np.maximum(raw, 0)
    return positive / positive.max() if positive.max() > 0 else positive


# --- the default network ------------------------------------------------------------------------------------------


def fixture_windows() -> dict[str, np.ndarray]:
    """The inputs of the PyTorch reference: RGB windows of photographs, no resizing."""
    with np.load(FIXTURES / "efficientnet_lite0_logits.npz") as reference:
        windows = {}
        for name, (row, column), digest in zip(
            reference["names"], reference["corners"], reference["sha256"], strict=True
        ):
            if name == "pattern":
                pixels = (np.arange(224 * 224 * 3) * 7919 % 256).reshape(224, 224, 3).astype(np.uint8)
            else:
                pixels = np.ascontiguousarray(getattr(data, str(name))()[row : row + 224, column : column + 224])
            assert hashlib.sha256(pixels.tobytes()).hexdigest() == digest, f"{name} is not the reference's input"
            windows[str(name)] = pixels
    return windows


@pytest.mark.slow
@pytest.mark.versions
@pytest.mark.parametrize("lowering", [True, False])
def test_the_logits_are_those_of_an_independent_pytorch_run(lite0: Classifier, lowering: bool) -> None:
    explainer = Explainer(lite0, maps=1, lowering=lowering)
    with np.load(FIXTURES / "efficientnet_lite0_logits.npz") as reference:
        expected = dict(zip(map(str, reference["names"]), reference["logits"], strict=True))
    for name, window in fixture_windows().items():
        np.testing.assert_allclose(explainer(window[..., ::-1]).logits, expected[name], atol=1e-4, err_msg=name)


@pytest.mark.versions
def test_the_map_is_grad_cam_by_hand(lite0: Classifier, explainer: Explainer, chelsea: np.ndarray) -> None:
    frame = cv2.resize(chelsea, (224, 224))
    model = lite0.model
    to_maps = keras.Model(model.input, model.get_layer("head_relu6").output)

    def head(activations: tf.Tensor) -> tf.Tensor:
        return model.get_layer("logits")(model.get_layer("average_pool")(activations))

    explanation = explainer(frame)
    raw, logits = eager_grad_cam(to_maps, head, (frame[None, :, :, ::-1] - 127.0) / 128, explanation.target)
    np.testing.assert_allclose(explanation.logits, logits, atol=1e-4)
    np.testing.assert_allclose(explanation.heatmaps[0], relu_scaled(raw), atol=1e-4)
    np.testing.assert_allclose(explanation.evidence[0], raw.max(), rtol=1e-4)


def test_photographs_are_named_right(explainer: Explainer, chelsea: np.ndarray, coffee: np.ndarray) -> None:
    assert explainer(chelsea).predictions[0].index in CATS
    best = explainer(coffee).predictions[0]
    assert (best.index, best.label) == (ESPRESSO, "espresso")
    assert best.probability > 0.85


def test_the_peak_is_on_the_cats_head_and_on_the_cup(
    explainer: Explainer, chelsea: np.ndarray, coffee: np.ndarray
) -> None:
    """The rectangles were drawn by eye around the face and the cup: shares of the picture."""
    for picture, (left, top, right, bottom) in ((chelsea, (0.1, 0.05, 0.85, 0.95)), (coffee, (0.25, 0.05, 0.75, 0.75))):
        heatmap = explainer(picture).heatmaps[0]
        row, column = np.unravel_index(heatmap.argmax(), heatmap.shape)
        x, y = (column + 0.5) / heatmap.shape[1], (row + 0.5) / heatmap.shape[0]
        assert left < x < right
        assert top < y < bottom


@pytest.mark.slow
def test_it_is_traced_once_and_memory_is_flat() -> None:
    """Of a network whose input and output are as large as the default one's: what leaks is as large, too."""
    image = keras.Input((224, 224, 3))
    maps = layers.Conv2D(8, 16, strides=16, activation="relu")(image)
    scores = layers.Dense(1000)(layers.GlobalAveragePooling2D()(maps))
    explainer = Explainer(classifier_of(keras.Model(image, scores)), maps=1)
    explainer.warm_up()
    for size in ((224, 224), (480, 640), (33, 70), (1080, 1920)):
        explainer(noise(0, size))
    for target in (None, 0, 281, 999):
        explainer(noise(1), target=target)
    frames = [noise(seed) for seed in range(10)]
    for _ in range(10):
        for frame in frames:
            explainer(frame)
    before = resident_mib()
    for _ in range(40):
        for frame in frames:
            explainer(frame)
    assert explainer.trace_count == 1
    assert resident_mib() - before < 20


# --- closed forms -------------------------------------------------------------------------------------------------


def pooled_model(seed: int = 0, units: int = 4, activation: str | None = None) -> keras.Model:
    keras.utils.set_random_seed(seed)
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 3, strides=2, activation="relu", name="maps")(image)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(units, activation=activation, name="scores")(x))


@pytest.mark.slow
def test_on_a_global_pool_and_dense_head_it_is_cam() -> None:
    """The gradient of a pooled linear score is the class's weight over the number of places: Grad-CAM = CAM / (h·w)."""
    model = pooled_model()
    frame = noise(1)
    explanation = Explainer(classifier_of(model))(frame)
    activations = keras.Model(model.input, model.get_layer("maps").output)(unit_rgb(frame)).numpy()[0]
    kernel = model.get_layer("scores").get_weights()[0]
    assert explanation.heatmaps.shape == (4, 15, 15)
    for target, heatmap, evidence in zip(explanation.targets, explanation.heatmaps, explanation.evidence, strict=True):
        cam = (activations * kernel[:, target.index]).sum(axis=-1) / (15 * 15)
        np.testing.assert_allclose(heatmap, relu_scaled(cam), atol=1e-5)
        np.testing.assert_allclose(evidence, max(cam.max(), 0), rtol=1e-4, atol=1e-7)


@pytest.mark.slow
def test_weights_and_map_computed_by_hand() -> None:
    """A 2 × 2 picture, an identity convolution, two dense layers with a ReLU: every number can be checked on paper.

    Pixels (R of 0…255, G = B = 0): 51 102 / 153 204 → activations A₀ = 0.2 0.4 / 0.6 0.8 and A₁ = -A₀ + 1.
    hidden = relu(2·A₀[0,0] + 4·A₁[1,1] − 0.1) = relu(0.4 + 0.8 − 0.1) = 1.1; score₁ = 3·hidden = 3.3.
    ∂score₁/∂A₀ = 6 at (0, 0), else 0: α₀ = 1.5. ∂score₁/∂A₁ = 12 at (1, 1), else 0: α₁ = 3.
    map = 1.5·A₀ + 3·(1 − A₀) = 3 − 1.5·A₀ = 2.7 2.4 / 2.1 1.8.
    """
    image = keras.Input((2, 2, 3))
    maps = layers.Conv2D(2, 1, name="maps")
    hidden, scores = layers.Dense(1, activation="relu"), layers.Dense(2)
    model = keras.Model(image, scores(hidden(layers.Flatten()(maps(image)))))
    kernel = np.zeros((1, 1, 3, 2), np.float32)
    kernel[0, 0, 0] = (1, -1)
    maps.set_weights([kernel, np.array([0, 1], np.float32)])
    hidden_kernel = np.zeros((8, 1), np.float32)
    hidden_kernel[0], hidden_kernel[7] = 2, 4  # flattened (row, column, channel): A₀ at (0, 0), A₁ at (1, 1)
    hidden.set_weights([hidden_kernel, np.array([-0.1], np.float32)])
    scores.set_weights([np.array([[-1.0, 3.0]], np.float32), np.zeros(2, np.float32)])

    frame = np.zeros((2, 2, 3), np.uint8)
    frame[:, :, 2] = [[51, 102], [153, 204]]
    explanation = Explainer(classifier_of(model), maps=1)(frame)
    assert explanation.target == 1
    np.testing.assert_allclose(explanation.logits, [-1.1, 3.3], rtol=1e-5)
    np.testing.assert_allclose(explanation.evidence, [2.7], rtol=1e-5)
    np.testing.assert_allclose(explanation.heatmaps[0], np.array([[2.7, 2.4], [2.1, 1.8]]) / 2.7, rtol=1e-5)

    against = Explainer(classifier_of(model), maps=1)(frame, target=0)  # everything speaks against class 0
    assert against.evidence[0] == 0
    assert not against.heatmaps.any()


@pytest.mark.slow
def test_the_articles_recipe_on_vgg16(coffee: np.ndarray) -> None:
    """Probability score, mean over space, mean over channels, min-max: the popular recipe, in eager TensorFlow."""
    keras.utils.set_random_seed(16)
    body = keras.applications.VGG16(weights=None, input_shape=(64, 64, 3), include_top=False)
    x = layers.Flatten()(body.output)
    for _ in range(2):  # in VGG16, of 4064 units: nine tenths of its weights, and of the time to compile it
        x = layers.Dense(64, activation="relu")(x)
    model = keras.Model(body.input, layers.Dense(1000, activation="softmax")(x))
    labels = tuple(map(str, range(1000)))
    classifier = Classifier("VGG16", model, labels, (64, 64), PREPROCESSINGS["caffe"])
    explainer = Explainer(classifier, score="probability", relu=False, maps=1, engine="graph")
    assert explainer.layer == "block5_conv3"
    frame = cv2.resize(coffee, (64, 64))
    explanation = explainer(frame)

    images = keras.applications.vgg16.preprocess_input(frame[None, :, :, ::-1].astype(np.float32))
    two_outputs = keras.Model(model.input, [model.get_layer("block5_conv3").output, model.output])
    with tf.GradientTape() as tape:
        activations, predictions = two_outputs(images)
        score = predictions[:, explanation.target]
    weights = tf.reduce_mean(tape.gradient(score, activations), axis=(0, 1, 2))
    recipe = tf.reduce_mean(activations * weights, axis=-1)[0].numpy()
    recipe = (recipe - recipe.min()) / (recipe.max() - recipe.min())

    assert int(np.argmax(predictions)) == explanation.target
    np.testing.assert_allclose(explanation.predictions[0].probability, predictions[0, explanation.target], rtol=1e-4)
    assert explanation.heatmaps.shape == (1, 4, 4)
    np.testing.assert_allclose(explanation.heatmaps[0], recipe, atol=2e-3)


@pytest.mark.slow
def test_the_margins_map_is_the_softmaxs_without_its_saturation() -> None:
    """For one picture ∂p/∂z is a multiple of ∂margin/∂z, so the min-max maps agree while p(1 − p) is not yet 0."""
    classifier = classifier_of(pooled_model(activation="softmax"))
    frame = noise(2)
    maps = [Explainer(classifier, score=score, relu=False)(frame).heatmaps for score in ("margin", "probability")]
    np.testing.assert_allclose(maps[0], maps[1], atol=1e-4)
    logit_maps = Explainer(classifier, score="logit", relu=False)(frame).heatmaps
    assert np.abs(logit_maps - maps[0]).max() > 0.01


@pytest.mark.slow
def test_a_saturated_softmax_still_has_a_map() -> None:
    model = pooled_model(activation="softmax")
    kernel, bias = model.get_layer("scores").get_weights()
    model.get_layer("scores").set_weights([kernel, bias + np.array([0, 200, 0, 0], np.float32)])
    kernel[:, 1] = np.abs(kernel[:, 1])
    model.get_layer("scores").set_weights([kernel, bias + np.array([0, 200, 0, 0], np.float32)])
    explanation = Explainer(classifier_of(model), maps=1)(noise(3))
    assert explanation.predictions[0].probability == 1.0
    assert explanation.heatmaps[0].max() == 1.0
    assert not Explainer(classifier_of(model), maps=1, score="probability")(noise(3)).heatmaps.any()


# --- targets ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_pinned_class_comes_first_and_its_map_is_its_own() -> None:
    explainer = Explainer(classifier_of(pooled_model()), topk=3)
    frame = noise(4)
    free = explainer(frame)
    order = [prediction.index for prediction in free.predictions]
    worst = ({0, 1, 2, 3} - set(order)).pop()
    pinned = explainer(frame, target=worst)
    assert [target.index for target in free.targets] == order
    assert [target.index for target in pinned.targets] == [worst, *order[:2]]
    assert pinned.target == worst
    assert [prediction.index for prediction in pinned.predictions] == order
    np.testing.assert_allclose(pinned.heatmaps[1], free.heatmaps[0], atol=1e-6)
    probabilities = tf.nn.softmax(free.logits).numpy()
    assert pinned.targets[0].probability == pytest.approx(probabilities[worst], rel=1e-5)
    assert explainer.trace_count == 1


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_one_sigmoid_unit_is_explained_for_either_side(activation: str | None) -> None:
    model = pooled_model(units=1, activation=activation)
    explainer = Explainer(replace(classifier_of(model), output="classes"), maps=1, relu=False)
    frame = noise(5)
    answer = float(model(unit_rgb(frame))[0, 0])
    probability = answer if activation else 1 / (1 + np.exp(-answer))
    yes, no = explainer(frame, target=1), explainer(frame, target=0)
    assert yes.targets[0].probability == pytest.approx(probability, rel=1e-5)
    assert no.targets[0].probability == pytest.approx(1 - probability, rel=1e-5)
    np.testing.assert_allclose(yes.heatmaps[0], 1 - no.heatmaps[0], atol=1e-5)


# --- kinds of models ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_target_layer_is_found_inside_a_nested_backbone() -> None:
    keras.utils.set_random_seed(7)
    base = keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=(96, 96, 3))
    outer = keras.Input((96, 96, 3))
    x = base(layers.Rescaling(1 / 127.5, offset=-1)(outer), training=False)
    pool, scores = layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax")
    model = keras.Model(outer, scores(layers.Dropout(0.2)(pool(x))))
    explainer = Explainer(classifier_of(model, "raw"), maps=1, engine="graph", tune="off")
    assert explainer.layer == "mobilenetv2_1.00_96/out_relu"
    frame = noise(6, (96, 96))
    images = (frame[None, :, :, ::-1] / 127.5 - 1).astype(np.float32)
    kernel, bias = scores.get_weights()
    explanation = explainer(frame)
    raw, logits = eager_grad_cam(base, lambda a: pool(a) @ kernel + bias, images, explanation.target)
    np.testing.assert_allclose(explanation.logits, logits, atol=1e-4)
    np.testing.assert_allclose(explanation.heatmaps[0], relu_scaled(raw), atol=1e-3)


@pytest.mark.slow
def test_normalization_inside_the_model_and_a_layer_by_name() -> None:
    keras.utils.set_random_seed(8)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Normalization(mean=[100.0, 110.0, 120.0], variance=[50.0, 60.0, 70.0]),
            layers.Conv2D(4, 3, activation="relu", name="early"),
            layers.Conv2D(5, 3, activation="relu", name="late"),
            layers.Flatten(),
            layers.Dense(6, activation="relu"),
            layers.Dense(3),
        ]
    )
    frame = noise(9)
    explainer = Explainer(classifier_of(model, "raw"), layer="early", maps=1)
    explanation = explainer(frame)
    to_maps = keras.Sequential([keras.Input((32, 32, 3)), *model.layers[:2]])

    def head(activations: tf.Tensor) -> tf.Tensor:
        for layer in model.layers[2:]:
            activations = layer(activations)
        return activations

    raw, logits = eager_grad_cam(to_maps, head, frame[None, :, :, ::-1].astype(np.float32), explanation.target)
    np.testing.assert_allclose(explanation.logits, logits, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(explanation.heatmaps[0], relu_scaled(raw), atol=1e-4)
    assert explainer.layer == "early"


@pytest.mark.slow
@pytest.mark.versions
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_saved_model_with_a_labels_file(tmp_path: Path, suffix: str) -> None:
    model = pooled_model(activation="softmax")
    model.save(tmp_path / f"model{suffix}")
    (tmp_path / "labels.txt").write_text("cat\ndog\nbird\nfish\n")
    classifier = load_classifier(tmp_path / f"model{suffix}", labels=tmp_path / "labels.txt", preprocessing="unit")
    frame = noise(10)
    loaded, original = Explainer(classifier)(frame), Explainer(classifier_of(model))(frame)
    np.testing.assert_allclose(loaded.heatmaps, original.heatmaps, atol=1e-6)
    assert loaded.predictions[0].label == ("cat", "dog", "bird", "fish")[original.predictions[0].index]


@pytest.mark.slow
def test_a_grey_model_sees_the_luma() -> None:
    image = keras.Input((2, 2, 1))
    model = keras.Model(image, layers.Flatten()(layers.Conv2D(1, 1, name="maps")(image)))
    model.get_layer("maps").set_weights([np.ones((1, 1, 1, 1)), np.zeros(1)])
    classifier = Classifier("grey", model, tuple("abcd"), (2, 2), load_grey())
    frame = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
    np.testing.assert_allclose(Explainer(classifier)(frame).logits, [29.07, 149.685, 76.245, 255], rtol=1e-5)


def load_grey():
    from live_gradcam.networks.preprocessing import Preprocessing

    return Preprocessing(channels="grey")


# --- what a frame may be ------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        None,
    ],
)
def test_what_is_no_frame_is_refused(frame) -> None:
    with pytest.raises(ArgumentError, match="frame"):
        Explainer(classifier_of(pooled_model()))(frame)


def test_a_frame_that_is_refused_is_an_error_of_this_package_and_pythons_own() -> None:
    explainer = Explainer(classifier_of(pooled_model()), engine="graph")
    for error in (LiveGradcamError, UsageError, ValueError):
        with pytest.raises(error, match=r"not float32 \(4, 4, 3\)"):
            explainer(np.zeros((4, 4, 3), np.float32))


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"topk": "5"}, "topk is '5': give a whole number from 1 on"),
        ({"maps": 1.5}, "maps is 1.5: give a whole number from 1 on"),
        ({"input_size": 10}, r"the input size is 10: give \(height, width\)"),
        ({"input_size": "64"}, "the input size is '64'"),
        ({"input_size": (64, 0)}, r"the input size is \(64, 0\)"),
        ({"input_size": (64, 64, 3)}, "the input size is"),
    ],
)
def test_numbers_of_another_kind_are_refused(keywords, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Explainer(classifier_of(pooled_model()), **keywords)


@pytest.mark.parametrize(("given", "named"), [("efficientnet-lite0", "'efficientnet-lite0'"), (3, "int")])
def test_an_explainer_of_something_else_says_what_it_is_made_of(given, named: str) -> None:
    with pytest.raises(UsageError, match=rf"made of load_classifier\(...\), and not of {named}"):
        Explainer(given)


def test_a_class_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ArgumentError, match="the classes are 0 to 3"):
        Explainer(classifier_of(pooled_model()))(noise(0), target=4)


@pytest.mark.parametrize("wrong", [{"method": "grad-kam"}, {"score": "logits"}, {"fit": "squash"}, {"layer": "map"}])
def test_a_name_that_does_not_exist_is_refused_with_a_suggestion(wrong: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"did you mean|use one of"):
        Explainer(classifier_of(pooled_model()), **wrong)


@pytest.mark.slow
def test_predicting_alone_gives_the_same_predictions(explainer: Explainer, chelsea: np.ndarray) -> None:
    predictions = explainer.predict(chelsea)
    for alone, explained in zip(predictions, explainer(chelsea).predictions, strict=True):
        assert (alone.index, alone.label) == (explained.index, explained.label)
        assert alone.probability == pytest.approx(explained.probability, abs=1e-5)


# --- options ------------------------------------------------------------------------------------------------------


def test_each_option_belongs_to_one_stage_and_is_a_keyword() -> None:
    stages = [fields(stage) for stage in (Explained, Fitting, Compiling)]
    names = [one.name for stage in stages for one in stage]
    assert names == list(ExplainerKeywords.__annotations__)


def test_a_change_reaches_its_stage_alone() -> None:
    options = ExplainerOptions().changed(method="cam", fit="tiles", tune="off")
    assert options == ExplainerOptions(Explained(method="cam"), Fitting(fit="tiles"), Compiling(tune="off"))


def test_an_option_that_does_not_exist_is_refused_with_the_closest(lite0: Classifier) -> None:
    with pytest.raises(TypeError, match=r"^an explainer has no option 'layers'; did you mean layer"):
        Explainer(lite0, layers="maps")


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_an_explainer_is_not_copied(copied) -> None:
    explainer = Explainer(classifier_of(small_network()), tune="off")
    with pytest.raises(
        ArgumentError, match=r"^an explainer cannot be copied or pickled, .+ in each process, and share"
    ):
        copied(explainer)


# --- weights that change ------------------------------------------------------------------------------------------


def small_network() -> keras.Model:
    keras.utils.set_random_seed(3)
    image = keras.Input((24, 24, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="early")(image)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2D(6, 3, activation="relu", name="late")(x)
    return keras.Model(image, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"lowering": False}, {"engine": "graph"}], ids=str)
def test_an_explainer_keeps_the_weights_that_it_was_made_of(options: ExplainerKeywords) -> None:
    model, frame = small_network(), noise(4, (24, 24))
    explainer = Explainer(classifier_of(model), tune="off", **options)
    before = explainer(frame, target=1)
    for weight in model.weights:
        weight.assign(weight + 0.5)
    new = np.asarray(model(unit_rgb(frame), training=False))[0]
    assert np.abs(new - before.probabilities).max() > 0.01
    variant = explainer.variant(method="layercam", layer=explainer.layer)
    for answer in (explainer(frame, target=1), explainer.explain_batch([frame, frame])[1], variant(frame, target=1)):
        np.testing.assert_allclose(answer.probabilities, before.probabilities, atol=1e-6)
    np.testing.assert_allclose(explainer(frame, target=1).heatmaps, before.heatmaps, atol=1e-6)
    with pytest.raises(ModelError, match=r"the weights of toy have changed .* make a new Explainer"):
        explainer.variant(method="grad-cam", layer="early")
    again = Explainer(classifier_of(model), tune="off", **options)
    np.testing.assert_allclose(again(frame).probabilities, new, atol=1e-5)


def test_the_model_itself_is_left_free_to_change() -> None:
    model, images = small_network(), unit_rgb(noise(4, (24, 24)))
    Explainer(classifier_of(model), tune="off")(noise(5, (24, 24)))
    model.set_weights([weight * 0 + 1 for weight in model.get_weights()])
    np.testing.assert_allclose(np.asarray(model(images, training=False)), [[1 / 3] * 3], atol=1e-6)
