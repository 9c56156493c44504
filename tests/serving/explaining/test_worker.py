"""A worker: its answers are those of the session on the same picture, and no viewer disturbs another."""

from __future__ import annotations

import gc
import json
import math
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from live_gradcam.attribution.fit_choice import Stream
from live_gradcam.attribution.session import Session, SessionOptions, start_session
from live_gradcam.errors import LiveGradcamError, UsageError
from live_gradcam.explanations.as_json import explanation_json
from live_gradcam.explanations.boxes import BoxOptions
from live_gradcam.explanations.explanation import Target
from live_gradcam.explanations.stability import Stabilizer
from live_gradcam.pictures import explain
from live_gradcam.serving.explaining import worker as module
from live_gradcam.serving.explaining.classroom import MOST_TEACHERS
from live_gradcam.serving.explaining.options import checked_session
from live_gradcam.serving.explaining.viewer import VIEWER_COMMANDS
from live_gradcam.serving.explaining.worker import Worker
from live_gradcam.serving.messages import NEW_SOURCE, STILL, Answer, FrameBytes, Reply, parse_answer
from live_gradcam.serving.options import ViewerOptions


def options_of(quick_network: list[str], **changes: Any) -> SessionOptions:
    flags = dict(zip(quick_network[::2], quick_network[1::2], strict=True))
    return SessionOptions(flags["-m"], labels=flags["--labels"], fit="stretch", tune="off", **changes)


@pytest.fixture(scope="module")
def started(quick_network: list[str]) -> Iterator[Worker]:
    worker = Worker(options_of(quick_network), ViewerOptions(smooth=0, boxes=BoxOptions(drawn=True)))
    ready = json.loads(worker.start())
    assert ready["type"] == "ready"
    assert ready["model"] == "quick.keras"
    assert ready["input"] == {"height": 96, "width": 96}
    assert "layercam" in ready["methods"]
    assert "score-cam" not in ready["methods"]
    assert ready["fits"] == ["tiles", "crop", "stretch", "letterbox"]
    assert ready["labels"] == 5
    assert ready["teachable"] is True
    yield worker
    worker.stop()


@pytest.fixture
def worker(started: Worker) -> Iterator[Worker]:
    """With two viewers."""
    for viewer in ("one", "two"):
        started.open(viewer)
    yield started
    for viewer in ("one", "two"):
        started.close(viewer)


def session_of(worker: Worker) -> Session:
    return worker._session


def picture(seed: int = 0, size: tuple[int, int] = (180, 320)) -> bytes:
    """A JPEG of coarse coloured noise."""
    small = np.random.default_rng(seed).integers(0, 256, (5, 8, 3), np.uint8)
    image = cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()


def image_of(jpeg: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR))


def ask(worker: Worker, viewer: str, jpeg: bytes, *, number: int = 1, flags: int = 0, at: float = 0.0) -> Reply:
    return worker.explain(viewer, worker.decode(FrameBytes(number, flags, at, jpeg, 0.25)))


def answer(worker: Worker, viewer: str, jpeg: bytes, **how: Any) -> Answer:
    reply = ask(worker, viewer, jpeg, **how)
    assert reply.answer is not None, reply.texts
    return parse_answer(reply.answer)


def maps_of(answer: Answer) -> np.ndarray:
    facts = answer.facts["maps"]
    return np.frombuffer(answer.maps, np.uint8).reshape(facts["count"], facts["height"], facts["width"])


def texts(reply: Reply | list[bytes], type_: str) -> list[dict[str, Any]]:
    messages = map(json.loads, reply.texts if isinstance(reply, Reply) else reply)
    return [message for message in messages if message["type"] == type_]


