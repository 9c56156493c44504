"""Families to which other packages add, and packages that are in each other's way."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import run
from other_packages import install, python_path

from live_gradcam.errors import LiveGradcamError
from live_gradcam.families import Family, Member

TOUR = Path(__file__).parents[1] / "videos" / "tour.mp4"

PICTURE = TOUR.parents[1] / "docs" / "fit.jpg"

_GROUPS = ("methods", "models", "engines", "sources", "sinks", "sidecars", "surfaces")


@pytest.fixture
def family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Family:
    """With two packages that add a name, and one that cannot be imported."""
    group = "live_gradcam.toys"
    first = ["ball = builtins:int", "ours = builtins:int"]
    second = ["ball = builtins:str", "ours = builtins:str", "kite = no_such_module:KITE"]
    monkeypatch.syspath_prepend(str(install(tmp_path / "second", "second-toys", groups={group: second})))
    monkeypatch.syspath_prepend(str(install(tmp_path / "first", "first-toys", groups={group: first})))
    return Family("toy", group, {"ours": Member("the best", "builtins:float")})


def test_the_first_of_two_packages_has_a_name_and_a_line_names_both(
    family: Family, caplog: pytest.LogCaptureFixture
) -> None:
    assert dict(family.helps) == {
        "ours": "the best",
        "ball": "from the package first-toys",
        "kite": "from the package second-toys",
    }
    assert family.load("ours") is float
    assert caplog.messages == []  # nobody wanted it
    assert [family.load("ball"), family.load("ball")] == [int, int]
    assert caplog.messages == [
        "the packages first-toys and second-toys both add the toy ball: the one of first-toys is used"
    ]


def test_what_cannot_be_loaded_is_left_out_and_named_once(family: Family, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    for _ in range(2):
        assert dict(family.usable(["kite", "ours"])) == {"ours": float}
    assert caplog.messages == [
        "the toy kite from the package second-toys cannot be loaded: No module named 'no_such_module'"
    ]
    with pytest.raises(LiveGradcamError, match=r"^the toy kite from the package second-toys cannot be loaded"):
        family.load("kite")


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that adds to every family: what cannot be imported, what is no member, and names with odd letters."""
    rows = ["broken = no_such_module:IT", "wrong = builtins:len", "odd[/x] [red] = builtins:len", "worse = not a place"]
    site = install(tmp_path / "site", "stranger", groups={f"live_gradcam.{group}": rows for group in _GROUPS})
    monkeypatch.setenv("PYTHONPATH", python_path(site))


@pytest.mark.slow
@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("command", ["annotate", "explain", "live", "models"])
def test_a_broken_package_stops_no_help(command: str) -> None:
    finished = run(command, "--help", COLUMNS="200")
    assert (finished.code, finished.err) == (0, ""), finished
    assert "--verbose" in finished.out


@pytest.mark.slow
@pytest.mark.usefixtures("broken")
def test_a_broken_package_stops_no_run_without_it(tmp_path: Path, quick_network: list[str]) -> None:
    live = run("live", TOUR, "--surface", "none", "--max-frames", 2, *quick_network)
    assert live.code == 0, live
    assert re.match(r"\d+ frames? explained at ", live.out), live.out
    annotate = run(
        "annotate", TOUR, "-o", tmp_path / "out.mp4", "--end", 0.1, "--csv", tmp_path / "a.csv", *quick_network
    )
    assert annotate.code == 0, annotate
    ending = run("annotate", TOUR, "-o", tmp_path / "out.xyz")
    assert ending.code == 2, ending
    assert "a video cannot be written as" in ending.err
    models = run("models")
    assert (models.code, "efficientnet-lite0 (default)" in models.out) == (0, True)
    for finished in (live, annotate, ending, models):
        lines = finished.err.splitlines()
        assert "Traceback" not in finished.err
        assert "unexpected" not in finished.err
        assert len(lines) == len(set(lines)), finished.err  # each is said once


@pytest.mark.slow
@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize(
    "flags",
    [
        ["live", TOUR, "--surface", "broken"],
        ["explain", PICTURE, "--method", "broken"],
        ["explain", PICTURE, "--engine", "broken"],
        ["annotate", TOUR, "-o", "x.mp4", "--codec", "broken"],
        ["annotate", TOUR, "-o", "x.mp4", "--broken", "x"],
    ],
)
def test_who_wants_it_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[object]) -> None:
    monkeypatch.chdir(tmp_path)
    finished = run(*flags)
    assert finished.code == 1, finished
    assert "broken from the package stranger cannot be loaded: No module named 'no_such_module'" in finished.err


@pytest.mark.slow
def test_a_member_that_fails_when_it_is_used_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    surface = "class Surface:\n    def __init__(self): raise KeyError('no glass')\n"
    groups = {
        "live_gradcam.surfaces": ["glass = stranger:Surface"],
        "live_gradcam.methods": ["peak = stranger_of_methods:METHOD"],
    }
    method = (
        "from live_gradcam.attribution.methods.method import Method\n"
        "METHOD = Method(lambda activations, nothing: {}['weight'], asks_for='nothing')\n"
    )
    modules = {"stranger": surface, "stranger_of_methods": method}
    install(tmp_path, "stranger", groups=groups, modules=modules)
    monkeypatch.setenv("PYTHONPATH", python_path(tmp_path))
    shown = run("live", TOUR, "--surface", "glass")
    assert shown.err == (
        "live-gradcam: the surface glass from the package stranger fails with KeyError: 'no glass' "
        "(run it again with --debug for the details)\n"
    )
    explained = run("explain", PICTURE, "--method", "peak", "--engine", "xla", "--tune", "off")
    assert explained.err == (
        "live-gradcam: efficientnet-lite0 cannot be compiled by XLA: the method peak from the package stranger fails "
        "with KeyError: 'weight'\n"
    )
    assert shown.code == explained.code == 1


@pytest.mark.usefixtures("broken")
def test_the_reference_is_made_all_the_same() -> None:
    program = [sys.executable, "-m", "live_gradcam.cli.reference"]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    assert "## live-gradcam annotate" in done.stdout
