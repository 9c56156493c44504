"""The last blocks of a network, trained: only they change, and only where held-out pictures say that it helps."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pytest
from keras import layers

from live_gradcam import FitOptions, Fitted, fit, load_classifier
from live_gradcam.cli.fit import print_fit
from live_gradcam.errors import UsageError
from live_gradcam.fitting import fine_tuning, folds, unfreezing
from live_gradcam.fitting.augmentation import VARIANTS, variants
from live_gradcam.fitting.blocks import cut_before
from live_gradcam.fitting.fitted import Epoch
from live_gradcam.fitting.head import Head
from live_gradcam.fitting.tuned_folds import answers_of_folds
from live_gradcam.networks.graph import flatten
from live_gradcam.networks.model_source import ModelOptions

_UNIT = ModelOptions(preprocessing="unit")


def network() -> keras.Model:
    """Three blocks, of which the second has a branch; the features of its random last ones are poor."""
    keras.utils.set_random_seed(3)
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, activation="relu", name="block1_conv")(image)
    y = layers.Conv2D(8, 3, padding="same", name="block2_conv")(x)
    y = layers.BatchNormalization(name="block2_norm")(y)
    x = layers.ReLU(name="block2_relu")(layers.Add(name="block2_add")([x, y]))
    x = layers.Conv2D(4, 3, strides=2, activation="relu", name="block3_conv")(x)
    x = layers.Conv2D(6, 1, activation="relu", name="top_conv")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, layers.Dense(3, activation="softmax", name="scores")(x), name="blocks")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fine stripes along the rows or the columns, with noise."""
    folder = tmp_path_factory.mktemp("tuning")
    random = np.random.default_rng(0)
    for name in ("across", "down"):
        (folder / name).mkdir()
        for number in range(40):
            line = 128 + 40 * np.sin(np.arange(16) * 2 + random.uniform(0, 6))
            picture = np.broadcast_to(line[:, None] if name == "across" else line[None], (16, 16))
            noisy = picture[..., None] + random.normal(0, 40, (16, 16, 3))
            cv2.imwrite(str(folder / name / f"{number:02d}.png"), np.clip(noisy, 0, 255).astype(np.uint8))
    return folder


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return network()


