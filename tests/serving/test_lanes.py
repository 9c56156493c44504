"""Jobs for several threads: in order within a lane, side by side across lanes."""

from __future__ import annotations

import threading

from live_gradcam.serving.workers.lanes import Lanes


def test_a_job_waits_for_the_one_of_its_lane_and_for_no_other() -> None:
    lanes: Lanes[int] = Lanes()
    for lane, job in (("a", 1), ("a", 2), ("b", 3), ("a", 4)):
        lanes.put(lane, job)
    assert lanes.take() == ("a", 1)
    assert lanes.take() == ("b", 3)
    lanes.done("a")
    assert lanes.take() == ("a", 2)
    lanes.done("b")
    lanes.done("a")
    assert lanes.take() == ("a", 4)


def test_one_thread_does_all_in_the_order_in_which_they_came() -> None:
    lanes: Lanes[int] = Lanes()
    for job in range(12):
        lanes.put("abc"[job % 3], job)
    lanes.close()
    done = []
    while (taken := lanes.take()) is not None:
        done.append(taken[1])
        lanes.done(taken[0])
    assert done == list(range(12))


def test_several_threads_do_each_job_once_and_those_of_a_lane_in_order() -> None:
    lanes: Lanes[int] = Lanes()
    done: dict[str, list[int]] = {"a": [], "b": [], "c": []}

    def work() -> None:
        while (taken := lanes.take()) is not None:
            lane, job = taken
            done[lane].append(job)
            lanes.done(lane)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for job in range(300):
        lanes.put("abc"[job % 3], job)
    lanes.close()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert done == {lane: list(range(place, 300, 3)) for place, lane in enumerate("abc")}
