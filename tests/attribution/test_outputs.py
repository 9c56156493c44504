"""What a network's numbers are: classes, labels or values; several outputs, inputs and maps; empty maps."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import replace
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from live_gradcam import Explainer, load_classifier
from live_gradcam.attribution.session import SessionOptions, parse_feed, start_session
from live_gradcam.errors import ModelError, UsageError
from live_gradcam.explanations.as_json import explanation_json
from live_gradcam.explanations.explanation import Prediction
from live_gradcam.networks.graph import flatten
from live_gradcam.networks.layer_names import own_name
from live_gradcam.networks.outputs import last_activation, output_of
from live_gradcam.networks.preprocessing import PREPROCESSINGS
from tests.command_line import run

SIDE = 24
FRAME = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
IMAGE = (FRAME[None, :, :, ::-1] / 255).astype(np.float32)


def features(image, seed: int = 0, **options):
    initializer = keras.initializers.RandomNormal(stddev=0.3, seed=seed)
    return layers.Conv2D(4, 3, padding="same", activation="relu", kernel_initializer=initializer, **options)(image)


def model_of(*head, seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    image = keras.Input((SIDE, SIDE, 3), name="image")
    x = layers.GlobalAveragePooling2D()(features(image, seed, name="target"))
    for layer in head:
        x = layer(x)
    return keras.Model(image, x)


def saved(model: keras.Model, folder: Path, name: str = "model.keras") -> Path:
    model.save(folder / name)
    return folder / name


def classifier_of(model: keras.Model, folder: Path, **options):
    return load_classifier(saved(model, folder), preprocessing="unit", **options)


@pytest.mark.parametrize(
    ("head", "activation", "output"),
    [
        ([layers.Dense(3, activation="softmax")], "softmax", "classes"),
        ([layers.Dense(3), layers.Softmax()], "softmax", "classes"),
        ([layers.Dense(3)], "linear", "classes"),
        ([layers.Dense(1, activation="sigmoid")], "sigmoid", "classes"),
        ([layers.Dense(3, activation="sigmoid")], "sigmoid", "labels"),
        ([layers.Dense(3, activation="log_softmax")], "linear", "classes"),
        ([layers.Dense(3), keras.ops.log_softmax], "linear", "classes"),
        ([layers.Dense(1)], "linear", "values"),
        ([layers.Dense(1), layers.Activation("linear")], "linear", "values"),
        ([layers.Dense(1, activation="relu")], "relu", "values"),
        ([layers.Dense(1), layers.ReLU()], "relu", "values"),
        ([layers.Dense(1), layers.ReLU(max_value=6)], None, "values"),
        ([layers.Dense(2, activation="tanh")], "tanh", "values"),
        ([layers.Dense(1, activation="softplus")], None, "values"),
        ([layers.Dense(1), layers.Rescaling(100)], "linear", "values"),
        ([layers.Dense(3, activation="softmax"), layers.Dropout(0.5), layers.Reshape((3,))], "softmax", "classes"),
        ([layers.SpectralNormalization(layers.Dense(3, activation="softmax"))], "softmax", "classes"),
    ],
)
def test_what_numbers_are_by_the_last_layer(head, activation, output: str) -> None:
    model = model_of(*head)
    assert last_activation(flatten(model, (SIDE, SIDE))) == activation
    assert output_of(activation, model.output_shape[-1]) == output


def averaged(weigh, *heads) -> keras.Model:
    """Two models of one picture in one."""
    image = keras.Input((SIDE, SIDE, 3))
    members = [head(layers.GlobalAveragePooling2D()(features(image, seed))) for seed, head in enumerate(heads)]
    return keras.Model(image, weigh(members))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("activation", "units", "output"), [("softmax", 3, "classes"), ("sigmoid", 1, "classes"), ("sigmoid", 3, "labels")]
)
def test_the_mean_of_probabilities_is_one_of_probabilities(activation, units: int, output: str, caplog) -> None:
    keras.utils.set_random_seed(0)
    model = averaged(
        layers.Average(), *(layers.Dense(units, activation=activation, bias_initializer="normal") for _ in "12")
    )
    classifier = load_classifier(model, preprocessing="unit")
    explanation = Explainer(classifier, engine="graph", tune="off")(FRAME)
    expected = model(IMAGE).numpy()[0]
    assert classifier.output == output
    assert not caplog.records
    np.testing.assert_allclose(explanation.probabilities[-units:], expected, atol=1e-5)


@pytest.mark.parametrize("join", [layers.Concatenate(), lambda each: keras.ops.concatenate(each, axis=-1)])
def test_sigmoids_side_by_side_are_labels(join, caplog) -> None:
    keras.utils.set_random_seed(0)
    model = averaged(join, *(layers.Dense(units, activation="sigmoid") for units in (1, 2)))
    classifier = load_classifier(model, preprocessing="unit")
    assert classifier.output == "labels"
    assert not caplog.records
    explainer = Explainer(classifier, maps=1, engine="graph", tune="off")
    np.testing.assert_allclose(explainer(FRAME).probabilities, model(IMAGE)[0], atol=1e-5)


def test_numbers_from_0_to_1_that_no_activation_explains_are_shown_as_they_are(caplog) -> None:
    heads = [layers.Dense(units, activation="softmax") for units in (2, 3)]
    model = averaged(layers.Concatenate(), *heads)
    classifier = load_classifier(model, preprocessing="unit")
    assert classifier.output == "labels"
    assert "its 5 numbers lie between 0 and 1: they are shown as probabilities of labels" in caplog.text
    shown = Explainer(classifier, maps=1, engine="graph", tune="off")(FRAME).probabilities
    np.testing.assert_allclose(shown, model(IMAGE)[0], atol=1e-5)


def test_numbers_of_few_digits_that_add_up_to_1_are_not_said_to_be_logits(caplog) -> None:
    heads = [layers.Dense(50, activation="softmax", dtype="bfloat16") for _ in "12"]
    load_classifier(averaged(lambda members: 0.6 * members[0] + 0.4 * members[1], *heads), preprocessing="unit")
    assert not caplog.records


@pytest.mark.slow
@pytest.mark.parametrize(
    ("activation", "pool", "output"),
    [
        ("softmax", layers.GlobalAveragePooling2D, "classes"),
        ("sigmoid", layers.GlobalAveragePooling2D, "labels"),
        ("sigmoid", layers.GlobalMaxPooling2D, "labels"),
    ],
)
def test_probabilities_of_places_pooled_are_probabilities(activation: str, pool, output: str, caplog) -> None:
    """The logit is log p − log(1 − p) of a label, and log p of a class, of the pooled p of each."""
    keras.utils.set_random_seed(0)
    image = keras.Input((SIDE, SIDE, 3))
    places = layers.Conv2D(3, 1, activation=activation, name="places")(features(image))
    model = keras.Model(image, pool()(places))
    classifier = load_classifier(model, preprocessing="unit")
    assert classifier.output == output
    assert not caplog.records
    caplog.set_level(logging.INFO, "live_gradcam")
    explanation = Explainer(classifier, maps=1, relu=False, engine="graph", tune="off")(FRAME, target=1)
    assert ("its logits are logarithms of its probabilities" in caplog.text) == (activation == "softmax")
    of_places, probabilities = (one.numpy()[0] for one in keras.Model(image, [places, model.output])(IMAGE))
    np.testing.assert_allclose(explanation.probabilities, probabilities, atol=1e-5)
    slope = 1 / probabilities[1] + (1 / (1 - probabilities[1]) if output == "labels" else 0)
    raw_map = of_places[..., 1] * slope / (SIDE * SIDE)
    np.testing.assert_allclose(explanation.evidence[0], raw_map.max(), rtol=1e-4)
    np.testing.assert_allclose(explanation.heatmaps[0], (raw_map - raw_map.min()) / np.ptp(raw_map), atol=1e-3)


def test_a_mean_of_other_numbers_is_none_of_probabilities() -> None:
    mixed = averaged(layers.Average(), layers.Dense(3, activation="softmax"), layers.Dense(3))
    values = averaged(layers.Average(), layers.Dense(1, activation="tanh"), layers.Dense(1, activation="tanh"))
    largest = averaged(
        layers.Maximum(), *(layers.Dense(3, activation="softmax") for _ in "12")
    )  # add up to more than 1
    for model in (mixed, values, largest):
        assert last_activation(flatten(model, (SIDE, SIDE))) == "linear"


def test_numbers_that_add_up_to_1_are_not_said_to_be_logits(caplog) -> None:
    def weighed(members):
        return 0.7 * members[0] + 0.3 * members[1]

    keras.utils.set_random_seed(0)
    heads = [layers.Dense(3, activation="softmax") for _ in "12"]
    load_classifier(averaged(weighed, *heads), preprocessing="unit")
    assert not caplog.records
    logits = [layers.Dense(3, kernel_initializer=keras.initializers.RandomNormal(stddev=9)) for _ in "12"]
    load_classifier(averaged(weighed, *logits), preprocessing="unit")
    assert "are used as logits" in caplog.text


@pytest.mark.parametrize("units", [1, 3])
def test_the_margin_of_a_sigmoid_is_its_logit(units: int) -> None:
    """log p − log(1 − p) = z: labels do not exclude each other, and one unit's other side is no score of its own."""
    model = model_of(layers.Dense(units, activation="sigmoid"))
    maps = {}
    for score in ("margin", "logit"):
        options = {"score": score, "maps": 1, "relu": False, "engine": "graph", "tune": "off"}
        maps[score] = Explainer(load_classifier(model, preprocessing="unit"), **options)(FRAME, target=units // 2 or 1)
    activations = keras.Model(model.inputs, model.get_layer("target").output)(IMAGE).numpy()[0]
    raw_map = activations @ model.layers[-1].get_weights()[0][:, units // 2] / (SIDE * SIDE)
    for explanation in maps.values():
        np.testing.assert_allclose(explanation.evidence[0], raw_map.max(), rtol=1e-4)
        np.testing.assert_allclose(explanation.heatmaps[0], (raw_map - raw_map.min()) / np.ptp(raw_map), atol=1e-4)


# --- values -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["linear", "relu", "tanh", "softplus"])
def test_one_unit_without_sigmoid_is_a_value(activation: str, tmp_path: Path) -> None:
    model = model_of(layers.Dense(1, activation=activation, bias_initializer=keras.initializers.Constant(0.4)))
    expected = float(model(IMAGE)[0, 0])
    explanation = Explainer(classifier_of(model, tmp_path), tune="off", engine="graph")(FRAME)
    (prediction,) = explanation.predictions
    assert prediction.label == "value"
    assert prediction.value == pytest.approx(expected, rel=1e-5)
    assert math.isnan(prediction.probability)
    assert prediction.amount() == f"{expected:.4g}"
    record = explanation_json(replace_boxes(explanation))
    assert record["predictions"] == [{"index": 0, "label": "value", "value": pytest.approx(expected, abs=1e-5)}]
    json.dumps(record, allow_nan=False)


def replace_boxes(explanation):
    return replace(explanation, boxes=((),) * len(explanation.targets))


@pytest.mark.slow
def test_the_map_of_a_value_is_what_raises_it_and_counterfactual_what_lowers_it(tmp_path: Path) -> None:
    """Two channels see a bright and a dark half; the value rises with the first one and falls with the second."""
    image = keras.Input((SIDE, SIDE, 3))
    convolution = layers.Conv2D(2, 1, name="target")
    head = layers.Dense(1)
    model = keras.Model(image, head(layers.GlobalAveragePooling2D()(layers.ReLU()(convolution(image)))))
    convolution.set_weights([np.array([[[[1.0, -1]] * 3]]) / 3, np.array([-0.5, 0.5])])
    head.set_weights([np.array([[10.0], [-10.0]]), np.array([58.0])])
    frame = np.zeros((SIDE, SIDE, 3), np.uint8)
    frame[:, : SIDE // 2] = 255
    for method, bright, dark in (("grad-cam", 1, 0), ("counterfactual", 0, 1)):
        explanation = Explainer(classifier_of(model, tmp_path), method=method, tune="off", engine="graph")(frame)
        assert explanation.predictions[0].value == pytest.approx(58, abs=1e-4)
        heat = explanation.heatmaps[0]
        assert (heat[:, : SIDE // 2].mean(), heat[:, SIDE // 2 :].mean()) == pytest.approx((bright, dark), abs=1e-6)


@pytest.mark.slow
def test_several_values_are_named_and_listed_in_their_order(tmp_path: Path) -> None:
    model = model_of(layers.Dense(4, activation="tanh"))
    names = ("left", "top", "right", "bottom")
    explainer = Explainer(classifier_of(model, tmp_path, labels=names), topk=3, tune="off", engine="graph")
    explanation = explainer(FRAME)
    expected = model(IMAGE).numpy()[0]
    assert [one.label for one in explanation.predictions] == ["left", "top", "right"]
    assert [one.value for one in explanation.predictions] == pytest.approx(expected[:3], rel=1e-4)
    assert [target.label for target in explainer(FRAME, target=3).targets] == ["bottom", "left", "top"]


@pytest.mark.slow
def test_the_user_says_what_numbers_are(tmp_path: Path, caplog) -> None:
    model = model_of(layers.Dense(4))
    logits = model(IMAGE).numpy()[0]
    with caplog.at_level(logging.WARNING, "live_gradcam"):
        as_classes = Explainer(classifier_of(model, tmp_path), tune="off", engine="graph")(FRAME).probabilities
    assert "its 4 numbers are used as logits of classes. If they are something else, use --output-kind" in caplog.text
    np.testing.assert_allclose(as_classes, np.exp(logits) / np.exp(logits).sum(), rtol=1e-4)
    as_labels = Explainer(classifier_of(model, tmp_path, output="labels"), tune="off", engine="graph")(
        FRAME
    ).probabilities
    np.testing.assert_allclose(as_labels, 1 / (1 + np.exp(-logits)), rtol=1e-4)
    as_values = Explainer(classifier_of(model, tmp_path, output="values"), tune="off", engine="graph")(FRAME)
    np.testing.assert_allclose([one.value for one in as_values.predictions], logits, rtol=1e-4)
    one = model_of(layers.Dense(1))
    sides = Explainer(classifier_of(one, tmp_path, output="classes"), tune="off", engine="graph")(FRAME)
    assert sides.probabilities[1] == pytest.approx(1 / (1 + math.exp(-float(one(IMAGE)[0, 0]))), rel=1e-5)
    with pytest.raises(UsageError, match="softmax, so that one class alone can be right"):
        Explainer(classifier_of(model_of(layers.Dense(3, activation="softmax")), tmp_path, output="labels"))
    with pytest.raises(UsageError, match="no probabilities: use --output-kind values"):
        Explainer(classifier_of(model_of(layers.Dense(3, activation="tanh")), tmp_path, output="classes"))


@pytest.mark.slow
def test_what_values_do_not_have_is_refused(tmp_path: Path) -> None:
    classifier = classifier_of(model_of(layers.Dense(1)), tmp_path)
    with pytest.raises(UsageError, match="have no probability: use the score logit"):
        Explainer(classifier, score="probability")
    with pytest.raises(UsageError, match="finer-cam compares classes"):
        Explainer(classifier, method="finer-cam")


def test_a_softmax_over_one_number_says_nothing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="a softmax over one number, which is 1 for any picture"):
        classifier_of(model_of(layers.Dense(1, activation="softmax")), tmp_path)
    with pytest.raises(ModelError, match="a softmax over one number"):
        classifier_of(model_of(layers.Dense(1, activation="softmax")), tmp_path, output="classes")


@pytest.mark.slow
def test_tensorflows_own_activations_are_known(tmp_path: Path) -> None:
    for activation, output in ((tf.nn.softmax, "classes"), (tf.nn.sigmoid, "labels"), (tf.nn.relu, "values")):
        model = model_of(layers.Dense(3, activation=activation))
        classifier = load_classifier(model, preprocessing="unit")
        assert classifier.output == output
        explanation = Explainer(classifier, tune="off", engine="graph")(FRAME)
        np.testing.assert_allclose(explanation.probabilities, model(IMAGE).numpy()[0], rtol=1e-4, atol=1e-6)
    path = saved(model_of(layers.Dense(3, activation=tf.nn.softmax)), tmp_path)
    assert load_classifier(path, preprocessing="unit").output == "classes"


class Hiding(layers.Layer):
    """A head of the user's own, whose activation nothing tells."""

    def __init__(self, units: int, function, **options) -> None:
        super().__init__(**options)
        self.dense, self.function = layers.Dense(units), function

    def call(self, x):
        return self.function(self.dense(x))


def test_hidden_sigmoids_are_not_taken_once_more() -> None:
    model = model_of(Hiding(4, tf.nn.sigmoid))
    classifier = load_classifier(model, preprocessing="unit", output="labels")
    explanation = Explainer(classifier, tune="off", engine="graph")(FRAME)
    np.testing.assert_allclose(explanation.probabilities, model(IMAGE).numpy()[0], rtol=1e-4)


@pytest.mark.slow
def test_a_hidden_softmax_is_not_taken_once_more_at_another_size() -> None:
    model = model_of(Hiding(4, tf.nn.softmax))
    classifier = load_classifier(model, preprocessing="unit")
    explanation = Explainer(classifier, tune="off", engine="graph", input_size=(2 * SIDE, 2 * SIDE))(FRAME)
    enlarged = cv2.resize(FRAME, (2 * SIDE, 2 * SIDE), interpolation=cv2.INTER_LINEAR)
    free = keras.Input((2 * SIDE, 2 * SIDE, 3))
    x = free
    for layer in model.layers[1:]:
        x = layer(x)
    expected = keras.Model(free, x)((enlarged[None, :, :, ::-1] / 255).astype(np.float32)).numpy()[0]
    np.testing.assert_allclose(explanation.probabilities, expected, rtol=1e-4)


@pytest.mark.slow
def test_a_model_of_one_image_at_a_time(tmp_path: Path) -> None:
    image = keras.Input(batch_shape=(1, SIDE, SIDE, 3))
    x = layers.BatchNormalization()(features(keras.ops.reshape(image, (1, SIDE, SIDE, 3)), name="target"))
    x = keras.ops.reshape(x, (1, SIDE * SIDE, 4))
    model = keras.Model(image, layers.Dense(3, activation="softmax")(keras.ops.mean(x, axis=1)))
    explanation = Explainer(load_classifier(model), layer="target", tune="off", engine="graph")(FRAME)
    assert explanation.probabilities.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
def test_values_in_the_command_line(tmp_path: Path) -> None:
    path = saved(model_of(layers.Rescaling(1 / 255), layers.Dense(1, bias_initializer="ones")), tmp_path)
    cv2.imwrite(str(tmp_path / "in.png"), FRAME)
    done = run("explain", tmp_path / "in.png", "-m", path, "--preprocessing", "unit", "--json", tmp_path / "o.json")
    assert done.code == 0, done.err
    record = json.loads((tmp_path / "o.json").read_text())
    (prediction,) = record["predictions"]
    assert prediction["label"] == "value"
    assert "probability" not in prediction
    assert f"value {prediction['value']:.4g}" in done.out
    assert "%" not in done.out


# --- several outputs and inputs -----------------------------------------------------------------------------------


def two_headed() -> keras.Model:
    keras.utils.set_random_seed(2)
    image = keras.Input((SIDE, SIDE, 3), name="image")
    x = layers.GlobalAveragePooling2D()(features(image))
    return keras.Model(image, [layers.Dense(4, name="box")(x), layers.Dense(3, activation="softmax", name="kind")(x)])


@pytest.mark.slow
def test_of_several_outputs_the_one_that_looks_like_classes_is_explained(tmp_path: Path, caplog) -> None:
    model = two_headed()
    with caplog.at_level(logging.WARNING, "live_gradcam"):
        classifier = classifier_of(model, tmp_path)
    assert "has 2 outputs: kind is explained. Choose another with --head (box)" in caplog.text
    box, kind = (output.numpy()[0] for output in model(IMAGE))
    np.testing.assert_allclose(Explainer(classifier, tune="off", engine="graph")(FRAME).probabilities, kind, rtol=1e-4)
    boxes = Explainer(classifier_of(model, tmp_path, head="box", output="values"), tune="off", engine="graph")(FRAME)
    np.testing.assert_allclose([one.value for one in boxes.predictions], box, rtol=1e-4)
    with pytest.raises(UsageError, match="no output 'kinds'; did you mean kind"):
        classifier_of(model, tmp_path, head="kinds")


def with_age() -> keras.Model:
    keras.utils.set_random_seed(3)
    image, age = keras.Input((SIDE, SIDE, 3), name="image"), keras.Input((2,), name="age")
    x = layers.Concatenate()([layers.GlobalAveragePooling2D()(features(image, name="target")), age])
    return keras.Model({"image": image, "age": age}, layers.Dense(3, activation="softmax")(x))


@pytest.mark.slow
@pytest.mark.parametrize("held", [0.5, np.array([2.0, -1.0]), "file"])
def test_other_inputs_are_held_still(held, tmp_path: Path) -> None:
    model = with_age()
    value = np.array([2.0, -1.0]) if isinstance(held, str) else held
    if isinstance(held, str):
        held = tmp_path / "age.npy"
        np.save(held, value)
    explanation = Explainer(classifier_of(model, tmp_path, feed={"age": held}), tune="off", engine="graph")(FRAME)
    expected = model({"image": IMAGE, "age": np.broadcast_to(value, (1, 2)).astype(np.float32)}).numpy()[0]
    np.testing.assert_allclose(explanation.probabilities, expected, rtol=1e-4)
    assert not explanation.empty[0]


def test_a_held_input_scales_no_pixels(tmp_path: Path) -> None:
    """Else its model would be given 0…255 without a word."""
    classifier = load_classifier(saved(with_age(), tmp_path), feed={"age": 0.5})
    assert (classifier.pixel_guess, classifier.preprocessing) == ("unit", PREPROCESSINGS["unit"])


def test_a_model_in_memory_stays_as_it_is() -> None:
    model = with_age()
    for _ in range(2):
        load_classifier(model, feed={"age": 0.5}, preprocessing="unit")
    assert len(model._inbound_nodes) == 0


def test_outputs_by_the_keys_of_a_dictionary_and_with_several_inputs(tmp_path: Path) -> None:
    keras.utils.set_random_seed(4)
    image, age = keras.Input((SIDE, SIDE, 3), name="image"), keras.Input((2,), name="age")
    x = layers.Concatenate()([layers.GlobalAveragePooling2D()(features(image)), age])
    shared = layers.Dense(2, name="shared")
    outputs = {"box": layers.Dense(4)(x), "kind": layers.Dense(3, activation="softmax")(x), "shared": shared(x)}
    model = keras.Model([image, age], outputs)
    kind = model([IMAGE, np.full((1, 2), 0.5, np.float32)])["kind"].numpy()[0]
    explanation = Explainer(classifier_of(model, tmp_path, feed={"age": 0.5}), tune="off", engine="graph")(FRAME)
    np.testing.assert_allclose(explanation.probabilities, kind, rtol=1e-4)
    assert len(classifier_of(model, tmp_path, feed={"age": 0.5}, head="box").labels) == 4
    twice = keras.Model(
        image, [shared(layers.Dense(6)(layers.GlobalAveragePooling2D()(features(image)))) for _ in "ab"]
    )
    with pytest.raises(UsageError, match=r"has no output 'shared'.*shared:0"):
        load_classifier(twice, head="shared")


def test_what_is_wrong_with_inputs_is_said(tmp_path: Path) -> None:
    model = with_age()
    with pytest.raises(ModelError, match=r"has 2 inputs .*--feed age=VALUE"):
        classifier_of(model, tmp_path)
    with pytest.raises(UsageError, match="no input 'ages'; did you mean age"):
        classifier_of(model, tmp_path, feed={"ages": 1})
    with pytest.raises(ModelError, match=r"the shape \(2,\), and its value the shape \(3,\)"):
        classifier_of(model, tmp_path, feed={"age": np.zeros(3)})
    (tmp_path / "text.npy").write_text("no array")
    with pytest.raises(ModelError, match="cannot be read as a NumPy array"):
        classifier_of(model, tmp_path, feed={"age": tmp_path / "text.npy"})


def test_feeds_of_the_command_line(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(2))
    assert parse_feed(["age=3", f"mask={tmp_path / 'a.npy'}"]) == {"age": 3.0, "mask": str(tmp_path / "a.npy")}
    for text, message in (("age", "takes NAME=VALUE"), ("age=old", "neither a number"), ("=3", "takes NAME=VALUE")):
        with pytest.raises(UsageError, match=message):
            parse_feed([text])
    with pytest.raises(ModelError, match="there is no file"):
        parse_feed(["age=missing.npy"])


# --- several maps -------------------------------------------------------------------------------------------------


def two_backbones(weight_of_first: float, weight_of_second: float) -> keras.Model:
    """The first backbone sees red, and the second one blue, at another resolution; class 1 is their weighted sum."""
    image = keras.Input((SIDE, SIDE, 3))
    pooled = []
    for name, colour, stride in (("red", 0, 1), ("blue", 2, 2)):
        kernel = np.zeros((1, 1, 3, 1), np.float32)
        kernel[0, 0, colour] = 1
        convolution = layers.Conv2D(1, 1, strides=stride, use_bias=False, name=name)
        pooled.append(layers.GlobalAveragePooling2D()(convolution(image)))
        convolution.set_weights([kernel])
    head = layers.Dense(2)
    model = keras.Model(image, head(layers.Concatenate()(pooled)))
    head.set_weights([np.array([[0, weight_of_first], [0, weight_of_second]]), np.zeros(2)])
    return model


def red_left_blue_right() -> np.ndarray:
    frame = np.zeros((SIDE, SIDE, 3), np.uint8)
    frame[:, : SIDE // 2, 2] = 255
    frame[:, SIDE // 2 :, 0] = 255
    return frame


@pytest.mark.slow
@pytest.mark.parametrize(
    ("weights", "heat"), [((8, 8), (1, 1)), ((8, 0), (1, 0)), ((0, 8), (0, 1)), ((8, 2), (1, 0.25))]
)
def test_two_backbones_joined_late_are_both_looked_at(weights, heat, tmp_path: Path) -> None:
    """Each by its part in the score, whatever its resolution is."""
    explainer = Explainer(classifier_of(two_backbones(*weights), tmp_path), maps=1, tune="off", engine="graph")
    assert explainer.layer == "blue,red"
    found = explainer(red_left_blue_right(), target=1).heatmaps[0]
    middle = SIDE // 2
    sides = np.array([found[:, : middle - 2].mean(), found[:, middle + 2 :].mean()])  # in the middle they overlap
    assert sides / sides.max() == pytest.approx(heat, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("is_shared", [True, False])
def test_the_maps_of_a_held_picture_are_no_target(is_shared: bool, tmp_path: Path) -> None:
    """Two pictures go through convolutions, and one of them is held: only the other one's maps are of what is shown."""
    shown, held = keras.Input((SIDE, SIDE, 3), name="shown"), keras.Input((SIDE, SIDE, 3), name="held")
    convolution = layers.Conv2D(3, 3, activation="relu", name="tower")
    towers = [convolution, convolution if is_shared else layers.Conv2D(3, 3, activation="relu", name="other")]
    pooled = [layers.GlobalAveragePooling2D()(tower(image)) for tower, image in zip(towers, (shown, held), strict=True)]
    model = keras.Model([shown, held], layers.Dense(3)(layers.Concatenate()(pooled)))
    for weight in model.weights:
        weight.assign(np.random.default_rng(2).normal(size=weight.shape))
    spot = np.zeros((SIDE, SIDE, 3), np.float32)
    spot[:8, :8] = 1
    for value in (0.0, spot):
        explainer = Explainer(classifier_of(model, tmp_path, feed={"held": value}), maps=1, tune="off", engine="graph")
        assert own_name(explainer.layer) == "tower"
        assert list(map(own_name, explainer.plan.steps)) == ["tower"]
    named = explainer.variant(method="grad-cam", layer=explainer.layer)
    np.testing.assert_array_equal(named(FRAME, target=1).heatmaps, explainer(FRAME, target=1).heatmaps)
    with tf.GradientTape() as tape:
        tape.watch(activations := convolution(IMAGE))
        both = tf.concat([tf.reduce_mean(activations, (1, 2)), tf.reduce_mean(towers[1](spot[None]), (1, 2))], -1)
        score = model.layers[-1](both)[0, 1]
    expected = tf.nn.relu(tf.reduce_sum(activations * tf.reduce_mean(tape.gradient(score, activations), (1, 2)), -1))
    np.testing.assert_allclose(explainer(FRAME, target=1).heatmaps[0], expected[0] / tf.reduce_max(expected), atol=1e-5)


def test_a_shared_layer_that_is_called_last_on_the_held_picture_can_be_named(tmp_path: Path) -> None:
    shown, held = keras.Input((SIDE, SIDE, 3), name="shown"), keras.Input((SIDE, SIDE, 3), name="held")
    tower = layers.Conv2D(3, 3, activation="relu", name="tower")
    pooled = [layers.GlobalAveragePooling2D()(tower(image)) for image in (held, shown)]
    classifier = classifier_of(
        keras.Model([shown, held], layers.Dense(3)(layers.Concatenate()(pooled))), tmp_path, feed={"held": 0.5}
    )
    usual, named = (Explainer(classifier, layer=layer, tune="off", engine="graph") for layer in (None, "tower"))
    assert named.layer == usual.layer
    np.testing.assert_array_equal(named(FRAME).heatmaps, usual(FRAME).heatmaps)


def test_gates_and_pictures_are_no_maps_of_their_own(tmp_path: Path) -> None:
    image = keras.Input((SIDE, SIDE, 3))
    x = features(image, name="first")
    gate = layers.Dense(4, activation="sigmoid")(layers.GlobalAveragePooling2D()(x))
    x = layers.Multiply(name="gated")([x, layers.Reshape((1, 1, 4))(gate)])
    both = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)])
    both = layers.Concatenate()([both, layers.GlobalAveragePooling2D()(layers.Rescaling(0.5)(image))])
    model = keras.Model(image, layers.Dense(3)(both))
    assert Explainer(classifier_of(model, tmp_path), tune="off").layer == "gated"


def test_a_method_of_one_layer_names_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"recipro-cam takes one layer, and there are 2: name one with --layer \(blue, red\)"
    ):
        Explainer(classifier_of(two_backbones(1, 1), tmp_path), method="recipro-cam")


# --- empty maps ---------------------------------------------------------------------------------------------------


def test_an_empty_map_is_said_once_and_recorded(tmp_path: Path, caplog) -> None:
    model = two_backbones(-8, 0)
    path = saved(model, tmp_path)
    options = SessionOptions(str(path), preprocessing="unit", layer="red", classes=("1",), engine="graph", tune="off")
    engine = start_session(options)
    with caplog.at_level(logging.WARNING, "live_gradcam"):
        explanation = engine.explain(red_left_blue_right())
        engine.explain(red_left_blue_right())
    assert caplog.text.count("the map is empty: at red nothing speaks for class 1") == 1
    assert explanation.empty == (True,)
    assert explanation_json(replace_boxes(explanation))["empty"] is True
    against = engine.variant(method="counterfactual", layer="red").explain(red_left_blue_right())
    assert against.empty == (False,)


def test_a_map_that_is_no_number_is_left_empty_and_said_to_be_so(tmp_path: Path, caplog) -> None:
    """The square root has an infinite gradient at 0, where the second channel is: 0 · ∞."""
    kernel = np.zeros((1, 1, 3, 2), np.float32)
    kernel[..., 0] = 1
    image = keras.Input((SIDE, SIDE, 3), name="image")
    convolution, dense = layers.Conv2D(2, 1, use_bias=False, name="target"), layers.Dense(3)
    model = keras.Model(image, dense(keras.ops.sqrt(layers.GlobalAveragePooling2D()(convolution(image)))))
    convolution.set_weights([kernel])
    session = start_session(
        SessionOptions(model=str(saved(model, tmp_path)), preprocessing="unit", tune="off", engine="graph")
    )
    caplog.clear()
    explanation = session.explain(FRAME)
    assert explanation.is_undefined
    assert explanation.empty[0]
    assert not explanation.heatmaps.any()
    assert "the map is empty: at target it is not a number (NaN)" in caplog.text
    assert len(caplog.records) == 1
    json.dumps(explanation_json(replace(explanation, boxes=((),) * 5)), allow_nan=False)
    plain = start_session(
        SessionOptions(
            model=str(saved(model, tmp_path)), preprocessing="unit", tune="off", engine="graph", method="eigen-cam"
        )
    )
    assert not plain.explain(FRAME).is_undefined


def test_a_prediction_of_a_value_has_no_per_cent() -> None:
    assert Prediction(0, "age", math.nan, value=58.1523).amount(1) == "58.15"
    assert Prediction(0, "cat", 0.1234).amount(1) == "12.3 %"
