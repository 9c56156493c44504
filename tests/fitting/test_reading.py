"""Data sets: what is read of folders, tables and pairs, and what is refused in one line before anything slow."""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from video_files import make_video, numbered

from live_gradcam.errors import LiveGradcamError, UsageError
from live_gradcam.fitting.dataset import Dataset, read_frame
from live_gradcam.fitting.options import FitOptions
from live_gradcam.fitting.reading import read_dataset
from live_gradcam.fitting.taught_class import checked_name
from live_gradcam.networks.card import Card

_OPTIONS = FitOptions()


def picture(path: Path, seed: int | None = None) -> Path:
    """Write a small picture, which no other one is like."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = zlib.crc32(str(path).encode()) if seed is None else seed
    cv2.imwrite(str(path), np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8))
    return path


def pictures(folder: Path, *names: str) -> Path:
    for name in names:
        picture(folder / name)
    return folder


def left_out(dataset: Dataset, folder: Path) -> dict[str, str]:
    return {one.path.relative_to(folder).as_posix(): one.why for one in dataset.left_out}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of two pictures each."""
    return pictures(tmp_path / "set", "cup/1.png", "cup/2.png", "phone/1.png", "phone/2.png")


# --- folders ------------------------------------------------------------------------------------------------------


def test_a_folder_of_classes(folder: Path) -> None:
    pictures(folder, "phone/desk/3.png", "phone/desk/near/4.png")
    dataset = read_dataset(folder, _OPTIONS)
    assert dataset.classes == ("cup", "phone")
    assert dataset.targets.tolist() == [0, 0, 1, 1, 1, 1]
    assert [example.path.relative_to(folder).as_posix() for example in dataset.examples][:3] == [
        "cup/1.png",
        "cup/2.png",
        "phone/1.png",
    ]
    groups = [example.group for example in dataset.examples]
    assert len(set(groups)) == 5  # the folder within a class's is one
    assert groups[4] == groups[5]
    assert dataset.counts("train") == {"cup": 2, "phone": 4}
    assert not dataset.left_out


def test_a_folder_within_several_classes_is_one_group(folder: Path) -> None:
    pictures(folder, "cup/kitchen/3.png", "phone/kitchen/3.png")
    groups = {example.path.parent.name: example.group for example in read_dataset(folder, _OPTIONS).examples}
    kitchens = [one.group for one in read_dataset(folder, _OPTIONS).examples if one.path.parent.name == "kitchen"]
    assert kitchens == [groups["kitchen"]] * 2


def test_parts(tmp_path: Path) -> None:
    names = ("Train/a/1.png", "Train/a/2.png", "Train/b/1.png", "Train/b/2.png", "valid/b/3.png", "test/a/3.png")
    dataset = read_dataset(pictures(tmp_path, *names), _OPTIONS)
    assert dataset.classes == ("a", "b")
    assert dataset.rows_of("train").tolist() == [0, 1, 2, 3] or len(dataset.rows_of("train")) == 4
    assert dataset.counts("val") == {"a": 0, "b": 1}  # labels do not shift where val lacks a class
    assert [dataset.examples[row].target for row in dataset.rows_of("val")] == [(1,)]
    assert [dataset.examples[row].target for row in dataset.rows_of("test")] == [(0,)]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    dataset = read_dataset(pictures(tmp_path, "bus/1.png", "bus/2.png", "train/1.png", "train/2.png"), _OPTIONS)
    assert dataset.classes == ("bus", "train")


