"""Several viewers teach one network at a time: it is compiled once, and each gets the answers of their own head."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colours import COLOURS
from school import School
from toy_networks import classifier_of, pooled_network, unpooled_network

from live_gradcam import load_classifier
from live_gradcam.attribution.options import ExplainerOptions
from live_gradcam.attribution.session import Session, SessionOptions
from live_gradcam.errors import UsageError
from live_gradcam.fitting.taught_session import taught_session
from live_gradcam.fitting.teacher import Teacher
from live_gradcam.live_loop.teaching import Teaching
from live_gradcam.live_loop.teaching_thread import Keeping
from live_gradcam.serving.explaining import classroom as module
from live_gradcam.sources.frame import Frame


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "toy.keras"
    pooled_network("early", "late").save(path)
    return path


def school_of(model: Path, **options: Any) -> School:
    return School(SessionOptions(str(model), engine="graph", lowering=False, tune="off", fit="stretch"), **options)


@pytest.fixture
def room(model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[School]:
    monkeypatch.setattr(Session, "fastest_callers", lambda self, frame_size, batch=1: 3)
    room = school_of(model)
    yield room
    room.worker.stop()


@pytest.mark.slow
def test_two_viewers_teach_at_once_and_each_gets_their_own_answers(room: School) -> None:
    for viewer in ("one", "two", "other"):
        room.open(viewer)
    for viewer in ("one", "two"):
        room.do(viewer, "teach", True)
    room.begin("one")
    room.begin("two")
    untaught = room.show("one", "red")
    assert (untaught["is_untaught"], untaught["explanation"], untaught["maps"]["count"]) == (True, None, 0)
    assert not room.show("other", "red")["is_untaught"]
    plan = {"one": {"red": 1, "green": 2}, "two": {"red": 2, "green": 1, "blue": 3}}
    for colour in COLOURS:  # in turns, so that one collects between the other's frames
        for viewer, classes in plan.items():
            if colour in classes:
                room.collect(viewer, classes[colour], colour)
                room.collect(viewer, classes[colour], colour)
    room.do("one", "teach-name", "1=rouge")
    for viewer, classes in plan.items():
        for colour, index in classes.items():
            expected = "rouge" if (viewer, index) == ("one", 1) else f"class {index}"
            deadline = time.monotonic() + 30
            while room.names(viewer, colour) != expected:  # the last head is fitted behind
                assert time.monotonic() < deadline
    # In turns again, frame by frame: the head that is in use is always the viewer's own.
    for _ in range(5):
        assert room.names("one", "red") == "rouge"
        assert room.names("two", "red") == "class 2"
        assert room.names("one", "green") == "class 2"
        assert room.names("two", "green") == "class 1"
        assert len(room.show("other", "red")["explanation"]["predictions"]) == 5
    assert room.worker.callers() == 3
    with ThreadPoolExecutor(3) as pool:  # and at the same time
        one = pool.submit(lambda: {room.names("one", "red") for _ in range(40)})
        two = pool.submit(lambda: {room.names("two", "red") for _ in range(40)})
        for _ in range(40):
            assert len(room.show("other", "red")["explanation"]["predictions"]) == 5
    assert (one.result(), two.result()) == ({"rouge"}, {"class 2"})
    rows = {row["index"]: row for row in room.state["one"]["teaching_panel"]["rows"]}
    assert (rows[1]["name"], rows[1]["count"], rows[1]["bursts"], rows[1]["note"]) == ("rouge", 12, 2, "")
    assert room.state["one"]["teaching_panel"]["last"] == 2
    assert room.state["one"]["teaching_panel"]["free"] == 3
    assert room.state["two"]["teaching_panel"]["free"] == 4
    assert not room.errors("one") + room.errors("two")
    runs = room.worker._viewers
    assert runs["one"].variants.pool is runs["two"].variants.pool  # compiled once
    assert runs["one"].variants.current.explainer.trace_count == 1
    name, _ = room.worker.model("two")
    assert name == "taught.keras"
    room.wait("two", lambda state: not state["teaching_panel"]["is_unsaved"])


@pytest.mark.slow
def test_a_layer_is_compiled_while_heads_are_swapped(room: School) -> None:
    """What is compiled is compared with the network: heads that change meanwhile must not come in between."""
    for viewer in ("one", "two"):
        room.open(viewer)
        room.begin(viewer)
        room.collect(viewer, 1, "red")
        room.collect(viewer, 2, "green" if viewer == "one" else "blue")
    layer = room.state["one"]["layer"]
    room.do("one", "layer-back")
    while room.state["one"]["compiling"]:
        room.show("two", "blue")
        room.show("one", "green")
    assert room.state["one"]["layer"] not in ("", layer)
    for _ in range(2):
        assert room.names("one", "green") == "class 2"
        assert room.names("two", "blue") == "class 2"
        assert room.names("two", "red") == room.names("one", "red") == "class 1"
    assert room.show("one", "red")["layer"] != room.show("two", "red")["layer"]
    assert not room.errors("one")


@pytest.mark.slow
def test_the_model_is_a_keras_file_that_knows_what_was_taught(room: School, tmp_path: Path) -> None:
    room.open("one")
    with pytest.raises(UsageError, match="not ready to be taught yet"):
        room.worker.model("one")
    room.begin("one")
    room.collect("one", 1, "red")
    assert not room.state["one"]["teaching_panel"]["can_save"]
    with pytest.raises(UsageError, match="fewer than two classes have pictures"):
        room.worker.model("one")
    room.collect("one", 2, "blue")
    room.do("one", "teach-name", "2=bleu ☕")
    assert room.state["one"]["teaching_panel"]["can_save"]
    room.wait("one", lambda state: state["teaching_panel"]["rows"][-1]["name"] == "bleu ☕")
    path = tmp_path / "taught.keras"
    path.write_bytes(room.worker.model("one")[1])
    classifier = load_classifier(path)
    assert classifier.labels == ("class 1", "bleu ☕")
    pixels = np.stack([np.full((12, 14, 3), COLOURS[name][::-1], np.float32) for name in ("red", "blue")])
    assert np.asarray(classifier.model(pixels)).argmax(axis=1).tolist() == [0, 1]


def test_nothing_is_written_where_nothing_may_be(room: School, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    room.open("one")
    room.begin("one")
    room.collect("one", 1, "red")
    room.collect("one", 2, "blue")
    room.do("one", "teach-save")
    room.wait("one", lambda _: room.errors("one") == ["nothing is written here: download the model"])
    assert len(room.worker.model("one")[1]) > 1000
    room.worker.close("one")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_models_are_kept_where_they_may_be(model: Path, tmp_path: Path) -> None:
    room = school_of(model, keep=tmp_path)
    room.open("one")
    room.begin("one")
    room.collect("one", 1, "red")
    room.collect("one", 2, "blue")
    room.do("one", "teach-save")
    room.wait("one", lambda state: not state["teaching_panel"]["is_unsaved"])
    (kept,) = tmp_path.glob("*.keras")
    assert load_classifier(kept).labels == ("class 1", "class 2")
    room.worker.stop()


def test_no_more_viewers_teach_than_there_is_room_for(room: School, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_TEACHERS", 1)
    room.open("one")
    room.open("two")
    room.begin("one")
    room.do("two", "teach", True)
    assert room.errors("two") == ["1 visitors teach already, and there is room for no more: try it again later"]
    assert not room.state["two"]["teaching"]
    teaching = room.worker._viewers["one"].teaching
    room.worker.close("one")
    teaching._thread._thread.join(20)
    room.begin("two")


def test_examples_have_an_end(room: School, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXAMPLE_BYTES", 2000)
    room.open("one")
    room.begin("one")
    room.do("one", "teach-hold", 1)
    for _ in range(30):
        room.show("one", "red")
    room.do("one", "teach-release")
    words = "there is no room for more pictures: take some back, or go on with these"
    room.wait("one", lambda _: room.errors("one") == [words])
    assert 1 < room.counts("one")[1] < 20
    room.do("one", "teach-undo")
    room.wait("one", lambda _: room.counts("one").get(1, 0) == 0)
    room.collect("one", 1, "red", 2)


def test_a_viewer_who_leaves_keeps_no_thread_and_no_examples(room: School) -> None:
    room.open("one")
    room.begin("one")
    room.collect("one", 1, "red")
    teaching = room.worker._viewers["one"].teaching
    room.worker.close("one")
    teaching._thread._thread.join(20)
    assert not teaching._thread._thread.is_alive()
    room.open("one")
    assert room.state["one"]["teaching"] is False
    room.begin("one")
    assert room.counts("one") in ({}, {0: 0})


def test_a_new_head_is_another_revision_and_also_without_a_frame(room: School) -> None:
    room.open("one")
    room.begin("one")
    room.collect("one", 1, "red")
    before = room.show("one", "red")["revision"]
    room.do("one", "teach-name", "1=rouge")
    deadline = time.monotonic() + 20
    revisions = []
    while not any(revision > before for revision in revisions):
        assert time.monotonic() < deadline
        revisions += [json.loads(text).get("revision", 0) for text in room.worker.poll("one").texts]
    while room.names("one", "red") != "rouge":  # the name comes from the thread that teaches
        assert time.monotonic() < deadline
    assert room.show("one", "red")["revision"] > before


def test_a_network_that_cannot_be_taught_says_so(tmp_path: Path) -> None:
    flat = tmp_path / "flat.keras"
    unpooled_network().save(flat)
    room = school_of(flat)
    room.open("one")
    assert [message["teachable"] for message in room.said["one"] if message["type"] == "ready"] == [False]
    room.do("one", "teach", True)
    room.wait("one", lambda state: not state["teaching"])
    assert "no pooled features" in room.errors("one")[0]
    room.worker.stop()


def test_a_teacher_of_the_same_network_shares_what_is_compiled_and_nothing_else() -> None:
    one = Teacher(classifier_of(pooled_network("early", "late")))
    two = one.another()
    assert two.live_classifier is one.live_classifier
    assert two.backbone is one.backbone
    one.add(np.zeros((12, 14, 3), np.uint8), 1, features=np.ones(8, np.float32))
    one.rename(1, "cup")
    assert two.shown == []
    assert two.classes[1].name == "class 1"
    kernel = one.live_classifier.model.get_layer("head").get_weights()[1]
    heads = one.head_of_one(1), two.head_of_one(2)
    for teacher, head in zip((one, two), heads, strict=True):
        teacher.use(head)
        bias = one.live_classifier.model.get_layer("head").get_weights()[1]
        assert (bias == head.bias).all()
        assert not (bias == kernel).all()


@pytest.mark.slow
def test_another_layer_is_compiled_of_a_network_with_a_head_of_its_own() -> None:
    """What is compiled is compared with the network: a head that is swapped meanwhile would be taken for a mistake."""
    teacher = Teacher(classifier_of(pooled_network("early", "late")))
    options = ExplainerOptions().changed(engine="graph", lowering=False, tune="off")
    first = taught_session(teacher, options, (24, 28))
    other = first.variant(method=first.method, layer=first.layers[0])
    same = first.variant(method="layercam", layer=first.layer)
    frame = np.full((24, 28, 3), 90, np.uint8)
    teacher.use(teacher.head_of_one(1), first.classifier)
    teacher.use(teacher.head_of_one(2), other.classifier)
    sessions = (first, same, other)
    assert [session.explain_frame(frame).predictions[0].index for session in sessions] == [1, 1, 2]
    assert other.classifier.model.get_layer("backbone") is first.classifier.model.get_layer("backbone")


def test_what_is_dropped_is_not_waited_for() -> None:
    teaching: Any = Teaching(Keeping(folder=None))
    teaching.__enter__()
    teaching.take(Teacher(classifier_of(pooled_network("early", "late"))), object())
    teaching.hold(1)
    teaching.see(Frame(np.zeros((12, 14, 3), np.uint8), 0, 0, 0.0), np.ones(8, np.float32))  # type: ignore[arg-type]
    teaching.drop()
    teaching._thread._thread.join(20)
    assert not teaching._thread._thread.is_alive()
