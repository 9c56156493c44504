"""A second start has what the first one built, and the same answers; what is damaged or of something else is built."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from live_gradcam import Explanation, Session, SessionOptions, start_session
from live_gradcam.attribution.fit_choice import Stream
from live_gradcam.attribution.kept.keys import network_key
from live_gradcam.attribution.session import loading
from live_gradcam.choices import ENGINES
from live_gradcam.compiling import tuning
from live_gradcam.compiling.kept_files import KeptFiles, programs_folder
from live_gradcam.errors import ModelError
from live_gradcam.networks.model_source import ModelOptions

FRAME = np.random.default_rng(1).integers(0, 256, (90, 160, 3), np.uint8)


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that were loaded since."""
    loaded: list[str] = []
    load = loading.load

    def noting(options: SessionOptions, say: object) -> object:
        loaded.append(str(options.model))
        return load(options, say)

    monkeypatch.setattr(loading, "load", noting)
    return loaded


def network(seed: int = 1, *, rescaling: bool = True) -> keras.Model:
    keras.utils.set_random_seed(seed)
    image = keras.Input((24, 32, 3))
    x = layers.Rescaling(1 / 255)(image) if rescaling else image
    x = layers.Conv2D(6, 3, activation="relu", name="early")(x)
    x = layers.Conv2D(8, 3, activation="relu", name="late")(x)
    return keras.Model(image, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


@pytest.fixture
def options(tmp_path: Path) -> SessionOptions:
    network().save(tmp_path / "toy.keras")
    (tmp_path / "names.txt").write_text("red\ngreen\nblue\n")
    return SessionOptions(tmp_path / "toy.keras", labels=str(tmp_path / "names.txt"), engine="openvino", fit="stretch")


def assert_same(one: Explanation, other: Explanation) -> None:
    for field in ("logits", "probabilities", "heatmaps", "evidence"):
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field), err_msg=field)
    for field in ("predictions", "targets", "region", "fit", "tiles", "model", "method", "layer", "against"):
        assert getattr(one, field) == getattr(other, field), field


def files_of(session: Session) -> Sequence[str]:
    """Everything that is asked of a session that does not take its network."""
    return (
        session.model,
        session.layers,
        session.weights,
        session.rewrites,
        session.input_size,
        session.description,
        session.vocabulary.classes,
        session.targets,
        session.maps,
    )


# --- the same answers ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"fit": "crop", "topk": 2, "maps": 2, "classes": ("green>red",)},
        {"fit": "tiles", "tiles": 2, "score": "margin"},
        {"fit": "auto", "layer": "early,late", "method": "layercam"},
        {"method": "counterfactual", "input_size": (40, 48), "lowering": False},
        {"precision": "bf16"},
    ],
    ids=lambda changes: " ".join(changes) or "defaults",
)
def test_a_second_start_loads_nothing_and_answers_the_same(
    options: SessionOptions, loads: list[str], changes: dict
) -> None:
    options = replace(options, **changes)
    first = start_session(options)
    answers = first.explain(FRAME), first.predict(FRAME), first.explainer.probabilities([first.as_seen(FRAME)[0]])
    facts = files_of(first)
    loads.clear()
    second = start_session(options)
    assert_same(answers[0], second.explain(FRAME))
    assert second.predict(FRAME) == answers[1]
    np.testing.assert_array_equal(second.explainer.probabilities([second.as_seen(FRAME)[0]]), answers[2])
    assert files_of(second) == facts
    assert second.explainer.trace_count == 0
    assert loads == []