def poll_until(worker: Worker, viewer: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Poll as the server does, until a state is as it must be."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for message in texts(worker.poll(viewer), "state"):
            if condition(message["state"]):
                return message
        time.sleep(0.05)
    raise AssertionError("the state did not come")


# --- answers ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_an_answer_is_what_the_session_says_of_the_same_picture(worker: Worker) -> None:
    jpeg = picture()
    image, session = image_of(jpeg), session_of(worker)
    expected = Stabilizer(session.vocabulary, seconds=0, noise_floor=session.noise_floor((180, 320))).stabilize(
        session.explain_frame(image), (180, 320), 0.0, pinned=0
    )
    reply = ask(worker, "one", jpeg, number=7)
    assert reply.answer is not None
    given = parse_answer(reply.answer)
    assert (given.id, given.is_watched, given.jpeg) == (7, False, b"")
    facts = given.facts
    assert facts["frame"] == {"width": 320, "height": 180}
    assert (facts["model"], facts["method"], facts["layer"]) == ("quick.keras", "grad-cam", session.layer)
    assert facts["full_scale"] == pytest.approx(expected.full_scale, abs=1e-6)
    assert facts["against"] is False
    count, height, width = expected.explanation.heatmaps.shape
    assert facts["maps"] == {"count": count, "height": height, "width": width, "signed": False}
    assert count == 5  # one for each listed class
    levels = np.floor(np.clip(255 * expected.explanation.heatmaps + 0.5, 0, 255)).astype(int)
    assert np.abs(maps_of(given).astype(int) - levels).max() <= 1
    assert levels.max() > 0
    said, bare = (
        facts["explanation"],
        explanation_json(
            expected.explanation.of_map(0).__class__(**{**expected.explanation.__dict__, "boxes": ((),) * count})
        ),
    )
    for name in ("predictions", "fit", "tiles", "region", "target", "target_label", "contrast"):
        assert said[name] == bare[name]
    assert [one["target"] for one in said["maps"]] == [one["target"] for one in bare["maps"]]
    assert any(one["boxes"] for one in said["maps"])
    assert set(facts["milliseconds"]) == {"waiting", "decoding", "explaining"}
    assert facts["milliseconds"]["waiting"] == 250


def test_frames_of_two_viewers_are_explained_at_a_time_and_those_of_one_in_order(worker: Worker) -> None:
    alone = {viewer: [answer(worker, viewer, picture(seed), at=seed) for seed in range(8)] for viewer in ("one", "two")}
    both = threading.Barrier(2)
    session = session_of(worker)
    traces = session.explainer.trace_count

    def explain(viewer: str) -> list[Answer]:
        return [together(viewer, seed) for seed in range(8)]

    def together(viewer: str, seed: int) -> Answer:
        both.wait(60)
        return answer(worker, viewer, picture(seed), at=8 + seed)

    assert worker.callers() == 1  # nothing is timed in tests
    worker._passes = threading.BoundedSemaphore(2)
    try:
        with ThreadPoolExecutor(2) as pool:
            answers = dict(zip(alone, pool.map(explain, alone), strict=True))
    finally:
        worker._passes = threading.BoundedSemaphore(worker.callers())
    for viewer, expected in alone.items():
        for one, other in zip(expected, answers[viewer], strict=True):
            assert one.facts["explanation"] == other.facts["explanation"]
            assert one.maps == other.maps
    assert session.explainer.trace_count == traces


def test_a_black_frame_is_not_explained(worker: Worker) -> None:
    black = cv2.imencode(".jpg", np.zeros((90, 160, 3), np.uint8))[1].tobytes()
    given = answer(worker, "one", black)
    assert given.facts["explanation"] is None
    assert given.facts["maps"] == {"count": 0, "height": 0, "width": 0, "signed": False}
    assert given.maps == b""
    assert given.facts["full_scale"] == 0


@pytest.mark.parametrize("jpeg", [b"", b"\xff\xd8\xff", picture()[:300], b"GIF89a" + bytes(100)])
def test_a_damaged_picture_is_an_error_of_that_frame_alone(worker: Worker, jpeg: bytes) -> None:
    reply = ask(worker, "one", jpeg, number=9)
    assert reply.answer is None
    (error,) = texts(reply, "error")
    assert error == {"type": "error", "text": "the picture is damaged: it cannot be decoded", "id": 9}
    assert answer(worker, "one", picture(), number=10).id == 10


def test_a_mistake_of_ours_ends_no_worker(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("an engine has a bad day")

    with monkeypatch.context() as patch:
        patch.setattr(Session, "explain_frame", fail)
        (error,) = texts(ask(worker, "one", picture(), number=3), "error")
    assert error == {"type": "error", "text": "the frame could not be explained: an engine has a bad day", "id": 3}
    assert answer(worker, "one", picture(), number=4).id == 4


def test_of_a_viewer_who_is_gone_nothing_stays(worker: Worker) -> None:
    worker.close("two")
    assert texts(ask(worker, "two", picture(), number=5), "error")[0]["id"] == 5
    assert worker.command("two", "track") == worker.poll("two") == Reply()
    assert worker.drawn("two") == b""
    with pytest.raises(UsageError, match="not here"):
        worker.model("two")
    worker.close("two")
    assert set(worker._viewers) == {"one"}


# --- what a viewer chooses ----------------------------------------------------------------------------------------


def test_two_viewers_choose_for_themselves(worker: Worker) -> None:
    jpeg, session = picture(), session_of(worker)
    free = answer(worker, "two", jpeg).facts["explanation"]
    (state,) = texts(worker.command("one", "pin", 3), "state")
    assert state["state"]["pinned"] == [{"index": 3, "against": None}]
    assert state["state"]["pinned_names"] == ["yellow"]
    worker.command("one", "pin-add", 4)
    worker.command("one", "contrast", "3>1")
    given = answer(worker, "one", jpeg)
    assert [(one["target"], one["contrast"]) for one in given.facts["explanation"]["maps"]][:1] == [(3, 1)]
    alone = session.explain_frame(image_of(jpeg), (Target(3, 1),))
    assert given.facts["explanation"]["evidence"] == pytest.approx(float(alone.evidence[0]), rel=1e-4, abs=1e-5)
    assert answer(worker, "two", jpeg).facts["explanation"] == free


def test_the_smoothing_of_one_viewer_knows_nothing_of_the_other(worker: Worker) -> None:
    """After the time constant, a new picture has 1 - 1/e of the weight, whatever another viewer shows meanwhile."""
    first, second, session = picture(1), picture(2), session_of(worker)
    before, after = (session.explain_frame(image_of(jpeg)).probabilities for jpeg in (first, second))
    worker.command("one", "smooth", 0.5)
    answer(worker, "one", first, at=100.0)
    answer(worker, "two", second, at=100.1)
    mixed = answer(worker, "one", second, at=100.5).facts["explanation"]["predictions"]
    expected = before + (1 - math.exp(-1)) * (after - before)
    for prediction in mixed:
        assert prediction["probability"] == pytest.approx(float(expected[prediction["index"]]), abs=1e-5)
    plain = answer(worker, "two", second, at=100.6).facts["explanation"]["predictions"]
    for prediction in plain:
        assert prediction["probability"] == pytest.approx(float(after[prediction["index"]]), abs=1e-5)


@pytest.mark.parametrize("flags", [NEW_SOURCE, STILL])
def test_another_source_and_a_still_picture_are_not_smoothed(worker: Worker, flags: int) -> None:
    first, second, session = picture(1), picture(2), session_of(worker)
    worker.command("one", "smooth", 5)
    answer(worker, "one", first, at=1.0)
    given = answer(worker, "one", second, at=1.1, flags=flags).facts["explanation"]
    own = session.explain_frame(image_of(second))
    for prediction in given["predictions"]:
        assert prediction["probability"] == pytest.approx(float(own.probabilities[prediction["index"]]), abs=1e-5)


@pytest.mark.parametrize("times", [(math.nan, math.nan), (1e300, -1e300), (5.0, 5.0), (9.0, 1.0), (math.inf, 0.0)])
def test_a_clock_that_says_nothing_that_can_be_does_no_harm(worker: Worker, times: tuple[float, float]) -> None:
    worker.command("one", "smooth", 0.2)
    for number, at in enumerate(times * 3, 1):
        explanation = answer(worker, "one", picture(number), number=number, at=at).facts["explanation"]
        assert sum(one["probability"] for one in explanation["predictions"]) == pytest.approx(1, abs=1e-4)


@pytest.mark.slow
def test_a_method_is_compiled_behind_and_only_its_viewer_gets_it(worker: Worker) -> None:
    jpeg = picture()
    reply = worker.command("one", "method", "hirescam")
    (state,) = texts(reply, "state")
    assert state["state"]["compiling"] == "hirescam"
    assert reply.pending
    done = poll_until(worker, "one", lambda state: state["compiling"] is None)
    assert done["state"]["method"] == "hirescam"
    assert done["revision"] > state["revision"]
    assert not worker.poll("one").pending
    given = answer(worker, "one", jpeg).facts
    assert (given["method"], given["revision"]) == ("hirescam", done["revision"])
    assert answer(worker, "two", jpeg).facts["method"] == "grad-cam"
    assert texts(worker.command("two", "method", "hirescam"), "state")  # which is there already
    poll_until(worker, "two", lambda state: state["compiling"] is None)


def test_what_is_wrong_with_a_command_is_told(worker: Worker) -> None:
    for name, argument, words in [
        ("pin", 99, "the network has no class 99"),
        ("quit", None, "there is no command 'quit'"),
        ("view", "grid", "there is no command 'view'"),
        ("snapshot", None, "there is no command 'snapshot'"),
        ("type", "x" * 999, "there is no command 'type'"),
        ("method", "x" * 900, "there is no method 'xxx"),
        ("teach-collect", 1, "the network is not being taught: the command teach begins it"),
    ]:
        (notice,) = texts(worker.command("one", name, argument), "notice")
        assert notice["text"].startswith(words)
        assert notice["is_error"]
        assert len(notice["text"]) <= 500
    worker.command("one", "layer", "no such layer")
    deadline = time.monotonic() + 30
    while not (notices := texts(worker.poll("one"), "notice")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert "no such layer" in notices[0]["text"]


_ARGUMENTS = [
    None,
    True,
    False,
    -1,
    0,
    3,
    2**53,
    1.5,
    -1e300,
    math.nan,
    "",
    "x",
    "1>2",
    "9>0",
    "1>2>3",
    ">",
    "0=é",
    "=",
    "²",
]


def test_no_command_raises_whatever_comes_with_it(worker: Worker) -> None:
    worker.command("one", "teach", True)
    answer(worker, "one", picture())
    for row in VIEWER_COMMANDS:
        for argument in _ARGUMENTS:
            reply = worker.command("one", row.name, argument)
            assert all(notice["text"] for notice in texts(reply, "notice"))
            for state in texts(reply, "state"):
                assert len(state["state"]["pinned"]) <= 5
    worker.command("one", "teach", False)
    worker.command("one", "track")
    for name, argument in (("method", "grad-cam"), ("fit", "stretch"), ("layer", session_of(worker).layer)):
        worker.command("one", name, argument)
    deadline = time.monotonic() + 120
    while worker.poll("one").pending:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    given = answer(worker, "one", picture()).facts
    assert (given["method"], given["explanation"]["fit"]) == ("grad-cam", "stretch")
    assert given["explanation"]["target"] == given["explanation"]["predictions"][0]["index"]


def test_what_was_chosen_goes_on_with_another_worker(worker: Worker) -> None:
    worker.command("one", "pin", 2)
    worker.command("one", "pin-add", 4)
    worker.command("one", "boxes", False)
    reply = worker.command("one", "smooth", 0.7)
    assert reply.state is not None
    assert worker.poll("one").state is None  # it has not changed
    carried = json.loads(json.dumps(reply.state))
    (state,) = texts(worker.open("three", carried), "state")
    try:
        assert [one["index"] for one in state["state"]["pinned"]] == [2, 4]
        assert (state["state"]["boxes"], state["state"]["smooth"]) == (False, 0.7)
        given = answer(worker, "three", picture()).facts["explanation"]
        assert [one["target"] for one in given["maps"]][:2] == [2, 4]
    finally:
        worker.close("three")
    for wrong in ({"pinned": [[99, None]]}, {}, {"method": "no such method", "teaching": True}):
        assert texts(worker.open("three", wrong), "state")
        assert answer(worker, "three", picture()).id == 1
        worker.close("three")


def test_a_viewer_who_is_here_is_told_all_again(worker: Worker) -> None:
    worker.command("one", "pin", 1)
    again = worker.open("one")
    assert [json.loads(message)["type"] for message in again] == ["ready", "state"]
    assert texts(again, "state")[0]["state"]["pinned_names"] == ["green"]


@pytest.mark.slow
def test_frames_of_another_shape_wait_for_nobody_and_nobody_for_them(worker: Worker) -> None:
    """Each number of tiles has a function of its own: it is compiled behind."""
    worker.command("one", "fit", "tiles")
    poll_until(worker, "one", lambda state: state["compiling"] is None)
    wide = answer(worker, "one", picture(size=(180, 320)), at=1.0).facts["explanation"]
    assert wide["tiles"] == 3
    reply = ask(worker, "one", picture(size=(200, 200)), at=2.0)  # one tile
    assert reply.answer is not None
    assert parse_answer(reply.answer).facts["explanation"] is None
    assert texts(reply, "state")[-1]["state"]["compiling"] == "tiles"
    assert reply.pending
    assert answer(worker, "two", picture(size=(200, 200))).facts["explanation"]["fit"] == "stretch"
    done = poll_until(worker, "one", lambda state: state["compiling"] is None)
    given = answer(worker, "one", picture(size=(200, 200)), at=3.0)
    assert given.facts["revision"] == done["revision"]
    assert given.facts["explanation"]["tiles"] == 1
    assert given.facts["explanation"]["region"] == [0, 0, 200, 200]


@pytest.mark.slow
def test_what_cannot_be_compiled_for_frames_of_another_shape_is_told_and_waited_for_no_more(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody sends a still picture again for what never comes."""

    def fails(*_: object) -> None:
        raise LiveGradcamError("there is no room for it")

    worker.command("one", "fit", "tiles")
    poll_until(worker, "one", lambda state: state["compiling"] is None)
    monkeypatch.setattr(Session, "get_ready_for", fails)
    waits = ask(worker, "one", picture(size=(100, 400)), at=1.0)
    assert texts(waits, "state")[-1]["state"]["compiling"] is not None
    done = poll_until(worker, "one", lambda state: state["compiling"] is None)
    assert done["revision"] > texts(waits, "state")[-1]["revision"]
    (error,) = texts(ask(worker, "one", picture(size=(100, 400)), at=2.0), "error")
    assert error["text"] == "there is no room for it"


# --- bounds -------------------------------------------------------------------------------------------------------


def test_there_are_no_more_viewers_than_there_may_be(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_VIEWERS", 2)
    (bye,) = texts(worker.open("three"), "bye")
    assert bye["reconnect"] is True
    assert set(worker._viewers) == {"one", "two"}


def test_a_viewer_who_has_gone_leaves_nothing(worker: Worker) -> None:
    threads = threading.active_count()
    gone = []
    for number in range(20):
        viewer = f"visitor {number}"
        worker.open(viewer)
        answer(worker, viewer, picture(number))
        worker.command(viewer, "pin", 2)
        worker.command(viewer, "teach", True)
        gone.append(weakref.ref(worker._viewers[viewer]))
        worker.close(viewer)
    classroom: Any = worker._classroom
    assert not classroom._inside
    assert len(classroom._leaving) <= MOST_TEACHERS
    deadline = time.monotonic() + 60
    while threading.active_count() > threads + 1:  # one may compile for all that come
        assert time.monotonic() < deadline
        time.sleep(0.05)
    gc.collect()
    assert [run() for run in gone] == [None] * 20
    networks: Any = worker._networks
    assert len(networks.own._askers) == len(worker._viewers) == 2
    assert not networks.own._asked


def test_a_session_that_each_visitor_would_compile_anew_is_refused() -> None:
    with pytest.raises(UsageError, match="--fit native compiles the network for each shape of a frame: use one of"):
        checked_session(SessionOptions(fit="native"))
    with pytest.raises(UsageError, match="score-cam is too slow for a camera"):
        checked_session(SessionOptions(method="score-cam"))
    assert checked_session(SessionOptions(maps=1)).maps is None


# --- pictures and programs ----------------------------------------------------------------------------------------


def test_a_picture_by_itself(worker: Worker) -> None:
    jpeg = picture(5)
    own = session_of(worker).explain_frame(image_of(jpeg), (Target(1, 2),))
    given = worker.explain_once(jpeg, ["green>blue"])
    assert (given["target_label"], given["contrast_label"]) == ("green", "blue")
    assert (given["width"], given["height"], given["model"]) == (320, 180, "quick.keras")
    assert np.allclose(given["heatmap"], own.heatmaps[0], atol=1e-4)
    assert worker.explain_once(jpeg)["target"] == given["predictions"][0]["index"]
    several = worker.explain_once(jpeg, ["3", "red"])["maps"]
    assert [one["target_label"] for one in several] == ["yellow", "red"]
    with pytest.raises(UsageError, match="did you mean green"):
        worker.explain_once(jpeg, ["gren"])
    with pytest.raises(UsageError, match="6 classes are asked for, and 5 can be explained at a time"):
        worker.explain_once(jpeg, ["0"] * 6)
    with pytest.raises(UsageError, match="damaged"):
        worker.explain_once(b"no picture")


@pytest.mark.slow
def test_a_picture_by_itself_is_explained_as_the_command_explains_it(tmp_path: Path, coffee: np.ndarray) -> None:
    """The stream is given a fit that keeps up, and everyday names; a picture is not."""
    options = SessionOptions("efficientnet-lite0", engine="graph", tune="off")

    def begin(options: SessionOptions, *, look: Callable[[], Stream]) -> Session:
        return start_session(options, look=lambda: Stream(look().frame_size, 1e6))  # which no fit but crop may try

    worker, file = Worker(options, ViewerOptions(), begin), tmp_path / "cup.jpg"
    cv2.imwrite(str(file), coffee[100:350])
    worker.start()
    assert (session_of(worker).fit, session_of(worker).options.names) == ("crop", None)
    assert session_of(worker).vocabulary.groups
    try:
        for classes, first in ((), "espresso"), (("cat", "espresso"), "cat"):
            given = worker.explain_once(file.read_bytes(), classes)
            wanted = explain(file, session=replace(options, classes=classes)).to_json()
            assert given.keys() == wanted.keys()
            assert (given["target_label"], given["image"], given["schema"]) == (first, None, 1)
            assert (given["fit"], given["tiles"], given["region"]) == ("tiles", 4, wanted["region"])
            for numbers, other in zip(given["predictions"], wanted["predictions"], strict=True):
                assert numbers["label"] == other["label"]
                assert numbers["probability"] == pytest.approx(other["probability"], abs=1e-4)
            np.testing.assert_allclose(given["heatmap"], wanted["heatmap"], atol=1e-3)
            assert [one["target_label"] for one in given.get("maps", ())] == list(classes)
    finally:
        worker.stop()


def test_the_newest_frame_is_drawn(worker: Worker) -> None:
    assert worker.drawn("one") == b""
    jpeg = picture(6)
    answer(worker, "one", jpeg)
    drawn = image_of(worker.drawn("one"))
    assert drawn.shape == (180, 320, 3)
    assert np.abs(drawn.astype(int) - image_of(jpeg)).mean() > 5


def test_a_frame_that_is_too_large_to_be_kept_is_explained_all_the_same(worker: Worker) -> None:
    large = picture(6, size=(1200, 2000))
    given = answer(worker, "one", large).facts
    assert given["frame"] == {"width": 2000, "height": 1200}
    assert worker.drawn("one") == b""
    (state,) = texts(worker.command("one", "pin-place", 2), "state")  # of the list that was given
    assert state["state"]["pinned"][0]["index"] == given["explanation"]["predictions"][1]["index"]
