"""Output files: refused before the work begins where they cannot be; whole and on the disk before they have a name."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import pytest

from live_gradcam.errors import OutputError
from live_gradcam.files import check_output, part_path, publish, remove_part, timestamped_name


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What is written to the disk and what is renamed, in order."""
    noted: list[tuple[str, ...]] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(handle: int) -> None:
        noted.append(("fsync", os.readlink(f"/proc/self/fd/{handle}")))
        real_fsync(handle)

    def replace(source: str | Path, target: str | Path) -> None:
        noted.append(("replace", str(source), str(target)))
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    return noted


_needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs the names of open files")


# --- given its name -----------------------------------------------------------------------------------------------


@_needs_proc
def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, calls: list[tuple[str, ...]]) -> None:
    path = tmp_path / "out.mp4"
    assert part_path(path) == tmp_path / "out.mp4.part"
    part_path(path).write_text("new")
    publish(path)
    part = str(tmp_path / "out.mp4.part")
    assert calls == [("fsync", part), ("replace", part, str(path)), ("fsync", str(tmp_path))]
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["out.mp4"]


def test_a_file_replaces_the_one_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_text("old")
    part_path(path).write_text("new")
    publish(path)
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["out.mp4"]


def test_a_name_without_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("out.mp4.part").write_text("new")
    publish(Path("out.mp4"))
    assert os.listdir(tmp_path) == ["out.mp4"]


def _folder(path: Path, *names: str) -> Path:
    path.mkdir()
    for name in names:
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text(f"{path.name} {name}")
    return path


@_needs_proc
def test_a_folder_and_all_in_it_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, calls: list[tuple[str, ...]]
) -> None:
    part = str(_folder(tmp_path / "out.part", "a", "b", "sub/c"))
    publish(tmp_path / "out")
    written = [call[1] for call in calls if call[0] == "fsync"]
    assert sorted(written[:-1]) == [part, f"{part}/a", f"{part}/b", f"{part}/sub", f"{part}/sub/c"]
    assert calls[-2:] == [("replace", part, str(tmp_path / "out")), ("fsync", str(tmp_path))]
    assert [call[0] for call in calls].count("replace") == 1
    assert (tmp_path / "out" / "sub" / "c").read_text() == "out.part sub/c"


def test_a_folder_replaces_the_one_that_is_there(tmp_path: Path) -> None:
    _folder(tmp_path / "out", "old", "both")
    _folder(tmp_path / "out.part", "new", "both")
    publish(tmp_path / "out")
    assert os.listdir(tmp_path) == ["out"]
    assert sorted(os.listdir(tmp_path / "out")) == ["both", "new"]
    assert (tmp_path / "out" / "both").read_text() == "out.part both"


def test_a_folder_replaces_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("old")
    _folder(tmp_path / "out.part", "new")
    publish(tmp_path / "out")
    assert os.listdir(tmp_path) == ["out"]
    assert os.listdir(tmp_path / "out") == ["new"]


def test_a_folder_that_is_called_old_is_let_be(tmp_path: Path) -> None:
    _folder(tmp_path / "out.old", "precious")
    _folder(tmp_path / "out", "old")
    _folder(tmp_path / "out.part", "new")
    publish(tmp_path / "out")
    assert sorted(os.listdir(tmp_path)) == ["out", "out.old"]
    assert os.listdir(tmp_path / "out") == ["new"]
    assert os.listdir(tmp_path / "out.old") == ["precious"]


def test_a_folder_replaces_a_link_and_not_what_it_leads_to(tmp_path: Path) -> None:
    _folder(tmp_path / "elsewhere", "precious")
    (tmp_path / "out").symlink_to(tmp_path / "elsewhere")
    _folder(tmp_path / "out.part", "new")
    publish(tmp_path / "out")
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "out"]
    assert os.listdir(tmp_path / "out") == ["new"]
    assert os.listdir(tmp_path / "elsewhere") == ["precious"]


def test_a_folder_that_cannot_be_named_leaves_the_one_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _folder(tmp_path / "out", "old")
    _folder(tmp_path / "out.part", "new")
    real = os.replace

    def replace(source: str | Path, target: str | Path) -> None:
        if str(source).endswith(".part"):
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OSError, match="No space left"):
        publish(tmp_path / "out")
    assert sorted(os.listdir(tmp_path)) == ["out", "out.part"]
    assert os.listdir(tmp_path / "out") == ["old"]


