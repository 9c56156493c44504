"""What is shown on a terminal while something takes long."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import rich.progress
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from live_gradcam.annotating.batch import Progress as Progressed
from live_gradcam.annotating.jobs import AnnotateJob
from live_gradcam.cli import terminal
from live_gradcam.cli.annotate_progress import AnnotateProgress
from live_gradcam.cli.terminal import complain, passes_bar, print_table, say


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What bars on a terminal did, in order."""
    did: list[str] = []

    class Bar(Progress):
        def start(self) -> None:
            did.append("start")
            super().start()

        def stop(self) -> None:
            did.append("stop")
            super().stop()

        def add_task(self, description: str, *arguments: Any, **more: Any) -> Any:
            did.append(description)
            return super().add_task(description, *arguments, **more)

    monkeypatch.setattr(rich.progress, "Progress", Bar)
    monkeypatch.setattr(terminal, "terminal", lambda: Console(file=StringIO(), force_terminal=True))
    return did


def test_every_picture_has_a_bar_of_its_own(bars: list[str]) -> None:
    with passes_bar() as show:
        for name in ("a.png", "b.png"):
            for done in (1, 2):
                show(Path(name), done, 2)
            bars.append("printed")
    assert bars == ["start", "a.png", "stop", "printed", "start", "b.png", "stop", "printed"]


def test_the_bar_of_a_picture_that_fails_ends_before_the_next_one(bars: list[str]) -> None:
    with passes_bar() as show:
        show(Path("a.png"), 1, 3)
        show(Path("b.png"), 1, 3)
        show(Path("b.png"), 3, 3)
        show(Path("c.png"), 1, 3)
    assert bars == ["start", "a.png", "stop", "start", "b.png", "stop", "start", "c.png", "stop"]


def test_a_name_does_not_change_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "\x1b[31mred\x9b.png"
    complain(f"cannot read {name}: Permission denied")
    assert capsys.readouterr().err == "live-gradcam: cannot read \\x1b[31mred\\x9b.png: Permission denied\n"
    say(f"{name}: a cup")
    assert capsys.readouterr().out == f"{name}: a cup\n"  # a program reads it
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    say(f"{name}: a cup")
    assert capsys.readouterr().out == "\\x1b[31mred\\x9b.png: a cup\n"


def test_a_name_does_not_change_the_bars(bars: list[str]) -> None:
    with passes_bar() as show:
        show(Path("\x1b[31mred.png"), 1, 2)
    assert "\\x1b[31mred.png" in bars


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_name_does_not_change_what_shows_how_far_a_recording_is(is_terminal: bool) -> None:
    shown = StringIO()
    console = Console(file=shown, force_terminal=is_terminal, color_system=None, width=120)
    source = Path("\x1b[31mred.mp4")
    with AnnotateProgress(console, "starting") as progress:
        progress(Progressed("started", 1))
        progress._printed -= 60
        progress(Progressed("annotating", 1, AnnotateJob(source, Path("out.mp4")), 3, 1.0, 2.0))
    assert "\\x1b[31mred.mp4" in shown.getvalue()
    assert "\x1b[31m" not in shown.getvalue()


def test_a_name_is_no_emoji_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("class")
    table.add_row(":cat:")
    print_table(table)
    assert ":cat:" in capsys.readouterr().out
