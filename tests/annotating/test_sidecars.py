"""The numbers beside a video: what they say, that they are whole or not there, and that they do not fill the memory."""

from __future__ import annotations

import csv
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from live_gradcam.annotating.jobs import AnnotateJob
from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.annotating.sidecars import raw_maps, sidecar
from live_gradcam.annotating.sidecars.opened import OpenSidecars
from live_gradcam.annotating.sidecars.raw_maps import RawMaps
from live_gradcam.annotating.sidecars.sidecar import SCHEMA
from live_gradcam.annotating.tracking import TrackedFrame
from live_gradcam.errors import OutputError, UsageError
from live_gradcam.explanations.as_json import explanation_json
from live_gradcam.explanations.explanation import Box, Explanation, Prediction, Region
from live_gradcam.explanations.stability import StableExplanation

CAT, DOG, CUP = Prediction(3, "cat", 0.7), Prediction(5, 'dog, "Rüde"', 0.2), Prediction(9, "cup", 0.1)
SUFFIXES = (".npz", ".zarr")


def explained(index: int, maps: int = 2, side: int = 3) -> Explanation:
    """Of a frame: two maps, the second a contrast; the first without a box where the index is odd."""
    heatmaps = np.random.default_rng(index).random((maps, side, side + 1), np.float32)
    return Explanation(
        predictions=(CAT, DOG, CUP),
        heatmaps=heatmaps,
        targets=(CAT, DOG)[:maps],
        evidence=np.array([index + 0.5, 0.25], np.float32)[:maps],
        logits=np.zeros(10, np.float32),
        probabilities=np.zeros(10, np.float32),
        region=Region(-1.5, 0, 64 + index, 48),
        boxes=((() if index % 2 else (Box(1, 2, 30, 40), Box(5, 6, 7, 8))), (Box(0, 0, 9, 9),))[:maps],
        contrasts=(None, CUP)[:maps],
    )


class Sidecars(OpenSidecars):
    """Of no recording, by the names of their kinds."""

    def __init__(self, **files: Path) -> None:
        super().__init__(AnnotateJob(Path("in.mp4"), Path("out.mp4"), files), AnnotateOptions())

    def write(self, index: int, pts: Fraction, explanation: Explanation) -> None:
        self.add(TrackedFrame(index, pts, StableExplanation(explanation, 1.0, (48, 64)), explanation))


def write(count: int, **files: Path) -> None:
    with Sidecars(**files) as written:
        for index in range(count):
            written.write(10 + index, Fraction(index, 3), explained(index))


def read_arrays(path: Path) -> dict[str, Any]:
    if path.suffix == ".npz":
        with np.load(path) as archive:  # allow_pickle=False
            return dict(archive)
    group = zarr.open_group(str(path), mode="r")
    return {name: array[:] for name, array in group.arrays()} | {"schema": group.attrs["schema"]}


# --- what they say ------------------------------------------------------------------------------------------------


