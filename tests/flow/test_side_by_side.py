"""Several items at a time: the order of results, errors in their place, bounds, and an end that leaves nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from live_gradcam.flow.side_by_side import side_by_side


def _is_over() -> bool:
    return not [thread for thread in threading.enumerate() if thread.name.startswith("side-by-side")]


@pytest.mark.parametrize("callers", [1, 2, 3])
def test_results_come_in_the_order_of_the_items_however_long_each_takes(callers: int) -> None:
    delays = random.Random(callers)

    def work(item: int) -> int:
        time.sleep(delays.random() / 200)
        return item * item

    assert list(side_by_side(work, range(60), callers)) == [item * item for item in range(60)]
    assert _is_over()


def test_two_items_are_worked_on_at_a_time() -> None:
    both = threading.Barrier(2)

    def work(item: int) -> int:
        both.wait(60)  # passes when two are here, and else breaks
        return item

    assert list(side_by_side(work, range(6), 2)) == list(range(6))


def test_one_caller_is_the_thread_that_iterates_and_takes_one_item_at_a_time() -> None:
    taken: list[int] = []
    threads = set()

    def work(item: int) -> int:
        threads.add(threading.current_thread())
        return item

    results = side_by_side(work, (taken.append(item) or item for item in range(5)), 1)
    assert next(results) == 0
    assert taken == [0]
    assert threads == {threading.current_thread()}


def test_no_more_items_are_taken_than_are_worked_on_and_one_that_waits() -> None:
    taken: list[int] = []
    finished = threading.Event()

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    def work(item: int) -> int:
        if item:
            finished.wait(60)
        return item

    results = side_by_side(work, items(), 2)
    assert next(results) == 0
    assert len(taken) <= 3  # of 0 as well, which may be done before more are taken
    finished.set()
    for expected in range(1, 100):
        assert next(results) == expected
        assert len(taken) <= expected + 3
    results.close()


@pytest.mark.parametrize("callers", [1, 2])
def test_an_error_is_raised_in_the_place_of_its_result(callers: int) -> None:
    failed = threading.Event()

    def work(item: int) -> int:
        if item == 3:
            failed.set()
            raise ValueError("no such frame")
        if item == 2 and callers > 1:
            failed.wait(60)  # what comes before the error ends after it
        return item

    results = side_by_side(work, range(10), callers)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="no such frame"):
        next(results)
    assert list(results) == []
    assert _is_over()


@pytest.mark.parametrize("callers", [1, 2])
def test_an_error_of_the_items_comes_after_the_results_before_it(callers: int) -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise OSError("torn")

    results = side_by_side(str, items(), callers)
    assert [next(results) for _ in range(3)] == ["0", "1", "2"]
    with pytest.raises(OSError, match="torn"):
        next(results)
    assert _is_over()


def test_closing_it_waits_for_what_is_in_hand_and_drops_the_rest() -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        return item

    results = side_by_side(work, range(1000), 2)
    next(results)
    results.close()
    assert len(begun) <= 4
    assert _is_over()


_ENDLESS = """
import itertools, signal, threading
from live_gradcam.flow.side_by_side import side_by_side

def work(item):
    if item == 20:
        print("twenty", flush=True)
    threading.Event().wait(0.001)
    return item

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has it ignored by what runs behind it
try:
    for _ in side_by_side(work, itertools.count(), 2):
        pass
except KeyboardInterrupt:
    print("ended", flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "setsid"), reason="signals are another thing there")
def test_ctrl_c_ends_it() -> None:
    process = subprocess.Popen([sys.executable, "-c", _ENDLESS], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "twenty\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[0] == "ended\n"
    assert process.returncode == 0
