"""What is kept for the next start is listed by network and engine, and removed where that is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from live_gradcam import cache_contents, clear_cache
from live_gradcam.cli import app
from live_gradcam.compiling.kept_files import KeptFiles

AT_MOST = "At most 1024.0 MiB of networks and 256.0 MiB of XLA are kept: what was used last."


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "live-gradcam"


@pytest.fixture
def filled(folder: Path) -> Path:
    for name, sizes in (("toy.keras", (1000, 2000)), ("efficientnet-lite0", (3 << 20,))):
        for size in sizes:
            KeptFiles().write({"network": {"model": name, "engine": "openvino"}, "size": size}, bytes(size))
    for machine in ("one", "other"):
        (folder / f"compiled-{machine}").mkdir()
        (folder / f"compiled-{machine}" / "a.pb").write_bytes(bytes(1 << 19))
    (folder / "tuning-x.json").write_text("{}")
    return folder


def test_the_list_counts_files_and_bytes_by_network(filled: Path) -> None:
    contents = cache_contents()
    on_disk = sum(path.stat().st_size for path in filled.rglob("*") if path.is_file()) - 2
    assert contents.size == on_disk
    assert [(entry.name, entry.engine, entry.files) for entry in contents.entries] == [
        ("efficientnet-lite0", "openvino", 1),
        ("toy.keras", "openvino", 2),
        ("all networks", "xla", 2),
    ]
    assert contents.entries[2].size == 1 << 20
    assert contents.folder == filled


def test_the_command_prints_it(filled: Path) -> None:
    result = CliRunner().invoke(app, ["cache"])
    assert (result.exit_code, result.stderr) == (0, "")
    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows[0] == ["network", "engine", "files", "MiB"]
    assert rows[1] == ["efficientnet-lite0", "openvino", "1", "3.0"]
    assert rows[2] == ["toy.keras", "openvino", "2", "0.0"]
    assert rows[3] == ["all", "networks", "xla", "2", "1.0"]
    assert result.stdout.splitlines()[-2:] == [f"{filled}: 4.0 MiB of programs", AT_MOST]


def test_what_all_engines_share_says_so(folder: Path) -> None:
    KeptFiles().write({"kind": "network", "network": {"model": "toy.keras"}}, bytes(1))
    result = CliRunner().invoke(app, ["cache"])
    assert result.stdout.splitlines()[1].split() == ["toy.keras", "all", "engines", "1", "0.0"]
    assert cache_contents().to_json()["entries"][0]["engine"] == ""


def test_clearing_removes_programs_and_leaves_what_was_timed(filled: Path) -> None:
    result = CliRunner().invoke(app, ["cache", "--clear"])
    assert result.stdout.splitlines()[-1] == "removed 4.0 MiB"
    assert [path.name for path in filled.iterdir()] == ["tuning-x.json"]
    assert cache_contents().entries == ()


def test_a_file_that_is_damaged_is_listed_and_removed(filled: Path) -> None:
    next(one for one in KeptFiles().files() if one.key["size"] == 1000).path.write_bytes(b"\x00")
    assert ("damaged", "", 1, 1) in [(e.name, e.engine, e.files, e.size) for e in cache_contents().entries]
    assert ["damaged", "unknown", "1", "0.0"] in [
        line.split() for line in CliRunner().invoke(app, ["cache"]).stdout.splitlines()
    ]
    clear_cache()
    assert cache_contents().size == 0


def test_a_cache_that_is_empty_or_not_there(folder: Path) -> None:
    assert clear_cache() == 0
    result = CliRunner().invoke(app, ["cache", "--json", "-"])
    assert json.loads(result.stdout) == {"schema": 1, "folder": str(folder), "size": 0, "entries": []}
    assert CliRunner().invoke(app, ["cache"]).stdout == f"{folder}: 0.0 MiB of programs\n{AT_MOST}\n"
