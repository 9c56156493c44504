"""Of the programs that XLA keeps, those stay that are what they were."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

from live_gradcam.compiling.xla_programs import (
    are_new,
    hold_room,
    make_room,
    remove_all,
    remove_damaged,
    remove_new,
    remove_unfinished,
    vouch,
)


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
    assert are_new(tmp_path)
    vouch(tmp_path)
    (tmp_path / "one.pb").write_bytes(b"changed")  # which is no longer what was compiled
    assert not are_new(tmp_path)
    vouch(tmp_path)
    remove_damaged(tmp_path)
    assert names(tmp_path) == []


def test_what_is_new_and_wrong_is_removed(tmp_path: Path) -> None:
    (tmp_path / "one.pb").write_bytes(b"one")
    vouch(tmp_path)
    (tmp_path / "wrong.pb").write_bytes(b"two")
    remove_new(tmp_path)
    assert names(tmp_path) == ["one.pb", "one.sha256"]


def test_all_are_removed_and_nothing_else(tmp_path: Path) -> None:
    assert not remove_all(tmp_path)
    (tmp_path / "one.pb").write_bytes(b"one")
    vouch(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    assert remove_all(tmp_path)
    assert names(tmp_path) == ["notes.txt"]


def test_the_programs_that_were_read_longest_ago_make_room_for_others(tmp_path: Path) -> None:
    folders = tmp_path / "this", tmp_path / "other"
    for folder, name, age in (
        (folders[0], "read.pb", 10),
        (folders[0], "old.pb", 20),
        (folders[1], "older.pb", 30),
        (folders[1], "new.pb", 0),
    ):
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(bytes(1000))
        vouch(folder)
        os.utime(folder / name, (time.time() - 86400 * age,) * 2)
    for folder in folders:
        remove_damaged(folder)  # which reads all of them
    os.utime(folders[0] / "read.pb", (time.time(), time.time() - 864000))  # as the disk notes that it was read
    make_room(folders, most_bytes=4000)
    assert [len(names(folder)) for folder in folders] == [4, 4]
    make_room(folders, most_bytes=2999)
    assert [names(folder) for folder in folders] == [["read.pb", "read.sha256"], ["new.pb", "new.sha256"]]


def test_room_is_held_until_it_is_given_back_and_where_there_is_none_xla_is_not_told_to_write(tmp_path: Path) -> None:
    assert hold_room(tmp_path / "nowhere") is None
    room = hold_room(tmp_path)
    assert room is not None
    assert os.fstat(room.fileno()).st_blocks * 512 >= 32 << 20
    room.close()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        assert hold_room(tmp_path) is None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert names(tmp_path) == []


def test_what_was_never_finished_is_removed_where_nobody_writes_it_any_more(tmp_path: Path) -> None:
    own, of_others, old = (tmp_path / f"x.pbhost-1f-{process}-66.tmp" for process in (os.getpid(), 1, 2))
    for part in (own, of_others, old):
        part.write_bytes(b"part")
    os.utime(old, (time.time() - 7200,) * 2)
    make_room([tmp_path])
    assert names(tmp_path) == sorted([own.name, of_others.name])
    remove_unfinished(tmp_path)
    assert names(tmp_path) == [of_others.name]
