"""Exported models give what the original gives, from pixels as they are; and nothing is written that does not."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from command_line import environment, finish, start
from keras import layers
from other_packages import install, python_path
from small_disk import small_disk

from live_gradcam import Classifier, Explainer, export, load_classifier
from live_gradcam.choices import EXPORTS
from live_gradcam.errors import ModelError, OutputError, UsageError
from live_gradcam.exporting import export as exporting
from live_gradcam.exporting.float32 import in_float32
from live_gradcam.exporting.program import original_numbers, program_of
from live_gradcam.exporting.readme import readme
from live_gradcam.networks.card import Card, read_card, write_card
from live_gradcam.networks.pixel_scale import photographs
from live_gradcam.networks.preprocessing import PREPROCESSINGS, Preprocessing

ALL = ("onnx", "openvino", "saved-model", "tflite")


def network(last, channels: int = 3, *, size: tuple[int, int] = (16, 20)) -> keras.Model:
    keras.utils.set_random_seed(7)
    image = keras.Input((*size, channels))
    x = layers.Conv2D(8, 3, strides=2, activation="relu", name="maps")(image)
    return keras.Model(image, last(layers.GlobalAveragePooling2D()(x)))


def classifier_of(last, preprocessing: Preprocessing = PREPROCESSINGS["unit"], **known) -> Classifier:
    model = network(last, 1 if preprocessing.channels == "grey" else 3)
    units = model.output_shape[-1]
    labels = tuple(f"kind {index}" for index in range(known.pop("labels", units)))
    return Classifier("toy", model, labels, (16, 20), preprocessing, **known)


def softmax(x):
    return layers.Dense(3, activation="softmax")(x)


def pictures(size: tuple[int, int]) -> np.ndarray:
    return np.stack([cv2.resize(picture, size[::-1]) for picture in photographs()[:3]])


# --- what goes in and comes out -----------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", ["raw", "raw-bgr", "caffe", "efficientnet-lite", "grey"])
def test_pixels_go_in_as_they_are_whatever_the_network_wants(recipe: str) -> None:
    preprocessing = PREPROCESSINGS.get(recipe) or Preprocessing((127.5,) * 3, (1 / 127.5,) * 3, "grey")
    classifier = classifier_of(softmax, preprocessing)
    frames = pictures((16, 20))
    given = program_of(classifier).function(frames[..., ::-1].astype(np.float32))
    explainer = Explainer(classifier, engine="graph", tune="off", fit="stretch", topk=3)
    for frame, numbers in zip(frames, given, strict=True):
        expected = {prediction.index: prediction.probability for prediction in explainer(frame).predictions}
        np.testing.assert_allclose(numbers, [expected[index] for index in range(3)], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("last", "known", "result", "adds_up"),
    [
        (lambda x: layers.Dense(3)(x), {}, "probabilities", True),
        (lambda x: layers.Dense(3)(x), {"output": "labels"}, "probabilities", False),
        (lambda x: layers.Dense(3, activation="sigmoid")(x), {}, "probabilities", False),
        (lambda x: layers.Dense(1, activation="sigmoid")(x), {"labels": 2}, "probabilities", True),
        (lambda x: layers.Dense(1)(x), {"labels": 2, "output": "classes"}, "probabilities", True),
        (lambda x: layers.Dense(1)(x), {}, "values", False),
    ],
)
def test_there_is_a_number_for_each_label(last, known, result: str, adds_up: bool) -> None:
    classifier = classifier_of(last, **known)
    program = program_of(classifier)
    assert program.result == result
    frames = pictures((16, 20))
    numbers = program.function(frames[..., ::-1].astype(np.float32)).numpy()
    assert numbers.shape == (3, len(classifier.labels))
    np.testing.assert_allclose(numbers, original_numbers(classifier, frames), atol=1e-6)
    assert np.allclose(numbers.sum(axis=1), 1, atol=1e-5) == adds_up
    explanation = Explainer(classifier, engine="graph", tune="off", fit="stretch", topk=len(classifier.labels))(
        frames[0]
    )
    by_index = {
        prediction.index: prediction.probability if prediction.value is None else prediction.value
        for prediction in explanation.predictions
    }
    np.testing.assert_allclose(numbers[0], [by_index[index] for index in range(len(by_index))], atol=1e-5)


# --- files --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file like those that `fit` writes."""
    image = keras.Input((16, 20, 3))
    backbone = network(lambda x: x)
    x = layers.Dense(3)(backbone(layers.Rescaling(1 / 127.5, -1)(image)))
    path = tmp_path_factory.mktemp("fitted") / "cups.v2.keras"
    keras.Model(image, layers.Softmax()(x)).save(path)
    write_card(path, Card(("0 cup", "1 phone", "2 none"), fit="crop", backbone="toy", counts={"0 cup": 4}))
    return path


