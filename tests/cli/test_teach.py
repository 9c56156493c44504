"""`live-gradcam teach`: what is refused before anything is opened or imported, and the lines at the end."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from live_gradcam import LiveOptions, SessionOptions
from live_gradcam.cli import app, terminal
from live_gradcam.fitting import taught_session
from live_gradcam.fitting.taught_class import TaughtClass
from live_gradcam.live_loop import run
from live_gradcam.live_loop.summary import LiveSummary
from live_gradcam.live_loop.teaching import Taught


def refused(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        app(["teach", *map(str, arguments)])
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return ended.value.code, err  # type: ignore[return-value]


def test_what_is_wrong_is_said_before_a_window_opens(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    script = tmp_path / "script.txt"
    script.write_text("1 teach-hold 1\n2 teach-relaese\n", encoding="utf-8")
    (tmp_path / "old.keras").touch()
    (tmp_path / "one.examples").mkdir()
    for arguments, code, words in [
        (("--fit", "tiles"), 2, "there is no fit 'tiles': use one of stretch, crop, letterbox"),
        (("--script", script), 2, "line 2: there is no command 'teach-relaese'; did you mean teach-release"),
        (("--headless", "--surface", "window"), 2, "--headless means --surface none"),
        (("-m", "nosuch"), 2, "there is no model 'nosuch'"),
        (("-o", tmp_path / "own.h5"), 2, "is written as NAME.keras"),
        (("-o", tmp_path / "old.keras"), 1, "old.keras exists already"),
        (("-o", tmp_path / "one.keras"), 1, "one.examples exists already"),
        (("--method", "score-cam"), 2, "score-cam is too slow for a camera"),
        ((), 1, "there is no display"),
        (("--headless",), 1, "camera 99 does not open"),
    ]:
        assert refused(capfd, "99", *arguments)[0] == code, arguments
        assert words in refused(capfd, "99", *arguments)[1]


@pytest.mark.parametrize("debug", [False, True])
def test_the_network_is_started_with_a_line_and_debugging_lets_tensorflow_talk(
    monkeypatch: pytest.MonkeyPatch, debug: bool
) -> None:
    """What the command hands to the run is what the run starts the network with."""
    screen, talks = StringIO(), []
    monkeypatch.setattr(terminal, "terminal", lambda: Console(file=screen, force_terminal=True))
    monkeypatch.setattr(
        taught_session,
        "start_teaching",
        lambda *_, let_tensorflow_talk, **__: talks.append(let_tensorflow_talk) or ("teacher", "session"),
    )

    def starts(*_: object, session: SessionOptions, options: LiveOptions, **__: object) -> LiveSummary:
        assert options.teaching is not None
        assert options.teaching.start is not None
        assert options.teaching.start(session) == ("teacher", "session")
        return LiveSummary(1, 1, 1, 0, 0, 1.0, {}, {}, (), 0, False, None)

    monkeypatch.setattr(run, "live", starts)
    with pytest.raises(SystemExit):
        app(["teach", "99", "-m", "[b]net.keras", *(["--debug"] if debug else [])])
    terminal.set_up_logging()  # as it is without flags
    assert talks == [debug]
    assert "starting [b]net.keras" in screen.getvalue()


def test_what_was_taught_is_printed(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    classes = (TaughtClass(0, "nothing", 3, 1, True), TaughtClass(2, "my cup ☕", 20, 2, True))
    taught = Taught(classes, 0.914, (Path("own.keras"),), None, False)
    numbers: dict[str, float | None] = {}

    def ended(summary: LiveSummary) -> tuple[int, str, str]:
        monkeypatch.setattr(run, "live", lambda *_, **__: summary)
        with pytest.raises(SystemExit) as end:
            app(["teach", "99"])
        return end.value.code or 0, *capfd.readouterr()  # type: ignore[return-value]

    summary = LiveSummary(1, 1, 1, 0, 0, 1.0, numbers, numbers, (), 0, False, taught)
    lines = [
        "nothing: 3 pictures in 1 burst",
        "my cup ☕: 20 pictures in 2 bursts",
        "accuracy on bursts that the head never saw: 91 %",
        "written as own.keras",
    ]
    assert ended(summary) == (0, "\n".join(lines) + "\n", "")
    assert ended(replace(summary, taught=None)) == (0, "nothing was taught\n", "")
    recorded = replace(summary, taught=None, recordings=(Path("a.mp4"), Path("b.mp4")))
    assert ended(recorded) == (0, "nothing was taught\nrecorded in a.mp4\nrecorded in b.mp4\n", "")
    code, _, err = ended(replace(summary, taught=replace(taught, is_unsaved=True)))
    assert (code, "what you taught last is not written" in err) == (0, True)
    code, _, err = ended(replace(summary, taught=replace(taught, failure="cannot write own.keras: no room")))
    assert (code, err) == (1, "live-gradcam: cannot write own.keras: no room\n")
