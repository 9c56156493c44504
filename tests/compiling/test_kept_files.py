"""What is kept is read whole and unchanged, or not at all; and nothing that goes wrong with it is more than that."""

from __future__ import annotations

import os
import resource
import threading
import time
from pathlib import Path

import pytest

from live_gradcam.compiling.kept_files import KeptFiles, programs_folder

KEY = {"model": "toy", "kind": "program"}
CONTENT = bytes(range(256)) * 40


@pytest.fixture
def kept(tmp_path: Path) -> KeptFiles:
    return KeptFiles(tmp_path / "kept")


def only_file(kept: KeptFiles) -> Path:
    (one,) = kept.files()
    return one.path


def test_what_is_written_is_read(kept: KeptFiles) -> None:
    assert kept.read(KEY) is None
    kept.write(KEY, CONTENT)
    assert bytes(kept.read(KEY)) == CONTENT
    assert kept.read({**KEY, "model": "other"}) is None
    kept.write(KEY, b"")
    assert bytes(kept.read(KEY)) == b""


def test_the_list_says_what_each_file_is_of(kept: KeptFiles) -> None:
    kept.write(KEY, CONTENT)
    (one,) = kept.files()
    assert (one.key, one.size) == (KEY, one.path.stat().st_size)
    one.path.write_bytes(b"\x00\xff\n{")
    (one,) = kept.files()
    assert one.key == {}


@pytest.mark.parametrize("place", [0, 10, 30, 84, 90, 100, 200, 5000, -1])
def test_a_file_in_which_a_bit_is_flipped_is_not_read_and_is_removed(kept: KeptFiles, place: int) -> None:
    kept.write(KEY, CONTENT)
    path = only_file(kept)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    assert kept.read(KEY) is None
    assert list(kept.files()) == []


@pytest.mark.parametrize("length", [0, 1, 20, 84, 85, 120, 5000, -1])
def test_a_file_that_is_cut_is_not_read(kept: KeptFiles, length: int) -> None:
    kept.write(KEY, CONTENT)
    path = only_file(kept)
    path.write_bytes(path.read_bytes()[:length])
    assert kept.read(KEY) is None


def test_a_file_that_is_longer_is_not_read(kept: KeptFiles) -> None:
    kept.write(KEY, CONTENT)
    with only_file(kept).open("ab") as file:
        file.write(b"\x00")
    assert kept.read(KEY) is None


def test_a_whole_file_of_another_key_is_not_read(kept: KeptFiles) -> None:
    kept.write(KEY, CONTENT)
    path = only_file(kept)
    other = {**KEY, "model": "other"}
    kept.write(other, b"other")
    (path_of_other,) = (one.path for one in kept.files() if one.key == other)
    path_of_other.write_bytes(path.read_bytes())
    assert kept.read(other) is None
    assert bytes(kept.read(KEY)) == CONTENT


def test_what_was_used_longest_ago_makes_room(tmp_path: Path) -> None:
    kept = KeptFiles(tmp_path, most_bytes=3 * len(CONTENT))
    keys = [{"number": number} for number in range(3)]
    for age, key in enumerate(keys[:2]):
        kept.write(key, CONTENT)
        (path,) = (one.path for one in kept.files() if one.key == key)
        os.utime(path, (1000 + age, 1000 + age))
    assert kept.read(keys[0]) is not None  # which is a use
    kept.write(keys[2], CONTENT)
    assert sorted(one.key["number"] for one in kept.files()) == [0, 2]
    kept.write({"number": 4}, 3 * CONTENT)  # more than there may be in all
    assert sorted(one.key["number"] for one in kept.files()) == [0, 2]


def test_what_was_never_finished_is_removed_when_it_is_old(tmp_path: Path) -> None:
    old, new = tmp_path / "old.1-1.part", tmp_path / "new.2-2.part"
    for part in (old, new):
        part.write_bytes(CONTENT)
    os.utime(old, (time.time() - 7200,) * 2)
    KeptFiles(tmp_path).write(KEY, CONTENT)
    assert (old.exists(), new.exists()) == (False, True)


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept = KeptFiles(tmp_path / "file" / "kept")
    kept.write(KEY, CONTENT)
    assert kept.read(KEY) is None
    assert list(kept.files()) == []


def test_a_disk_that_is_full_keeps_nothing_and_leaves_nothing_behind(kept: KeptFiles, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        kept.write(KEY, CONTENT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert kept.read(KEY) is None
    assert list((tmp_path / "kept").iterdir()) == []


@pytest.mark.slow
def test_several_that_write_and_read_at_once_see_whole_files(kept: KeptFiles) -> None:
    contents = {bytes([number]) * 50_000 for number in range(4)}
    done = threading.Event()
    seen: set[bytes] = set()

    def read() -> None:
        while not done.is_set():
            content = kept.read(KEY)
            if content is not None:
                seen.add(bytes(content))

    def write(content: bytes) -> None:
        for _ in range(25):
            kept.write(KEY, content)

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert seen <= contents
    assert bytes(kept.read(KEY)) in contents
    assert len(list(kept.files())) == 1


def test_programs_lie_in_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert programs_folder() == tmp_path / "live-gradcam" / "programs"