def test_a_line_of_json_a_frame(tmp_path: Path) -> None:
    write(2, jsonl=tmp_path / "x.jsonl")
    first, second = (tmp_path / "x.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(first) == {"schema": 1, "frame": 10, "time": 0.0, **explanation_json(explained(0))}
    assert json.loads(second) == {"schema": 1, "frame": 11, "time": 0.333333, **explanation_json(explained(1))}
    assert "Rüde" in first
    assert list(json.loads(first))[:3] == ["schema", "frame", "time"]


def test_a_row_of_csv_a_frame(tmp_path: Path) -> None:
    write(2, csv=tmp_path / "x.csv")
    lines = (tmp_path / "x.csv").read_bytes().decode().split("\n")
    assert lines == [
        "schema,frame,time,target,target_label,evidence,contrast,contrast_label,left,top,right,bottom,"
        "top1_index,top1_label,top1_probability,top2_index,top2_label,top2_probability,"
        "top3_index,top3_label,top3_probability",
        '1,10,0.0,3,cat,0.5,,,1,2,30,40,3,cat,0.7,5,"dog, ""Rüde""",0.2,9,cup,0.1',
        '1,11,0.333333,3,cat,1.5,,,,,,,3,cat,0.7,5,"dog, ""Rüde""",0.2,9,cup,0.1',
        "",
    ]


def test_csv_names_the_contrast_of_the_first_map_and_keeps_line_breaks_in_a_label(tmp_path: Path) -> None:
    odd = replace(CUP, label="tea\ncup")
    with Sidecars(csv=tmp_path / "x.csv") as written:
        written.write(0, Fraction(0), replace(explained(0), predictions=(odd,), contrasts=(odd, None)))
    with open(tmp_path / "x.csv", encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["contrast"], row["contrast_label"], row["top1_label"]) == ("9", "tea\ncup", "tea\ncup")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_raw_maps(tmp_path: Path, suffix: str) -> None:
    write(150, heatmaps=tmp_path / f"x{suffix}")
    arrays = read_arrays(tmp_path / f"x{suffix}")
    np.testing.assert_array_equal(arrays["heatmaps"], np.stack([explained(index).heatmaps for index in range(150)]))
    np.testing.assert_array_equal(arrays["evidence"], [[index + 0.5, 0.25] for index in range(150)])
    np.testing.assert_array_equal(arrays["target"], [[3, 5]] * 150)
    np.testing.assert_array_equal(arrays["contrast"], [[-1, 9]] * 150)
    np.testing.assert_array_equal(arrays["frame"], np.arange(10, 160))
    np.testing.assert_array_equal(arrays["time"], [float(Fraction(index, 3)) for index in range(150)])
    np.testing.assert_array_equal(arrays["region"], [[-1.5, 0, 64 + index, 48] for index in range(150)])
    assert arrays["schema"] == SCHEMA == 1
    assert {name: array.dtype.name for name, array in arrays.items() if name != "schema"} == {
        "heatmaps": "float32",
        "evidence": "float32",
        "target": "int32",
        "contrast": "int32",
        "frame": "int64",
        "time": "float64",
        "region": "float64",
    }
    assert os.listdir(tmp_path) == [f"x{suffix}"]


@pytest.mark.versions
def test_zarr_chunks_are_appended_and_the_rest_on_leaving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_maps, "_CHUNK_BYTES", 4 * 2 * 3 * 4 * 7)  # of maps, 7 rows
    monkeypatch.setattr(raw_maps, "_CHUNK_FRAMES", 10)
    write(25, heatmaps=tmp_path / "x.zarr")
    group = zarr.open_group(str(tmp_path / "x.zarr"), mode="r")
    assert group["heatmaps"].chunks == (7, 2, 3, 4)
    assert group["frame"].chunks == (10,)
    assert group["frame"][:].tolist() == list(range(10, 35))
    np.testing.assert_array_equal(group["heatmaps"][:], np.stack([explained(index).heatmaps for index in range(25)]))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_without_frames(tmp_path: Path, suffix: str) -> None:
    write(0, jsonl=tmp_path / "x.jsonl", csv=tmp_path / "x.csv", heatmaps=tmp_path / f"x{suffix}")
    assert (tmp_path / "x.jsonl").read_text() == ""
    assert (tmp_path / "x.csv").read_text() == (
        "schema,frame,time,target,target_label,evidence,contrast,contrast_label,left,top,right,bottom\n"
    )
    arrays = read_arrays(tmp_path / f"x{suffix}")
    assert {name: array.shape for name, array in arrays.items() if name != "schema"} == {
        "heatmaps": (0, 0, 0, 0),
        "evidence": (0, 0),
        "target": (0, 0),
        "contrast": (0, 0),
        "frame": (0,),
        "time": (0,),
        "region": (0, 4),
    }
    assert arrays["schema"] == 1


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_maps_of_another_resolution_are_brought_to_the_first_ones(tmp_path: Path, suffix: str) -> None:
    later = replace(explained(1, side=7), heatmaps=np.full((2, 7, 8), 0.5, np.float32))
    with Sidecars(heatmaps=tmp_path / f"x{suffix}") as written:
        written.write(0, Fraction(0), explained(0))
        written.write(1, Fraction(1), later)
    heatmaps = read_arrays(tmp_path / f"x{suffix}")["heatmaps"]
    np.testing.assert_array_equal(heatmaps[0], explained(0).heatmaps)
    np.testing.assert_array_equal(heatmaps[1], np.full((2, 3, 4), 0.5))


def test_small_numbers_keep_their_digits(tmp_path: Path) -> None:
    """Of a regression in a small unit: six places after the point would leave nothing of it."""
    value = Prediction(0, "concentration", math.nan, value=2.4987654e-07)
    small = replace(explained(0, maps=1), predictions=(value,), targets=(value,), evidence=np.float32([3.9700001e-08]))
    files = {"jsonl": tmp_path / "x.jsonl", "csv": tmp_path / "x.csv"}
    with Sidecars(**files) as written:
        written.write(0, Fraction(0), small)
    line = json.loads(files["jsonl"].read_text())
    assert (line["predictions"][0]["value"], line["evidence"]) == (2.498765e-07, 3.97e-08)
    (row,) = csv.DictReader(files["csv"].open(newline=""))
    assert (float(row["top1_value"]), float(row["evidence"])) == (2.498765e-07, 3.97e-08)


