"""The examples run. `make check` has mypy check their types, as strictly as a user may."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path
from types import ModuleType

import cv2
import keras
import numpy as np
import pytest
from command_line import run
from keras import layers
from other_packages import install

from live_gradcam import Explainer, FitOptions, SessionOptions
from live_gradcam.sinks.writer import VideoWriter

_ROOT = Path(__file__).parents[2]
_EXAMPLES = _ROOT / "examples"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chelsea: np.ndarray, coffee: np.ndarray) -> Path:
    """The current folder, with two pictures in `pictures/`."""
    (tmp_path / "pictures").mkdir()
    for name, picture in {"cat.png": chelsea, "cup.png": coffee}.items():
        cv2.imwrite(str(tmp_path / "pictures" / name), cv2.resize(picture, (300, 200)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a thousand classes that is compiled in a moment."""
    keras.utils.set_random_seed(5)
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, activation="relu")(layers.Rescaling(1 / 255)(image))
    x = layers.GlobalAveragePooling2D()(x)
    path = tmp_path_factory.mktemp("toy") / "toy.keras"
    keras.Model(image, layers.Dense(1000, activation="softmax")(x)).save(path)
    return path


def example(name: str, toy: Path) -> ModuleType:
    """An example as a module, which explains with the toy: the examples are under test, and not the compiler."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", _EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    quick = {"engine": "graph", "lowering": False, "tune": "off"}
    if hasattr(module, "SessionOptions"):
        module.SessionOptions = partial(SessionOptions, str(toy), labels="imagenet", **quick)
    if hasattr(module, "fit"):
        module.fit = partial(module.fit, model=str(toy), options=FitOptions(cache=False))
    if hasattr(module, "Explainer"):
        module.Explainer = partial(Explainer, **quick)
    return module


def test_explain_picture(folder: Path, toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example("explain_picture", toy).main("pictures/cup.png")
    assert re.match(r"( +0\.\d%  .+\n){3}wrote cup-explained.png", capsys.readouterr().out)
    height, width, _ = cv2.imread("cup-explained.png").shape
    assert height >= 200
    assert width >= 900  # three pictures
    assert '"schema": 1' in Path("cup-explained.json").read_text(encoding="utf-8")


@pytest.mark.slow
def test_watch_training(folder: Path, toy: Path, coffee: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    for name, picture in {"cup": coffee, "dark": coffee // 4}.items():
        (folder / "set" / name).mkdir(parents=True)
        for number in range(4):
            cv2.imwrite(f"set/{name}/{number}.png", cv2.resize(picture[:, 40 * number :], (96, 96)))
    example("watch_training", toy).main("set", "output", epochs=1)
    assert re.search(
        r"^Grad-CAM: 2 pictures, .* s per epoch, .* % of the training", capsys.readouterr().out, re.MULTILINE
    )
    shape = cv2.imread("output/maps/picture-02/epoch-001.png").shape
    assert shape == (32 + 224, 3 * 224 + 16, 3)
    assert len(list(Path("output/logs/gradcam").iterdir())) == 1


@pytest.mark.slow
def test_annotate_video(folder: Path, toy: Path, coffee: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    picture = cv2.resize(coffee, (160, 96))
    with VideoWriter(folder / "cup.mp4", size=(96, 160), frame_rate=Fraction(25), time_base=Fraction(1, 1000)) as clip:
        for index in range(26):
            clip.write(picture, Fraction(index, 25))
    example("annotate_video", toy).main("cup.mp4", "out.mp4")
    out = capsys.readouterr().out
    assert "25 frames, " in out
    assert "out.mp4: done\n" in out
    reader = cv2.VideoCapture("out.mp4")
    assert reader.get(cv2.CAP_PROP_FRAME_WIDTH) == 320  # side by side
    reader.release()


def test_own_model(folder: Path, toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example("own_model", toy).main("pictures/cat.png")
    assert re.match(r"flowers: (daisy|rose|tulip), a map of \(\d+, \d+\)\n", capsys.readouterr().out)
    assert cv2.imread("best.png").shape == cv2.imread("rose-not-tulip.png").shape == (200, 300, 3)


@pytest.mark.slow
def test_compare_methods(folder: Path, toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example("compare_methods", toy).main("pictures")
    out = capsys.readouterr().out
    rows = re.findall(r"^(.+?) +(0\.\d{3}) +(0\.\d{3})$", out, re.MULTILINE)
    assert [name for name, *_ in rows] == ["grad-cam", "layercam", "eigen-cam", "random map", "centred blob"]
    assert cv2.imread("curves.png") is not None


@pytest.mark.slow
def test_own_classes(folder: Path, toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example("make_faces", toy).main("faces")
    counts = {kind: len(list((folder / "faces" / kind).glob("*.png"))) for kind in ("face", "other")}
    assert counts == {"face": 100, "other": 100}
    assert cv2.imread("faces/face/000.png").shape == (200, 200, 3)
    example("own_classes", toy).main("faces")
    out = capsys.readouterr().out
    (accuracy,) = re.findall(r"^right: (\d+\.\d)% of 200 pictures$", out, re.MULTILINE)
    assert float(accuracy) > 60  # the toy's four filters are random
    assert re.search(r"^face: \d+\.\d% of 100 found$", out, re.MULTILINE)
    assert Path("own.keras").stat().st_size > 0
    assert "<html" in Path("own-report/index.html").read_text(encoding="utf-8")


def test_own_live_loop(folder: Path, toy: Path) -> None:
    pictures = list(islice(example("own_live_loop", toy).explained_frames("pictures"), 2))
    assert [picture.shape for picture in pictures] == [(200, 300, 3)] * 2
    cat = cv2.imread("pictures/cat.png")
    assert np.abs(pictures[0].astype(int) - cat).mean() > 5  # the map and the text are drawn


def test_own_method_is_known_once_its_package_is_installed(folder: Path) -> None:
    project = (_EXAMPLES / "own_method" / "pyproject.toml").read_text(encoding="utf-8")
    (row,) = re.findall(r'^\[project\.entry-points\."live_gradcam\.methods"\]\n(.+)$', project, re.MULTILINE)
    groups = {"live_gradcam.methods": [row.replace('"', "")]}
    installed = install(folder / "installed", "peak-cam", groups=groups)
    path = os.pathsep.join([str(installed), str(_EXAMPLES / "own_method"), *filter(None, sys.path)])
    finished = run("explain", "pictures/cup.png", "--method", "peek-cam", PYTHONPATH=path)
    assert finished.code == 2
    assert "did you mean peak-cam" in finished.err
    assert row == 'peak-cam = "peak_cam:METHOD"'


def test_own_method_gives_its_formulas_map(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(_EXAMPLES / "own_method")
    method = importlib.import_module("peak_cam").METHOD
    activations = np.array([[[[1.0, 2.0], [3.0, 0.5]]]], np.float32)
    gradients = np.array([[[[2.0, -1.0]]]], np.float32)
    assert method.asks_for == "mean gradient"
    np.testing.assert_allclose(method.raw_map(activations, gradients), [[[2.0, 6.0]]])
