"""The teacher: examples one after the other, a head that is fitted again and again, files to go on from."""

from __future__ import annotations

import gc
import json
import shutil
import tracemalloc
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from toy_networks import classifier_of

from live_gradcam import Classifier, Explainer, Teacher, load_classifier
from live_gradcam.attribution.options import ExplainerOptions
from live_gradcam.errors import ModelError, OutputError, UsageError
from live_gradcam.fitting.examples import features_beside, folder_names, read_lesson
from live_gradcam.fitting.head import fit_head
from live_gradcam.fitting.network import with_head
from live_gradcam.fitting.taught_head import STRENGTH, UNITS
from live_gradcam.fitting.taught_session import taught_session

LETTERS = tuple("abcdefghij")
_DRAW = np.random.default_rng(11)


def network() -> Classifier:
    keras.utils.set_random_seed(3)
    image = keras.Input((12, 14, 3))
    x = layers.Conv2D(8, 3, activation="relu", name="early")(image)
    x = layers.Conv2D(8, 3, activation="relu", name="late")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return classifier_of(keras.Model(image, layers.Dense(5, activation="softmax")(x)))


def picture(colour: tuple[int, int, int], size: tuple[int, int] = (24, 28)) -> np.ndarray:
    noise = _DRAW.integers(-20, 21, (*size, 3))
    return np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)


RED, GREEN, BLUE = (30, 30, 200), (30, 200, 30), (200, 30, 30)


def taught(bursts: int = 2, count: int = 4) -> Teacher:
    """A teacher that was shown red, green and blue, in so many bursts of so many pictures each."""
    teacher = Teacher(network())
    for _ in range(bursts):
        for name, colour in (("red", RED), ("green", GREEN), ("blue", BLUE)):
            for _ in range(count):
                teacher.add(picture(colour), name)
    return teacher


# --- examples and names -------------------------------------------------------------------------------------------


def test_nothing_is_there_from_the_start() -> None:
    teacher = Teacher(network())
    assert [one.name for one in teacher.classes] == ["nothing", *[f"class {place}" for place in range(1, UNITS)]]
    assert [one.is_named for one in teacher.classes] == [True] + [False] * 9
    assert (teacher.shown, teacher.listed) == ([], [0])
    assert teacher.scores() is None
    assert teacher.undo_last_burst() is None
    head = teacher.head()
    np.testing.assert_array_equal(head.probabilities(np.ones((1, 8), np.float32)), np.eye(UNITS)[:1])
    with pytest.raises(UsageError, match="fewer than two classes have pictures"):
        teacher.classifier  # noqa: B018  # it is a property


def test_examples_are_counted_by_class_and_burst() -> None:
    teacher = taught(bursts=2, count=3)
    teacher.add(picture(RED), 1)
    teacher.end_burst()
    teacher.add(picture(RED), "Red")  # names are the same in any case
    red, green = teacher.classes[1:3]
    assert (red.name, red.count, red.bursts, red.has_too_few) == ("red", 8, 4, False)
    assert (green.name, green.count, green.bursts, green.has_too_few) == ("green", 6, 2, False)
    assert not teacher.classes[0].has_too_few  # it has none at all


@pytest.mark.parametrize(("bursts", "count", "too_few"), [(1, 9, True), (2, 2, True), (2, 3, False)])
def test_too_few_examples_are_marked(bursts: int, count: int, too_few: bool) -> None:
    assert taught(bursts, count).classes[1].has_too_few is too_few


def test_the_last_burst_is_taken_back() -> None:
    teacher = taught(bursts=2, count=3)
    before = teacher.features[:-3]
    undone = teacher.undo_last_burst()
    assert undone is not None
    assert (undone.name, undone.count) == ("blue", 6)
    np.testing.assert_array_equal(teacher.features, before)
    assert [one.count for one in teacher.classes[:4]] == [0, 6, 6, 3]
    teacher.add(picture(GREEN), "green")  # a new burst, though the one before it was of the same class
    assert teacher.undo_last_burst().count == 7  # type: ignore[union-attr]
    assert [one.count for one in teacher.classes[:4]] == [0, 6, 6, 3]


