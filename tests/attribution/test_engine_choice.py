"""Where no engine is asked for, the fastest that agrees is taken, and remembered."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import keras
import numpy as np
import pytest
from command_line import run
from keras import layers

from live_gradcam import SessionOptions, UsageError, start_session
from live_gradcam.attribution.agreement import Agreement, compare_answers
from live_gradcam.attribution.session import engine_choice, loading, precision_check, timed_engines
from live_gradcam.attribution.session.check_pictures import check_pictures
from live_gradcam.attribution.session.chosen_engine import ChosenEngine, Way
from live_gradcam.attribution.session.engine_choice import best_of, candidates, known_engine
from live_gradcam.attribution.session.remembered_engines import RememberedEngines
from live_gradcam.choices import DEFAULT_ENGINE, ENGINE_CHOICES, ENGINES, PRECISION_CHOICES
from live_gradcam.compiling import runtime
from live_gradcam.compiling.kept_files import KeptFiles
from live_gradcam.networks.pixel_scale import photographs

FRAME = np.random.default_rng(1).integers(0, 256, (90, 160, 3), np.uint8)


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SessionOptions:
    """A small network without an engine, on a quiet machine that remembers nothing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("LIVE_GRADCAM_ENGINE")
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 9.0, 9.0))
    keras.utils.set_random_seed(1)
    image = keras.Input((24, 32, 3))
    x = layers.Conv2D(6, 3, activation="relu")(layers.Rescaling(1 / 255)(image))
    scores = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    keras.Model(image, scores).save(tmp_path / "toy.keras")
    return SessionOptions(tmp_path / "toy.keras", fit="stretch")


