"""`live-gradcam doctor`: what this machine has, and what is wrong with it."""

from __future__ import annotations

import json
import os
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from command_line import run

from live_gradcam.doctor import EXTRAS, FOR_DEVELOPERS, Diagnosis, Finding
from live_gradcam.files import cache_folder, can_be_written
from live_gradcam.networks.keras_settings import keras_home

if sys.version_info >= (3, 11):
    import tomllib

_ROOT = Path(__file__).parents[2]


def findings(*arguments: str, code: int = 0, **changes: str) -> dict[tuple[str, str], dict[str, Any]]:
    """What `doctor` finds, by topic and name."""
    finished = run("doctor", "--json", "-", *arguments, **changes)
    assert finished.code == code, finished.err
    return {(one["topic"], one["name"]): one for one in json.loads(finished.out)}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python reads TOML from 3.11 on")
def test_each_extra_has_a_line() -> None:
    extras = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert {*EXTRAS, *FOR_DEVELOPERS} == set(extras)


@pytest.mark.slow
def test_a_machine_with_all_that_is_needed() -> None:
    found = findings()
    for package in ("numpy", "tensorflow", "typer"):
        assert found["packages", package]["value"] == metadata.version(package)
        assert found["packages", package]["state"] == "ok"
    assert found["extras", "openvino"]["value"].startswith(f"openvino {metadata.version('openvino')} (")
    assert found["encoders", "h264"]["value"].startswith("libx264")
    assert found["engines", "xla"]["value"] == "XLA, in f32 and bf16"
    assert found["engines", "default"]["value"] == "xla, as $LIVE_GRADCAM_ENGINE says"
    display = found["display", "window"]
    assert (display["state"], display["value"]) == ("note", "there is no display (DISPLAY is not set)")
    assert display["remedy"] == "use --headless, and --record FILE to keep what it sees"


@pytest.mark.slow
def test_a_package_that_is_too_old_and_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    """The first package of a name on Python's path counts, as for pip."""
    old = tmp_path / "numpy-1.0.dist-info"
    old.mkdir()
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.0\n", "utf-8")
    (tmp_path / "file").write_text("", "utf-8")
    found = findings(code=1, PYTHONPATH=f"{tmp_path}:{_ROOT}", XDG_CACHE_HOME=str(tmp_path / "file" / "cache"))
    numpy = found["packages", "numpy"]
    assert (numpy["value"], numpy["state"], numpy["remedy"]) == ("1.0", "missing", "pip install 'numpy>=2.0'")
    assert [name for (topic, name), one in found.items() if one["state"] == "missing"] == ["numpy"]
    cache = found["cache", "folder"]
    assert cache["state"] == "note"
    assert "XDG_CACHE_HOME" in cache["remedy"]


@pytest.mark.slow
def test_json_on_stdout_is_json_alone() -> None:
    assert findings("--markdown")["packages", "numpy"]["state"] == "ok"


@pytest.mark.parametrize(
    ("home", "shown"),
    [
        ("/home/al", "~/.cache and /home/alice"),
        ("/", "/home/al/.cache and /home/alice"),
        ("/root", "/home/al/.cache and /home/alice"),
    ],
)
def test_a_home_is_hidden_as_a_whole_folder(home: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", home)
    finding = Finding("cache", "folder", "/home/al/.cache and /home/alice")
    assert Diagnosis((finding,)).to_markdown().splitlines()[-1] == f"| cache: folder | {shown} |  |"


@pytest.mark.slow
def test_the_report_to_paste_names_no_home() -> None:
    """A table of three columns, in which the user's own folder is ~."""
    home = str(Path.home())
    finished = run("doctor", XDG_CACHE_HOME=f"{home}/.cache")
    assert finished.code == 0
    lines = finished.out.splitlines()
    assert lines[:2] == ["| | | |", "| --- | --- | --- |"]
    assert all(line.count("|") == 4 for line in lines)
    assert home not in finished.out
    assert any(line.startswith("| cache: folder | ~/.cache/live-gradcam") for line in lines)


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a home is not of a table of users")
def test_a_user_without_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs with --user."""

    def nobody(uid: int) -> None:
        raise KeyError(uid)

    for name in ("HOME", "XDG_CACHE_HOME", "KERAS_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    assert not can_be_written(cache_folder())
    monkeypatch.chdir(tmp_path)
    Path("~").mkdir()
    assert keras_home() == Path("~/.keras")  # as Keras itself has it
    finding = Finding("cache", "folder", str(cache_folder()))
    assert Diagnosis((finding,)).to_markdown().splitlines()[-1] == "| cache: folder | /dev/null/live-gradcam |  |"
