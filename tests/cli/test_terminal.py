"""What is shown on a terminal while something takes long."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import rich.progress
from rich.console import Console
from rich.progress import Progress

from live_gradcam.cli import terminal
from live_gradcam.cli.terminal import passes_bar


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