@pytest.mark.slow
def test_threads_that_need_a_function_at_the_same_time_restore_it_once(
    options: SessionOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = replace(options, engine="xla")
    expected = start_session(options).predict(FRAME)
    second = start_session(options)
    engine = ENGINES.load("xla")
    restore, both, restored = engine.restore, threading.Barrier(2), []

    def noting(program: memoryview, precision: str) -> object:
        restored.append(precision)
        with suppress(threading.BrokenBarrierError):
            both.wait(0.5)  # in vain, unless another thread is here too
        return restore(program, precision)

    monkeypatch.setattr(engine, "restore", noting)
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(second.predict, [FRAME, FRAME])) == [expected, expected]
    assert restored == ["f32"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"fit": "tiles", "tiles": 3, "input_size": (64, 64), "score": "margin", "maps": 2},
        {"precision": "bf16", "layer": "early,late", "method": "layercam", "tune": "off"},
    ],
    ids=lambda changes: " ".join(changes) or "defaults",
)
def test_a_second_start_with_xla_traces_nothing_and_answers_the_same(
    options: SessionOptions, loads: list[str], changes: dict
) -> None:
    options = replace(options, engine="xla", **changes)
    look = lambda: Stream((90, 160), None)  # noqa: E731
    first = start_session(options, look=look)
    answers = first.explain(FRAME), first.predict(FRAME)
    facts = files_of(first)
    loads.clear()
    second = start_session(options, look=look)
    assert second.is_ready_for((90, 160))
    assert_same(answers[0], second.explain(FRAME))
    assert second.predict(FRAME) == answers[1]
    assert files_of(second) == facts
    assert second.explainer.shares_tiles((90, 160)) == first.explainer.shares_tiles((90, 160)) == ("tiles" in changes)
    assert (second.explainer.trace_count, loads) == (0, [])
    plain = start_session(replace(options, engine="graph", precision="f32")).explain(FRAME)
    np.testing.assert_allclose(answers[0].logits, plain.logits, atol=3e-2 if "precision" in changes else 1e-5)


@pytest.mark.slow
def test_with_xla_what_is_missing_is_built_then(options: SessionOptions, loads: list[str]) -> None:
    options = replace(options, engine="xla")
    start_session(options)
    loads.clear()
    session = start_session(options)
    switched = session.variant(method="hirescam", layer="early").explain(FRAME)
    assert loads == [str(options.model)]
    loads.clear()
    again = start_session(options).variant(method="hirescam", layer="early")
    assert_same(again.explain(FRAME), switched)
    assert loads == []


@pytest.mark.slow
def test_what_was_not_timed_for_lack_of_time_is_not_kept(
    options: SessionOptions, loads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = replace(options, engine="xla")
    with monkeypatch.context() as hurried:
        hurried.setattr(tuning, "_SECONDS", 0.0)
        for _ in range(2):
            start_session(options).explain(FRAME)
    assert len(loads) == 2
    for _ in range(2):
        start_session(options).explain(FRAME)
    assert len(loads) == 3


@pytest.mark.slow
def test_a_network_by_name_with_everyday_names(loads: list[str], chelsea: np.ndarray) -> None:
    options = SessionOptions("efficientnet-lite0", engine="openvino", names="everyday", classes=("cat>dog",), maps=2)
    answer = start_session(options).explain(chelsea)
    loads.clear()
    again = start_session(options).explain(chelsea)
    assert_same(answer, again)
    assert again.targets[0].label == "cat"
    assert again.tiles > 1
    assert loads == []


@pytest.mark.slow
def test_a_class_that_is_asked_for_later_needs_no_new_program(options: SessionOptions, loads: list[str]) -> None:
    start_session(options)
    loads.clear()
    session = start_session(replace(options, classes=("blue",)))
    assert session.explain(FRAME).targets[0].label == "blue"
    assert loads == []


@pytest.mark.slow
def test_a_live_run_finds_its_fit_again(options: SessionOptions, loads: list[str]) -> None:
    options = replace(options, fit="auto", is_live=True)
    look = lambda: Stream((90, 160), 30.0)  # noqa: E731
    first = start_session(options, look=look)
    answer = first.explain(FRAME)
    loads.clear()
    second = start_session(options, look=look)
    assert second.is_ready_for((90, 160))
    assert_same(second.explain(FRAME), answer)
    assert loads == []


@pytest.mark.slow
def test_a_method_that_was_switched_to_is_there_the_next_time(options: SessionOptions, loads: list[str]) -> None:
    first = start_session(options).variant(method="hirescam", layer="early")
    answer = first.explain(FRAME)
    loads.clear()
    second = start_session(options).variant(method="hirescam", layer="early")
    assert_same(second.explain(FRAME), answer)
    assert loads == []


# --- what was not built before ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_is_missing_is_built_then(options: SessionOptions, loads: list[str]) -> None:
    start_session(options)
    loads.clear()
    session = start_session(options)
    assert loads == []
    other = session.variant(method="hirescam", layer="early")
    assert loads == [str(options.model)]
    fresh = start_session(replace(options, engine="graph", method="hirescam", layer="early")).explain(FRAME)
    np.testing.assert_allclose(other.explain(FRAME).heatmaps, fresh.heatmaps, atol=1e-3)
    assert session.classifier.labels == ("red", "green", "blue")
    assert session.plan.options == session.outline.options


@pytest.mark.slow
def test_a_batch_that_was_not_compiled_before_is_compiled(options: SessionOptions) -> None:
    alone = start_session(options).explain(FRAME)
    pair = start_session(options).explainer.explain_batch([FRAME, FRAME[::-1]])
    np.testing.assert_allclose(pair[0].heatmaps, alone.heatmaps, atol=1e-5)
    again = start_session(options).explainer.explain_batch([FRAME, FRAME[::-1]])
    for one, other in zip(pair, again, strict=True):
        assert_same(one, other)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes", [{"method": "score-cam"}, {"fit": "native"}, {"engine": "graph"}], ids=lambda changes: str(changes)
)
def test_what_is_not_kept_answers_as_ever(options: SessionOptions, changes: dict) -> None:
    options = replace(options, **changes)
    answer = start_session(options).explain(FRAME)
    assert_same(start_session(options).explain(FRAME), answer)
    assert all(one.key["kind"] == "network" for one in KeptFiles().files())