def test_what_is_left_out(folder: Path) -> None:
    picture(folder / "cup" / "3.png", seed=7)
    picture(folder / "cup" / "again.png", seed=7)
    picture(folder / "cup" / "cup-gradcam.png")
    (folder / "cup" / "notes.txt").write_text("hello")
    (folder / "cup" / "empty.jpg").touch()
    (folder / "cup" / ".hidden.png").write_bytes(b"x")
    (folder / "cup" / "x.mp4.part").write_bytes(b"x")
    (folder / "cup" / "lost.png").symlink_to("/nowhere/at/all.png")
    (folder / "cup" / "round").symlink_to(folder / "cup")
    (folder / "nothing").mkdir()
    (folder / "unseen").mkdir()
    (folder / "unseen" / ".1.png").write_bytes(b"x")
    pictures(folder, ".ipynb_checkpoints/1.png", "__MACOSX/1.png", "loose.png")
    dataset = read_dataset(folder, _OPTIONS)
    assert left_out(dataset, folder) == {
        ".ipynb_checkpoints": "hidden",
        "__MACOSX": "left by an archive of macOS",
        "cup/.hidden.png": "hidden",
        "cup/again.png": f"the same as {folder / 'cup' / '3.png'}",
        "cup/cup-gradcam.png": "made by live-gradcam",
        "cup/empty.jpg": "empty",
        "cup/lost.png": "a link to nowhere",
        "cup/notes.txt": "no picture or video",
        "cup/round": "a link to a folder above it",
        "cup/x.mp4.part": "an unfinished file",
        "loose.png": "not in a class's folder",
        "nothing": "an empty folder",
        "unseen": "all files in it are hidden",
        "unseen/.1.png": "hidden",
    }
    assert dataset.classes == ("cup", "phone")
    assert len(dataset.examples) == 5


def test_what_fit_and_teach_wrote_beside_the_pictures_is_no_class(folder: Path) -> None:
    pictures(folder, "report/mean-maps.png", "report/mistake-01.png", "cups.examples/cup/burst-000/001.png")
    for name in ("report/index.html", "report/report.json", "cups.keras"):
        (folder / name).touch()
    pictures(folder, "other.examples/1.png", "other.examples/2.png")  # without a model it is a class
    dataset = read_dataset(folder, _OPTIONS)
    assert dataset.classes == ("cup", "other.examples", "phone")
    assert left_out(dataset, folder) == {
        "cups.examples": "made by live-gradcam",
        "cups.keras": "not in a class's folder",
        "report": "made by live-gradcam",
    }


def test_masks_are_no_class(folder: Path) -> None:
    pictures(folder, "cup/masks/1.png", "cup/masks/2.png")
    assert len(read_dataset(folder, _OPTIONS).examples) == 4


def test_a_copy_in_another_part_is_left_out_there(tmp_path: Path) -> None:
    pictures(tmp_path, "train/a/1.png", "train/a/2.png", "train/b/1.png", "train/b/2.png", "test/b/3.png")
    (tmp_path / "test" / "a").mkdir()
    (tmp_path / "test" / "a" / "copy.png").write_bytes((tmp_path / "train" / "a" / "1.png").read_bytes())
    dataset = read_dataset(tmp_path, _OPTIONS)
    assert left_out(dataset, tmp_path) == {"test/a/copy.png": f"the same as {tmp_path / 'train' / 'a' / '1.png'}"}
    assert len(dataset.rows_of("train")) == 4


def test_a_picture_of_a_gigapixel_is_never_decoded(folder: Path) -> None:
    header = struct.pack(">IIBBBBB", 40_000, 30_000, 8, 2, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + b"IHDR"
        + header
        + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    )
    (folder / "cup" / "huge.png").write_bytes(png)
    found = left_out(read_dataset(folder, _OPTIONS), folder)
    assert found == {"cup/huge.png": "40000×30000 pixels are too many: at most 300 million are read"}


def test_names_in_the_spelling_of_macos_are_the_same(tmp_path: Path) -> None:
    composed, decomposed = "B\u00e4r", "Ba\u0308r"
    names = (f"train/{composed}/1.png", f"train/{composed}/2.png", "train/b/1.png", "train/b/2.png")
    dataset = read_dataset(pictures(tmp_path, *names, f"val/{decomposed}/1.png"), _OPTIONS)
    assert dataset.classes == (composed, "b")


PERSIAN, FAMILY = "می\u200cخواهم", "👩\u200d🔬"  # a joiner that keeps letters apart, and one that makes one of two


