"""Everyday names: ImageNet's classes in groups, their probabilities and their maps."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from command_line import AT_ONCE
from keras import layers
from skimage import data
from typer.testing import CliRunner

from live_gradcam import Classifier, Explainer
from live_gradcam.cli import app
from live_gradcam.errors import UsageError
from live_gradcam.explanations.explanation import Prediction, Target
from live_gradcam.explanations.vocabulary import Vocabulary
from live_gradcam.networks.labels import Groups, everyday_groups, find_class, imagenet_labels
from live_gradcam.networks.preprocessing import PREPROCESSINGS

FRAME = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
LABELS = ("tabby", "lynx", "beagle", "robin", "wren", "pug")
GROUPS = Groups.by_name(["cat", "cat", "dog", "bird", "bird", "dog"])
CAT, DOG, BIRD = 6, 7, 8


class Grouped(Classifier):
    groups = GROUPS


def toy() -> Grouped:
    keras.utils.set_random_seed(5)
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 3, strides=2, activation="relu", name="maps")(image)
    x = layers.Dense(6, activation="softmax", name="scores")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, x)
    model.get_layer("scores").set_weights([3 * w for w in model.get_layer("scores").get_weights()])
    return Grouped("toy", model, LABELS, (32, 32), PREPROCESSINGS["unit"])


def logits_and_cams(classifier: Classifier) -> tuple[np.ndarray, np.ndarray]:
    """By hand: (classes,) and CAM / (h·w) of every class, (classes, h, w)."""
    x = (FRAME[None, :, :, ::-1] / 255).astype(np.float32)
    activations = keras.Model(classifier.model.input, classifier.model.get_layer("maps").output)(x).numpy()[0]
    kernel, bias = classifier.model.get_layer("scores").get_weights()
    maps = np.moveaxis(activations @ kernel, -1, 0)
    return maps.mean(axis=(1, 2)) + bias, maps / (maps.shape[1] * maps.shape[2])


def softmax(logits: np.ndarray) -> np.ndarray:
    return np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()


# --- the table ----------------------------------------------------------------------------------------------------


def test_every_class_has_one_everyday_name() -> None:
    groups = everyday_groups()
    assert len(groups.of_class) == 1000
    assert len(groups.names) == len(set(groups.names)) < 600
    name_of = dict(zip(imagenet_labels(), (groups.names[group] for group in groups.of_class), strict=True))
    known = {"Egyptian cat": "cat", "tabby": "cat", "lion": "lion", "beagle": "dog", "coffee mug": "cup"}
    known |= {"crane (bird)": "bird", "mouse": "computer mouse", "water bottle": "bottle", "drake": "duck"}
    assert {label: name_of[label] for label in known} == known
    sizes = Counter(name_of.values())
    assert (sizes["dog"], sizes["cat"]) == (118, 5)


def test_a_group_goes_before_a_class_of_its_name_where_groups_are_named() -> None:
    labels, groups = imagenet_labels(), everyday_groups()
    assert labels[find_class("cup", labels)] == "cup"
    assert find_class("cup", labels, groups) == 1000 + groups.names.index("cup")
    assert find_class("Egyptian cat", labels, groups) == 285
    assert find_class("1001", labels, groups) == 1001
    with pytest.raises(UsageError, match=r"there is no class 'buterfly'; did you mean .*butterfly"):
        find_class("buterfly", labels, groups)


def test_the_list_is_of_groups_that_never_overlap() -> None:
    vocabulary = Vocabulary(LABELS, GROUPS)
    classes = np.array([0.3, 0.1, 0.15, 0.05, 0.05, 0.35], np.float32)
    best = vocabulary.best(np.concatenate([classes, vocabulary.members @ classes]), 3)
    assert [(one.index, one.label) for one in best] == [(DOG, "dog"), (CAT, "cat"), (BIRD, "bird")]
    np.testing.assert_allclose([one.probability for one in best], [0.5, 0.4, 0.1], rtol=1e-6)
    assert [one.finest and one.finest.label for one in best] == ["pug", "tabby", "robin"]
    assert Vocabulary(LABELS).best(classes, 1) == (Prediction(5, "pug", float(np.float32(0.35))),)


def test_a_vocabulary_is_sent_to_other_processes_without_what_is_worked_out_of_it() -> None:
    vocabulary = Vocabulary(imagenet_labels(), everyday_groups())
    assert vocabulary.members.sum() == 1000
    sent = pickle.dumps(vocabulary)
    assert len(sent) < 50_000
    assert pickle.loads(sent) == vocabulary


def test_a_group_of_one_class_is_that_class() -> None:
    vocabulary = Vocabulary(("tabby", "wren"), Groups.by_name(["cat", "bird"]))
    probabilities = np.array([0.75, 0.25, 0.75, 0.25], np.float32)
    assert vocabulary.best(probabilities, 2) == (Prediction(2, "cat", 0.75), Prediction(3, "bird", 0.25))


# --- probabilities and maps ---------------------------------------------------------------------------------------


def map_of(members: list[int], score: str, logits: np.ndarray, cams: np.ndarray) -> np.ndarray:
    """The gradient of a group's score on a pooled head, by hand: each CAM times the derivative by its logit."""
    p = softmax(logits)
    inside = np.isin(np.arange(6), members)
    within = np.where(inside, p, 0) / p[inside].sum()
    if score == "logit":  # log Σ exp z
        weights = within
    elif score == "margin":  # log P − log (1 − P)
        weights = within - np.where(inside, 0, p) / p[~inside].sum()
    else:  # P
        weights = np.where(inside, p, 0) - p[inside].sum() * p
    return np.einsum("c,chw->hw", weights, cams)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["graph", "xla", "openvino", "onnxruntime"])