def test_a_model_in_memory_and_random_weights_are_not_kept(options: SessionOptions) -> None:
    start_session(replace(options, model=network(), labels=None)).explain(FRAME)
    assert list(KeptFiles().files()) == []


def gated(factor: float) -> type[keras.Layer]:
    class Gate(keras.layers.Layer):
        def call(self, x: object) -> object:
            return x * factor

    return keras.saving.register_keras_serializable("mine")(Gate)


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_a_registered_layer_whose_code_changes_answers_by_its_new_code(
    options: SessionOptions, tmp_path: Path, ending: str
) -> None:
    image = keras.Input((24, 32, 3))
    x = layers.Conv2D(6, 3, activation="relu")(layers.Rescaling(1 / 255)(image))
    x = layers.GlobalAveragePooling2D()(gated(1.0)()(x))
    path = tmp_path / f"gated.{ending}"
    keras.Model(image, layers.Dense(3, activation="softmax")(x)).save(path)
    options = replace(options, model=path)
    try:
        before = start_session(options).explain(FRAME)
        assert_same(start_session(options).explain(FRAME), before)
        gated(5.0)
        changed = start_session(options).explain(FRAME)
    finally:
        del keras.saving.get_custom_objects()["mine>Gate"]
    np.testing.assert_allclose(changed.logits, 5 * before.logits, rtol=1e-4)  # the head's biases are 0
    assert list(KeptFiles().files()) == []


