"""A fit from the pictures to the file, of a small network."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from command_line import run_program
from keras import layers
from video_files import make_video

from live_gradcam import Explainer, FitOptions, Fitted, Teacher, fit, load_classifier
from live_gradcam.errors import OutputError, UsageError
from live_gradcam.fitting.features import Backbone
from live_gradcam.fitting.fitted import check_model_path
from live_gradcam.fitting.fitted_lesson import lesson_of_fit
from live_gradcam.fitting.head import fit_head
from live_gradcam.networks.card import read_card
from live_gradcam.networks.model_source import ModelOptions

_UNIT = ModelOptions(preprocessing="unit")


def network() -> keras.Model:
    keras.utils.set_random_seed(2)
    image = keras.Input((24, 24, 3))
    x = layers.Conv2D(24, 5, strides=2, activation="relu")(image)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(32, 3, activation="relu", name="maps")(x))
    return keras.Model(image, layers.Dense(4, activation="softmax")(x), name="small")


def stripes(kind: int, seed: int) -> np.ndarray:
    """Stripes along the rows (0) or the columns (1), or spots (2), with noise: uint8 (30, 40, 3)."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:30, :40] * random.uniform(0.8, 1.2) + random.uniform(0, 9)
    wave = (np.sin(rows), np.sin(columns), np.sin(rows) * np.sin(columns))[kind]
    return np.uint8(np.clip(120 + 70 * wave[..., None] + random.normal(0, 20, (30, 40, 3)), 0, 255))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of three kinds for train and test, one of which cannot be read."""
    folder = tmp_path_factory.mktemp("fit")
    for part, count in (("train", 12), ("test", 4)):
        for kind, name in enumerate(("across", "down", "spots")):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                seed = 1000 * kind + 100 * (part == "test") + number
                cv2.imwrite(str(folder / part / name / f"{number:02d}.png"), stripes(kind, seed))
    (folder / "train" / "down" / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 this is none" * 9)
    return folder


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return network()


@pytest.fixture(scope="module")
def fitted(folder: Path, model: keras.Model) -> Fitted:
    stages: dict[str, tuple[int, int]] = {}
    found = fit(
        folder,
        model=model,
        model_options=_UNIT,
        on_progress=lambda what, done, total: stages.__setitem__(what, (done, total)),
    )
    assert stages == {"look at files": (49, 49), "read pictures": (49, 49), "fit and test": (40, 40)}
    return found


@pytest.mark.slow
def test_what_it_found(fitted: Fitted) -> None:
    assert fitted.dataset.classes == ("across", "down", "spots")
    assert fitted.dataset.counts("train") == {"across": 12, "down": 12, "spots": 12}
    assert [(one.path.name, one.why) for one in fitted.dataset.left_out] == [
        ("bad.jpg", "is not a picture that can be read")
    ]
    assert fitted.features.shape == (48, 32)
    assert set(fitted.scores) == {"cross-validation", "test"}
    assert fitted.scores["cross-validation"].count == 36
    assert fitted.scores["test"].count == 12
    for scores in fitted.scores.values():
        assert scores.accuracy is not None
        assert scores.accuracy > 0.9


@pytest.mark.slow
def test_what_is_said_of_an_example_is_of_a_head_that_never_saw_it(fitted: Fitted) -> None:
    targets = fitted.dataset.targets
    for fold, head in enumerate(fitted.fold_heads):
        seen = (fitted.folds >= 0) & (fitted.folds != fold)
        again = fit_head(
            fitted.features[seen], targets[seen], classes=3, strength=fitted.strength, by_feature=fitted.by_feature
        )
        np.testing.assert_allclose(head.weights, again.weights, atol=1e-5)
        unseen = fitted.folds == fold
        np.testing.assert_allclose(fitted.held_out[unseen], head.probabilities(fitted.features[unseen]), atol=1e-6)
    rest = fitted.folds < 0
    np.testing.assert_allclose(fitted.held_out[rest], fitted.head.probabilities(fitted.features[rest]), atol=1e-6)


def test_the_head_is_fitted_to_all_of_train_and_centred(fitted: Fitted) -> None:
    weights = fitted.head.weights
    np.testing.assert_allclose(weights.sum(axis=1), 0, atol=1e-6 * np.abs(weights).max())
    dense = fitted.classifier.model.get_layer("head")
    np.testing.assert_array_equal(dense.get_weights()[0], fitted.head.weights)


def test_the_user_s_own_model_stays_as_it_was(fitted: Fitted, model: keras.Model) -> None:
    assert model.output_shape == (None, 4)
    for mine, fresh in zip(model.get_weights(), network().get_weights(), strict=True):
        np.testing.assert_array_equal(mine, fresh)


def test_another_head_on_the_same_network(fitted: Fitted, folder: Path) -> None:
    head = fitted.fold_heads[0]
    other = fitted.classifier_of(head)
    frame = cv2.imread(str(folder / "test" / "down" / "00.png"))
    row = next(
        row for row, one in enumerate(fitted.dataset.examples) if one.path == folder / "test" / "down" / "00.png"
    )
    explanation = Explainer(other, tune="off", fit="stretch")(frame)
    np.testing.assert_allclose(
        explanation.probabilities, head.probabilities(fitted.features[row : row + 1])[0], atol=1e-4
    )
    assert other.labels == fitted.dataset.classes
    np.testing.assert_array_equal(fitted.classifier.model.get_layer("head").get_weights()[0], fitted.head.weights)


@pytest.mark.slow
def test_the_next_fit_finds_the_features(
    fitted: Fitted, folder: Path, model: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(self: Backbone, frames: list[np.ndarray], *, are_seen: bool = False) -> np.ndarray:
        raise AssertionError("features are computed again")

    monkeypatch.setattr(Backbone, "features", none)
    again = fit(folder, model=model, model_options=_UNIT)
    np.testing.assert_array_equal(again.features, fitted.features)
    assert again.to_json()["scores"] == fitted.to_json()["scores"]
    with pytest.raises(AssertionError, match="again"):
        fit(folder, model=model, model_options=_UNIT, options=FitOptions(cache=False))
    with pytest.raises(AssertionError, match="again"):
        fit(folder, model=model, model_options=_UNIT, options=FitOptions(fit="crop"))


def test_the_file_says_all_that_is_needed(fitted: Fitted, tmp_path: Path) -> None:
    path = tmp_path / "mine.keras"
    fitted.save(path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["mine.card.json", "mine.keras", "mine.labels.txt"]
    assert (tmp_path / "mine.labels.txt").read_text() == "across\ndown\nspots\n"
    said: list[str] = []
    loaded = load_classifier(path, say=said.append)
    assert said == []
    assert loaded.labels == ("across", "down", "spots")
    assert loaded.fit == "stretch"
    card = read_card(path)
    assert card == fitted.card
    assert card is not None
    assert card.backbone == "small"
    assert card.counts == {"across": 12, "down": 12, "spots": 12}
    assert card.scores["test"]["accuracy"] == fitted.scores["test"].accuracy
    with pytest.raises(OutputError, match="exists already"):
        fitted.save(path)
    fitted.save(path, overwrite=True)


def test_teaching_goes_on_from_a_fit(fitted: Fitted, tmp_path: Path) -> None:
    path = tmp_path / "mine.keras"
    fitted.save(path, teachable=True)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        *("mine.card.json", "mine.features.npz", "mine.keras", "mine.labels.txt"),
    ]
    teacher = Teacher.load(path)
    assert [(one.name, one.count) for one in teacher.classes[:5]] == [
        *(("nothing", 0), ("across", 12), ("down", 12), ("spots", 12), ("class 4", 0)),
    ]
    rows = fitted.dataset.rows_of("train")
    for index, one in enumerate(teacher.classes[1:4]):  # a burst is what belongs together
        assert one.bursts == len(set(fitted.groups[rows[fitted.dataset.targets[rows] == index]].tolist())) > 1
    np.testing.assert_array_equal(teacher.features, fitted.features[rows])
    seen = cv2.imread(str(fitted.dataset.examples[rows[0]].path))
    np.testing.assert_allclose(teacher.backbone.features([seen])[0], fitted.features[rows[0]], rtol=1e-3, atol=1e-4)
    assert teacher.scores().accuracy > 0.9  # type: ignore[union-attr]
    black = np.zeros((30, 40, 3), np.uint8)
    teacher.add(black, "black")
    teacher.end_burst()
    teacher.add(black + 3, "black")
    probabilities = teacher.classifier.model(np.float32([cv2.resize(seen, (24, 24))[..., ::-1], black[:24, :24]]))
    assert np.asarray(probabilities).argmax(axis=1).tolist() == [0, 3]
    teacher.save(tmp_path / "more.keras")
    assert [one.count for one in Teacher.load(tmp_path / "more.keras").classes[:5]] == [0, 12, 12, 12, 2]
    with pytest.raises(OutputError, match=r"mine\.(keras|features\.npz) exists already"):
        fitted.save(path, teachable=True)


def test_a_class_of_nothing_is_the_one_that_teaching_has(fitted: Fitted) -> None:
    dataset = replace(fitted.dataset, classes=("across", "Nothing", "spots"))
    lesson = lesson_of_fit(replace(fitted, dataset=dataset))
    assert lesson.names == ("Nothing", "across", "spots")
    assert [one.target for one in lesson.examples] == [1] * 12 + [0] * 12 + [2] * 12


def test_what_cannot_be_taught_further_is_refused_before_a_picture_is_decoded(tmp_path: Path) -> None:
    for kind in range(10):
        for number in range(2):
            path = tmp_path / f"kind {kind}" / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            cv2.imwrite(str(path), stripes(0, 10 * kind + number))
    with pytest.raises(UsageError, match="10 classes are too many to be taught: give at most 9, and one that is"):
        fit(tmp_path, options=FitOptions(teachable=True))


@pytest.mark.slow
def test_the_file_in_a_program_that_knows_keras_alone(
    fitted: Fitted, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fitted.save(tmp_path / "mine.keras")
    backbone = fitted.backbone
    pixels = np.stack([backbone.seen(cv2.imread(str(path))) for path in sorted(folder.glob("test/*/*.png"))])
    np.save(tmp_path / "rgb.npy", pixels[..., ::-1].astype(np.float32))
    code = (
        "import keras, numpy as np, sys; model = keras.models.load_model('mine.keras'); "
        "np.save('answers.npy', model(np.load('rgb.npy'))); assert 'live_gradcam' not in sys.modules"
    )
    done = run_program(code, with_tensorflow=True)
    assert done.code == 0, done.err
    rows = fitted.dataset.rows_of("test")
    np.testing.assert_allclose(np.load(tmp_path / "answers.npy"), fitted.held_out[rows], atol=1e-5)
    with zipfile.ZipFile(tmp_path / "mine.keras") as archive:
        config = archive.read("config.json").decode()
    assert "gradcam" not in config
    assert "Lambda" not in config


def test_numbers_as_json(fitted: Fitted) -> None:
    content = json.loads(json.dumps(fitted.to_json()))
    assert content["classes"] == ["across", "down", "spots"]
    assert content["counts"] == {
        "train": {"across": 12, "down": 12, "spots": 12},
        "test": {"across": 4, "down": 4, "spots": 4},
    }
    assert len(content["examples"]) == 48
    first = content["examples"][0]
    assert first["target"] == ["across"]
    assert sum(first["held_out"]) == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["labels", "values"])
def test_labels_and_numbers(folder: Path, model: keras.Model, tmp_path: Path, task: str) -> None:
    shown = {"across": ("lines", 0), "down": ("lines;tall", 1), "spots": ("", 2)}
    rows = [f"{path},{shown[path.parent.name][task == 'values']}" for path in sorted(folder.glob("train/*/*.png"))]
    (tmp_path / "table.csv").write_text("\n".join(["path,shows", *rows]))
    found = fit(
        model=model,
        model_options=_UNIT,
        options=FitOptions(csv=tmp_path / "table.csv", task=task),  # type: ignore[arg-type]
    )
    found.save(tmp_path / "model.keras")
    loaded = load_classifier(tmp_path / "model.keras")
    seen = found.backbone.seen(cv2.imread(str(folder / "train" / "down" / "00.png")))
    answers = np.asarray(loaded.model(seen[None, ..., ::-1].astype(np.float32)))
    row = next(row for row, one in enumerate(found.dataset.examples) if one.path.parent.name == "down")
    np.testing.assert_allclose(answers, found.head.probabilities(found.features[row : row + 1]), atol=1e-4)
    if task == "labels":
        assert found.dataset.classes == loaded.labels == ("lines", "tall")
        assert found.scores["cross-validation"].accuracy > 0.85  # type: ignore[operator]
        assert loaded.output == "labels"
    else:
        assert found.dataset.classes == ("shows",)
        assert found.scores["cross-validation"].r2 > 0.6  # type: ignore[operator]
        assert loaded.output == "values"


@pytest.mark.slow
def test_videos_with_their_classes(model: keras.Model, tmp_path: Path) -> None:
    clips = {
        make_video(tmp_path / f"{name}.mp4", [stripes(kind, 7 * k + kind) for k in range(48)], rate=4): name
        for kind, name in enumerate(("across", "down"))
    }
    found = fit(clips, model=model, model_options=_UNIT, options=FitOptions(every=0.5))
    assert found.dataset.counts("train") == {"across": 24, "down": 24}
    assert len(set(found.groups)) == 6  # three blocks of four seconds each
    assert found.scores["cross-validation"].accuracy > 0.9  # type: ignore[operator]
    times = [example.time for example in found.dataset.examples]
    assert times == [k / 2 for k in range(24)] * 2


def test_where_too_little_can_be_read_nothing_is_fitted(folder: Path, model: keras.Model, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "1.png"), stripes(0, ord(name)))
        (tmp_path / name / "2.png").write_bytes(b"no picture, " + name.encode())
    with pytest.raises(
        UsageError, match=r"the class a has one picture only, .*1\.png: give at least two\. Not used: 2"
    ):
        fit(tmp_path, model=model, model_options=_UNIT)


def test_files_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"the model is written as NAME\.keras, and .*x\.h5 is another name"):
        check_model_path(tmp_path / "x.h5", overwrite=False)
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 5_000_000}))
    with pytest.raises(OutputError, match="there are only 5 MB left on the disk, and 64 MB are needed"):
        check_model_path(tmp_path / "x.keras", overwrite=False)


@pytest.mark.slow
def test_features_are_computed_again_where_a_file_that_the_network_is_made_with_has_changed(
    folder: Path, model: keras.Model, tmp_path: Path
) -> None:
    model.save(tmp_path / "small.keras")
    own = tmp_path / "own.py"
    own.write_text("import keras\n\n\nclass Own(keras.layers.Layer):\n    pass\n")
    options = ModelOptions(preprocessing="unit", custom_objects=own)

    def stages() -> set[str]:
        seen: set[str] = set()
        fit(
            folder,
            model=tmp_path / "small.keras",
            model_options=options,
            on_progress=lambda what, done, total: seen.add(f"{what} {done}"),
        )
        return seen

    assert "read pictures 1" in stages()
    assert "read pictures 1" not in stages()  # but for the one that cannot be read, they are kept
    own.write_text(own.read_text() + "# changed\n")
    assert "read pictures 1" in stages()
