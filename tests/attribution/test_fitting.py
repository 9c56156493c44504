"""How frames enter the network where nobody says how: the most accurate fit, and of a stream one that keeps up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import keras
import numpy as np
import pytest
from keras import layers
from typer.testing import CliRunner

from live_gradcam import Classifier, Explainer, load_classifier
from live_gradcam.attribution.fit_choice import Stream, is_guess, keeping_up, most_accurate_fit
from live_gradcam.attribution.session import SessionOptions, start_session
from live_gradcam.cli import app
from live_gradcam.compiling.tuning import Tuner
from live_gradcam.errors import UsageError
from live_gradcam.networks.preprocessing import PREPROCESSINGS


def pooled_model(*first: keras.layers.Layer, side: int | None = 32) -> keras.Model:
    image = keras.Input((side, side, 3))
    x = image
    for layer in first:
        x = layer(x)
    x = layers.Conv2D(4, 3, strides=2, activation="relu", name="maps")(x)
    return keras.Model(image, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


# --- pictures and files -------------------------------------------------------------------------------------------


def said_of_fit(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [message for message in caplog.messages if "fit" in message]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "fit"),
    [
        ([], None),
        ([layers.Rescaling(1 / 255), layers.Resizing(32, 32)], "stretch"),
        ([layers.Resizing(32, 32, crop_to_aspect_ratio=True)], "crop"),
        ([layers.Resizing(32, 32, pad_to_aspect_ratio=True)], "letterbox"),
        ([layers.Conv2D(3, 1), layers.Resizing(32, 32)], None),  # which resizes feature maps
        ([keras.Sequential([layers.Resizing(32, 32, crop_to_aspect_ratio=True)])], "crop"),
    ],
)
def test_a_model_file_says_how_pictures_were_made_to_fit(tmp_path: Path, first, fit, caplog) -> None:
    caplog.set_level("WARNING", "live_gradcam")
    path = tmp_path / "mine.keras"
    pooled_model(*first, side=None).save(path)
    classifier = load_classifier(path, preprocessing="unit")
    options = SessionOptions(model=str(path), preprocessing="unit", engine="graph", tune="off")
    frame = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    caplog.clear()
    assert classifier.fit == fit
    assert most_accurate_fit(classifier, of_catalog=False, takes_tiles=True) == (fit or "stretch")
    assert is_guess(classifier, of_catalog=False) == (fit is None)
    engine = start_session(options)
    assert engine.explainer.fit == (fit or "stretch")
    engine.explain(frame[:, :34])  # of nearly the input's shape: it makes no difference
    assert not said_of_fit(caplog)
    for _ in range(2):
        engine.explain(frame)
    assert len(said_of_fit(caplog)) == (0 if fit else 1)
    says_so = "does not say how pictures were resized" in caplog.text and "--fit" in caplog.text
    assert says_so == (fit is None)
    caplog.clear()
    cropping = start_session(replace(options, fit="crop"))
    cropping.explain(frame)
    assert not said_of_fit(caplog)


def test_a_network_of_the_catalogue_takes_tiles_unless_a_method_takes_many_passes(caplog) -> None:
    classifier = Classifier("efficientnet-lite0", pooled_model(), ("a", "b", "c"), (32, 32), PREPROCESSINGS["unit"])
    assert most_accurate_fit(classifier, of_catalog=True, takes_tiles=True) == "tiles"
    assert most_accurate_fit(classifier, of_catalog=True, takes_tiles=False) == "stretch"
    assert not caplog.text


@pytest.mark.slow
@pytest.mark.usefixtures("lite0_is_loaded")
def test_what_is_asked_for_is_done() -> None:
    for options, fit, tiles in (
        (SessionOptions(fit="stretch"), "stretch", 1),
        (SessionOptions(), "tiles", 3),
        (SessionOptions(tiles=2), "tiles", 2),
        (SessionOptions(method="guided-grad-cam"), "stretch", 1),
        (SessionOptions(methods=("grad-cam", "score-cam")), "stretch", 1),
    ):
        explainer = start_session(replace(options, engine="graph", tune="off", lowering=False)).explainer
        assert (explainer.fit, explainer.tiles_for((720, 1280))) == (fit, tiles)
    with pytest.raises(UsageError, match="--tiles works with --fit tiles, and the fit is crop"):
        SessionOptions(fit="crop", tiles=3).check()


@pytest.mark.slow
@pytest.mark.usefixtures("lite0_is_loaded")
def test_a_wide_picture_says_in_its_numbers_how_it_was_seen(tmp_path: Path) -> None:
    path, network = tmp_path / "wide.png", tmp_path / "seven.keras"
    image = keras.Input((56, 56, 3))
    maps = layers.Conv2D(4, 8, strides=8, activation="relu")(image)
    keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(maps))).save(network)
    seven = ["-m", str(network)]  # its map has as many places as the default network's
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8))
    for flags, fit, tiles, region, columns in (
        ([], "tiles", 3, [0, 0, 160, 90], 12),
        ([*seven, "--tiles", "2"], "tiles", 2, [0, 0, 160, 90], 12),
        ([*seven, "--fit", "stretch"], "stretch", 1, [0, 0, 160, 90], 7),
        ([*seven, "--fit", "crop"], "crop", 1, [35, 0, 90, 90], 7),
    ):
        result = CliRunner().invoke(app, ["explain", str(path), "--json", "-", "--engine", "graph", *flags])
        record = json.loads(result.stdout)
        assert (record["fit"], record["tiles"], record["region"]) == (fit, tiles, region)
        assert (len(record["heatmap"]), len(record["heatmap"][0])) == (7, columns)


# --- streams ------------------------------------------------------------------------------------------------------


class FakeExplainer(SimpleNamespace):
    """Takes so many milliseconds per tile."""

    def tiles_for(self, frame_size: tuple[int, int]) -> int:
        return (self.tiles or 3) if self.fit == "tiles" else 1

    def milliseconds(self, frame_size: tuple[int, int]) -> float:
        return self.each * self.tiles_for(frame_size)

    def variant(self, **settings: Any) -> FakeExplainer:
        return FakeExplainer(**{**vars(self), "tiles": None, **settings})


@pytest.mark.parametrize(
    ("each", "rate", "fit", "tiles"),
    [
        (7.7, 30, "tiles", None),  # 23.1 of 23.3 ms
        (9, 30, "tiles", 2),
        (13.5, 30, "crop", None),
        (100, 30, "crop", None),  # which does not keep up either, and nothing is quicker
        (13.5, 15, "tiles", None),
        (100, None, "tiles", None),  # the source waits
    ],
)
def test_a_stream_has_the_most_accurate_fit_that_keeps_up(each, rate, fit, tiles) -> None:
    first = FakeExplainer(fit="tiles", tiles=None, method="grad-cam", layer="maps", each=each)
    chosen = keeping_up(first, Stream((720, 1280), rate))
    assert (chosen.fit, chosen.tiles) == (fit, tiles)


def test_a_fit_that_was_asked_for_stays() -> None:
    first = FakeExplainer(fit="letterbox", tiles=None, method="grad-cam", layer="maps", each=1000)
    assert keeping_up(first, Stream()) is first


def test_the_time_of_a_frame_is_measured_once_and_remembered(tmp_path: Path) -> None:
    runs = []
    tuner = Tuner("auto", tmp_path)
    taken = tuner.time("a network in 3", lambda: runs.append(1))
    assert taken > 0
    assert 4 <= len(runs) <= 26
    assert tuner.time("a network in 3", lambda: pytest.fail("it is known")) == taken
    assert Tuner("auto", tmp_path).time("a network in 3", lambda: pytest.fail("it is remembered")) == taken
    assert Tuner("auto", tmp_path).time("a network in 2", lambda: runs.append(1)) > 0


@pytest.mark.slow
def test_another_fit_shares_the_network_and_is_compiled_once() -> None:
    classifier = Classifier("toy", pooled_model(), ("a", "b", "c"), (32, 32), PREPROCESSINGS["unit"])
    frame = np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8)
    tiles = Explainer(classifier, fit="tiles", engine="graph", tune="off")
    assert tiles.milliseconds(frame.shape[:2]) > 0
    crop = tiles.variant(method=tiles.method, layer=tiles.layer, fit="crop")
    assert crop.plan.written.network is tiles.plan.written.network
    expected = Explainer(classifier, fit="crop", engine="graph", tune="off")(frame)
    np.testing.assert_allclose(crop(frame).heatmaps, expected.heatmaps, atol=1e-5)
    assert (crop.trace_count, tiles.trace_count) == (1, 1)
    other_layer = tiles.variant(method="layercam", layer="maps")
    assert (other_layer.fit, other_layer.tiles_for((720, 1280))) == ("tiles", 3)
