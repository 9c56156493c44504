"""docs/json.md describes every field that is written, and no other."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pytest
from command_line import run
from keras import layers

from live_gradcam import cache_contents
from live_gradcam.attribution.session import SessionOptions
from live_gradcam.cli import app
from live_gradcam.compiling.kept_files import KeptFiles
from live_gradcam.doctor import Diagnosis, Finding
from live_gradcam.explanations.stability import StableExplanation
from live_gradcam.fitting.taught_class import TaughtClass
from live_gradcam.live_loop.snapshots import Snapshots
from live_gradcam.live_loop.summary import LiveSummary
from live_gradcam.live_loop.teaching import Taught
from live_gradcam.pictures import explain
from live_gradcam.sinks.writer import VideoWriter
from live_gradcam.sources.frame import Frame
from live_gradcam.surfaces.scene import LiveExplanation

_PAGE = (Path(__file__).parents[2] / "docs" / "json.md").read_text(encoding="utf-8")
_EXPLANATION = "An explanation"
_QUICK = ("--engine", "graph", "--lowering", "off", "--tune", "off")

Here = Callable[..., str]


# --- what is documented, and what is written ----------------------------------------------------------------------


def documented(*sections: str) -> dict[str, bool]:
    """The fields of some sections of the page, each with whether it is always there."""
    fields: dict[str, bool] = {}
    for section in sections:
        text = re.split(rf"^##+ {re.escape(section)}\n", _PAGE, maxsplit=1, flags=re.MULTILINE)[1]
        text = re.split(r"^##", text, maxsplit=1, flags=re.MULTILINE)[0]
        table = text.split("| --- | --- | --- | --- |\n", 1)[1].split("\n\n", 1)[0]
        for row in table.splitlines():
            cells = re.split(r"(?<!\\)\|", row)
            fields[cells[1].strip().strip("`")] = not cells[4].strip().startswith("Optional")
    return fields


def written(content: Any, path: str = "") -> Iterator[str]:
    """The path of every field in some JSON, as the page writes them."""
    if isinstance(content, dict):
        for name, value in content.items():
            here = f"{path}.{name}" if path else name
            yield here
            yield from written(value, here)
    elif isinstance(content, list):
        for value in content:
            if isinstance(value, dict):
                yield from written(value, f"{path}[]")


def matches(field: str, path: str) -> bool:
    """Whether a field of the page, in which a part in capitals stands for any name, is that of a path."""
    parts, names = field.split("."), path.split(".")
    return len(parts) == len(names) and all(
        part == name or re.fullmatch(r"[A-Z]+", part) for part, name in zip(parts, names, strict=True)
    )


def assert_documented(content: Any, *sections: str) -> None:
    """Every field is on the page, and every field of the page that is not optional is there."""
    fields, paths = documented(*sections), set(written(content))
    unknown = {path for path in paths if not any(matches(field, path) for field in fields)}
    missing = {
        field for field, is_always in fields.items() if is_always and not any(matches(field, path) for path in paths)
    }
    assert not unknown, f"docs/json.md does not describe {sorted(unknown)} under {sections[0]!r}"
    assert not missing, f"docs/json.md describes {sorted(missing)} under {sections[0]!r}, which are not written"


def test_what_the_page_lacks_is_found() -> None:
    assert_documented({"schema": 1, "frame": 0, "time": 0.5}, "JSON lines")
    with pytest.raises(AssertionError, match=r"does not describe \['colour'\]"):
        assert_documented({"schema": 1, "frame": 0, "time": 0.5, "colour": "red"}, "JSON lines")
    with pytest.raises(AssertionError, match=r"describes \['time'\]"):
        assert_documented({"schema": 1, "frame": 0}, "JSON lines")
    assert matches("maps.MAP.deletion", "maps.random map.deletion")
    assert not matches("maps.MAP.deletion", "maps.random map.insertion")


# --- small inputs -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of four classes, two pictures and a video."""
    folder = tmp_path_factory.mktemp("json")
    keras.utils.set_random_seed(5)
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, activation="relu")(layers.Rescaling(1 / 255)(image))
    x = layers.GlobalAveragePooling2D()(x)
    keras.Model(image, layers.Dense(4, activation="softmax")(x)).save(folder / "model.keras")
    random = np.random.default_rng(0)
    (folder / "pictures").mkdir()
    for name in ("one.png", "two.png"):
        cv2.imwrite(str(folder / "pictures" / name), random.integers(0, 256, (24, 32, 3), np.uint8))
    with VideoWriter(
        folder / "clip.mp4", size=(48, 64), frame_rate=Fraction(10), time_base=Fraction(1, 1000)
    ) as writer:
        for index in range(4):
            writer.write(random.integers(0, 256, (48, 64, 3), np.uint8), Fraction(index, 10))
    return folder


