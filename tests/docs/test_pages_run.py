"""What the pages show works: command lines and blocks of Python are run on small inputs, with a quick network."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Mapping
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pytest
import typer.main
from keras import layers
from pages import PAGES, command_lines, python_blocks
from pydicom.data import get_testdata_file

import live_gradcam
from live_gradcam import Explainer, SessionOptions
from live_gradcam.choices import METHODS
from live_gradcam.cli import app
from live_gradcam.sinks.writer import VideoWriter

pytestmark = pytest.mark.slow

#: What is not run, by something in its line, and why. `test_pages.py` still reads its flags.
_NOT_RUN = {
    r"^cameras|^doctor": "opens each camera of the machine: tests/cli/test_doctor.py runs doctor",
    r"^serve": "goes on until it is ended: tests/serving runs it",
    r"^teach (-o|0)": "a person holds keys: tests/live_loop teaches",
    r"--resolution|--driver": "is for a camera",
    r"--cluster|--workers": "starts processes, or a cluster: tests/annotating has them",
    r"--head |--output-kind": "is for a model of another kind: tests/networks has them",
    r"VGG16|MobileNetV2": "downloads weights, or takes minutes",
    r"--threads": "TensorFlow runs already, and keeps its threads",
}
#: What the quick network is given to each command that takes it, unless the line says something of it itself.
_QUICK = {"--engine": "graph", "--lowering": "off", "--tune": "off"}
#: What makes a command short, where the line does not say it.
_SHORT = {
    "bench": {"--frames": "2", "--size": "64x48"},
    "evaluate": {"--steps": "2", "--every": "20"},
    "live": {"--max-frames": "3"},
}
_CAMERA = re.compile(r"\d+|/dev/video\d+|[a-z]+://.*|talk\.mp4")
_OUTPUT = re.compile(r"(?:-o|--output|--json|--jsonl|--heatmaps|--contact-sheet|--record|--report) ([^- ]\S*)")
_SAVED = re.compile(r"\.save\(\"(.+?)\"")

#: Words of the blocks of Python that stand for what is not here.
_STAND_INS = {
    '"efficientnet-lite0"': '"toy.keras"',
    '"rtsp://camera.local/stream"': '"clip.mp4"',
    "Timer(3600": "Timer(1",
    "port=8000": "port=0",
}

_LINES = sorted({shlex.join(shlex.split(line, comments=True)[1:]) for page in PAGES for line in command_lines(page)})
_RUN = [line for line in _LINES if not line.startswith("-") and not any(re.search(key, line) for key in _NOT_RUN)]


# --- what the pages name ------------------------------------------------------------------------------------------


def save_network(path: Path, classes: int) -> None:
    """A network that is compiled in a moment, with the names of layers that the pages use."""
    keras.utils.set_random_seed(5)
    x = image = keras.Input((32, 32, 3))
    x = layers.Rescaling(1 / 255)(x)
    for name in ("block4_add", "block12_add", "head_relu6"):
        x = layers.Conv2D(8, 3, padding="same", activation="relu", name=name)(x)
    x = layers.GlobalAveragePooling2D()(x)
    keras.Model(image, layers.Dense(classes, activation="softmax")(x)).save(path)


def save_video(path: Path, pictures: list[np.ndarray], rate: int | Fraction) -> None:
    height, width, _ = pictures[0].shape
    with VideoWriter(path, size=(height, width), frame_rate=Fraction(rate), time_base=Fraction(1, 1000)) as writer:
        for index, picture in enumerate(pictures):
            writer.write(picture, index / Fraction(rate))


@pytest.fixture(scope="module")
def all_files(tmp_path_factory: pytest.TempPathFactory, chelsea: np.ndarray, coffee: np.ndarray) -> Path:
    """A folder with every file that the pages name."""
    folder = tmp_path_factory.mktemp("pages")
    save_network(folder / "toy.keras", 1000)
    save_network(folder / "mine.keras", 5)
    shutil.copy(folder / "mine.keras", folder / "cups.keras")
    (folder / "names.txt").write_text("red\ngreen\nblue\nyellow\ngrey\n", "utf-8")
    (folder / "layers.py").write_text("", "utf-8")
    cat, cup = (cv2.resize(picture, (96, 64)) for picture in (chelsea, coffee))
    pictures = {"cup.png": cup, "cat.png": cat, "pets.png": cat, "shelf.jpg": cup}
    pictures |= {f"shots/{index:04d}.png": cup for index in range(3)}
    pictures["cells.tif"] = cat[..., 0].astype(np.uint16) * 16
    random = np.random.default_rng(0)
    pictures |= {"pictures/one.png": cat, "pictures/two.png": cup}
    for name, one in (("cup", cup), ("phone", cat)):
        noisy = {f"{index}.png": np.uint8(one * random.uniform(0.2, 1, one.shape)) for index in range(4)}
        pictures |= {f"pictures/{name}/{file}": picture for file, picture in noisy.items()}
    for name, picture in pictures.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), picture)
    shutil.copy(get_testdata_file("CT_small.dcm"), folder / "xray.dcm")
    (folder / "recordings").mkdir()
    (folder / "videos").mkdir()
    for path in ("clip.mp4", "videos/tour.mp4", "recordings/one.mp4", "recordings/two.mp4"):
        save_video(folder / path, [cat, cup] * 5, 10)
    for path, one in (("a.mp4", cup), ("b.mp4", cat)):
        save_video(folder / path, [np.uint8(one * random.uniform(0.2, 1, one.shape)) for _ in range(24)], 1)
    save_video(folder / "talk.mp4", [cat, cup] * 17, Fraction(1, 4))  # --end 2:00
    (folder / "boxes.json").write_text('{"one": [[1, 1, 90, 60]], "talk.mp4": [[1, 1, 90, 60]]}', "utf-8")
    rows = [f"pictures/{name}/{index}.png" for name in ("cup", "phone") for index in range(4)]
    (folder / "cells.csv").write_text("path,class\n" + "".join(f"{row},{row.split('/')[1]}\n" for row in rows))
    (folder / "tags.csv").write_text(
        "path,class\n" + "".join(f"{row},{'red;round' if '1' in row else 'round'}\n" for row in rows)
    )
    (folder / "ages.csv").write_text(
        "path,class\n" + "".join(f"{row},{len(row)}.{index}\n" for index, row in enumerate(rows))
    )
    script = "0 teach-hold 1\n0.3 teach-release\n0.4 teach-hold 0\n0.7 teach-release\n0.8 teach-save\n"
    (folder / "teach.txt").write_text(script, "utf-8")
    return folder


@pytest.fixture
def here(all_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a copy of all files, so that no command finds what another one wrote."""
    folder = tmp_path / "here"
    shutil.copytree(all_files, folder)
    monkeypatch.chdir(folder)
    return folder


