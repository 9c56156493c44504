"""Of the programs that XLA keeps, those stay that are what they were."""

from __future__ import annotations

import resource
from pathlib import Path

from live_gradcam.compiling.xla_programs import has_room, remove_all, remove_damaged, vouch


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_damaged_and_what_nobody_vouched_for_is_removed(tmp_path: Path) -> None:
    for name in ("flipped", "whole", "cut"):
        (tmp_path / f"{name}.pb").write_bytes(bytes(range(256)))
    vouch(tmp_path)
    (tmp_path / "new.pb").write_bytes(b"new")
    (tmp_path / "flipped.pb").write_bytes(bytes([*range(255), 254]))
    (tmp_path / "cut.pb").write_bytes(bytes(range(255)))
    remove_damaged(tmp_path)
    assert names(tmp_path) == ["whole.pb", "whole.sha256"]
    (tmp_path / "whole.sha256").write_bytes(b"\xff")
    remove_damaged(tmp_path)
    assert names(tmp_path) == []


def test_a_program_is_vouched_for_once(tmp_path: Path) -> None:
    (tmp_path / "one.pb").write_bytes(b"one")
    vouch(tmp_path)
    (tmp_path / "one.pb").write_bytes(b"changed")  # which is no longer what was compiled
    vouch(tmp_path)
    remove_damaged(tmp_path)
    assert names(tmp_path) == []


def test_all_are_removed_and_nothing_else(tmp_path: Path) -> None:
    assert not remove_all(tmp_path)
    (tmp_path / "one.pb").write_bytes(b"one")
    vouch(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    assert remove_all(tmp_path)
    assert names(tmp_path) == ["notes.txt"]


def test_where_there_is_no_room_xla_is_not_told_to_write(tmp_path: Path) -> None:
    assert has_room(tmp_path)
    assert not has_room(tmp_path / "nowhere")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        assert not has_room(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert names(tmp_path) == []