def test_names() -> None:
    teacher = taught(1, 1)
    assert teacher.rename(1, "  my   cup ☕ ") == "my cup ☕"
    assert teacher.rename(1, "My cup ☕") == "My cup ☕"  # its own name in other letters
    assert teacher.add(picture(RED), "my CUP ☕") == 1
    for name, words in [
        (" \t", "a class needs a name"),
        ("x" * 61, "61 letters: use up to 60"),
        ("GREEN", "another class is called GREEN already"),
        ("a\x07b", "cannot be shown: type letters"),
        ("\u200b", "cannot be shown: type letters"),
        ("nothing", "another class is called nothing already"),
    ]:
        with pytest.raises(UsageError, match=words):
            teacher.rename(1, name)
    with pytest.raises(UsageError, match="there is no class 10: the places are 0 to 9"):
        teacher.add(picture(RED), 10)
    for place in range(4, UNITS):
        assert teacher.add(picture(RED), f"another {place}") == place
    with pytest.raises(UsageError, match="there is no room for 'eleventh': 10 classes can be taught"):
        teacher.add(picture(RED), "eleventh")


def test_a_fit_that_cannot_be_taught_with_is_refused() -> None:
    with pytest.raises(UsageError, match="there is no fit 'tiles': use one of stretch, crop, letterbox"):
        Teacher(network(), fit="tiles")


# --- fitting ------------------------------------------------------------------------------------------------------


def test_the_head_is_the_one_that_is_fitted_to_the_same_features() -> None:
    teacher = taught()
    expected = fit_head(teacher.features, teacher.targets - 1, classes=3, strength=STRENGTH)
    head = teacher.fit()
    np.testing.assert_allclose(head.weights[:, 1:4], expected.weights, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(head.bias[1:4], expected.bias, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(head.weights.sum(axis=1), 0, atol=1e-5)  # centred
    free = [0, *range(4, UNITS)]
    assert not head.weights[:, free].any()
    assert (head.probabilities(teacher.features)[:, free] == 0).all()
    assert (head.probabilities(teacher.features).argmax(axis=1) == teacher.targets).all()


def test_bursts_are_tested_by_heads_that_never_saw_them() -> None:
    teacher = taught(bursts=3)
    scores = teacher.scores()
    assert scores is not None
    assert (scores.count, scores.accuracy) == (36, 1.0)
    assert [one.name for one in scores.per_class] == ["red", "green", "blue"]
    liar = Teacher(network())
    for burst in range(4):  # each class has a colour in each burst that it has in no other burst
        for place, colour in enumerate((RED, GREEN, BLUE)):
            for _ in range(4):
                liar.add(picture(colour), (place + burst) % 3 + 1)
    scores = liar.scores()
    assert scores is not None
    assert scores.accuracy is not None
    assert scores.accuracy < 0.5


def test_a_class_of_one_burst_is_not_tested() -> None:
    teacher = taught(bursts=1)
    assert teacher.scores() is None
    for colour, name in ((RED, "red"), (GREEN, "green")):
        teacher.add(picture(colour), name)
    scores = teacher.scores()
    assert scores is not None
    assert scores.count == 10  # five of red and five of green; none of blue


@pytest.mark.slow
def test_a_hundred_heads_are_swapped_into_one_trace() -> None:
    teacher = taught()
    explainer = Explainer(teacher.live_classifier, features=True, topk=3)
    explainer.warm_up()
    frame = picture(GREEN)
    heads = [teacher.fit()]
    teacher.undo_last_burst()
    heads.append(teacher.fit())
    plain = {"engine": "graph", "lowering": False, "tune": "off"}
    expected = [
        Explainer(with_head(teacher.base, teacher.backbone.model, head, LETTERS), **plain)(frame) for head in heads
    ]
    tracemalloc.start()
    held = []
    for number in range(150):
        teacher.use(heads[number % 2])
        found, wanted = explainer(frame), expected[number % 2]
        np.testing.assert_allclose(found.probabilities, wanted.probabilities, atol=1e-6)
        np.testing.assert_allclose(found.heatmaps[0], wanted.heatmaps[0], atol=1e-5)
        if number in (49, 149):
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert explainer.trace_count == 1
    # TensorFlow keeps about 60 bytes of each array that it is given, with and without a swap. A head has 400.
    assert held[1] - held[0] < 35_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "score"),
    [("grad-cam", "logit"), ("grad-cam", "margin"), ("grad-cam", "probability"), ("finer-cam", "logit")],
)
def test_units_without_a_class_change_no_map(method: str, score: str) -> None:
    teacher = taught()
    options = {"method": method, "score": score, "engine": "graph", "lowering": False, "tune": "off", "topk": 3}
    explainer, frame = Explainer(teacher.live_classifier, **options), picture(GREEN)
    teacher.fit()
    found, expected = explainer(frame), Explainer(teacher.classifier, **options)(frame)
    assert [one.index for one in found.predictions] == [one.index + 1 for one in expected.predictions]
    assert found.heatmaps[0].any()
    np.testing.assert_allclose(found.heatmaps[0], expected.heatmaps[0], atol=1e-5)
    np.testing.assert_allclose(found.evidence[0], expected.evidence[0], rtol=1e-4)
    np.testing.assert_allclose(found.probabilities[1:4], expected.probabilities, atol=1e-6)