def test_names_of_any_script_are_the_same_in_folders_tables_and_at_the_camera(tmp_path: Path) -> None:
    names = (f"{PERSIAN}/1.png", f"{PERSIAN}/2.png", f"{FAMILY}/1.png", f"{FAMILY}/2.png")
    folder = pictures(tmp_path / "set", *names)
    expected = tuple(sorted((PERSIAN, FAMILY)))
    assert read_dataset(folder, _OPTIONS).classes == expected
    rows = "".join(f"{name},{name.partition('/')[0]}\n" for name in names)
    for task in ("classes", "labels"):
        csv = table(folder, f"path,class\n{rows}")
        assert read_dataset(None, FitOptions(csv=csv, task=task)).classes == expected  # type: ignore[arg-type]
    assert tuple(map(checked_name, expected)) == expected
    assert Card.from_json(Card(expected).to_json()).classes == expected


def test_a_table_in_the_spelling_of_macos_has_the_same_classes(folder: Path) -> None:
    rows = "cup/1.png,B\u00e4r\ncup/2.png,Ba\u0308r\nphone/1.png,b\nphone/2.png,b\n"
    assert read_dataset(None, FitOptions(csv=table(folder, rows))).classes == ("B\u00e4r", "b")


@pytest.mark.parametrize("bad", ["red\x1b[31m", "a\x07", "\u200b", "two\u2029lines", "cup\u202egnp", "\uf700"])
def test_rows_whose_names_cannot_be_shown_are_left_out(folder: Path, bad: str) -> None:
    rows = f"path,labels\ncup/1.png,red\ncup/2.png,round;{bad}\nphone/1.png,round\nphone/2.png,{bad}\n"
    dataset = read_dataset(None, FitOptions(csv=table(folder, rows), task="labels"))
    assert dataset.classes == ("red", "round")
    assert left_out(dataset, folder) == {
        "cup/2.png": f"row 3 of table.csv has the labels {f'round;{bad}'!r}",
        "phone/2.png": f"row 5 of table.csv has the labels {bad!r}",
    }


# --- videos -------------------------------------------------------------------------------------------------------


def test_frames_of_a_video_are_taken_at_times(tmp_path: Path) -> None:
    clip = make_video(tmp_path / "a.mp4", [numbered(index) for index in range(90)], rate=10)
    other = make_video(tmp_path / "b.mp4", [numbered(100 + index) for index in range(90)], rate=10)
    dataset = read_dataset({clip: "cup", other: "phone"}, FitOptions(every=2.5))
    assert [example.time for example in dataset.examples] == [0, 2.5, 5, 7.5] * 2
    assert dataset.targets.tolist() == [0] * 4 + [1] * 4
    assert read_frame(dataset.examples[1]).shape == (48, 64, 3)
    assert {example.group for example in dataset.examples} == {str(clip), str(other)}


def test_frames_are_not_taken_more_often_than_there_are_any(tmp_path: Path) -> None:
    clips = [
        make_video(tmp_path / f"{name}.mp4", [numbered(k) for k in range(90)], rate=10, codec_options={"crf": str(crf)})
        for name, crf in (("a", 20), ("b", 25))
    ]
    dataset = read_dataset(dict(zip(clips, ("x", "y"), strict=True)), FitOptions(every=0.001))
    assert len(dataset.examples) == 180


# --- tables -------------------------------------------------------------------------------------------------------


def table(folder: Path, text: str, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "path,class,group\ncup/1.png,Cup,a\ncup/2.png,Cup,b\nphone/1.png,Phone,a\nphone/2.png,Phone,c\n",
        "\ufefffilename;patient;label\ncup/1.png;a;Cup\ncup/2.png;b;Cup\nphone/1.png;a;Phone\nphone/2.png;c;Phone\n",
        "cup/1.png\tCup\ta\ncup/2.png\tCup\tb\nphone/1.png\tPhone\ta\nphone/2.png\tPhone\tc\n\n",
    ],
)
def test_a_table_of_classes(folder: Path, text: str) -> None:
    dataset = read_dataset(None, FitOptions(csv=table(folder, text)))
    assert dataset.classes == ("Cup", "Phone")
    assert dataset.targets.tolist() == [0, 0, 1, 1]
    groups = [example.group for example in dataset.examples]
    assert groups[0] == groups[2]
    assert len(set(groups)) == 3


