"""Pictures with 16 bits in a fit: one scale for all of them, which the model's card keeps."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from keras import layers

from live_gradcam import (
    FitOptions,
    Fitted,
    Levels,
    Session,
    SessionOptions,
    SourceError,
    Teacher,
    explain,
    fit,
    start_session,
)
from live_gradcam.annotating import annotate as annotating
from live_gradcam.annotating.annotate import annotate
from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.evaluating import evaluate as evaluating
from live_gradcam.evaluating.evaluate import EvaluationOptions, evaluate
from live_gradcam.evaluating.pictures import Picture
from live_gradcam.fitting import unfreezing
from live_gradcam.fitting.decoding import Read
from live_gradcam.fitting.masks import find_objects
from live_gradcam.fitting.report.backgrounds import cut_outs, read_backgrounds
from live_gradcam.fitting.report.options import ReportOptions
from live_gradcam.fitting.report.study import study
from live_gradcam.live_loop import run as live_loop
from live_gradcam.networks.card import read_card
from live_gradcam.networks.model_source import ModelOptions
from live_gradcam.sources.options import SourceOptions

_RAW = ModelOptions(preprocessing="raw")
_TOPS = {"a": 16_000, "b": 16_800}
_COUNT = 4


def _values(name: str, number: int) -> np.ndarray:
    """Grey of 16 bits, 4×4: 8192 and a step of 256 for each number, but for one place that differs between classes."""
    values = np.full((4, 4), 8192 + 256 * number, np.uint16)
    values[0, 0] = _TOPS[name]
    return values


def _write(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, values)[1].tobytes())
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures of each class, and in class b one of 8 bits, with the value 77."""
    folder = tmp_path_factory.mktemp("deep")
    for name in _TOPS:
        for number in range(_COUNT):
            _write(folder / name / f"{number}.png", _values(name, number))
    _write(folder / "b" / "plain.png", np.full((4, 4), 77, np.uint8))
    return folder


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A network whose features are the means of red, green and blue."""
    image = keras.Input((4, 4, 3))
    same, again = layers.Conv2D(3, 1, name="same"), layers.Conv2D(3, 1, name="again")
    x = layers.GlobalAveragePooling2D()(again(same(image)))
    model = keras.Model(image, layers.Dense(2, activation="softmax")(x), name="mean")
    for layer in (same, again):
        layer.set_weights([np.eye(3, dtype=np.float32)[None, None], np.zeros(3, np.float32)])
    return model


@pytest.fixture(scope="module")
def fitted(folder: Path, model: keras.Model) -> Fitted:
    return fit(folder, model=model, model_options=_RAW, options=FitOptions(folds=2))


@pytest.fixture(scope="module")
def saved(fitted: Fitted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "deep.keras"
    fitted.save(path, teachable=True)
    return path


@pytest.fixture(scope="module")
def session(saved: Path) -> Session:
    return start_session(SessionOptions(saved, engine="graph", lowering=False, tune="off"))


def _means(shades_of_tops: tuple[int, int], shades: list[int]) -> list[float]:
    """The features: of 16 places, 15 have the shade and one has that of the top. The picture of 8 bits has 77."""
    return [(15 * shade + top) / 16 for top in shades_of_tops for shade in shades] + [77]


def test_all_pictures_have_the_scale_of_the_one_with_the_most_bits(fitted: Fitted) -> None:
    # 16800 needs 16 bits: 65535 is white. 8192 · 256 / 65535 = 32.0005, 16000 → 62.5 and 16800 → 65.6
    expected = _means((62, 65), [32, 33, 34, 35])
    np.testing.assert_allclose(fitted.features, np.repeat(np.array(expected)[:, None], 3, axis=1), atol=1e-4)
    assert fitted.dataset.levels == Levels(0, 65_535, "whole")


def test_one_line_says_it_for_all(folder: Path, model: keras.Model, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "live_gradcam"):
        fit(folder, model=model, model_options=_RAW, options=FitOptions(folds=2))
    assert [line for line in caplog.messages if "levels" in line] == [
        "8 pictures have values from 8192 to 16800: 0 is shown as black and 65535 as white; --levels LOW:HIGH changes "
        "that"
    ]


def test_levels_by_hand_are_for_all_pictures(
    folder: Path, model: keras.Model, fitted: Fitted, caplog: pytest.LogCaptureFixture
) -> None:
    options = FitOptions(folds=2, levels=Levels(7936, 16_128))  # the features of other levels are in the cache
    with caplog.at_level(logging.WARNING, "live_gradcam"):
        found = fit(folder, model=model, model_options=_RAW, options=options)
    assert not [line for line in caplog.messages if "levels" in line]
    # 32 values are a shade: 8192 → 8, 8448 → 16, …; 16000 → 252; 16800 is above white; 77 is below black
    expected = [*_means((252, 255), [8, 16, 24, 32])[:-1], 0]
    np.testing.assert_allclose(found.features[:, 0], expected, atol=1e-4)
    assert found.card.levels == {"low": 7936, "high": 16_128, "of": "pictures"}
    assert found.to_json()["levels"] == {"low": 7936, "high": 16_128, "of": "pictures"}


def test_the_card_keeps_them(fitted: Fitted, saved: Path) -> None:
    levels = {"low": 0, "high": 65_535, "of": "whole"}
    assert fitted.to_json()["levels"] == levels
    assert read_card(saved).levels == levels
    assert json.loads(saved.with_name("deep.card.json").read_text())["levels"] == levels


def test_a_fit_of_plain_pictures_keeps_none(tmp_path: Path, model: keras.Model) -> None:
    for name, first in (("a", 10), ("b", 200)):
        for number in range(3):
            _write(tmp_path / name / f"{number}.png", np.full((4, 4), first + number, np.uint8))
    found = fit(tmp_path, model=model, model_options=_RAW, options=FitOptions(folds=2))
    np.testing.assert_allclose(found.features[:, 0], [10, 11, 12, 200, 201, 202], atol=1e-4)
    assert (found.dataset.levels, found.card.levels, found.to_json()["levels"]) == (None, None, None)


# --- the model is used --------------------------------------------------------------------------------------------


def test_explain_reads_a_picture_as_the_fit_did(
    folder: Path, session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "live_gradcam"):
        image = explain(folder / "a" / "1.png", session=session).image
        assert (image[0, 0].tolist(), image[1, 1].tolist()) == ([62] * 3, [33] * 3)
        array = explain(_values("a", 1), session=session).image
        np.testing.assert_array_equal(array, image)
        plain = explain(folder / "b" / "plain.png", session=session).image
        assert plain[1, 1].tolist() == [77] * 3
    assert not [line for line in caplog.messages if "levels" in line]
    fractions = explain(np.full((4, 4), 0.5), session=session).image
    assert fractions[1, 1].tolist() == [128] * 3


def test_what_is_lighter_than_all_that_was_fitted_is_said(
    tmp_path: Path, session: Session, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _write(tmp_path / "light.png", np.array([[0, 4096, 20_000]], np.uint16))
    monkeypatch.setattr(SessionOptions, "card_levels", {"low": 0, "high": 4095, "of": "whole"})
    with caplog.at_level(logging.WARNING, "live_gradcam"):
        image = explain(path, session=session).image
    assert image[0, :, 0].tolist() == [0, 255, 255]
    assert (
        f"{path} has values up to 20000, and the model was fitted with 4095 as white; --levels LOW:HIGH changes that"
    ) in caplog.messages


def test_evaluate_reads_pictures_as_the_fit_did(
    folder: Path, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    read = evaluating.read_pictures

    def noted(*arguments: object) -> Iterator[Picture]:
        for picture in read(*arguments):
            found.append(int(picture.image[1, 1, 0]))
            yield picture

    monkeypatch.setattr(evaluating, "read_pictures", noted)
    options = EvaluationOptions(steps=1, random_head=False)
    evaluate([folder / "a" / "0.png", folder / "b" / "plain.png"], session=session, options=options)
    assert found == [32, 77]
    found.clear()  # without a card the pictures share a scale
    evaluate([folder / "a" / "0.png", folder / "b" / "0.png"], session=replace(session, options=None), options=options)
    assert found == [32, 32]


def test_annotate_and_live_open_pictures_as_the_fit_did(
    folder: Path, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OpenedError(Exception):
        """Stands for the rest of the command."""

    opened: list[Levels | None] = []

    def live_opens(uri: str, options: SourceOptions) -> None:
        opened.append(options.levels)
        raise SourceError("it is enough")

    def annotate_opens(path: Path, options: AnnotateOptions) -> None:
        opened.append(options.levels)
        raise OpenedError

    monkeypatch.setattr(live_loop, "open_source", live_opens)
    monkeypatch.setattr(annotating, "obstacle", annotate_opens)
    options = SessionOptions(saved)
    for levels in (None, Levels(0, 4095)):
        with pytest.raises(SourceError, match="enough"):
            live_loop.live(
                str(folder / "a"),
                session=options,
                options=live_loop.LiveOptions(surface="none", reading=SourceOptions(levels=levels)),
            )
        with pytest.raises(OpenedError):
            annotate(folder / "a", tmp_path / "out.mp4", session=options, options=AnnotateOptions(levels=levels))
    assert opened == [Levels(0, 65_535, "whole")] * 2 + [Levels(0, 4095)] * 2


def test_what_is_taught_further_keeps_them(saved: Path, tmp_path: Path) -> None:
    path = Teacher.load(saved, model_options=_RAW).save_model(tmp_path / "more.keras")
    assert read_card(path).levels == {"low": 0, "high": 65_535, "of": "whole"}


# --- the report, and training of blocks ---------------------------------------------------------------------------


def test_the_report_shows_pictures_as_the_network_saw_them(fitted: Fitted) -> None:
    found = study(fitted, ReportOptions(), lambda what, done, total: None)
    shades = {int(picture[1, 1, 0]) for picture in found.thumbnails.values()}
    assert shades <= {32, 33, 34, 35, 77}
    assert shades & {32, 33, 34, 35}


def test_objects_are_cut_out_of_what_the_network_saw(tmp_path: Path, fitted: Fitted) -> None:
    mask = np.zeros((4, 4), np.uint8)
    mask[1:3, 1:3] = 255
    for name in _TOPS:
        for number in range(_COUNT):
            _write(tmp_path / name / f"{number}.png", mask)
    objects = find_objects(fitted.dataset.examples, tmp_path)
    cut = cut_outs(fitted.dataset, objects, lambda done, total: None)
    assert sorted(int(one.image[1, 1, 0]) for one in cut) == [32, 32, 33, 33, 34, 34, 35, 35]


def test_blocks_are_trained_on_what_the_network_saw(
    folder: Path, model: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Levels | None] = []
    usual = unfreezing.read_all

    def noted(*arguments: object, levels: Levels | None) -> Iterator[Read]:
        read.append(levels)
        return usual(*arguments, levels=levels)

    monkeypatch.setattr(unfreezing, "read_all", noted)
    fit(folder, model=model, model_options=_RAW, options=FitOptions(folds=2, unfreeze=1, epochs=1))
    assert read == [Levels(0, 65_535, "whole")]


def test_a_picture_of_a_place_is_read_like_the_data_set(folder: Path, fitted: Fitted) -> None:
    (background,) = {tuple(one[1, 1]) for one in read_backgrounds(folder / "a", fitted.dataset.levels)[:1]}
    assert background == (32, 32, 32)


def test_a_session_without_a_file_has_no_levels(session: Session) -> None:
    assert SessionOptions("efficientnet-lite0").card_levels is None
    assert SessionOptions("no-such-file.keras").card_levels is None
    assert replace(session, options=None).card_levels is None
