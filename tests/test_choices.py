"""Families to which other packages add, and packages that are in each other's way."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from live_gradcam.choices import Family, Member
from live_gradcam.errors import LiveGradcamError


def _install(folder: Path, package: str, entry_points: str) -> None:
    """What pip leaves of a package."""
    about = folder / f"{package}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(entry_points)


@pytest.fixture
def family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Family:
    """With two packages that add a name, and one that cannot be imported."""
    points = "[live_gradcam.toys]\nball = builtins:{}\nours = builtins:{}\n"
    _install(tmp_path / "first", "first-toys", points.format("int", "int"))
    _install(tmp_path / "second", "second-toys", points.format("str", "str") + "kite = no_such_module:KITE\n")
    monkeypatch.syspath_prepend(str(tmp_path / "second"))
    monkeypatch.syspath_prepend(str(tmp_path / "first"))
    return Family("toy", "live_gradcam.toys", {"ours": Member("the best", "builtins:float")})


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
