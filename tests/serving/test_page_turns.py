"""Whose frame is explained next."""

from __future__ import annotations

from live_gradcam.serving.messages import FrameBytes
from live_gradcam.serving.server.turns import Turns


def frame(number: int) -> FrameBytes:
    return FrameBytes(number, 0, 0.0, b"jpeg")


def test_a_newer_frame_takes_the_place_of_the_older_one() -> None:
    turns: Turns[str] = Turns()
    turns.offer("a", frame(1), now=10.0)
    turns.offer("b", frame(1), now=10.1)
    turns.offer("a", frame(2), now=10.2)
    assert len(turns) == 2
    assert turns.next(now=10.5) == ("a", frame(2)._replace(waited=10.5 - 10.2))
    assert turns.next(now=10.5) == ("b", frame(1)._replace(waited=10.5 - 10.1))
    assert turns.next(now=10.5) is None


def test_who_sends_a_hundred_times_as_much_is_explained_as_often() -> None:
    turns: Turns[str] = Turns()
    explained = []
    for step in range(300):
        for _ in range(100):
            turns.offer("greedy", frame(step + 1), now=step)
        turns.offer("calm", frame(step + 1), now=step)
        turns.offer("third", frame(step + 1), now=step)
        found = turns.next(now=step)
        assert found is not None
        explained.append(found[0])
        assert len(turns) <= 3
    assert {viewer: explained.count(viewer) for viewer in ("greedy", "calm", "third")} == {
        "greedy": 100,
        "calm": 100,
        "third": 100,
    }


def test_who_is_served_already_keeps_the_place() -> None:
    turns: Turns[str] = Turns()
    for viewer in ("a", "b", "c"):
        turns.offer(viewer, frame(1), now=1.0)
    assert turns.next(now=1.0, served=["a"]) == ("b", frame(1))
    assert turns.next(now=1.0, served=["a", "c"]) is None
    assert turns.next(now=1.0) == ("a", frame(1))
    assert turns.next(now=1.0) == ("c", frame(1))


def test_who_leaves_takes_the_frame_along() -> None:
    turns: Turns[str] = Turns()
    turns.offer("a", frame(1), now=1.0)
    assert turns.leave("a") == frame(1)
    assert turns.leave("a") is None
    assert len(turns) == 0