@pytest.fixture(autouse=True, scope="module")
def by_name() -> Iterator[None]:
    """To a network that was never trained all pictures look the same: groups are by name alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folds, "_SAME", ())
        yield


@pytest.fixture(scope="module")
def tuned(folder: Path, model: keras.Model, by_name: None) -> Fitted:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fine_tuning, "_RATE", 1e-2)  # these weights were never trained
        patch.setattr(fine_tuning, "_MEMORY", 0.5)
        return fit(folder, model=model, model_options=_UNIT, options=FitOptions(unfreeze=1, epochs=8, augment=True))


@pytest.mark.parametrize(
    ("blocks", "first", "before"), [(1, "block3_conv", "block2_relu"), (2, "block2_conv", "block1_conv")]
)
def test_a_network_is_cut_before_its_last_blocks(blocks: int, first: str, before: str) -> None:
    flat = flatten(network(), (16, 16))
    cut = cut_before(flat, blocks)
    assert cut.after[0].name == first
    producer = flat.producer(cut.value)
    assert producer is not None
    assert producer.name == before
    assert (*cut.before, *cut.after) == flat.operations


def test_blocks_by_their_names_or_else_by_their_weights() -> None:
    with pytest.raises(UsageError, match="--unfreeze is 3, and the network has 3 blocks: give a number up to 2"):
        cut_before(flatten(network(), (16, 16)), 3)
    image = keras.Input((16, 16, 3))
    x = image
    for number in range(3):
        x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(4, 3, name=f"c{number}")(x)))
    flat = flatten(keras.Model(image, layers.GlobalAveragePooling2D()(x)), (16, 16))
    assert [cut_before(flat, blocks).after[0].name for blocks in (1, 2)] == ["c2", "c1"]


@pytest.mark.slow
def test_training_helps_and_what_is_said_of_it_is_of_pictures_that_are_held_out(tuned: Fitted) -> None:
    curve = tuned.curve
    assert curve[0].loss is None
    assert tuned.best > 0
    assert curve[tuned.best].val_loss == min(one.val_loss for one in curve) < curve[0].val_loss
    assert set(tuned.scores) == {"val"}
    scores = tuned.scores["val"]
    assert scores.count == 16
    assert scores.log_loss == pytest.approx(curve[tuned.best].val_loss, rel=1e-4)
    assert scores.accuracy == curve[tuned.best].val_accuracy
    assert len(tuned.dataset.rows_of("train")) == 64
    tested = tuned.tested()
    assert {example.part for example in tested.dataset.examples} == {"val"}
    assert len(tested.features) == len(tested.held_out) == 16


@pytest.mark.slow
def test_the_command_says_by_what_it_was_measured(tuned: Fitted, capsys: pytest.CaptureFixture[str]) -> None:
    print_fit(tuned, None)
    lines = capsys.readouterr().out.splitlines()
    assert "64 examples to train on, 16 held out, no group on both sides" in lines
    place = next(place for place, line in enumerate(lines) if line.startswith("val: accuracy"))
    assert lines[place + 1].startswith("val decided when training stopped, so its score is a little too good.")


@pytest.mark.slow
def test_every_fold_is_tested_by_blocks_that_never_saw_it(
    folder: Path, model: keras.Model, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fine_tuning, "_RATE", 1e-2)
    monkeypatch.setattr(fine_tuning, "_MEMORY", 0.5)
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    trained = unfreezing.fine_tune

    def spied(tail: fine_tuning.Tail, material: fine_tuning.Material, **options: Any) -> fine_tuning.Tuned:
        seen.append((material.train, material.held_out))
        return trained(tail, material, **options)

    monkeypatch.setattr(unfreezing, "fine_tune", spied)
    options = FitOptions(unfreeze=1, epochs=8, augment=True, folds=3, every_fold=True)
    found = fit(folder, model=model, model_options=_UNIT, options=options)
    assert len(seen) == 3
    held_out = np.concatenate([rows for _, rows in seen])
    assert sorted(held_out.tolist()) == list(range(80))  # each once
    assert all(sorted([*train, *rows]) == list(range(80)) for train, rows in seen)
    assert list(found.scores) == ["cross-validation", "val"]
    cross, val = found.scores["cross-validation"], found.scores["val"]
    assert (cross.count, val.count) == (80, len(seen[0][1]))
    train = found.dataset.rows_of("train")
    own = found.head.probabilities(found.features)
    np.testing.assert_allclose(own[seen[0][1]], found.held_out[seen[0][1]], atol=1e-6)
    assert np.abs(own[train] - found.held_out[train]).max() > 0.01  # which the blocks that are kept have seen
    assert (found.tuned_folds, found.to_json()["folds"], found.card.scores.keys()) == (3, 3, found.scores.keys())
    print_fit(found, None)
    assert "For cross-validation the blocks were trained again without each fold." in capsys.readouterr().out


def test_a_fold_has_no_say_in_the_step_at_which_it_is_asked() -> None:
    losses = [[1.0, 0.2, 0.9], [1.0, 0.8, 0.3, 0.1], [1.0, 0.7, 0.6, 0.5]]  # the first fold alone is best at 1
    runs = [
        fine_tuning.Tuned(
            Head(np.zeros((1, 2), np.float32), np.zeros(2, np.float32)),
            tuple(Epoch(step, None, loss, None) for step, loss in enumerate(of_fold)),
            int(np.argmin(of_fold)),
            False,
            tuple(np.full((size, 2), 10 * fold + step, np.float32) for step in range(len(of_fold))),
        )
        for fold, (of_fold, size) in enumerate(zip(losses, (2, 1, 1), strict=True))
    ]
    # Without fold 0: 2, 1.5, 0.9. Without fold 1, whose weight is 1 beside 2: 3, 1.1, 2.4. Without fold 2: 3, 1.2, 2.1.
    answers = answers_of_folds(runs, np.array([1, 0, -1, 2, 0]))
    assert answers[:, 0].tolist() == [11, 2, 0, 21, 2]


def test_only_the_last_blocks_of_a_copy_change(tuned: Fitted, model: keras.Model) -> None:
    fresh = network()
    for name in ("block1_conv", "block2_conv", "block2_norm", "block3_conv", "top_conv", "scores"):
        for mine, before in zip(model.get_layer(name).get_weights(), fresh.get_layer(name).get_weights(), strict=True):
            np.testing.assert_array_equal(mine, before)
    for name in ("block1_conv", "block2_conv", "block2_norm"):
        kept = tuned.backbone.model.get_layer(name).get_weights()
        for mine, before in zip(kept, fresh.get_layer(name).get_weights(), strict=True):
            np.testing.assert_array_equal(mine, before)
    changed = tuned.backbone.model.get_layer("block3_conv").get_weights()[0]
    assert np.abs(changed - fresh.get_layer("block3_conv").get_weights()[0]).max() > 1e-3


def test_the_trained_network_is_what_is_saved(tuned: Fitted, folder: Path, tmp_path: Path) -> None:
    np.testing.assert_allclose(tuned.head.weights.sum(axis=1), 0, atol=1e-5)
    tuned.save(tmp_path / "tuned.keras")
    loaded = load_classifier(tmp_path / "tuned.keras")
    pictures = [cv2.imread(str(example.path))[..., ::-1] for example in tuned.dataset.examples]
    answers = np.asarray(loaded.model(np.float32(pictures)))
    np.testing.assert_allclose(answers, tuned.held_out, atol=1e-5)
    np.testing.assert_allclose(
        tuned.backbone.features(picture[..., ::-1] for picture in pictures), tuned.features, rtol=1e-3, atol=1e-4
    )
    assert loaded.labels == ("across", "down")
    assert tuned.card.counts == {"across": 32, "down": 32}


@pytest.mark.slow
def test_what_makes_nothing_better_is_not_kept(
    folder: Path, model: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fine_tuning, "_RATE", 3.0)
    monkeypatch.setattr(fine_tuning, "_MEMORY", 0.0)
    found = fit(folder, model=model, model_options=_UNIT, options=FitOptions(unfreeze=1, epochs=3))
    assert found.best == 0
    assert len(found.curve) == 4
    assert set(found.scores) == {"cross-validation"}
    assert len(found.fold_heads) == 5
    assert found.tested() is found
    content = found.to_json()
    assert content["best_epoch"] == 0
    assert content["curve"][0]["loss"] is None


@pytest.mark.slow
def test_ctrl_c_keeps_the_best_so_far(folder: Path, model: keras.Model) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        if what == "train the last blocks" and done == 3:
            os.kill(os.getpid(), signal.SIGINT)

    found = fit(folder, model=model, model_options=_UNIT, options=FitOptions(unfreeze=1), on_progress=interrupt)
    assert found.is_stopped
    assert len(found.curve) == 3  # before, one epoch of two batches, and what there was of the next
    assert found.head.weights.shape == (6, 2)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "down", "across"), [("labels", "x", ""), ("values", "500", "-500")])
def test_labels_and_values(folder: Path, model: keras.Model, tmp_path: Path, task: str, down: str, across: str) -> None:
    rows = [f"{path},{down if path.parent.name == 'down' else across}" for path in sorted(folder.glob("*/*.png"))]
    (tmp_path / "table.csv").write_text("\n".join(["path,shows", *rows]))
    options = FitOptions(csv=tmp_path / "table.csv", task=task, unfreeze=1, epochs=1)  # type: ignore[arg-type]
    curve = fit(model=model, model_options=_UNIT, options=options).curve
    assert len(curve) == 2
    assert (curve[0].val_accuracy is None) == (task == "values")
    assert all(np.isfinite(one.val_loss) for one in curve)
    assert 0.05 < (curve[1].loss or 0) / curve[0].val_loss < 20  # one unit: 250000 of it is the square of the values


def test_too_many_blocks_are_refused_before_a_picture_is_read(folder: Path, model: keras.Model) -> None:
    def never(what: str, done: int, total: int) -> None:
        assert what == "look at files"

    with pytest.raises(UsageError, match="--unfreeze is 9, and the network has 3 blocks: give a number up to 2"):
        fit(folder, model=model, model_options=_UNIT, options=FitOptions(unfreeze=9), on_progress=never)


def test_variants_of_a_picture() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    found = variants(picture, 0)
    assert found.shape == (1 + VARIANTS, 20, 30, 3)
    np.testing.assert_array_equal(found[0], picture)
    np.testing.assert_array_equal(found, variants(picture, 0))
    assert len({one.tobytes() for one in found}) == 1 + VARIANTS
    assert (variants(picture, 1)[1] != found[1]).any()
