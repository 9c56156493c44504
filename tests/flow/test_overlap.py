"""Working ahead of a loop and behind it: order, bounds, and exceptions in the right place."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from live_gradcam.flow.overlap import Ahead, Behind


def test_items_come_in_order_and_the_error_after_them() -> None:
    def items() -> Iterator[int]:
        yield from range(10)
        raise ValueError("torn")

    with Ahead(items(), 3) as iterator:
        assert [next(iterator) for _ in range(10)] == list(range(10))
        with pytest.raises(ValueError, match="torn"):
            next(iterator)
        assert list(iterator) == []


def test_no_more_than_the_depth_is_fetched_ahead() -> None:
    fetched = []
    wanted = threading.Event()

    def items() -> Iterator[int]:
        for item in range(100):
            fetched.append(item)
            if item == 4:
                wanted.set()
            yield item

    with Ahead(items(), 3) as iterator:
        assert next(iterator) == 0
        assert wanted.wait(10)  # 0 taken, 1 to 3 waiting, 4 in hand
        assert fetched == [0, 1, 2, 3, 4]
    assert len(fetched) <= 6
    assert not [thread for thread in threading.enumerate() if thread.name == "ahead"]


def test_the_first_items_are_fetched_before_they_are_asked_for() -> None:
    begun = threading.Event()

    def items() -> Iterator[int]:
        begun.set()
        yield 1

    with Ahead(items(), 1):
        assert begun.wait(10)


def test_what_is_submitted_is_handled_in_order_before_leaving() -> None:
    handled: list[int] = []
    with Behind(handled.append, 2) as behind:
        for item in range(50):
            behind.submit(item)
    assert handled == list(range(50))


def test_a_failure_stops_the_handling_and_is_raised() -> None:
    handled: list[int] = []

    def handle(item: int) -> None:
        if item == 2:
            raise OSError("disk full")
        handled.append(item)

    def submit_all() -> None:
        with Behind(handle, 1) as behind:
            for item in range(50):
                behind.submit(item)

    with pytest.raises(OSError, match="disk full"):
        submit_all()
    assert handled == [0, 1]


def test_leaving_by_an_exception_drops_what_waits() -> None:
    gate = threading.Event()
    handled: list[int] = []

    def handle(item: int) -> None:
        gate.wait(10)
        handled.append(item)

    def interrupted() -> None:
        with Behind(handle, 5) as behind:
            for item in range(4):
                behind.submit(item)
            threading.Timer(0.5, gate.set).start()  # once it is leaving
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(handled) <= 1