@pytest.mark.parametrize("score", ["logit", "margin", "probability"])
def test_a_groups_probability_is_the_sum_and_its_map_that_of_its_score(score: str, engine: str) -> None:
    classifier = toy()
    explainer = Explainer(classifier, names="everyday", maps=3, score=score, engine=engine, tune="off")
    logits, cams = logits_and_cams(classifier)
    p = softmax(logits)
    explanation = explainer(FRAME, target=[BIRD, Target(CAT, DOG), 2])
    sums = [p[0] + p[1], p[2] + p[5], p[3] + p[4]]
    np.testing.assert_allclose(explanation.probabilities, [*p, *sums], atol=1e-5)
    assert [one.index for one in explanation.predictions] == [6 + index for index in np.argsort(sums)[::-1]]
    assert [one.label for one in explanation.targets] == ["bird", "cat", "beagle"]
    assert explanation.contrasts[1].label == "dog"
    expected = [
        map_of([3, 4], score, logits, cams),
        map_of([0, 1], score, logits, cams) - map_of([2, 5], score, logits, cams),
        map_of([2], score, logits, cams),
    ]
    for heatmap, evidence, raw in zip(explanation.heatmaps, explanation.evidence, expected, strict=True):
        np.testing.assert_allclose(heatmap * evidence, np.maximum(raw, 0), atol=1e-4 * np.abs(raw).max())
    # What nobody asks for is the best groups.
    assert [one.index for one in explainer(FRAME).targets] == [one.index for one in explanation.predictions[:3]]
    predicted, explained = explainer.predict(FRAME)[0], explanation.predictions[0]
    assert (predicted.index, predicted.label) == (explained.index, explained.label)
    assert predicted.probability == pytest.approx(explained.probability, abs=1e-6)


def test_a_group_of_tiles_is_averaged_like_a_class() -> None:
    classifier = toy()
    wide = np.random.default_rng(2).integers(0, 256, (90, 160, 3), np.uint8)
    of_groups = Explainer(classifier, names="everyday", fit="tiles", engine="graph", tune="off")(wide)
    of_classes = Explainer(classifier, fit="tiles", engine="graph", tune="off")(wide).probabilities
    np.testing.assert_allclose(of_groups.probabilities[:6], of_classes, atol=1e-6)
    np.testing.assert_allclose(of_groups.probabilities[CAT], of_classes[:2].sum(), atol=1e-6)


