"""The card of a model: it travels in the file, is read from beside it too, and is left out where it is damaged."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from toy_networks import FRAME, two_dense_layers

from live_gradcam import SessionOptions, load_classifier, start_session
from live_gradcam.errors import ModelError, OutputError, UsageError
from live_gradcam.networks.asked_for import check_names, known_labels
from live_gradcam.networks.card import Card, card_beside, read_card, write_beside, write_card
from live_gradcam.networks.labels import read_labels
from live_gradcam.networks.model_source import ModelOptions
from live_gradcam.networks.preprocessing import PREPROCESSINGS

CARD = Card(
    ("cup", "phone", "café", "glass 👩‍🔬", "none"),
    fit="crop",
    preprocessing="unit",
    backbone="efficientnet-lite0",
    counts={"cup": 12, "phone": 9},
    scores={"cross-validation": {"accuracy": 0.94, "confusion": [[5, 1], [0, 6]]}},
    made_with="live-gradcam 0.1.0",
    created="2026-11-26T09:10:00+00:00",
    levels={"low": 0, "high": 16_383, "of": "whole"},
)


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    two_dense_layers().save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def test_a_card_is_the_same_after_a_file(model_file: Path) -> None:
    before = {entry.filename: entry.CRC for entry in zipfile.ZipFile(model_file).infolist()}
    assert read_card(model_file) is None
    write_card(model_file, CARD)
    assert read_card(model_file) == CARD
    after = {entry.filename: entry.CRC for entry in zipfile.ZipFile(model_file).infolist()}
    assert list(after) == list(before)  # no entry more: Keras would unpack the archive
    assert {name for name in before if before[name] != after[name]} == {"metadata.json"}
    assert sorted(file.name for file in model_file.parent.iterdir()) == ["model.keras"]


def test_keras_loads_a_file_with_a_card_and_leaves_it_out_of_its_own(model_file: Path, tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((2, 12, 14, 3), np.float32)
    expected = keras.saving.load_model(model_file)(images)
    write_card(model_file, CARD)
    loaded = keras.saving.load_model(model_file)
    np.testing.assert_array_equal(loaded(images), expected)
    again = tmp_path / "again.keras"
    loaded.save(again)
    assert read_card(again) is None
    write_beside(again, CARD)
    assert read_card(again) == CARD
    assert read_labels(tmp_path / "again.labels.txt") == CARD.classes


def test_a_card_replaces_the_one_before_it(model_file: Path) -> None:
    write_card(model_file, CARD)
    write_card(model_file, Card(("left", "right")))
    assert read_card(model_file).classes == ("left", "right")


def test_the_card_in_the_file_goes_before_the_one_beside_it(model_file: Path) -> None:
    write_card(model_file, CARD)
    write_beside(model_file, Card(("left", "right")))
    assert read_card(model_file) == CARD


def test_a_new_card_says_when_and_with_what_it_was_made() -> None:
    card = Card(("a", "b"))
    assert card.made_with.startswith("live-gradcam ")
    assert card.created.endswith("+00:00")
    assert Card.from_json(json.loads(json.dumps(card.to_json()))) == card


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"version": 99}, "its version 99 is not known here: update live-gradcam"),
        ({"classes": []}, "its classes are no list of names"),
        ({"classes": "cat"}, "its classes are no list of names"),
        ({"classes": ["cat", 3]}, "its classes are no list of names"),
        ({"classes": ["cat", "\x1b[2Jdog"]}, "its classes are no list of names"),
        ({"classes": ["cat", "two\nlines"]}, "its classes are no list of names"),
        ({"task": "boxes"}, "its task 'boxes' is not known here"),
        ({"fit": ["crop"]}, "its fit ['crop'] is not known here"),
        ({"preprocessing": "magic"}, "its preprocessing 'magic' is not known here"),
        (
            {"levels": {"low": 5, "high": 5, "of": "whole"}},
            "its levels {'low': 5, 'high': 5, 'of': 'whole'} are not known",
        ),
        (
            {"levels": {"low": 0, "high": 1e999, "of": "whole"}},
            "its levels {'low': 0, 'high': inf, 'of': 'whole'} are not",
        ),
        (
            {"levels": {"low": 0, "high": 5, "of": "some"}},
            "its levels {'low': 0, 'high': 5, 'of': 'some'} are not known",
        ),
        ({"levels": {"low": 0, "high": 5}}, "it is no card"),
        ({"levels": "0:5"}, "it is no card"),
        ({"counts": {"cat": "many"}}, "it is no card"),
        ({"counts": {"cat": float("inf")}}, "it is no card"),
        ({"scores": [1]}, "it is no card"),
        ({"scores": {"test": 0.9}}, "it is no card"),
    ],
)
def test_a_damaged_card_is_left_out_with_a_line(model_file: Path, change: dict[str, object], what: str) -> None:
    said: list[str] = []
    card_beside(model_file).write_text(json.dumps({**CARD.to_json(), **change}))
    assert read_card(model_file, said.append) is None
    (line,) = said
    assert line.startswith(f"the card in {card_beside(model_file)} is left out: {what}")


@pytest.mark.parametrize("content", ["", "[]", "null", '"card"', "{}", "\x00", '{"version": [1]}', "[" * 100_000])
def test_what_is_no_card_is_left_out_with_a_line(model_file: Path, content: str) -> None:
    said: list[str] = []
    card_beside(model_file).write_text(content)
    assert read_card(model_file, said.append) is None
    assert len(said) == 1


def test_a_damaged_card_in_the_file_leaves_the_one_beside_it(model_file: Path) -> None:
    said: list[str] = []
    write_card(model_file, CARD)
    with zipfile.ZipFile(model_file) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    metadata = json.loads(entries["metadata.json"])
    metadata["live_gradcam"] = 7
    with zipfile.ZipFile(model_file, "w") as archive:
        for name, content in {**entries, "metadata.json": json.dumps(metadata)}.items():
            archive.writestr(name, content)
    write_beside(model_file, CARD)
    assert read_card(model_file, said.append) == CARD
    assert len(said) == 1


def test_a_card_from_before_there_were_levels() -> None:
    content = CARD.to_json()
    del content["levels"]
    assert Card.from_json(content) == replace(CARD, levels=None)


def test_what_is_unknown_in_a_card_is_left_out() -> None:
    content = {**CARD.to_json(), "mood": "good", "made_with": "some\x1bthing"}
    assert Card.from_json(content).made_with == "something"


def test_a_card_is_not_written_into_another_file(tmp_path: Path) -> None:
    text = tmp_path / "model.keras"
    text.write_text("no archive")
    with pytest.raises(ModelError, match=r"model\.keras is not a \.keras file"):
        write_card(text, CARD)
    assert text.read_text() == "no archive"
    with pytest.raises(OutputError, match="cannot write"):
        write_card(tmp_path / "missing.keras", CARD)
    assert [file.name for file in tmp_path.iterdir()] == ["model.keras"]


def test_a_file_stays_whole_where_the_card_cannot_be_written(model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = model_file.read_bytes()
    monkeypatch.setattr(zipfile.ZipFile, "writestr", lambda *_: (_ for _ in ()).throw(OSError(28, "no space left")))
    with pytest.raises(OutputError, match="no space left"):
        write_card(model_file, CARD)
    assert model_file.read_bytes() == before
    assert [file.name for file in model_file.parent.iterdir()] == ["model.keras"]


def test_a_card_that_cannot_be_read_is_not_written(model_file: Path) -> None:
    with pytest.raises(ModelError, match="its classes are no list of names"):
        write_card(model_file, Card(("two\nlines", "one")))
    assert read_card(model_file) is None


def test_names_that_begin_with_their_index_keep_it_in_a_file(tmp_path: Path) -> None:
    write_beside(tmp_path / "model.keras", Card(("0 cat", "1 dog")))
    assert (tmp_path / "model.labels.txt").read_text() == "0 0 cat\n1 1 dog\n"
    assert read_labels(tmp_path / "model.labels.txt") == ("0 cat", "1 dog")


# --- what a card is good for --------------------------------------------------------------------------------------


def nothing_said(line: str) -> None:
    raise AssertionError(line)


@pytest.mark.parametrize("inside", [True, False])
def test_a_model_with_a_card_says_all_itself(model_file: Path, inside: bool) -> None:
    write_card(model_file, CARD) if inside else write_beside(model_file, CARD)
    (model_file.parent / "labels.txt").write_text("1\n2\n3\n4\n5\n")
    classifier = load_classifier(model_file, say=nothing_said)
    assert classifier.labels == CARD.classes
    assert (classifier.fit, classifier.output, classifier.pixel_guess) == ("crop", "classes", None)
    assert classifier.preprocessing == PREPROCESSINGS["unit"]
    assert classifier.card == CARD


def test_what_the_user_says_wins_over_the_card(model_file: Path) -> None:
    write_card(model_file, CARD)
    labels = ("a", "b", "c", "d", "e")
    classifier = load_classifier(model_file, labels=labels, preprocessing="tf", output="values", say=nothing_said)
    assert (classifier.labels, classifier.output) == (labels, "values")
    assert classifier.preprocessing == PREPROCESSINGS["tf"]
    assert load_classifier(model_file, preprocessing="auto", say=nothing_said).preprocessing == PREPROCESSINGS["unit"]


def test_a_card_of_another_model_is_left_out_with_a_line(model_file: Path) -> None:
    write_card(model_file, Card(("left", "right")))
    said: list[str] = []
    classifier = load_classifier(model_file, preprocessing="unit", say=said.append)
    assert said == ["model.keras: its card names 2 classes for 5, so the card is left out"]
    assert classifier.labels[0] == "class 0"
    assert classifier.card is None
    assert known_labels(model_file, ModelOptions())[0] == "class 0"


def test_a_model_of_a_number_has_its_name(tmp_path: Path) -> None:
    image = keras.Input((12, 14, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3)(layers.Rescaling(1 / 255)(image)))
    keras.Model(image, layers.Dense(1)(x)).save(tmp_path / "age.keras")
    write_card(tmp_path / "age.keras", Card(("age",), task="values"))
    classifier = load_classifier(tmp_path / "age.keras", say=nothing_said)
    assert (classifier.labels, classifier.output) == (("age",), "values")
    assert known_labels(tmp_path / "age.keras", ModelOptions()) == ("age",)


def test_classes_of_a_card_are_known_before_the_model_is_loaded(model_file: Path) -> None:
    write_card(model_file, CARD)
    assert known_labels(model_file, ModelOptions()) == CARD.classes
    check_names(model_file, ModelOptions(), classes=("phone", "cup>phone"))
    with pytest.raises(UsageError, match="there is no class 'fone'; did you mean none or phone"):
        check_names(model_file, ModelOptions(), classes=("fone",))


@pytest.mark.slow
def test_a_session_has_names_and_fit_of_the_file_alone(model_file: Path) -> None:
    write_card(model_file, CARD)
    session = start_session(SessionOptions(str(model_file), classes=("phone",), tune="off"))
    assert session.explainer.fit == "crop"
    assert session.fit_guess is None
    explanation = session.explain(FRAME)
    assert {prediction.label for prediction in explanation.predictions} == set(CARD.classes)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_a_card_beside_an_h5_file_is_read(tmp_path: Path) -> None:
    two_dense_layers().save(tmp_path / "model.h5")
    write_beside(tmp_path / "model.h5", CARD)
    classifier = load_classifier(tmp_path / "model.h5", say=nothing_said)
    assert (classifier.labels, classifier.fit) == (CARD.classes, "crop")
