"""Other layers and methods are compiled in the background, and kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from memory import resident_mib

from live_gradcam import Classifier, Explainer
from live_gradcam.attribution.session import Session
from live_gradcam.drawing.overlay import Overlay
from live_gradcam.errors import ModelError
from live_gradcam.live_loop import pool as module
from live_gradcam.live_loop.pool import SessionPool
from live_gradcam.live_loop.state import LiveState
from live_gradcam.live_loop.variants import Variants
from live_gradcam.networks.preprocessing import PREPROCESSINGS


class Compiler:
    """Stands for a network whose sessions take as long to compile as the test wants."""

    def __init__(self) -> None:
        self.compiled: list[tuple[str, str]] = []
        self.may_finish = threading.Event()
        self.may_finish.set()

    def session(self, method: str = "grad-cam", layer: str = "c", fit: str = "tiles") -> SimpleNamespace:
        return SimpleNamespace(
            method=method,
            layer=layer,
            fit=fit,
            layers=("a", "b", "c"),
            methods=("grad-cam", "layercam"),
            weights=10**9,
            variant=self.variant,
        )

    def variant(self, *, method: str, layer: str, fit: str) -> SimpleNamespace:
        self.may_finish.wait(20)
        self.compiled.append((method, layer))
        if layer == "a":
            raise ModelError("a cannot be compiled")
        return self.session(method, layer, fit)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def variants_of(first: Any) -> Iterator[Variants]:
    with SessionPool(first) as pool, Variants(pool, LiveState(Overlay())) as variants:
        yield variants


def test_the_old_session_goes_on_until_the_new_one_is_compiled() -> None:
    compiler = Compiler()
    compiler.may_finish.clear()
    with variants_of(compiler.session()) as variants:
        variants.step_layer(-1)
        assert variants.compiling == "b"
        assert variants.current.layer == "c"
        compiler.may_finish.set()
        wait_for(lambda: variants.current.layer == "b")
        assert variants.compiling is None
        variants.step_layer(1)  # which is kept
        wait_for(lambda: variants.current.layer == "c")
        variants.step_layer(1)  # there is no layer after the last
        variants.step_method()
        assert variants.compiling == "layercam"
        wait_for(lambda: variants.current.method == "layercam")
        assert compiler.compiled == [("grad-cam", "b"), ("layercam", "c")]


def test_the_fit_changes_when_it_is_asked_for_alone_and_the_rest_stays() -> None:
    with variants_of(Compiler().session()) as variants:
        seen = []
        for _ in range(4):
            variants.step_fit()
            wait_for(lambda: variants.compiling is None)
            current = variants.current
            seen.append((current.method, current.layer, current.fit))
            variants.step_layer(0)
            assert variants.wanted == seen[-1]
        assert [fit for _, _, fit in seen] == ["crop", "stretch", "letterbox", "tiles"]
        assert {pair[:2] for pair in seen} == {("grad-cam", "c")}


def test_what_cannot_be_compiled_is_told_and_the_old_session_stays() -> None:
    with variants_of(Compiler().session()) as variants:
        variants.step_layer(-2)
        wait_for(lambda: variants.failure)
        assert variants.failure == "a cannot be compiled"
        assert variants.current.layer == "c"
        assert variants.compiling is None


def test_no_more_sessions_are_kept_than_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LEAST_KEPT", 2)
    first: Any = Compiler().session()
    with SessionPool(first) as pool, Variants(pool, LiveState(Overlay())) as variants:
        for _ in range(2):
            for step, layer in ((-1, "b"), (1, "c")):
                variants.step_layer(step)
                wait_for(lambda layer=layer: variants.current.layer == layer)
                variants.step_method()
                wait_for(lambda: variants.compiling is None)
        assert len(pool.kept) == 2


def test_what_is_asked_for_is_not_lost_to_an_earlier_failure() -> None:
    compiler = Compiler()
    compiler.may_finish.clear()
    with variants_of(compiler.session()) as variants:
        variants.step_layer(-2)  # which fails when it may
        time.sleep(0.1)
        variants.step_layer(1)
        compiler.may_finish.set()
        wait_for(lambda: variants.current.layer == "b")
        assert variants.failure is None


def test_a_mistake_is_handed_over() -> None:
    compiler = Compiler()
    compiler.compiled = None  # so that recording what was compiled raises AttributeError
    with variants_of(compiler.session()) as variants:
        variants.step_layer(-1)
        wait_for(lambda: variants.error)
        assert isinstance(variants.error, AttributeError)


def test_a_method_that_cannot_be_had_does_not_bar_the_way_to_the_next() -> None:
    compiler = Compiler()
    first = compiler.session()
    first.methods = ("grad-cam", "cam", "layercam")

    def variant(*, method: str, layer: str, fit: str) -> SimpleNamespace:
        if method == "cam":
            raise ModelError("cam cannot be had")
        return compiler.session(method, layer)

    first.variant = variant
    with variants_of(first) as variants:
        variants.step_method()
        wait_for(lambda: variants.failure)
        assert variants.current.method == "grad-cam"
        variants.step_method()
        wait_for(lambda: variants.current.method == "layercam")


# --- several viewers ------------------------------------------------------------------------------------------------


@contextmanager
def viewers_of(first: Any, count: int) -> Iterator[tuple[SessionPool, list[Variants]]]:
    with SessionPool(first) as pool, ExitStack() as stack:
        yield pool, [stack.enter_context(Variants(pool, LiveState(Overlay()))) for _ in range(count)]


def test_viewers_share_what_is_compiled_and_choose_for_themselves() -> None:
    compiler = Compiler()
    with viewers_of(compiler.session(), 3) as (_, (one, two, other)):
        one.ask(layer="b")
        wait_for(lambda: one.compiling is None)
        two.ask(layer="b")
        wait_for(lambda: two.compiling is None)
        assert one.current is two.current
        assert compiler.compiled == [("grad-cam", "b")]
        assert (one.wanted.layer, other.wanted.layer, other.current.layer) == ("b", "c", "c")
        one.ask(layer="a")
        wait_for(lambda: one.failure)
        assert two.failure is None
        assert one.current.layer == "b"


def test_each_viewer_has_one_place_among_those_who_wait() -> None:
    """The newest that one asks for takes the place of what they asked for before, and others are not passed over."""
    compiler = Compiler()
    compiler.may_finish.clear()
    with viewers_of(compiler.session(), 3) as (pool, (first, one, two)):
        first.ask(method="layercam")
        wait_for(lambda: not pool._asked)
        one.ask(layer="a")
        two.ask(layer="b", method="layercam")
        one.ask(layer="b")
        compiler.may_finish.set()
        wait_for(lambda: two.compiling is None and one.compiling is None)
        assert compiler.compiled == [("layercam", "c"), ("grad-cam", "b"), ("layercam", "b")]


def test_what_a_viewer_explains_with_makes_no_room_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LEAST_KEPT", 2)
    compiler = Compiler()
    with viewers_of(compiler.session(), 2) as (pool, (one, two)):
        one.ask(layer="b")
        wait_for(lambda: one.compiling is None)
        two.ask(method="layercam")
        wait_for(lambda: two.failure)
        assert "there is no room for more: use another one later" in str(two.failure)
        assert (two.wanted.method, two.current.method) == ("grad-cam", "grad-cam")
        two.ask(layer="b")  # which is there
        wait_for(lambda: two.compiling is None)
        pool.leave(one)
        pool.leave(two)
        pool.join(two)
        two.current = pool.first
        two.ask(method="layercam")
        wait_for(lambda: two.current.method == "layercam")
        assert len(pool.kept) == 2


def test_the_noise_floor_is_found_once_for_each_size_and_not_for_any_number_of_them() -> None:
    asked: list[tuple[int, int]] = []
    session: Any = Compiler().session()
    session.noise_floor = lambda size: asked.append(size) or 0.5
    pool = SessionPool(session)
    for _ in range(3):
        assert pool.noise_floor(session, (90, 160)) == 0.5
    assert asked == [(90, 160)]
    for height in range(200):
        pool.noise_floor(session, (height, 160))
    assert len(pool._floors) == 64


@pytest.mark.slow
def test_no_method_retraces_or_leaks_when_switched_200_times() -> None:
    """Each method of a camera is traced once; after the first round, memory stays where it is."""
    keras.utils.set_random_seed(0)
    image = keras.Input((32, 32, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, activation="relu")(image))
    model = keras.Model(image, layers.Dense(5)(x))
    classifier = Classifier("toy", model, tuple("abcde"), (32, 32), PREPROCESSINGS["unit"])
    session = Session(Explainer(classifier, maps=2), (), {})
    session.explainer.warm_up()
    frame = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    seen = {"grad-cam": session.explainer}
    count = len(session.methods)
    with variants_of(session) as variants:
        for switch in range(200):
            variants.step_method()
            wait_for(lambda: variants.compiling is None)
            explainer = variants.current.explainer
            assert seen.setdefault(explainer.method, explainer) is explainer
            explainer(frame)
            if switch == 2 * count:
                before = resident_mib()
    assert len(seen) == count == 12
    assert {explainer.trace_count for explainer in seen.values()} == {1}
    assert resident_mib() - before < 10
