"""A package of somebody else adds a method, a source of models and a surface: every command knows them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import run, run_program
from video_files import make_video

pytestmark = pytest.mark.slow

SAMPLE = Path(__file__).parent / "sample_package"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The sample package, installed into a folder; what the environment must say for Python to find it."""
    folder = tmp_path_factory.mktemp("installed")
    copy = shutil.copytree(SAMPLE, folder / "source")  # the build leaves files behind
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*command, "--no-build-isolation", "--target", folder / "site", copy], check=True)
    return {"PYTHONPATH": os.pathsep.join([str(folder / "site"), *filter(None, [os.environ.get("PYTHONPATH")])])}


def test_the_help_knows_the_method_and_the_surface(installed: dict[str, str]) -> None:
    finished = run("live", "--help", **installed, COLUMNS="200")
    assert finished.code == 0
    assert "sample-mean" in finished.out
    assert "sample-log" in finished.out
    assert "sample-mean" not in run("live", "--help", COLUMNS="200").out


def test_the_list_of_models_knows_the_model(installed: dict[str, str]) -> None:
    assert "sample-tiny" in run("models", **installed).out


@pytest.mark.parametrize(
    ("flag", "typo", "meant"),
    [
        ("--method", "sample-meen", "sample-mean"),
        ("--model", "sample-tinny", "sample-tiny"),
        ("--surface", "sample-lok", "sample-log"),
    ],
)
def test_an_error_suggests_what_was_added(installed: dict[str, str], flag: str, typo: str, meant: str) -> None:
    finished = run("live", "nothing.mp4", flag, typo, **installed)
    assert finished.code == 2
    assert finished.err.count("\n") == 1
    assert f"did you mean {meant}" in finished.err


def test_a_network_is_explained_by_a_method_and_shown_on_a_surface_that_were_added(
    installed: dict[str, str], tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (8, 48, 64, 3), np.uint8)
    video = make_video(tmp_path / "in.mp4", list(noise))
    finished = run(
        *("live", video, "--surface", "sample-log", "--model", "sample-tiny", "--method", "sample-mean"),
        *("--every-frame", "--json", tmp_path / "live.json"),
        **installed,
    )
    assert (finished.code, finished.err) == (0, "")
    lines = [line for line in finished.out.splitlines() if line.startswith("sample: ")]
    assert [line.split(",")[0] for line in lines] == [f"sample: frame {index}" for index in range(3)]
    assert all(line.rsplit(" ", 1)[1] in ("red", "green", "blue") for line in lines)


def test_the_method_that_was_added_gives_its_formula(installed: dict[str, str]) -> None:
    """The mean of the feature maps: the same as of the network's own layer, by Keras."""
    script = """
import numpy as np
from live_gradcam import Explainer, load_classifier
classifier = load_classifier("sample-tiny")
frame = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
explanation = Explainer(classifier, method="sample-mean", maps=1, engine="graph")(frame)
import keras
maps = keras.Model(classifier.model.input, classifier.model.get_layer("maps").output)
mean = maps(frame[None, :, :, ::-1] / np.float32(255)).numpy()[0].mean(axis=-1)
np.testing.assert_allclose(explanation.evidence[0], mean.max(), rtol=1e-4)
np.testing.assert_allclose(explanation.heatmaps[0], mean / mean.max(), atol=1e-4)
print(explanation.method)
"""
    finished = run_program(script, with_tensorflow=True, **installed)
    assert (finished.code, finished.out) == (0, "sample-mean\n"), finished.err