# --- command lines ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def program() -> Any:
    return typer.main.get_command(app)


def with_small_inputs(line: str, flags: Mapping[str, Any]) -> list[str]:
    """The words of a line, for a file in the place of a camera, and for the quick network in that of the usual one."""
    command, *rest = shlex.split(line)
    if command in ("live", "teach"):
        if not rest or rest[0].startswith("-"):
            rest.insert(0, "clip.mp4")
        rest[0] = "clip.mp4" if _CAMERA.fullmatch(rest[0]) else rest[0]
    given = {*rest}
    if "-m" not in given and "-m" in flags and command not in ("models", "export"):
        rest += ["-m", "toy.keras"] + (["--labels", "imagenet"] if "--labels" in flags else [])
    added = dict(_SHORT.get(command, {}))
    if not {"--engine", "--precision", "--tune", "--lowering"} & given:
        added |= _QUICK
    for flag, value in added.items():
        if flag in flags and not {*flags[flag].opts} & given:
            rest += [flag, value]
    if "--headless" in flags and "--headless" not in given:
        rest.append("--headless")
    return [command, *rest]


@pytest.mark.parametrize("line", _RUN)
def test_a_command_line_of_the_pages_works(
    line: str, here: Path, program: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    outputs = [here / path for path in _OUTPUT.findall(line)]
    for output in outputs:
        output.unlink(missing_ok=True)  # a page that goes on with what it wrote names it twice
    before = {*here.rglob("*")}
    command = program.commands[line.split()[0]]
    flags = {name: flag for flag in command.params for name in (*flag.opts, *flag.secondary_opts)}
    with pytest.raises(SystemExit) as ended:
        program(with_small_inputs(line, flags))
    out, err = capfd.readouterr()
    assert not ended.value.code, err
    assert out or err or {*here.rglob("*")} - before
    assert [output for output in outputs if not output.exists()] == [], err


def test_what_is_not_run_is_on_the_pages() -> None:
    """A reason that no line has any more would hide one that comes later."""
    unused = [key for key in _NOT_RUN if not any(re.search(key, line) for line in _LINES)]
    assert unused in ([], [r"^serve"])


# --- blocks of Python ---------------------------------------------------------------------------------------------


def names_of_the_reader(picture: np.ndarray) -> dict[str, Any]:
    """What the reader of a page has already."""
    frames = [picture, picture[::-1].copy(), picture[:, ::-1].copy()]
    return {
        "__name__": "__main__",
        "main": lambda: None,
        "image": picture,
        "frame": picture,
        "frames": frames,
        "frames_of_a_cup": frames,
        "frames_of_a_phone": [255 - frame for frame in frames],
    }


@pytest.mark.parametrize("page", [page for page in PAGES if python_blocks(page)], ids=lambda page: page.name)
def test_the_python_of_a_page_works(page: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a page one after the other, each with the names of those before."""
    quick = {"engine": "graph", "lowering": False, "tune": "off"}
    usual = {"model": "toy.keras", "labels": "imagenet", **quick}
    monkeypatch.setattr(live_gradcam, "SessionOptions", lambda **given: SessionOptions(**{**usual, **given}))
    monkeypatch.setattr(live_gradcam, "Explainer", partial(Explainer, **quick))
    monkeypatch.setattr(live_gradcam, "fit", partial(live_gradcam.fit, model="toy.keras"))
    for name in ("explain", "compare", "annotate"):
        function = getattr(live_gradcam, name)
        monkeypatch.setattr(live_gradcam, name, partial(function, session=SessionOptions(**usual)))
    monkeypatch.setattr(METHODS, "_registered", {})  # what a page registers is of that page
    names = names_of_the_reader(cv2.imread("cup.png"))
    for number, block in enumerate(python_blocks(page)):
        for word, stand_in in _STAND_INS.items():
            block = block.replace(word, stand_in)
        for saved in _SAVED.findall(block):
            Path(saved).unlink(missing_ok=True)
        exec(compile(block, f"{page.name}, block {number}", "exec"), names)
