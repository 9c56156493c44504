"""How far `fit` is: how long a stage will take yet."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from live_gradcam.cli import stage_bars
from live_gradcam.cli.stage_bars import StageBars


class _Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr(stage_bars, "time", clock)
    return clock


def test_a_line_says_how_long_the_stage_will_take_yet(clock: _Clock) -> None:
    printed = io.StringIO()
    with StageBars(Console(file=printed)) as bars:
        bars("read pictures", 0, 10)
        clock.now += 30
        bars("fit and test", 0, 40)  # its own time, not that of the stage before
        for done in range(1, 4):
            clock.now += 20
            bars("fit and test", done, 40)
    assert printed.getvalue().splitlines() == [
        "live-gradcam: fit and test: 0 of 40",
        "live-gradcam: fit and test: 1 of 40, 780 s to go",
        "live-gradcam: fit and test: 2 of 40, 760 s to go",
        "live-gradcam: fit and test: 3 of 40, 740 s to go",
    ]


def test_what_was_done_before_counts_for_nothing(clock: _Clock) -> None:
    printed = io.StringIO()
    with StageBars(Console(file=printed)) as bars:
        bars("read pictures", 90, 100)  # 90 were known
        clock.now += 20
        bars("read pictures", 95, 100)
    assert printed.getvalue() == "live-gradcam: read pictures: 95 of 100, 20 s to go\n"


def test_a_bar_of_slow_steps_knows_the_time_to_go() -> None:
    now = 0.0
    bars = StageBars(Console(file=io.StringIO(), force_terminal=True))
    bars._bars.get_time = lambda: now
    for done in range(4):
        bars("fit and test", done, 40)
        now += 60
    (task,) = bars._bars.tasks
    assert task.time_remaining == pytest.approx(37 * 60, rel=0.05)
    bars.__exit__()