def test_a_record_is_made_once_a_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(sidecar, "explanation_json", lambda one: made.append(one) or explanation_json(one))
    write(3, jsonl=tmp_path / "x.jsonl", csv=tmp_path / "x.csv", heatmaps=tmp_path / "x.npz")
    assert len(made) == 3
    write(3, heatmaps=tmp_path / "y.npz")
    assert len(made) == 3


# --- whole, or not there ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nothing_has_its_name_before_the_end_and_what_was_there_stays_till_then(tmp_path: Path, suffix: str) -> None:
    files = {"jsonl": tmp_path / "x.jsonl", "csv": tmp_path / "x.csv", "heatmaps": tmp_path / f"x{suffix}"}
    write(2, **files)
    with Sidecars(**files) as written:
        written.write(99, Fraction(0), explained(0))
        assert len(files["jsonl"].read_text().splitlines()) == 2
        assert read_arrays(files["heatmaps"])["frame"].tolist() == [10, 11]
    assert json.loads(files["jsonl"].read_text())["frame"] == 99
    assert len(files["csv"].read_text().splitlines()) == 2
    assert read_arrays(files["heatmaps"])["frame"].tolist() == [99]
    assert sorted(os.listdir(tmp_path)) == sorted(path.name for path in files.values())


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("count", [0, 3])
def test_an_exception_leaves_nothing(tmp_path: Path, suffix: str, count: int) -> None:
    files = {"jsonl": tmp_path / "x.jsonl", "csv": tmp_path / "x.csv", "heatmaps": tmp_path / f"x{suffix}"}
    growing = []

    def interrupted() -> None:
        with Sidecars(**files) as written:
            for index in range(count):
                written.write(index, Fraction(index), explained(index))
            growing.extend(os.listdir(tmp_path))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert sorted(growing) == sorted(f"{path.name}.part" for path in files.values())
    assert os.listdir(tmp_path) == []


def test_what_a_killed_run_left_is_not_added_to(tmp_path: Path) -> None:
    left = Sidecars(heatmaps=tmp_path / "x.zarr", jsonl=tmp_path / "x.jsonl")
    left.open()
    left.write(0, Fraction(0), explained(0))
    (tmp_path / "x.zarr.part" / "old").mkdir()
    write(1, heatmaps=tmp_path / "x.zarr", jsonl=tmp_path / "x.jsonl")
    assert read_arrays(tmp_path / "x.zarr")["frame"].tolist() == [10]
    assert not (tmp_path / "x.zarr" / "old").exists()
    assert json.loads((tmp_path / "x.jsonl").read_text())["frame"] == 10