@pytest.fixture
def without_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its conversion takes as long as all the rest."""
    only_tensorflow(monkeypatch, "openvino")


class Timings:
    """How long each way takes, in place of a clock.

    Attributes:
        milliseconds: of each way.
        timed: what was timed, one after another.
        spread: how much longer each second run takes.
    """

    def __init__(self, **milliseconds: float) -> None:
        self.milliseconds = {name.replace("_", " in "): taken for name, taken in milliseconds.items()}
        self.timed: list[list[str]] = []
        self.spread = 1.0

    def __call__(self, runs: dict[Way, Any], frames: Any) -> dict[Way, list[float]]:
        self.timed.append([str(way) for way in runs])
        return {way: [self.milliseconds[str(way)], self.spread * self.milliseconds[str(way)]] * 2 for way in runs}


@pytest.fixture
def timings(monkeypatch: pytest.MonkeyPatch) -> Timings:
    timings = Timings(xla=3.0, openvino=1.0, onnxruntime=2.0, xla_bf16=4.0, openvino_bf16=0.5)
    monkeypatch.setattr(timed_engines, "times_of", timings)
    return timings


def only_tensorflow(monkeypatch: pytest.MonkeyPatch, *and_these: str) -> None:
    missing = {"openvino", "onnxruntime"}.difference(and_these)
    monkeypatch.setattr(
        "live_gradcam.compiling.compilation.find_spec", lambda name: None if name in missing else find_spec(name)
    )


# --- names --------------------------------------------------------------------------------------------------------


def test_auto_is_listed_before_the_engines_and_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(ENGINE_CHOICES) == ["auto", *ENGINES]
    assert list(PRECISION_CHOICES) == ["auto", "f32", "bf16"]
    ENGINE_CHOICES.check("auto")
    with pytest.raises(UsageError, match="there is no engine 'autoo'; did you mean auto"):
        ENGINE_CHOICES.check("autoo")
    assert DEFAULT_ENGINE == "auto"
    assert SessionOptions().engine == "xla"  # as all tests have it
    monkeypatch.setenv("LIVE_GRADCAM_ENGINE", "graph")
    assert SessionOptions().engine == "graph"
    monkeypatch.setenv("LIVE_GRADCAM_ENGINE", "")
    assert SessionOptions().engine == "auto"
    monkeypatch.setenv("LIVE_GRADCAM_ENGINE", "tensorrt")
    with pytest.raises(UsageError, match="there is no engine 'tensorrt'"):
        SessionOptions().check()


def test_only_engines_that_are_installed_are_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    assert candidates() == ["xla", "openvino", "onnxruntime"]
    only_tensorflow(monkeypatch)
    assert candidates() == ["xla"]


# --- what is chosen -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_fastest_is_taken_and_remembered_and_the_network_loaded_once(
    options: SessionOptions, timings: Timings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    loads: list[str] = []
    load = loading.load
    monkeypatch.setattr(loading, "load", lambda options, say: loads.append(options.engine) or load(options, say))
    with caplog.at_level(logging.INFO, "live_gradcam"):
        session = start_session(options)
    why = "the fastest here for this network (xla 3.0 ms, openvino 1.0 ms, onnxruntime 2.0 ms per frame)"
    assert (session.engine, session.options.engine) == ("openvino", "auto")
    assert session.chosen.text == why
    assert f"the engine is openvino: {why}" in caplog.messages
    assert loads == ["xla"]
    again = start_session(options)
    assert (again.engine, again.chosen.text) == ("openvino", why)
    np.testing.assert_array_equal(again.explain(FRAME).heatmaps, session.explain(FRAME).heatmaps)
    assert (len(loads), timings.timed) == (1, [["xla", "openvino", "onnxruntime"]])
    assert [(name, chosen.way) for name, chosen in RememberedEngines().all()] == [("toy.keras", Way("openvino", "f32"))]
    for other in (
        {"input_size": (40, 40)},
        {"method": "layercam"},
        {"fit": "crop"},
        {"threads": None, "score": "margin"},
    ):
        assert known_engine(replace(options, **other)) is None  # which is timed by itself


@pytest.mark.slow
@pytest.mark.usefixtures("without_onnx")
@pytest.mark.parametrize("fastest", ["xla", "openvino"])
def test_what_was_built_to_be_timed_is_used_and_kept_and_what_was_said_of_it_is_said_once(
    options: SessionOptions,
    timings: Timings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fastest: str,
) -> None:
    timings.milliseconds[fastest] = 0.1
    compiled: list[str] = []
    for name in ("xla", "openvino"):
        engine = ENGINES.load(name)

        def noting(*given: Any, name: str = name, compile_: Any = engine.compile) -> Any:
            compiled.append(name)
            return compile_(*given)

        monkeypatch.setattr(engine, "compile", noting)
    build = timed_engines.build_plan

    def speaking(classifier: Any, wanted: Any) -> Any:
        logging.getLogger("live_gradcam.of_a_test").warning("built for %s", wanted.compiling.engine)
        return build(classifier, wanted)

    monkeypatch.setattr(timed_engines, "build_plan", speaking)
    answers = []
    for _ in range(2):
        caplog.clear()
        session = start_session(options)
        answers.append(session.explain(FRAME))
        assert session.engine == fastest
        assert compiled == ["xla", "openvino"]
        assert [message for message in caplog.messages if "built" in message] == [f"built for {fastest}"]
    np.testing.assert_array_equal(answers[0].logits, answers[1].logits)
    np.testing.assert_array_equal(answers[0].heatmaps, answers[1].heatmaps)


@pytest.mark.slow
def test_with_tensorflow_alone_nothing_is_timed(
    options: SessionOptions, timings: Timings, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_tensorflow(monkeypatch)
    session = start_session(options)
    assert (session.engine, session.precision, session.chosen.text) == ("xla", "f32", "there is no other")
    assert timings.timed == []
    assert not [kept for kept in KeptFiles().files() if kept.key["kind"] == "engine"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"lowering": False}, "the network is not to be rewritten"),
        ({"tune": "off"}, "nothing is to be timed"),
        ({"tune": "remembered"}, "no engine was timed before"),
        ({"method": "score-cam"}, "score-cam goes through functions of its own"),
        ({"methods": ("grad-cam", "ablation-cam")}, "ablation-cam goes through functions of its own"),
        ({"weights": "none"}, "a choice for this network cannot be remembered"),
        ({"lowering": False, "precision": "bf16"}, "the network is not to be rewritten"),
    ],
    ids=str,
)
def test_what_was_asked_for_goes_on_by_the_usual_engine(options: SessionOptions, changes: Any, why: str) -> None:
    options = replace(options, **changes)
    chosen = known_engine(options)
    assert (chosen.way, chosen.why, chosen.notice) == (Way("xla", options.precision), why, "")


def test_nothing_is_timed_that_cannot_be_remembered(options: SessionOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    assert known_engine(options) is None
    monkeypatch.setattr(os, "access", lambda *_: False)
    chosen = known_engine(options)
    assert (chosen.way.engine, chosen.why) == ("xla", "a choice for this network cannot be remembered")


@pytest.mark.slow
def test_a_model_of_a_program_runs_by_the_usual_engine(options: SessionOptions, timings: Timings) -> None:
    session = start_session(replace(options, model=keras.saving.load_model(options.model)))
    assert (session.engine, timings.timed) == ("xla", [])


@pytest.mark.slow
@pytest.mark.usefixtures("without_onnx")
def test_what_was_timed_before_is_used_where_nothing_new_is_to_be(options: SessionOptions, timings: Timings) -> None:
    start_session(options)
    assert known_engine(replace(options, tune="remembered")).way == Way("openvino", "f32")
    assert known_engine(replace(options, tune="full")) is None


def make_faulty(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have an engine's logits be a hundredth off, also where another test has compiled the same."""
    monkeypatch.setattr("live_gradcam.compiling.xla_programs.are_new", lambda folder: True)
    engine = ENGINES.load(name)
    compile_rightly = engine.compile

    def compile_wrongly(*arguments: Any) -> Any:
        compiled = compile_rightly(*arguments)

        def run(*arrays: Any) -> Any:
            answers = compiled(*arrays)
            return {**answers, "logits": answers["logits"] * 1.01}

        return run

    monkeypatch.setattr(engine, "compile", compile_wrongly)


