"""Where no engine is asked for, the fastest that agrees is taken, and remembered."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from live_gradcam import SessionOptions, UsageError, start_session
from live_gradcam.attribution.session import engine_choice
from live_gradcam.attribution.session.engine_choice import (
    best_of,
    candidates,
    milliseconds_of,
    remembered_engines,
    with_engine,
)
from live_gradcam.choices import ENGINE_CHOICES, ENGINES
from live_gradcam.compiling.kept_files import KeptFiles

FRAME = np.random.default_rng(1).integers(0, 256, (90, 160, 3), np.uint8)


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SessionOptions:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    keras.utils.set_random_seed(1)
    image = keras.Input((24, 32, 3))
    x = layers.Conv2D(6, 3, activation="relu")(layers.Rescaling(1 / 255)(image))
    scores = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    keras.Model(image, scores).save(tmp_path / "toy.keras")
    return SessionOptions(tmp_path / "toy.keras", engine="auto", fit="stretch")


def test_auto_is_listed_before_the_engines() -> None:
    assert list(ENGINE_CHOICES) == ["auto", *ENGINES]
    ENGINE_CHOICES.check("auto")
    with pytest.raises(UsageError, match="there is no engine 'autoo'; did you mean auto"):
        ENGINE_CHOICES.check("autoo")


def test_only_engines_that_are_installed_and_have_the_precision_are_candidates(monkeypatch) -> None:
    assert candidates() == ["xla", "openvino", "onnxruntime"]
    assert candidates("bf16") == ["xla", "openvino"]
    monkeypatch.setattr(
        "live_gradcam.compiling.compilation.find_spec",
        lambda name: None if name in ("openvino", "onnxruntime") else find_spec(name),
    )
    assert candidates() == ["xla"]


def test_with_tensorflow_alone_nothing_is_timed(options: SessionOptions, monkeypatch) -> None:
    monkeypatch.setattr(engine_choice, "candidates", lambda precision: ["xla"])
    monkeypatch.setattr(engine_choice, "_timed", None)  # it must not come to that
    assert with_engine(options) == replace(options, engine="xla")


def test_the_fastest_is_taken_and_remembered(options: SessionOptions, monkeypatch, caplog) -> None:
    timed: list[list[str]] = []

    def by_rule(runs, **_):
        timed.append(list(runs))
        return {name: {"xla": 3.0, "openvino": 1.0, "onnxruntime": 2.0}[name] for name in runs}

    monkeypatch.setattr(engine_choice, "milliseconds_of", by_rule)
    with caplog.at_level(logging.INFO, "live_gradcam"):
        session = start_session(options)
    assert session.engine == "openvino"
    assert session.options.engine == "auto"
    assert "engines timed: xla 3.0 ms, openvino 1.0 ms, onnxruntime 2.0 ms" in caplog.messages
    assert "the engine is openvino, the fastest here for this network" in caplog.messages
    assert start_session(options).engine == "openvino"
    assert timed == [["xla", "openvino", "onnxruntime"]]
    assert remembered_engines() == [("toy.keras", "openvino, 1.0 ms per frame")]
    assert start_session(replace(options, input_size=(40, 40))).engine == "openvino"
    assert len(timed) == 2  # another shape is timed by itself


def test_an_engine_that_differs_or_fails_is_left_out_with_a_line(options: SessionOptions, monkeypatch, caplog) -> None:
    onnx, openvino = ENGINES.load("onnxruntime"), ENGINES.load("openvino")
    compile_by_openvino = openvino.compile

    def off(*arguments):
        compiled = compile_by_openvino(*arguments)

        def run(*arrays):
            answers = compiled(*arrays)
            return {**answers, "logits": answers["logits"] * 1.01}

        return run

    def fails(*_):
        raise RuntimeError("no such operation")

    monkeypatch.setattr(openvino, "compile", off)
    monkeypatch.setattr(onnx, "compile", fails)
    assert with_engine(options).engine == "xla"
    left_out = [message for message in caplog.messages if "left out" in message]
    assert left_out[0].startswith(
        "the engine openvino is left out: its answers differ from those of xla by 1.0e-02 of the largest value, and "
        "1.0e-03 is allowed"
    )
    assert left_out[1] == (
        "the engine onnxruntime is left out: toy.keras cannot be compiled by ONNX Runtime: no such operation"
    )


def test_what_cannot_be_remembered_is_not_timed(options: SessionOptions, monkeypatch) -> None:
    monkeypatch.setattr(engine_choice, "_timed", None)
    assert with_engine(replace(options, weights="none")).engine == "xla"


def test_a_choice_that_is_damaged_or_not_installed_any_more_is_made_again(options: SessionOptions, monkeypatch) -> None:
    answers = iter([{"xla": 1.0, "openvino": 2.0}, {"xla": 2.0, "openvino": 1.0}, {"xla": 1.0, "openvino": 2.0}])
    monkeypatch.setattr(engine_choice, "_timed", lambda *_: next(answers))
    assert with_engine(options).engine == "xla"
    (kept,) = KeptFiles().files()
    assert json.loads(bytes(KeptFiles().read(kept.key)))["milliseconds"] == {"xla": 1.0, "openvino": 2.0}
    KeptFiles().write(kept.key, b'{"engine": "tensorrt"}')
    assert with_engine(options).engine == "openvino"
    kept.path.write_bytes(b"")
    assert with_engine(options).engine == "xla"


@pytest.mark.parametrize(
    ("milliseconds", "best"),
    [
        ({"xla": 10.0, "openvino": 6.0, "onnxruntime": 5.0}, "onnxruntime"),
        ({"xla": 10.0, "openvino": 5.2, "onnxruntime": 5.0}, "openvino"),
        ({"xla": 10.0, "openvino": 10.6}, "xla"),
        ({"xla": 10.0}, "xla"),
    ],
)
def test_of_engines_that_take_as_long_the_one_that_keeps_programs_is_taken(milliseconds, best: str) -> None:
    assert best_of(milliseconds) == best


def test_engines_are_timed_in_turn_with_new_frames_and_for_a_bounded_time() -> None:
    order: list[str] = []
    frames: list[bytes] = []

    def slow(frame: np.ndarray) -> None:
        order.append("slow")
        frames.append(frame.tobytes())
        time.sleep(0.05)

    def quick(frame: np.ndarray) -> None:
        order.append("quick")
        frames.append(frame.tobytes())

    milliseconds = milliseconds_of({"slow": slow, "quick": quick}, turns=4, seconds=60)
    assert order == ["slow", "slow", "quick", "quick"] * 4
    assert len(set(frames)) == 16
    assert milliseconds["quick"] < milliseconds["slow"] >= 50
    order.clear()
    milliseconds_of({"slow": slow, "quick": quick}, turns=1000, seconds=0)
    assert len(order) == 5 * 4  # five turns at least


def test_what_is_taught_takes_an_engine_that_takes_a_new_head(options: SessionOptions, monkeypatch) -> None:
    from live_gradcam.fitting.taught_session import start_teaching, teachable

    monkeypatch.setattr(engine_choice, "_timed", lambda *_: {"openvino": 1.0})
    session = start_session(options)
    assert session.engine == "openvino"
    assert teachable(session)[1].engine == "xla"
    assert start_teaching(options)[1].engine == "xla"