@pytest.fixture
def here(capfd: pytest.CaptureFixture[str]) -> Here:
    """Run a command in this process and give what it printed."""

    def run_here(*arguments: object) -> str:
        with pytest.raises(SystemExit) as ended:
            app([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        assert not ended.value.code, err
        return out

    return run_here


def test_explain(here: Here, folder: Path) -> None:
    model = ("-m", folder / "model.keras", *_QUICK)
    one = json.loads(here("explain", folder / "pictures" / "one.png", *model, "--json", "-"))
    assert_documented(one, "explain", _EXPLANATION)
    assert one["schema"] == 1
    classes = ("-c", "0>1", "-c", "2")
    several = json.loads(here("explain", *sorted((folder / "pictures").iterdir()), *model, *classes, "--json", "-"))
    assert len(several) == 2
    assert {"maps[].contrast_label", "maps[].box"} <= set(written(several[0]))
    assert_documented(several[0], "explain", _EXPLANATION)


def test_bench(here: Here, folder: Path) -> None:
    size = ("--size", "64x48")
    report = json.loads(here("bench", "-n", 2, *size, "-m", folder / "model.keras", *_QUICK, "--json", "-"))
    assert_documented(report, "bench")
    assert set(report["start_s"]) == {"import", "load", "build", "tune", "compile"}


def test_evaluate(here: Here, folder: Path) -> None:
    model = ("-m", folder / "model.keras", *_QUICK)
    numbers = json.loads(here("evaluate", folder / "pictures", "--steps", 2, *model, "--json", "-"))
    assert_documented(numbers, "evaluate")


def test_annotate_and_its_sidecars(here: Here, folder: Path, tmp_path: Path) -> None:
    sidecars = {"jsonl": "x.jsonl", "csv": "x.csv", "heatmaps": "x.npz", "contact_sheet": "x.png"}
    flags = [part for name, file in sidecars.items() for part in (f"--{name.replace('_', '-')}", tmp_path / file)]
    model = ("-m", folder / "model.keras", *_QUICK)
    report = json.loads(here("annotate", folder / "clip.mp4", "-o", tmp_path / "x.mp4", *flags, *model, "--json", "-"))
    assert_documented(report, "annotate")
    assert {f"files[].{name}" for name in sidecars} <= set(written(report))
    lines = (tmp_path / "x.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 4
    for line in lines:
        assert_documented(json.loads(line), "JSON lines", _EXPLANATION)
    with (tmp_path / "x.csv").open(encoding="utf-8", newline="") as table:
        columns = next(csv.reader(table))
    assert {re.sub(r"^top\d+_", "topN_", column) for column in columns} == set(documented("Table"))
    with np.load(tmp_path / "x.npz") as arrays:
        assert set(arrays.files) == set(documented("Raw maps"))


@pytest.mark.slow
def test_fit(here: Here, folder: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    for name in ("dark", "light"):
        (tmp_path / name).mkdir()
        for number in range(4):
            picture = random.integers(0, 100, (16, 16, 3)) + 120 * (name == "light")
            cv2.imwrite(str(tmp_path / name / f"{number}.png"), picture.astype(np.uint8))
    (tmp_path / "dark" / "empty.png").touch()
    content = json.loads(here("fit", tmp_path, "-m", folder / "model.keras", "--json", "-"))
    assert_documented(content, "fit")
    assert {"scores.cross-validation.confusion", "left_out[].why"} <= set(written(content))


@pytest.mark.slow
def test_live(folder: Path, tmp_path: Path) -> None:
    summary = tmp_path / "summary.json"
    finished = run(
        *("live", folder / "clip.mp4", "--headless", "--every-frame", "--record", tmp_path / "seen.mp4"),
        *("-m", folder / "model.keras", *_QUICK, "--json", summary),
    )
    assert finished.code == 0, finished
    assert_documented(json.loads(summary.read_text(encoding="utf-8")), "live")


def test_what_was_taught(tmp_path: Path) -> None:
    nothing, model = TaughtClass(0, "nothing", 3, 1, True), tmp_path / "own.keras"
    taught = Taught((nothing,), 0.5, (model,), None, False)
    numbers = {"p50": 1.0, "p95": 1.0, "p99": 1.0, "max": 1.0}
    stages = dict.fromkeys(("wait", "explain", "draw", "show", "encode"), 1.0)
    summary = LiveSummary(1, 1, 1, 0, 0, 1.0, numbers, stages, (), 0, False, taught)
    assert_documented(summary.to_json(), "live")
    assert "taught.classes[].bursts" in set(written(summary.to_json()))


def test_snapshots(folder: Path, tmp_path: Path) -> None:
    toy = SessionOptions(str(folder / "model.keras"), engine="graph", lowering=False, tune="off")
    picture = explain(folder / "pictures" / "one.png", session=toy)
    frame = Frame(picture.image, 0, Fraction(1, 2), 0.0)
    of_explanation = (picture.explanation.model, picture.explanation.method, picture.explanation.layer)
    with Snapshots(tmp_path) as snapshots:
        stable = StableExplanation(picture.explanation, 1.5, picture.image.shape[:2])
        snapshots.take(picture.image, LiveExplanation(frame, stable, *of_explanation))
    (numbers,) = (json.loads(path.read_text(encoding="utf-8")) for path in tmp_path.glob("*.json"))
    assert_documented(numbers, "Snapshots", _EXPLANATION)


def test_what_the_video_says_about_itself(here: Here, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "frames"
    model = ("-m", folder / "model.keras", *_QUICK)
    here("annotate", folder / "clip.mp4", "-o", out, "--codec", "png", *model)
    said = json.loads((out / "provenance.json").read_text(encoding="utf-8"))
    options = said.pop("options")
    assert options["method"] == "grad-cam"
    assert_documented({**said, "options": {}}, "What the video says about itself")


def test_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert_documented(cache_contents().to_json(), "cache")
    KeptFiles().write({"network": {"model": "toy.keras", "engine": "xla"}}, b"a program")
    (entry,) = cache_contents().to_json()["entries"]
    assert {f"entries[].{name}" for name in entry} == {field for field in documented("cache") if "[]" in field}


def test_doctor() -> None:
    (finding,) = Diagnosis((Finding("packages", "keras", "3.15"),)).to_json()
    assert_documented(finding, "doctor")