@pytest.mark.slow
def test_an_engine_that_copies_the_weights_is_refused() -> None:
    pytest.importorskip("openvino")
    options = ExplainerOptions().changed(engine="openvino", tune="off")
    with pytest.raises(UsageError, match="the engine openvino copies the weights, so the network cannot be taught"):
        taught_session(Teacher(network()), options, (24, 28))


# --- files --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Teacher, Path]:
    teacher = taught()
    teacher.rename(3, 'sky: "blue"/azure?')
    return teacher, teacher.save(tmp_path_factory.mktemp("saved") / "colours.keras")


@pytest.mark.slow
def test_the_file_is_plain_keras_whose_map_is_gradient_tapes(saved: tuple[Teacher, Path]) -> None:
    teacher, path = saved
    model = keras.models.load_model(path)
    frame = picture(RED, (12, 14))
    image = tf.constant(frame[None, ..., ::-1], tf.float32)
    np.testing.assert_allclose(model(image)[0], teacher.classifier.model(image)[0], rtol=1e-6)
    explainer = Explainer(load_classifier(path), maps=1)
    explanation = explainer(frame)
    assert explanation.predictions[0].label == "red"
    inner = model.get_layer("backbone")
    cut = keras.Model(inner.inputs, [inner.get_layer("late").output, inner.output])
    before = keras.Model(model.inputs, inner._inbound_nodes[-1].input_tensors[0]) if len(model.layers) > 4 else None
    pixels = before(image) if before is not None else image
    with tf.GradientTape() as tape:
        maps, _ = cut(pixels)
        tape.watch(maps)
        pooled = tf.reduce_mean(maps, axis=(1, 2))
        logit = (pooled @ model.get_layer("head").kernel + model.get_layer("head").bias)[0, explanation.target]
    weights = tf.reduce_mean(tape.gradient(logit, maps), axis=(1, 2))[0]
    raw = np.maximum(np.sum(maps[0] * weights, axis=-1), 0)
    assert raw.max() > 0
    np.testing.assert_allclose(explanation.heatmaps[0], raw / raw.max(), atol=1e-4)


def test_what_lies_beside_the_file(saved: tuple[Teacher, Path]) -> None:
    _, path = saved
    names = ["red", "green", 'sky: "blue"/azure?']
    assert path.with_suffix(".labels.txt").read_text("utf-8").splitlines() == names
    with zipfile.ZipFile(path) as archive:
        card = json.loads(archive.read("metadata.json"))["live_gradcam"]
    assert card["classes"] == names
    assert (card["fit"], card["backbone"], card["counts"]) == ("stretch", "toy", dict.fromkeys(names, 8))
    assert card["scores"]["cross-validation"]["accuracy"] == 1.0
    folders = sorted(folder.name for folder in path.with_name("colours.examples").iterdir())
    assert folders == ["green", "red", "sky_ _blue__azure_"]
    bursts = {folder.name for folder in path.with_name("colours.examples").glob("*/*")}
    assert len(bursts) == 6  # no name is in two classes: bursts of one name would be one group to `fit`
    assert len(list(path.with_name("colours.examples").glob("*/*/*.jpg"))) == 24