@pytest.mark.slow
def test_an_engine_that_differs_or_fails_is_left_out_with_a_line_that_is_said_once(
    options: SessionOptions, timings: Timings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: Any) -> Any:
        raise RuntimeError("no such operation")

    make_faulty("openvino", monkeypatch)
    monkeypatch.setattr(ENGINES.load("onnxruntime"), "compile", fails)
    assert start_session(options).engine == "xla"
    assert [message for message in caplog.messages if "left out" in message] == [
        "the engine onnxruntime is left out: toy.keras cannot be compiled by ONNX Runtime: no such operation",
        "the engine openvino is left out: its answers differ from those of xla by 1.0e-02 of the largest value, and "
        "1.0e-03 is allowed",
    ]
    assert timings.timed == [["xla"]]
    caplog.clear()
    assert start_session(options).engine == "xla"
    assert not any("left out" in message for message in caplog.messages)


@pytest.mark.slow
@pytest.mark.usefixtures("without_onnx", "timings")
def test_where_the_usual_engine_is_the_one_that_is_wrong_it_is_left_out(
    options: SessionOptions, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make_faulty("xla", monkeypatch)
    assert start_session(options).engine == "openvino"
    assert caplog.messages == [
        "the engine xla is left out: its answers differ from those of openvino by 1.0e-02 of the largest value, and "
        "1.0e-03 is allowed"
    ]


@pytest.mark.parametrize(
    ("milliseconds", "best"),
    [
        ({"xla": 10.0, "openvino": 6.0, "onnxruntime": 5.0}, "onnxruntime"),
        ({"xla": 10.0, "openvino": 5.2, "onnxruntime": 5.0}, "openvino"),
        ({"xla": 10.0, "openvino": 10.6}, "xla"),
        ({"xla": 10.0}, "xla"),
    ],
)
def test_of_engines_that_take_as_long_the_one_that_keeps_programs_is_taken(milliseconds: Any, best: str) -> None:
    assert best_of({Way(name, "f32"): taken for name, taken in milliseconds.items()}) == Way(best, "f32")


@pytest.mark.slow
@pytest.mark.usefixtures("without_onnx")
def test_what_is_taught_takes_an_engine_that_takes_a_new_head(options: SessionOptions, timings: Timings) -> None:
    from live_gradcam.fitting.taught_session import start_teaching, teachable

    session = start_session(options)
    assert session.engine == "openvino"
    assert teachable(session)[1].engine == "xla"
    assert start_teaching(options)[1].engine == "xla"


# --- a busy machine -----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("without_onnx")
def test_a_choice_that_was_disturbed_is_made_again_when_all_is_quiet(
    options: SessionOptions, timings: Timings, monkeypatch: pytest.MonkeyPatch
) -> None:
    timings.spread = 1.5
    assert not start_session(options).chosen.is_sure
    timings.milliseconds["xla"] = 0.5
    monkeypatch.setattr(os, "getloadavg", lambda: (8.0 * os.cpu_count(), 0.0, 0.0))
    assert known_engine(options).way.engine == "openvino"  # another timing would be disturbed, too
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    timings.spread = 1.0
    chosen = start_session(options).chosen
    assert (chosen.way.engine, chosen.is_sure, chosen.attempts) == ("xla", True, 2)
    assert known_engine(options) == chosen


@pytest.mark.slow
@pytest.mark.usefixtures("without_onnx")
def test_a_machine_that_is_never_quiet_times_a_few_times(options: SessionOptions, timings: Timings) -> None:
    timings.spread = 1.5
    for _ in range(3):
        start_session(options)
    found = known_engine(options)
    assert (found.is_sure, found.attempts, len(timings.timed)) == (False, 3, 3)


def test_times_on_a_busy_machine_are_not_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    assert timed_engines.are_steady([1.0, 1.0, 1.2, 1.25, 9.0])
    assert not timed_engines.are_steady([1.0, 1.0, 1.4, 1.5])
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    for load, is_busy in ((2.9, False), (3.0, True)):
        monkeypatch.setattr(os, "getloadavg", lambda load=load: (load, 0.0, 0.0))
        assert runtime.is_busy() is is_busy
    monkeypatch.delattr(os, "getloadavg")  # as on Windows
    assert not runtime.is_busy()


@pytest.mark.slow
@pytest.mark.usefixtures("without_onnx")
def test_a_choice_that_is_damaged_or_not_installed_any_more_is_made_again(
    options: SessionOptions, timings: Timings
) -> None:
    start_session(options)
    (kept,) = (file for file in KeptFiles().files() if file.key.get("kind") == "engine")
    gone = ChosenEngine(Way("tensorrt", "f32"), "the fastest")
    for content in (b"{", b"[]", b'{"way": ["xla"]}', b'{"way": ["xla", "f32"], "speed": 9}', gone.to_bytes()):
        KeptFiles().write(kept.key, content)
        assert known_engine(options) is None
    kept.path.write_bytes(b"")
    assert known_engine(options) is None


# --- timing -------------------------------------------------------------------------------------------------------


class Clock:
    """A clock that only runs move."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_engines_are_timed_in_turn_with_new_frames_and_for_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(timed_engines.time, "perf_counter", clock)
    order: list[str] = []
    frames: list[bytes] = []

    def way(name: str, seconds: float) -> Any:
        def runs(frame: np.ndarray) -> None:
            order.append(name)
            frames.append(frame.tobytes())
            clock.now += seconds

        return runs

    runs = {"slow": way("slow", 0.25), "quick": way("quick", 0.1875)}
    noise = timed_engines._frames((4, 6))
    assert timed_engines.times_of(runs, noise, turns=4, seconds=60) == {"slow": [250] * 4, "quick": [187.5] * 4}
    assert order == ["slow", "slow", "quick", "quick"] * 4
    assert len(set(frames)) == 16
    order.clear()
    timed_engines.times_of(runs, noise, turns=1000, seconds=0)
    assert order == ["slow", "slow", "quick", "quick"] * 3
    runs["hopeless"] = way("hopeless", 0.5)
    order.clear()
    times = timed_engines.times_of(runs, noise, turns=5, seconds=60)
    assert {name: len(taken) for name, taken in times.items()} == {"slow": 5, "quick": 5, "hopeless": 3}


# --- precision ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("without_onnx")
def test_bf16_takes_the_engine_that_gains_by_it(
    options: SessionOptions, timings: Timings, caplog: pytest.LogCaptureFixture
) -> None:
    session = start_session(replace(options, precision="bf16"))
    assert (session.engine, session.precision) == ("openvino", "bf16")
    assert timings.timed == [["xla", "openvino", "xla in bf16", "openvino in bf16"]]
    assert not any("bf16" in message for message in caplog.messages)


@pytest.mark.slow
def test_with_tensorflow_alone_bf16_is_timed_and_that_it_gains_nothing_is_said_at_every_start(
    options: SessionOptions, timings: Timings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    only_tensorflow(monkeypatch)
    line = "no engine here gains by bf16: xla takes 4.0 ms per frame with it, and xla 3.0 ms without"
    for _ in range(2):
        caplog.clear()
        session = start_session(replace(options, precision="bf16"))
        assert (session.engine, session.precision) == ("xla", "bf16")
        assert [message for message in caplog.messages if "bf16" in message] == [line]
    assert timings.timed == [["xla", "xla in bf16"]]


XLA, OPENVINO, XLA_BF16, OPENVINO_BF16 = (Way(name, of) for of in ("f32", "bf16") for name in ("xla", "openvino"))  # type: ignore[arg-type]


def chosen(precision: str, milliseconds: dict[Way, float]) -> ChosenEngine:
    """What is chosen by times."""
    timed: Any = SimpleNamespace(milliseconds=milliseconds, explainers=dict.fromkeys(milliseconds))
    return engine_choice.chosen_of(SessionOptions(engine="auto", precision=precision), timed)  # type: ignore[arg-type]


def test_bf16_takes_the_fastest_that_has_it() -> None:
    times = {XLA: 3.0, OPENVINO: 2.0, XLA_BF16: 4.0, OPENVINO_BF16: 1.95}
    found = chosen("bf16", times)
    line = "no engine here gains by bf16: openvino takes 1.9 ms per frame with it, and openvino 2.0 ms without"
    assert (found.way, found.notice) == (OPENVINO_BF16, line)
    assert chosen("bf16", {**times, OPENVINO_BF16: 1.0}).notice == ""
    without = chosen("bf16", {XLA: 3.0, OPENVINO: 2.0})
    assert (without.way, without.notice) == (XLA_BF16, "no engine here gives the same in bf16")


@pytest.mark.parametrize(
    ("top1", "correlation", "way"),
    [(0.99, 0.999, OPENVINO_BF16), (0.98, 1.0, OPENVINO), (1.0, 0.9989, OPENVINO)],
)
def test_auto_is_bf16_where_it_is_faster_and_hardly_changes_the_answers(
    monkeypatch: pytest.MonkeyPatch, top1: float, correlation: float, way: Way
) -> None:
    monkeypatch.setattr(precision_check, "compare_answers", lambda *_: Agreement(top1, correlation, 0.9))
    found = chosen("auto", {XLA: 3.0, OPENVINO: 2.0, XLA_BF16: 4.0, OPENVINO_BF16: 1.0})
    said = f"{100 * top1:.0f} of 100 top classes are the same and maps correlate by {correlation:.4f} on 100 pictures"
    assert found.way == way
    assert said in found.why
    assert found.notice == ("" if way == OPENVINO_BF16 else f"the precision is f32: bf16 differs too much, {said}")
    slower = chosen("auto", {XLA: 3.0, OPENVINO: 2.0, XLA_BF16: 4.0, OPENVINO_BF16: 1.95})
    assert slower.way == OPENVINO
    assert slower.notice.startswith("the precision is f32: no engine here gains by bf16: openvino takes 1.9 ms")


@pytest.mark.parametrize(
    ("changes", "way", "why"),
    [
        ({"engine": "onnxruntime"}, ("onnxruntime", "f32"), "there is no other"),
        ({"tune": "off"}, ("xla", "f32"), "nothing is to be timed"),
        ({"weights": "none"}, ("xla", "f32"), "a choice for this network cannot be remembered"),
    ],
    ids=str,
)
def test_auto_is_f32_with_a_line_where_nothing_can_be_compared(
    options: SessionOptions, changes: Any, way: tuple[str, str], why: str
) -> None:
    chosen = known_engine(replace(options, precision="auto", **changes))
    assert (chosen.way, chosen.notice) == (way, f"the precision is f32, not bf16: {why}")


@pytest.mark.slow
def test_auto_of_an_engine_that_was_asked_for_stays_with_it_and_compares_its_answers(
    options: SessionOptions, timings: Timings
) -> None:
    session = start_session(replace(options, precision="auto", engine="openvino"))
    assert (session.engine, timings.timed) == ("openvino", [["openvino", "openvino in bf16"]])
    assert " of 100 top classes are the same and maps correlate by " in session.chosen.text
    assert session.precision in session.chosen.text


def test_the_check_pictures_are_always_the_same_and_no_two_alike() -> None:
    pictures = list(check_pictures(13))
    assert {picture.shape for picture in pictures} == {(720, 1280, 3)}
    assert len({picture.tobytes() for picture in pictures}) == 13
    again = list(check_pictures(13))
    for picture, same in zip(pictures, again, strict=True):
        np.testing.assert_array_equal(picture, same)


def test_answers_are_compared_by_hand() -> None:
    def explains(tops: list[int], maps: list[list[float]]) -> Any:
        def explain(frame: Any, target: Any) -> Any:
            top = tops[frame]
            return SimpleNamespace(
                predictions=[SimpleNamespace(index=top)], target=top, heatmaps=np.array([[maps[frame]]], np.float32)
            )

        return explain

    reference = explains([1, 2, 3, 4], [[0, 1], [1, 0], [0, 1], [0, 0]])
    other = explains([1, 2, 9, 4], [[0, 2], [0.5, 0], [1, 0], [0, 1]])
    found = compare_answers(range(4), reference, other)
    assert (found.top1, found.map_correlation_min) == (0.75, pytest.approx(-1))
    assert found.map_correlation == pytest.approx(1 / 3)  # 1, 1 and -1; an even map does not count


# --- the command line ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_command_without_flags_chooses_an_engine_and_says_which_and_why(
    tmp_path: Path, quick_network: list[str]
) -> None:
    picture = tmp_path / "grass.png"
    cv2.imwrite(str(picture), photographs()[4])
    own = {"LIVE_GRADCAM_ENGINE": "", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    first, second = (run("explain", picture, "--json", "-", "-v", *quick_network, **own) for _ in range(2))
    assert (first.code, second.code) == (0, 0), first.err + second.err
    for finished in (first, second):  # which times again where all was not quiet before
        (said,) = (line for line in finished.err.splitlines() if line.startswith("live-gradcam: the engine is "))
        assert said.removeprefix("live-gradcam: the engine is ").split(":")[0] in candidates()
        assert ": the fastest here for this network (xla " in said
    by_xla = json.loads(run("explain", picture, "--json", "-", *quick_network).out)
    for answer in (first, second):
        for ours, theirs in zip(json.loads(answer.out)["predictions"], by_xla["predictions"], strict=True):
            assert ours["label"] == theirs["label"]
            assert ours["probability"] == pytest.approx(theirs["probability"], abs=1e-4)