@pytest.fixture(scope="module")
def exported(fitted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    report = export(fitted, folder / "all", ALL)
    assert set(report.differences) == set(ALL)
    assert max(report.differences.values()) < 1e-5
    assert sorted(report.files) == sorted((folder / "all").iterdir())
    return folder / "all"


@pytest.mark.slow
def test_every_format_gives_what_the_original_gives(fitted: Path, exported: Path) -> None:
    frames = pictures((16, 20))
    expected = keras.saving.load_model(fitted)(frames[..., ::-1].astype(np.float32))
    for name in ALL:
        member = EXPORTS.load(name)
        given = member.run(exported / f"cups.v2{member.endings[0]}", frames[..., ::-1].astype(np.float32))
        np.testing.assert_allclose(given, expected, atol=1e-5, err_msg=name)


@pytest.mark.slow
def test_names_and_card_lie_beside_it(fitted: Path, exported: Path) -> None:
    assert (exported / "cups.v2.labels.txt").read_text() == "0 0 cup\n1 1 phone\n2 2 none\n"
    assert read_card(exported / "cups.v2.onnx") == read_card(fitted)
    assert json.loads((exported / "cups.v2.card.json").read_text())["counts"] == {"0 cup": 4}


@pytest.mark.slow
def test_the_readme_says_how_pixels_go_in(exported: Path) -> None:
    text = (exported / "cups.v2.README.txt").read_text()
    for what in (
        "float32 (pictures, 16, 20, 3)",
        "red, green and blue, from 0 to 255",
        "20 pixels wide and 16 pixels high",
        "the fit crop: take the middle of the frame",
        "probabilities, float32 (pictures, 3)",
    ):
        assert what in text


@pytest.mark.slow
def test_the_lines_of_python_in_the_readme_run(
    exported: Path, fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a picture of another shape than the input."""
    frame = photographs()[0][:, :120]
    cv2.imwrite(str(tmp_path / "cup.png"), frame)
    classifier = load_classifier(fitted)
    best = Explainer(classifier, engine="graph", tune="off")(frame).predictions[0].label
    monkeypatch.chdir(exported)
    for name in ALL:
        text = readme("cups.v2", program_of(classifier), classifier.card, [(EXPORTS.load(name), 0.0)])
        code = "\n".join(line[2:] for line in text.partition("In Python\n")[2].splitlines())
        names: dict = {}
        exec(code.replace("cup.jpg", str(tmp_path / "cup.png")), names)
        assert capsys.readouterr().out.strip().endswith(best), name
        np.testing.assert_allclose(names["numbers"], classifier.model(names["pixels"]), atol=1e-5, err_msg=name)


@pytest.mark.slow
def test_what_a_format_does_not_have_is_written_in_another_way(tmp_path: Path) -> None:
    """Keras calls a function of its own for a convolution in groups, and makes GELU of erfc: ONNX has neither."""
    keras.utils.set_random_seed(3)
    image = keras.Input((16, 20, 3))
    x = layers.Conv2D(8, 3, activation="gelu")(image)
    x = layers.Conv2D(8, 3, groups=4, activation="gelu")(x)
    model = keras.Model(image, softmax(layers.GlobalAveragePooling2D()(x)))
    classifier = load_classifier(model, preprocessing="tf")
    report = export(classifier, tmp_path, ["onnx", "openvino", "tflite"])
    assert max(report.differences.values()) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_is_written_in_float32(tmp_path: Path, policy: str) -> None:
    """TensorFlow Lite and others have no convolution of 16 bits."""
    keras.utils.set_random_seed(3)
    image = keras.Input((16, 20, 3))
    x = layers.Conv2D(8, 3, activation="relu", dtype=policy)(layers.Rescaling(1 / 255)(image))
    x = keras.Sequential([layers.DepthwiseConv2D(3, dtype=policy), layers.GlobalAveragePooling2D(dtype=policy)])(x)
    classifier = load_classifier(keras.Model(image, layers.Dense(3, activation="softmax", dtype="float32")(x)))
    report = export(classifier, tmp_path, ["onnx", "openvino", "tflite"])
    assert max(report.differences.values()) < 1e-3
    assert classifier.model.layers[2].compute_dtype == policy.removeprefix("mixed_")  # the model stays as it is


@pytest.mark.slow
def test_half_precision_may_be_as_far_from_float32_as_its_own_digits_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keras.utils.set_random_seed(3)
    image = keras.Input((16, 20, 3))
    x = layers.Conv2D(8, 3, activation="relu", dtype="bfloat16")(layers.Rescaling(1 / 255)(image))
    x = layers.Conv2D(8, 3, activation="relu", dtype="bfloat16")(x)
    spread = keras.initializers.RandomNormal(0, 0.8, seed=3)
    x = layers.Dense(3, kernel_initializer=spread, activation="softmax", dtype="float32")(layers.Flatten()(x))
    classifier = load_classifier(keras.Model(image, x))
    report = export(classifier, tmp_path, ["saved-model"])
    assert 1e-3 < report.differences["saved-model"] < 2e-2
    exact = replace(classifier, model=in_float32(classifier.model))
    given = EXPORTS.load("saved-model").run(report.files[0], pictures((16, 20))[..., ::-1].astype(np.float32))
    np.testing.assert_allclose(given, original_numbers(exact, pictures((16, 20))), atol=1e-5)

    in_32_bits, load = program_of(exact).function, EXPORTS.load
    nearly = Wrong(lambda pixels: in_32_bits(tf.constant(pixels)).numpy() + 2e-3)  # a file has no digits to lose
    monkeypatch.setattr(EXPORTS, "load", lambda name: nearly if name == "tflite" else load(name))
    with pytest.raises(ModelError, match="other numbers than the original"):
        export(classifier, tmp_path / "other", ["tflite"])


@pytest.mark.slow
def test_nothing_is_kept_for_onnx_runtimes_makers(tmp_path: Path, quick_network: list[str]) -> None:
    cache = tmp_path / "cache"
    finished = finish(
        start("export", quick_network[1], "-o", tmp_path / "out", "--format", "onnx", XDG_CACHE_HOME=str(cache))
    )
    assert finished.code == 0, finished
    assert {path.name for path in cache.iterdir()} <= {"live-gradcam", "matplotlib"}


@pytest.mark.slow
def test_a_loop_goes_into_onnx_with_its_weights(tmp_path: Path) -> None:
    keras.utils.set_random_seed(3)
    image = keras.Input((16, 20, 3))
    x = layers.Reshape((7, 36))(layers.Conv2D(4, 3, strides=2, activation="gelu")(image))
    classifier = load_classifier(keras.Model(image, softmax(layers.LSTM(5)(x))), preprocessing="tf")
    assert export(classifier, tmp_path, ["onnx"]).differences["onnx"] < 1e-5


@pytest.mark.slow
def test_a_saved_model_is_loaded_again_and_exported_again(exported: Path, tmp_path: Path) -> None:
    classifier = load_classifier(exported / "cups.v2.saved-model")
    assert (classifier.labels, classifier.fit) == (("0 cup", "1 phone", "2 none"), "crop")
    report = export(exported / "cups.v2.saved-model", tmp_path / "again", ["onnx", "tflite"])
    assert max(report.differences.values()) < 1e-5


@pytest.mark.slow
def test_the_network_of_the_package(tmp_path: Path) -> None:
    report = export("efficientnet-lite0", tmp_path, ["onnx", "tflite"])
    assert max(report.differences.values()) < 1e-4
    assert report.input_size == (224, 224)
    assert report.card.classes[281] == "tabby"


# --- what is refused ----------------------------------------------------------------------------------------------


def test_wrong_names_are_refused_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="there is no format 'onx'; did you mean onnx"):
        export("efficientnet-lite0", out, ["onx"])
    with pytest.raises(UsageError, match="give at least one format"):
        export("efficientnet-lite0", out, [])
    with pytest.raises(UsageError, match="give at least one format, in a list"):
        export("efficientnet-lite0", out, "onnx")
    with pytest.raises(UsageError, match="there is no model 'efficientnet-lite9'"):
        export("efficientnet-lite9", out, ["onnx"])
    with pytest.raises(ModelError, match=r"there is no model file .*cups\.keras"):
        export(tmp_path / "cups.keras", out, ["onnx"])
    monkeypatch.setattr(exporting, "find_spec", lambda package: None)
    with pytest.raises(UsageError, match=r"needs OpenVINO: pip install 'live-gradcam\[openvino\]'"):
        export("efficientnet-lite0", out, ["openvino"])
    assert not out.exists()


def test_nothing_is_replaced_unless_asked_for(tmp_path: Path) -> None:
    classifier = classifier_of(softmax)
    (tmp_path / "toy.labels.txt").write_text("mine\n")
    with pytest.raises(OutputError, match=r"toy\.labels\.txt exists already"):
        export(classifier, tmp_path, ["onnx"])
    assert [file.name for file in tmp_path.iterdir()] == ["toy.labels.txt"]
    for _ in range(2):  # a folder too is replaced
        export(classifier, tmp_path, ["saved-model"], overwrite=True)
    assert (tmp_path / "toy.labels.txt").read_text() == "kind 0\nkind 1\nkind 2\n"
    assert not list(tmp_path.glob("*.part"))
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        export(classifier, tmp_path / "file", ["onnx"])


@pytest.mark.skipif(sys.platform != "linux", reason="needs a small disk")
def test_a_folder_for_temporary_files_that_is_full_is_blamed_and_not_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "small", "8k") as small:
        monkeypatch.setattr(tempfile, "tempdir", str(small))
        with pytest.raises(OutputError) as caught:
            export(classifier_of(softmax), tmp_path / "out", ["tflite"])
    assert str(caught.value) == (
        f"toy as TensorFlow Lite cannot be written: {small}, the folder for temporary files, has no room: "
        "make some, or set TMPDIR to another folder"
    )
    assert not (tmp_path / "out").exists()


class Wrong:
    """A format that writes another thing than it was given."""

    title, packages, install, endings, example = "Wrong", (), "", (".wrong",), ""

    def __init__(self, run) -> None:
        self._run = run

    def write(self, program, path: Path) -> None:
        path.write_text("numbers")

    def run(self, path: Path, pixels: np.ndarray) -> np.ndarray:
        return self._run(pixels)


@pytest.mark.parametrize(
    ("run", "what"),
    [
        (lambda pixels: np.full((len(pixels), 3), 1 / 3, np.float32) + 0.01, "gives other numbers than the original"),
        (lambda pixels: np.full((len(pixels), 3), np.nan, np.float32), r"other numbers than the original \(nan apart"),
        (lambda pixels: np.zeros((len(pixels), 4), np.float32), r"other numbers than the original \(inf apart"),
        (lambda pixels: [][0], "cannot write toy as Wrong, so no file is written: list index out of range"),
    ],
)
def test_what_is_not_right_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run, what: str) -> None:
    load = EXPORTS.load
    monkeypatch.setattr(EXPORTS, "load", lambda name: Wrong(run) if name == "tflite" else load(name))
    classifier = classifier_of(softmax)
    with pytest.raises(ModelError, match=what):
        export(classifier, tmp_path / "out", ["saved-model", "tflite"])
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_another_package_adds_a_format(tmp_path: Path) -> None:
    module = """
import sys

assert "tensorflow" not in sys.modules

class Numbers:
    title, packages, install, endings, example = "Numbers", (), "", (".numbers",), "numbers = 1"

    def write(self, program, path):
        self.program = program
        path.write_text(str(program.size))

    def run(self, path, pixels):
        return self.program.function(pixels).numpy()

FORMAT = Numbers()
"""
    package = install(
        tmp_path,
        "numbers_format",
        groups={"live_gradcam.exports": ["numbers = numbers_format:FORMAT"]},
        modules={"numbers_format": module},
    )
    network(softmax).save(tmp_path / "toy.keras")
    command = [sys.executable, "-m", "live_gradcam", "export", str(tmp_path / "toy.keras"), "-o", str(tmp_path / "out")]
    done = subprocess.run(
        [*command, "--format", "numbers", "--preprocessing", "unit"],
        env=environment(PYTHONPATH=python_path(package)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "toy.numbers").read_text() == "(16, 20)"
    assert "Pixels go in as RGB from 0 to 255, 20×16" in done.stdout