@pytest.mark.parametrize("kind", ["jsonl", "csv", "npz", "zarr"])
def test_a_folder_that_is_not_there(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "no" / f"x.{kind}"
    first = tmp_path / "first.jsonl"
    files = {"jsonl": path} if kind == "jsonl" else {"jsonl": first, "heatmaps" if "z" in kind else kind: path}
    with pytest.raises(OutputError) as failure, Sidecars(**files):
        pytest.fail("entered")
    assert str(failure.value) == f"cannot write {path}: No such file or directory"
    assert not (tmp_path / "first.jsonl.part").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
@pytest.mark.parametrize("name", ["x.jsonl", "x.csv", "x.npz"])
def test_a_disk_that_is_full_on_leaving(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.part").symlink_to("/dev/full")
    with pytest.raises(OutputError) as failure:
        write(1, jsonl=tmp_path / "x.jsonl", csv=tmp_path / "x.csv", heatmaps=tmp_path / "x.npz")
    assert str(failure.value) == f"cannot write {tmp_path / name}: No space left on device"
    assert os.listdir(tmp_path) == []


_WRITE_UNTIL_IT_FAILS = """
import resource, sys
from fractions import Fraction
from pathlib import Path
import numpy as np
from live_gradcam.explanations.explanation import Explanation, Prediction, Region
from live_gradcam.errors import OutputError
sys.path.insert(0, sys.argv[3])
from test_sidecars import Sidecars
import zarr

resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
cat, one = Prediction(1, "cat", 1.0), np.ones(1, np.float32)
added = 0
try:
    with Sidecars(**{sys.argv[1]: Path(sys.argv[2])}) as written:
        for index in range(20_000):
            maps = np.random.default_rng(index).random((1, 7, 7), np.float32)
            explanation = Explanation((cat,), maps, (cat,), one, one, one, Region(0, 0, 9, 9), ((),))
            written.write(index, Fraction(index), explanation)
            added += 1
except OutputError as error:
    print(error)
    print(0 < added < 20_000)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
@pytest.mark.parametrize("name", ["x.jsonl", "x.csv", "x.npz", "x.zarr"])
def test_a_disk_that_fills_up_while_frames_are_added(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    kind = path.suffix[1:] if path.suffix in (".jsonl", ".csv") else "heatmaps"
    command = [sys.executable, "-c", _WRITE_UNTIL_IT_FAILS, kind, path, Path(__file__).parent]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.stderr == ""
    assert run.stdout == f"cannot write {path}: File too large\nTrue\n"
    assert os.listdir(tmp_path) == []


# --- streamed -----------------------------------------------------------------------------------------------------

_WRITE_MUCH = """
import sys
from fractions import Fraction
from pathlib import Path
import numpy as np
sys.path.insert(0, sys.argv[2])
from memory import resident_mib
from live_gradcam.explanations.explanation import Explanation, Prediction, Region
sys.path.insert(0, sys.argv[3])
from test_sidecars import Sidecars
import zarr

cat, one = Prediction(1, "cat", 1.0), np.ones(1, np.float32)
maps = np.zeros((4, 56, 56), np.float32)
sidecars = Sidecars(heatmaps=Path(sys.argv[1]))
with sidecars as written:
    for index in range(2000):
        explanation = Explanation((cat,), maps, (cat,) * 4, np.ones(4), one, one, Region(0, 0, 9, 9))
        written.write(index, Fraction(index), explanation)
        if index == 300:
            before = resident_mib()
print(resident_mib() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_maps_do_not_stay_in_memory(tmp_path: Path, suffix: str) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("no /proc")
    tests = Path(__file__).parents[1]
    command = [sys.executable, "-c", _WRITE_MUCH, tmp_path / f"x{suffix}", tests, tests / "annotating"]
    grown = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert grown < 25  # of 1700 frames: 85 MiB
    assert read_arrays(tmp_path / f"x{suffix}")["heatmaps"].shape == (2000, 4, 56, 56)


_KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
from fractions import Fraction
from pathlib import Path
from test_sidecars import Sidecars, explained

with Sidecars(heatmaps=Path(sys.argv[1])) as written:
    for index in range(1000):
        written.write(index, Fraction(index), explained(index))
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs files without a name")
def test_of_a_killed_process_only_the_part_is_left(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _KILLED, tmp_path / "x.npz", Path(__file__).parent]
    assert subprocess.run(command).returncode == -9
    assert os.listdir(tmp_path) == ["x.npz.part"]


# --- refused before the work begins -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["maps.npy", "maps", "maps.zarr.zip"])
def test_heatmaps_of_another_format(tmp_path: Path, name: str) -> None:
    path = tmp_path / "new" / name
    with pytest.raises(UsageError) as failure:
        RawMaps().check(path)
    assert str(failure.value) == f"{path} does not end in .npz or .zarr: call the heatmaps NAME.npz"


def test_without_the_package_zarr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_maps, "find_spec", lambda name: None)
    RawMaps().check(tmp_path / "x.npz")
    with pytest.raises(UsageError) as failure:
        RawMaps().check(tmp_path / "x.zarr")
    assert str(failure.value) == f"{tmp_path / 'x.zarr'} needs the package zarr: pip install 'live-gradcam[zarr]'"


def test_only_a_zarr_group_is_a_folder_that_may_be_replaced(tmp_path: Path) -> None:
    write(1, heatmaps=tmp_path / "x.zarr")
    RawMaps().check(tmp_path / "x.zarr")
    for name in ("photos.zarr", "photos.npz"):
        (tmp_path / name).mkdir()
        with pytest.raises(OutputError) as failure:
            RawMaps().check(tmp_path / name)
        assert (
            str(failure.value) == f"{tmp_path / name} is a folder that live-gradcam did not write: choose another name"
        )


def test_looking_at_the_schema_does_not_import_what_is_slow() -> None:
    loads = "import sys, live_gradcam.annotating.sidecars.raw_maps"
    script = f"{loads}; print(sorted({{'zarr', 'tensorflow', 'keras'}} & {{*sys.modules}}))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "[]\n"