@pytest.mark.slow
def test_pixels_that_are_a_guess_are_compared_at_each_start(
    options: SessionOptions, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network(rescaling=False).save(tmp_path / "toy.keras")
    said = []
    for _ in range(2):
        caplog.clear()
        session = start_session(options)
        session.explain(FRAME)
        said.append([record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING])
    assert said[0] == said[1] != []
    assert list(KeptFiles().files()) == []


@pytest.mark.slow
def test_what_was_said_is_said_again(
    options: SessionOptions, tmp_path: Path, caplog: pytest.LogCaptureFixture, loads: list[str]
) -> None:
    (tmp_path / "toy.card.json").write_text("{broken")
    said = []
    for _ in range(2):
        caplog.clear()
        start_session(options)
        said.append([record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING])
    assert said[0] == said[1]
    assert any("toy.card.json" in line for line in said[0])
    assert len(loads) == 1


@pytest.mark.slow
def test_what_a_number_meant_is_said_at_that_start_alone(
    options: SessionOptions, tmp_path: Path, caplog: pytest.LogCaptureFixture, loads: list[str]
) -> None:
    (tmp_path / "names.txt").write_text("1\n2\n3\n")
    said = []
    for name in ("1", "+1", "1"):
        caplog.clear()
        start_session(replace(options, classes=(name,)))
        said.append([record.getMessage()[:24] for record in caplog.records if "-c" in record.getMessage()])
    assert said == [["-c 1 is the class called"], [], ["-c 1 is the class called"]]
    assert len(loads) == 1


# --- what has changed ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_another_model_of_the_same_name_size_and_time_is_another(options: SessionOptions, loads: list[str]) -> None:
    first = start_session(options).explain(FRAME)
    path = Path(options.model)
    before = path.stat()
    data = bytearray(path.read_bytes())
    network(2).save(path)
    data[: path.stat().st_size] = path.read_bytes()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    loads.clear()
    second = start_session(options).explain(FRAME)
    assert loads == [str(path)]
    assert np.abs(first.logits - second.logits).max() > 1e-3
    expected = start_session(replace(options, engine="graph")).explain(FRAME)
    np.testing.assert_allclose(second.logits, expected.logits, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["labels.txt", "toy.labels.txt", "class_indices.json"])
def test_other_labels_beside_the_model_are_read(options: SessionOptions, tmp_path: Path, name: str) -> None:
    options = replace(options, labels=None)
    assert start_session(options).vocabulary.classes[0] == "class 0"
    names = ["one", "two", "three"]
    text = (
        json.dumps({label: index for index, label in enumerate(names)}) if name.endswith("json") else "\n".join(names)
    )
    (tmp_path / name).write_text(text)
    assert start_session(options).vocabulary.classes == tuple(names)


@pytest.mark.slow
def test_a_model_that_is_gone_is_an_error_as_ever(options: SessionOptions) -> None:
    start_session(options)
    Path(options.model).unlink()
    with pytest.raises(ModelError, match=r"there is no model file .*toy\.keras"):
        start_session(options)


# --- what is damaged ----------------------------------------------------------------------------------------------


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _replace_by_another(path: Path) -> None:
    others = [other for other in path.parent.iterdir() if other != path]
    path.write_bytes(others[0].read_bytes())


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "damage"), [("network", _flip), ("outline", _cut), ("program", _replace_by_another)])
def test_an_entry_that_is_damaged_is_built_again_and_says_nothing(
    options: SessionOptions, caplog: pytest.LogCaptureFixture, loads: list[str], kind: str, damage
) -> None:
    answer = start_session(options).explain(FRAME)
    for one in list(KeptFiles().files()):
        if one.key["kind"] == kind:
            damage(one.path)
    loads.clear()
    caplog.clear()
    assert_same(start_session(options).explain(FRAME), answer)
    assert len(loads) == 1
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert_same(start_session(options).explain(FRAME), answer)
    assert len(loads) == 1  # it is whole again


@pytest.mark.slow
def test_a_whole_entry_that_says_nonsense_is_built_again(options: SessionOptions, loads: list[str]) -> None:
    answer = start_session(options).explain(FRAME)
    for kind, nonsense in (("network", b"[]"), ("outline", b'{"name": 3}'), ("program", b"{}\nno program")):
        (entry,) = (one for one in KeptFiles().files() if one.key["kind"] == kind)
        KeptFiles().write(entry.key, nonsense)
        loads.clear()
        assert_same(start_session(options).explain(FRAME), answer)
        assert len(loads) == 1


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_fails_nothing(options: SessionOptions, tmp_path: Path) -> None:
    (tmp_path / "cache" / "live-gradcam").mkdir(parents=True)
    programs_folder().write_text("a file in the folder's place")
    answer = start_session(options).explain(FRAME)
    assert_same(start_session(options).explain(FRAME), answer)
    assert programs_folder().read_text() == "a file in the folder's place"


def test_to_trust_a_network_of_the_catalogue_starts_no_other_programs(tmp_path: Path) -> None:
    network().save(tmp_path / "toy.keras")
    for model, is_the_same in (("efficientnet-lite0", True), ("mobilenet_v2", True), (tmp_path / "toy.keras", False)):
        keys = [network_key(model, ModelOptions(trust=trust), "xla", None) for trust in (False, True)]
        assert keys[0] is not None
        assert (keys[0] == keys[1]) == is_the_same