@pytest.mark.slow
def test_finer_cam_compares_a_group_with_groups_and_a_class_with_classes() -> None:
    """Of three groups the two others are the similar ones: Σ_d P_d (z_G − z_d) / Σ_d P_d, z = log Σ exp."""
    classifier = toy()
    explanation = Explainer(
        classifier, names="everyday", method="finer-cam", maps=2, engine="graph", tune="off", topk=3
    )(FRAME, target=[CAT, 3])
    logits, cams = logits_and_cams(classifier)
    p = softmax(logits)
    members = {CAT: [0, 1], DOG: [2, 5], BIRD: [3, 4]}
    sums = {group: p[classes].sum() for group, classes in members.items()}
    z = {group: np.log(np.exp(logits[classes]).sum()) for group, classes in members.items()}
    of = {group: map_of(classes, "logit", logits, cams) for group, classes in members.items()}
    share = {group: sums[group] / (sums[DOG] + sums[BIRD]) for group in (DOG, BIRD)}
    # The weights are differentiated too: d(share_d) = share_d (d z_d − Σ share d z).
    mean = sum(share[group] * of[group] for group in share)
    raw = of[CAT] - mean - sum(share[group] * (of[group] - mean) * z[group] for group in share)
    raw_of_class = explanation.heatmaps[0] * explanation.evidence[0]
    np.testing.assert_allclose(raw_of_class, np.maximum(raw, 0), atol=1e-3 * np.abs(raw).max())
    alone = Explainer(classifier, method="finer-cam", maps=1, engine="graph", tune="off")(FRAME, target=3)
    np.testing.assert_allclose(explanation.heatmaps[1], alone.heatmaps[0], atol=1e-5)


def test_classes_that_do_not_exclude_each_other_are_not_added_up() -> None:
    grouped = toy()
    model = keras.Model(grouped.model.input, layers.Dense(6, activation="sigmoid")(grouped.model.layers[-2].output))
    with pytest.raises(UsageError, match="everyday names need probabilities that add up to 1, and those of"):
        Explainer(Grouped("toy", model, LABELS, (32, 32), PREPROCESSINGS["unit"]), names="everyday")


def test_a_network_of_other_classes_has_no_everyday_names() -> None:
    classifier = Classifier("mine.keras", toy().model, LABELS, (32, 32), PREPROCESSINGS["unit"])
    with pytest.raises(UsageError, match=r"mine\.keras has classes of its own, and only ImageNet's have"):
        Explainer(classifier, names="everyday")


# --- the command line ---------------------------------------------------------------------------------------------


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    path = tmp_path / "cat.png"
    cv2.imwrite(str(path), data.chelsea()[..., ::-1])
    return path


def explained(*arguments: object) -> dict:
    result = CliRunner().invoke(app, ["explain", *map(str, arguments), "--json", "-", *AT_ONCE])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.slow
@pytest.mark.usefixtures("lite0_is_loaded")
def test_a_cat_is_a_cat(cat: Path) -> None:
    fine, everyday = explained(cat, "-k", "50"), explained(cat, "--names", "everyday")
    best = everyday["predictions"][0]
    assert best["label"] == "cat"
    assert best["finest"] == fine["predictions"][0]
    cats = [
        one
        for one in fine["predictions"]
        if one["label"] in ("tabby", "tiger cat", "Persian cat", "Siamese cat", "Egyptian cat")
    ]
    assert best["probability"] == pytest.approx(sum(one["probability"] for one in cats), abs=1e-3)
    assert best["probability"] > 0.9
    assert "finest" not in fine["predictions"][0]


@pytest.mark.slow
@pytest.mark.usefixtures("lite0_is_loaded")
def test_a_class_is_asked_for_by_an_everyday_name(cat: Path, tmp_path: Path) -> None:
    image = keras.Input((32, 32, 3))
    scores = layers.Dense(1000, activation="softmax")
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 8, strides=8, activation="relu")(image))
    model = keras.Model(image, scores(pooled))
    scores.set_weights([scores.get_weights()[0], 9.0 * np.isin(np.arange(1000), (281, 282, 285))])  # it sees cats
    model.save(tmp_path / "cats.keras")
    flags = (cat, "-m", tmp_path / "cats.keras", "--labels", "imagenet")
    record = explained(*flags, "-c", "cat")
    assert (record["target_label"], record["predictions"][0]["label"]) == ("cat", "cat")
    assert explained(*flags, "-c", "Cat")["target"] == record["target"]
    by_index = explained(*flags, "-c", str(record["target"]), "--names", "everyday")
    assert by_index["target_label"] == "cat"
    record = explained(*flags, "-c", "cat > dog")
    assert (record["target_label"], record["contrast_label"]) == ("cat", "dog")
    record = explained(cat, "-c", "Egyptian cat")  # ImageNet's own names stay what they are
    assert (record["target"], record["predictions"][0]["label"]) == (285, "Egyptian cat")