def test_a_table_beside_the_folder_where_its_paths_begin(folder: Path, tmp_path: Path) -> None:
    rows = "image,species,split\n1.png,x,train\n2.png,x,train\n"
    pictures(folder, "cup/3.png", "cup/4.png", "cup/5.png")
    text = f"{rows}3.png,y,\n4.png,y,train\n5.png,y,validation\n"
    dataset = read_dataset(folder / "cup", FitOptions(csv=table(tmp_path, text)))
    assert dataset.classes == ("x", "y")
    assert dataset.rows_of("val").tolist() == [4]


def test_a_table_of_labels(folder: Path) -> None:
    text = 'path,labels\ncup/1.png,red;round\ncup/2.png,"round, red"\nphone/1.png,\nphone/2.png,flat|red\n'
    dataset = read_dataset(None, FitOptions(csv=table(folder, text), task="labels"))
    assert dataset.classes == ("flat", "red", "round")
    assert dataset.targets.tolist() == [[False, True, True], [False, True, True], [False] * 3, [True, True, False]]


def test_a_table_of_numbers(folder: Path) -> None:
    text = "path,age\ncup/1.png,3\ncup/2.png,-4.5\nphone/1.png,unknown\nphone/2.png,1e2\nphone/9.png,4\n"
    text += "cup/3.png,1e39\ncup/4.png,nan\n"  # more than 32 bits can say
    pictures(folder, "cup/3.png", "cup/4.png")
    dataset = read_dataset(None, FitOptions(csv=table(folder, text), task="values"))
    assert dataset.classes == ("age",)
    assert dataset.targets.tolist() == [3, -4.5, 100]
    assert left_out(dataset, folder) == {
        "cup/3.png": "row 7 of table.csv has the number '1e39'",
        "cup/4.png": "row 8 of table.csv has the number 'nan'",
        "phone/1.png": "row 4 of table.csv has the number 'unknown'",
        "phone/9.png": "there is no such file",
    }


# --- what is refused ----------------------------------------------------------------------------------------------


def _same_in_two(folder: Path) -> None:
    (folder / "phone" / "3.png").write_bytes((folder / "cup" / "1.png").read_bytes())


def _only(folder: Path, *kept: str) -> None:
    for path in folder.rglob("*.png"):
        if path.relative_to(folder).as_posix() not in kept:
            path.unlink()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda f: _only(f, "cup/1.png", "cup/2.png"),
            "there is only one class, cup: give pictures of at least two classes. Not used: 1 of the "
            "files, such as {f}/phone (an empty folder)",
        ),
        (
            _only,
            "there is no class: give pictures of at least two classes. Not used: 2 of the files, "
            "such as {f}/cup (an empty folder)",
        ),
        (
            lambda f: [(f / name).rename(f / f".{name}") for name in ("cup", "phone")],
            "there is no class: give pictures of at least two classes. Not used: 2 of the files, "
            "such as {f}/.cup (hidden)",
        ),
        (
            lambda f: _only(f, "cup/1.png", "cup/2.png", "phone/1.png"),
            "the class phone has one picture only, {f}/phone/1.png: give at least two",
        ),
        (
            lambda f: (_only(f, "cup/1.png", "cup/2.png"), pictures(f, "phone/desk/1.png", "phone/desk/2.png")),
            "the class phone has one group only, desk: pictures of one group are never tested by "
            "each other, so give a second group",
        ),
        (
            lambda f: pictures(f, "Cup/1.png"),
            "the folders {f}/Cup and {f}/cup differ in case alone: give one of them another name",
        ),
        (_same_in_two, "{f}/cup/1.png and {f}/phone/3.png are the same file, but of cup and phone: remove one of them"),
        (
            lambda f: pictures(f, "bad\x1b[31m/1.png"),
            "the class 'bad\\x1b[31m' of '{f}/bad\\x1b[31m' has no name that can be shown: give it another name, "
            "such as 'cup'",
        ),
    ],
)
def test_folders_that_are_refused(folder: Path, change: Callable[[Path], object], message: str) -> None:
    change(folder)
    with pytest.raises(UsageError) as caught:
        read_dataset(folder, _OPTIONS)
    assert str(caught.value) == message.format(f=folder)


