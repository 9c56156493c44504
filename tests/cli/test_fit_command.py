"""`live-gradcam fit` as a person types it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import AT_ONCE, run

from live_gradcam.cli import app


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pictures of noise and three of stripes, and one that is none."""
    folder = tmp_path_factory.mktemp("cli") / "set"
    random = np.random.default_rng(0)
    for name in ("noise", "stripes"):
        (folder / name).mkdir(parents=True)
        for number in range(3):
            picture = random.integers(0, 256, (64, 80, 3))
            if name == "stripes":
                picture[:] = 255 * (np.arange(80) // (3 + number) % 2)[None, :, None]
            cv2.imwrite(str(folder / name / f"{number}.png"), picture.astype(np.uint8))
    (folder / "noise" / "bad.png").write_bytes(b"no picture")
    return folder


@pytest.mark.slow
def test_a_folder_becomes_a_model_file(folder: Path, tmp_path: Path) -> None:
    model, figures = tmp_path / "mine.keras", tmp_path / "fit.json"
    finished = run("fit", folder, "-o", model, "--json", figures)
    assert finished.code == 0, finished
    assert all(line.startswith("live-gradcam: ") for line in finished.err.splitlines())
    lines = finished.out.splitlines()
    assert lines[0] == "efficientnet-lite0, stretch, 224×224"
    assert any(line.split()[:2] == ["noise", "3"] for line in lines)
    assert "cross-validation: accuracy 1.000" in finished.out
    assert f"not used: {folder / 'noise' / 'bad.png'}: is not a picture that can be read" in lines
    assert f"wrote {model}, mine.labels.txt and mine.card.json" in lines
    assert json.loads(figures.read_text())["classes"] == ["noise", "stripes"]
    explained = run("explain", folder / "stripes" / "1.png", "-m", model, "--json", "-", *AT_ONCE)
    assert explained.code == 0, explained
    answer = json.loads(explained.out)
    assert answer["fit"] == "stretch"
    assert answer["predictions"][0]["label"] == "stripes"


@pytest.mark.slow
def test_names_that_look_like_markup_are_printed_as_they_are(
    folder: Path, tmp_path: Path, quick_network: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"noise": "[red]cup", "stripes": "[bold]"}
    for old, new in names.items():
        shutil.copytree(folder / old, tmp_path / "set" / new)
    model = tmp_path / "[green]mine.keras"
    _done("fit", tmp_path / "set", "-o", model, "-m", quick_network[1], "--no-cache")
    out = capsys.readouterr().out
    assert {line.split()[0] for line in out.splitlines() if line.startswith("[")} == set(names.values())
    _done("export", model, "-o", tmp_path / "out", "--format", "onnx")
    assert capsys.readouterr().out.splitlines()[1].split()[2] == str(tmp_path / "out" / "[green]mine.onnx")
    _done("models", "-m", model)
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines()[-2:]} == set(names.values())


def _done(*arguments: object) -> None:
    """Run a command in this process, to its end."""
    with pytest.raises(SystemExit) as ended:
        app([*map(str, arguments)])
    assert ended.value.code == 0