@pytest.mark.parametrize("name", ["out.mp4", "out"])
def test_what_cannot_be_written_to_the_disk_gets_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tmp_path / name
    path.write_text("old")
    part_path(path).write_text("new")

    def fsync(handle: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="Input/output error"):
        publish(path)
    assert path.read_text() == "old"


def test_nothing_to_publish(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_text("old")
    with pytest.raises(FileNotFoundError):
        publish(tmp_path / "out.mp4")
    assert (tmp_path / "out.mp4").read_text() == "old"


# --- removed ------------------------------------------------------------------------------------------------------


def test_parts_are_removed(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_text("finished")
    (tmp_path / "out.mp4.part").write_text("not finished")
    _folder(tmp_path / "pictures.part", "a", "sub/b")
    for name in ("out.mp4", "pictures", "nothing"):
        remove_part(tmp_path / name)
    assert os.listdir(tmp_path) == ["out.mp4"]


def test_a_part_that_is_a_link_is_removed_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    _folder(tmp_path / "folder", "kept")
    (tmp_path / "a.mp4.part").symlink_to(tmp_path / "precious")
    (tmp_path / "b.part").symlink_to(tmp_path / "folder")
    (tmp_path / "c.mp4.part").symlink_to(tmp_path / "nowhere")
    for name in ("a.mp4", "b", "c.mp4"):
        remove_part(tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == ["folder", "precious"]
    assert os.listdir(tmp_path / "folder") == ["kept"]


# --- refused before the work begins -------------------------------------------------------------------------------


def test_a_folder_that_is_missing_is_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "out.mp4"
    assert check_output(str(path), overwrite=False) == path
    assert os.listdir(tmp_path / "a" / "b") == []


@pytest.mark.skipif(os.name == "nt", reason="names are counted in another way")
def test_a_name_that_has_no_room_for_that_of_the_growing_file_is_refused(tmp_path: Path) -> None:
    longest = os.pathconf(tmp_path, "PC_NAME_MAX")
    with pytest.raises(OutputError, match="File name too long"):
        check_output(tmp_path / f"{'a' * (longest - 4)}.mp4", overwrite=True)
    path = tmp_path / f"{'a' * (longest - 9)}.mp4"
    assert check_output(path, overwrite=True) == path


def test_what_exists_is_kept_but_for_overwrite(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_text("old")
    with pytest.raises(OutputError) as caught:
        check_output(path, overwrite=False)
    assert str(caught.value) == f"{path} exists already: give another name, or --overwrite to replace it"
    assert check_output(path, overwrite=True) == path
    assert path.read_text() == "old"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.mkdir()
    for overwrite in (False, True):
        with pytest.raises(OutputError) as caught:
            check_output(path, overwrite=overwrite)
        assert str(caught.value) == f"{path} is a folder: give a file name"
    assert check_output(path, overwrite=True, folder=True) == path
    with pytest.raises(OutputError, match="exists already"):
        check_output(path, overwrite=False, folder=True)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    path = tmp_path / "file" / "out.mp4"
    with pytest.raises(OutputError) as caught:
        check_output(path, overwrite=True)
    assert str(caught.value) in {f"cannot write {path}: Not a directory", f"cannot write {path}: File exists"}


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.mp4"
    monkeypatch.setattr(os, "access", lambda folder, mode: folder != tmp_path)
    with pytest.raises(OutputError) as caught:
        check_output(path, overwrite=True)
    assert str(caught.value) == f"cannot write {path}: no permission to write in {tmp_path}"


def test_a_name_of_now() -> None:
    before = datetime.now()
    name = timestamped_name(".mp4")
    after = datetime.now()
    assert name.startswith("live-gradcam-")
    assert name.endswith(".mp4")
    now = datetime.strptime(name.removeprefix("live-gradcam-").removesuffix(".mp4"), "%Y%m%d-%H%M%S-%f")
    assert before.replace(microsecond=before.microsecond // 1000 * 1000) <= now <= after