def test_a_class_that_train_lacks(tmp_path: Path) -> None:
    pictures(tmp_path, "train/a/1.png", "train/a/2.png", "train/b/1.png", "train/b/2.png", "val/c/1.png")
    with pytest.raises(UsageError, match="val has the class c, which train lacks: add pictures of it to train"):
        read_dataset(tmp_path, _OPTIONS)


def test_two_folders_for_one_part(tmp_path: Path) -> None:
    pictures(tmp_path, "train/a/1.png", "val/a/1.png", "valid/a/1.png")
    with pytest.raises(UsageError, match="are for the same thing"):
        read_dataset(tmp_path, _OPTIONS)


def test_a_short_video_alone(tmp_path: Path) -> None:
    clips = [
        make_video(tmp_path / f"{name}.mp4", [numbered(k) for k in range(count)], rate=10)
        for name, count in (("a", 30), ("b", 90))
    ]
    with pytest.raises(
        UsageError,
        match=r"the class x has one short video only, .*a\.mp4: give a second one, or one of at least 8 seconds",
    ):
        read_dataset(dict(zip(clips, "xy", strict=True)), _OPTIONS)


@pytest.mark.parametrize(
    ("text", "task", "message"),
    [
        ("", "classes", "the table {t} is empty: give a row for each picture, with its path and class"),
        ("cup/1.png\n", "classes", "the table {t} has one column: give path and class, with a comma between them"),
        ("path,one,two\ncup/1.png,1,2\n", "classes", "the table {t} has no column class: it has path, one, two"),
        (
            "path,class\ncup/1.png,A\ncup/2.png,a\n",
            "classes",
            "the classes A and a in {t} differ in case alone: write them the same way",
        ),
        ("path,class,split\ncup/1.png,A,dev\n", "classes", "row 2 of {t}: the part is 'dev': use train, val, test"),
        (
            "path,class\ncup/1.png,A\ncup/1.png,b\n",
            "classes",
            "{f}/cup/1.png is given twice, of A and b: remove one of them",
        ),
        ("path,labels\ncup/1.png,\ncup/2.png,\n", "labels", "no picture has a label: give at least one label"),
        ("path,age\ncup/1.png,4\n", "values", "there is only one picture, or one group of them, to fit to: give more"),
    ],
)
def test_tables_that_are_refused(folder: Path, text: str, task: str, message: str) -> None:
    path = table(folder, text)
    with pytest.raises(LiveGradcamError) as caught:
        read_dataset(None, FitOptions(csv=path, task=task))  # type: ignore[arg-type]
    assert str(caught.value) == message.format(t=path, f=folder)


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (
            lambda f: read_dataset(None, _OPTIONS),
            "there is nothing to fit to: give a folder with a folder for each class, or --csv FILE",
        ),
        (lambda f: read_dataset(f / "no", _OPTIONS), "there is no folder {f}/no"),
        (
            lambda f: read_dataset(f / "cup" / "1.png", _OPTIONS),
            "{f}/cup/1.png is a file: give a folder that has a folder for each class",
        ),
        (lambda f: read_dataset({f / "no.mp4": "x"}, _OPTIONS), "there is no file {f}/no.mp4"),
        (
            lambda f: read_dataset(None, FitOptions(csv=f / "no.csv")),
            "the table {f}/no.csv cannot be read: No such file or directory",
        ),
        (lambda f: FitOptions(every=0), "--every is 0: give the seconds between two frames, such as 0.5"),
        (lambda f: FitOptions(fit="tiles"), "there is no fit 'tiles': use one of stretch, crop, letterbox"),
        (lambda f: FitOptions(folds=1), "--folds is 1: give a number from 2 on"),
        (
            lambda f: FitOptions(task="labels"),
            "--multi-label needs a table: give --csv FILE with the path and the labels of each picture",
        ),
    ],
)
def test_what_is_refused_before_a_file_is_looked_at(folder: Path, read: Callable[[Path], object], message: str) -> None:
    with pytest.raises(LiveGradcamError) as caught:
        read(folder)
    assert str(caught.value) == message.format(f=folder)
    assert "\n" not in str(caught.value)


def test_reading_needs_no_tensorflow() -> None:
    import subprocess

    code = "import sys, live_gradcam.fitting.reading; sys.exit('tensorflow' in sys.modules or 'sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