def _refused(capfd: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What a command says that fails in this process."""
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        app([*map(str, arguments)])
    assert ended.value.code in (1, 2)
    return capfd.readouterr().err


@pytest.fixture
def taught(folder: Path, tmp_path: Path) -> Path:
    """A model's file, beside which there are pictures that it was taught."""
    for name in ("noise", "stripes"):
        shutil.copytree(folder / name, tmp_path / "mine.examples" / name)
    (tmp_path / "mine.examples" / "noise" / "bad.png").unlink()
    return tmp_path / "mine.keras"


@pytest.mark.slow
def test_pictures_that_a_network_was_taught_are_never_removed_by_a_fit(
    folder: Path, taught: Path, quick_network: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    examples = taught.with_name("mine.examples")
    pictures = sorted(examples.rglob("*.png"))
    network = ("-m", quick_network[1], "--no-cache", "--overwrite")
    said = _refused(capfd, "fit", examples, "-o", taught, "--teachable", *network)
    assert (
        f"the pictures are in {examples}, and teach replaces that folder with {taught}: choose another name with -o"
        in said
    )
    _done("fit", folder, "-o", taught, "--teachable", *network)
    assert sorted(examples.rglob("*.png")) == pictures
    assert taught.with_name("mine.features.npz").is_file()


@pytest.mark.slow
def test_features_of_other_classes_are_not_taught_further(
    folder: Path, tmp_path: Path, quick_network: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    model, others = tmp_path / "mine.keras", tmp_path / "others"
    for old, new in (("noise", "a"), ("stripes", "b")):
        shutil.copytree(folder / old, others / new)
    _done("fit", folder, "-o", model, "--teachable", "-m", quick_network[1], "--no-cache")
    _done("fit", others, "-o", model, "--overwrite", "-m", quick_network[1], "--no-cache")
    said = _refused(capfd, "teach", folder / "noise", "-m", model, "--headless")
    assert said == (
        f"live-gradcam: {tmp_path / 'mine.features.npz'} belongs to another model, which has the class 'noise': "
        f"remove it to teach {model}\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mine.labels.txt", "mine.card.json"])
def test_files_beside_the_model_are_replaced_with_overwrite_alone(
    folder: Path, tmp_path: Path, quick_network: list[str], capfd: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / name).write_text("of the user")
    arguments = ("fit", folder, "-o", tmp_path / "mine.keras", "-m", quick_network[1], "--no-cache")
    assert f"{tmp_path / name} exists already" in _refused(capfd, *arguments)
    assert (tmp_path / name).read_text() == "of the user"
    assert not (tmp_path / "mine.keras").exists()
    _done(*arguments, "--overwrite")
    assert (tmp_path / name).read_text() != "of the user"


@pytest.mark.parametrize("name", ["notes.txt", "old.keras"])
def test_a_report_replaces_no_file_of_others(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    report = tmp_path / "report"
    report.mkdir()
    for file in ("index.html", "report.json", "calibration.png", name):
        (report / file).write_text("x")
    said = _refused(capfd, "fit", folder, "--report", report, "--overwrite")
    assert f"{report} has other files than a report's" in said
    assert (report / name).read_text() == "x"


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (("{set}",), 2, "there is nothing to write: give -o MODEL.keras"),
        (("-o", "{tmp}/x.keras"), 2, "there is nothing to fit to: give a folder with a folder for each class, or"),
        (("{set}", "{set}", "-o", "{tmp}/x.keras"), 2, "give one folder; for videos with their classes, give"),
        (("{set}", "-o", "{tmp}/x.h5"), 2, "the model is written as NAME.keras, and {tmp}/x.h5 is another name"),
        (("{set}", "-o", "{tmp}/x.keras", "-m", "nonet"), 2, "there is no model 'nonet'"),
        (("{set}", "-o", "{tmp}/x.keras", "--fit", "tiles"), 2, "there is no fit 'tiles': use one of stretch, crop"),
        (("{set}", "-o", "{tmp}/x.keras", "--augment"), 2, "--augment is for --unfreeze"),
        (("{set}", "-o", "{tmp}/x.keras", "--epochs", "10"), 2, "--epochs is for --unfreeze"),
        (("{set}", "-o", "{tmp}/x.keras", "--every-fold"), 2, "--every-fold is for --unfreeze"),
        (("{set}", "-o", "{tmp}/x.keras", "--seed", "-1"), 2, "--seed is -1: give a number from 0 on"),
        (("{set}", "-o", "{tmp}/x.keras", "--report", "{tmp}"), 2, "{tmp}/x.keras is in the folder of the report"),
        (("{set}", "-o", "{tmp}/r", "--report", "{tmp}/r"), 2, "the model is written as NAME.keras, and {tmp}/r is"),
        (("{set}", "--json", "{tmp}/r/x.json", "--report", "{tmp}/r"), 2, "{tmp}/r/x.json is in the folder of the rep"),
        (("{set}", "-o", "{tmp}/x.keras", "--json", "{tmp}/x.card.json"), 2, "{tmp}/x.card.json is written beside the"),
        (
            ("{set}", "-o", "{tmp}/x.keras", "--json", "{tmp}/x.labels.txt"),
            2,
            "{tmp}/x.labels.txt is written beside the",
        ),
        (("{set}", "--teachable", "--json", "-"), 2, "--teachable writes features beside the model: give -o"),
        (("{set}", "-o", "{tmp}/x.keras", "--masks", "{set}"), 2, "--masks, --boxes, --swap-backgrounds and"),
        (("{set}", "-o", "{tmp}/x.keras", "--multi-label"), 2, "--multi-label needs a table: give --csv FILE with"),
        (("{set}", "-o", "{tmp}/x.keras", "--multi-label", "--regression"), 2, "--multi-label and --regression are"),
        (("{set}/noise", "-o", "{tmp}/x.keras"), 2, "there is no class: give pictures of at least two classes"),
        (("{set}/no", "-o", "{tmp}/x.keras"), 1, "there is no folder {set}/no"),
        (("--from-videos", "-o", "{tmp}/x.keras"), 2, "there are no videos: give such as --from-videos a.mp4=cup"),
        (("--from-videos", "a.mp4", "-o", "{tmp}/x.keras"), 2, "'a.mp4' is not VIDEO=CLASS: give such as a.mp4=cup"),
        (("--from-videos", "a.mp4=x", "a.mp4=y", "-o", "{tmp}/x.keras"), 2, "the video a.mp4 is given for two classes"),
        (("--from-videos", "a.mp4=x", "-o", "{tmp}/x.keras"), 1, "there is no file a.mp4"),
    ],
)
def test_what_is_refused_in_one_line(
    folder: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    line: str,
) -> None:
    places = {"set": folder, "tmp": tmp_path}
    with pytest.raises(SystemExit) as ended:
        app(["fit", *(argument.format(**places) for argument in arguments)])
    out, err = capfd.readouterr()
    assert ended.value.code == code
    assert out == ""
    assert err.startswith(f"live-gradcam: {line.format(**places)}")
    assert len(err.splitlines()) == 1