def test_teaching_goes_on_from_the_file(saved: tuple[Teacher, Path], tmp_path: Path) -> None:
    teacher, path = saved
    path = shutil.copytree(path.parent, tmp_path / "copy") / path.name
    again = Teacher.load(path)
    assert again.classes == teacher.classes
    np.testing.assert_array_equal(again.features, teacher.features)
    np.testing.assert_allclose(again.head().weights, teacher.head().weights, atol=1e-7)
    parts = [[layer.name for layer in one.live_classifier.model.layers] for one in (teacher, again)]
    assert parts[0] == parts[1] == ["image", "preprocessing", "backbone", "head", "probabilities"]  # not nested deeper
    frame = picture(BLUE)
    own, other = again.backbone.features([frame]), teacher.backbone.features([frame])
    np.testing.assert_allclose(own, other, rtol=1e-5, atol=1e-6)
    assert again.add(frame, "red") == 1
    assert again.classes[1].bursts == 3
    with pytest.raises(OutputError, match=r"exists already: give another name, or --overwrite"):
        again.save(path)
    again.save(path, overwrite=True)
    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("metadata.json"))["live_gradcam"]["backbone"] == "toy"
    assert len(list(path.with_name("colours.examples").glob("*/*/*.jpg"))) == 25
    assert Teacher.load(path).classes[1].count == 9


def test_what_teaching_begins_with_is_not_taken_back(saved: tuple[Teacher, Path]) -> None:
    teacher = Teacher.load(saved[1])
    before, count = teacher.features, teacher.classes[1].count
    assert teacher.undo_last_burst() is None
    for _ in range(2):
        teacher.add(picture(BLUE), 1)
        teacher.end_burst()
    assert [teacher.undo_last_burst().count for _ in range(2)] == [count + 2, count + 1]  # type: ignore[union-attr]
    assert teacher.undo_last_burst() is None
    np.testing.assert_array_equal(teacher.features, before)


def test_saving_refuses_what_exists_beside_it(tmp_path: Path) -> None:
    teacher = taught(1, 1)
    (tmp_path / "one.examples").mkdir()
    with pytest.raises(OutputError, match=r"one\.examples exists already"):
        teacher.save(tmp_path / "one.keras")
    assert [file.name for file in tmp_path.iterdir()] == ["one.examples"]
    with pytest.raises(UsageError, match=r"the model is written as NAME\.keras"):
        teacher.save(tmp_path / "one.h5")


def test_examples_that_do_not_go_with_the_network_are_refused(saved: tuple[Teacher, Path], tmp_path: Path) -> None:
    _, path = saved
    with pytest.raises(UsageError, match="the pictures were collected with --fit stretch"):
        Teacher.load(path, fit="crop")
    copy = tmp_path / "copy.keras"
    copy.write_bytes(path.read_bytes())
    empty = Teacher.load(copy)
    assert empty.shown == []
    assert [one.name for one in empty.classes[:4]] == ["nothing", "red", "green", 'sky: "blue"/azure?']
    features_beside(copy).write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(ModelError, match="is damaged, or has no features"):
        Teacher.load(copy)
    np.savez(features_beside(copy), features=np.zeros((1, 3)))
    with pytest.raises(ModelError, match="is damaged, or has no features"):
        read_lesson(copy)


def test_pictures_that_are_gone_or_elsewhere_are_not_missed(saved: tuple[Teacher, Path], tmp_path: Path) -> None:
    _, path = saved
    copy = tmp_path / "copy.keras"
    copy.write_bytes(path.read_bytes())
    features_beside(copy).write_bytes(features_beside(path).read_bytes())
    again = Teacher.load(copy)
    assert len(again.features) == 24
    again.save(tmp_path / "other.keras")
    assert not list((tmp_path / "other.examples").glob("*/*/*"))


@pytest.mark.parametrize(
    ("names", "folders"),
    [
        (["cup", "Cup", "CUP"], ["cup", "Cup 2", "CUP 3"]),
        (["..", ".", "a/b", "a\\b"], ["__", "_", "a_b", "a_b 2"]),
        (["con", "Nul.txt", "console"], ["_con", "_Nul.txt", "console"]),
        (["日本", "e\u0301", "x" * 90], ["日本", "é", "x" * 80]),
        (["end.", "end ", "?"], ["end_", "end_ 2", "_"]),
    ],
)
def test_folders_have_names_that_every_system_takes(names: list[str], folders: list[str]) -> None:
    assert folder_names(names) == folders
