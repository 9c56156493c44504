"""A real `fit` of three epochs with `GradCAMCallback`: its maps are a tape's, and the training is what it was."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from tape import grad_cam

from live_gradcam import CallbackOptions, GradCAMCallback, Overlay, TrainingMaps
from live_gradcam.training.outlets import ToTensorBoard

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (48, 24, 20, 3)).astype(np.float32)
LABELS = RANDOM.integers(0, 3, 48)
EPOCHS, COUNT = 3, 3


def network() -> keras.Model:
    """With all that is another thing in training, or leaves something behind when it is called."""
    keras.utils.set_random_seed(1)
    x = image = keras.Input((24, 20, 3))
    x = layers.RandomFlip()(x)
    x = layers.Rescaling(1 / 255)(x)
    x = layers.Conv2D(8, 3, activity_regularizer="l2")(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2D(8, 3, activation="relu", name="last")(layers.MaxPooling2D()(x))
    x = layers.Dense(6, activation="relu")(layers.Flatten()(layers.Dropout(0.3)(x)))
    model = keras.Model(image, layers.Dense(3, activation="softmax")(x))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class Trained(NamedTuple):
    model: keras.Model
    history: dict[str, list[float]]
    random: tuple[Any, ...]


def train(*callbacks: keras.callbacks.Callback) -> Trained:
    model = network()
    validation = IMAGES[:16], LABELS[:16]
    found = model.fit(IMAGES, LABELS, 16, EPOCHS, verbose=0, validation_data=validation, callbacks=[*callbacks])
    drawn = random.random(), np.random.random(), float(keras.random.uniform(()))
    return Trained(model, found.history, drawn)


class Watched(NamedTuple):
    trained: Trained
    callback: GradCAMCallback
    maps: list[TrainingMaps]
    weights: list[list[np.ndarray]]
    folder: Path


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    folder = tmp_path_factory.mktemp("training")
    maps: list[TrainingMaps] = []
    weights: list[list[np.ndarray]] = []

    def take(latest: TrainingMaps) -> None:
        maps.append(latest)
        weights.append(callback.model.get_weights())

    callback = GradCAMCallback(
        (IMAGES, LABELS),
        tensorboard=folder / "logs",
        folder=folder / "maps",
        function=take,
        labels=["ash", "oak", "elm"],
        options=CallbackOptions(count=COUNT, steps=4),
    )
    return Watched(train(callback), callback, maps, weights, folder)


@pytest.mark.slow
def test_the_training_comes_to_the_same_bit_for_bit(watched: Watched) -> None:
    plain, trained = train(), watched.trained
    for one, other in zip(
        [*plain.model.weights, *plain.model.optimizer.variables],
        [*trained.model.weights, *trained.model.optimizer.variables],
        strict=True,
    ):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other), err_msg=one.path)
    assert plain.history == trained.history
    assert plain.random == trained.random
    for one, other in zip(plain.model._flatten_layers(), trained.model._flatten_layers(), strict=True):
        assert one.trainable == other.trainable
        assert [len(one._losses), len(one._inbound_nodes)] == [len(other._losses), len(other._inbound_nodes)]


@pytest.mark.slow
def test_each_map_is_a_tape_s_of_the_epoch_s_weights(watched: Watched) -> None:
    model = network()
    assert [(one.epoch, one.batch, one.step) for one in watched.maps] == [(0, None, 0), (1, None, 1), (2, None, 2)]
    differ = 0
    for maps, weights in zip(watched.maps, watched.weights, strict=True):
        model.set_weights(weights)
        said = np.asarray(model(IMAGES[:COUNT], training=False))
        assert len(maps.pictures) == COUNT
        for one, image, label, probabilities in zip(maps.pictures, IMAGES, LABELS, said, strict=False):
            assert one.truth is not None
            assert (one.truth.target, one.prediction.target) == (label, probabilities.argmax())
            assert one.is_right == (label == probabilities.argmax())
            differ += not one.is_right
            for explanation in (one.truth, one.prediction):
                index = explanation.target
                assert explanation.targets[0].label == ["ash", "oak", "elm"][index]
                assert explanation.targets[0].probability == pytest.approx(probabilities[index], abs=1e-5)
                expected = grad_cam(model, "last", image, index)
                np.testing.assert_allclose(explanation.heatmaps[0], expected, atol=1e-4)
    assert differ  # so that both kinds of map were compared
    assert watched.maps[0].pictures[0].picture.dtype == np.uint8
    np.testing.assert_array_equal(watched.maps[0].pictures[0].picture, IMAGES[0, ..., ::-1])


@pytest.mark.slow
def test_tensorboard_has_the_pictures_of_each_epoch(watched: Watched) -> None:
    pytest.importorskip("tensorboard", reason="pip install tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(watched.folder / "logs" / "gradcam"), size_guidance={"tensors": 0})
    events.Reload()
    assert set(events.Tags()["tensors"]) == {"picture-01", "picture-02", "picture-03", "deletion", "insertion"}
    model, overlay = network(), Overlay()
    for number in range(COUNT):
        written = events.Tensors(f"picture-{number + 1:02}")
        assert [one.step for one in written] == [0, 1, 2]
        for event, maps, weights in zip(written, watched.maps, watched.weights, strict=True):
            width, height, encoded = event.tensor_proto.string_val
            picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
            assert picture.shape == (int(height), int(width), 3) == (32 + 269, 3 * 224 + 2 * 8, 3)
            np.testing.assert_array_equal(picture, maps.pictures[number].sheet(overlay))
            model.set_weights(weights)
            one = maps.pictures[number]
            assert one.truth is not None
            of_tape = {
                name: replace(known, heatmaps=grad_cam(model, "last", IMAGES[number], known.target)[None])
                for name, known in (("truth", one.truth), ("prediction", one.prediction))
            }
            expected = replace(one, **of_tape).sheet(overlay)
            assert np.abs(picture.astype(int) - expected).max() <= 2  # a level of 256 in the map, blended
            name = f"picture-{number + 1:02}/epoch-{event.step + 1:03}.png"
            in_folder = cv2.imread(str(watched.folder / "maps" / name))
            np.testing.assert_array_equal(in_folder, picture)
    assert [float(tf.make_ndarray(one.tensor_proto)) for one in events.Tensors("deletion")] == pytest.approx(
        [maps.faithfulness.deletion for maps in watched.maps if maps.faithfulness]
    )


def test_what_is_written_is_what_tensorboard_s_own_functions_write(tmp_path: Path, watched: Watched) -> None:
    pytest.importorskip("tensorboard", reason="pip install tensorboard")
    maps = watched.maps[1]
    outlet = ToTensorBoard(tmp_path / "ours")
    outlet.take(maps)
    outlet.close()
    assert maps.faithfulness is not None
    with tf.summary.create_file_writer(str(tmp_path / "theirs")).as_default(step=maps.step):
        for one in maps.pictures:
            tf.summary.image(f"picture-{one.number:02}", one.sheet()[None, ..., ::-1])
        tf.summary.scalar("deletion", maps.faithfulness.deletion)
        tf.summary.scalar("insertion", maps.faithfulness.insertion)
    ours, theirs = (summaries(tmp_path / name) for name in ("ours/gradcam", "theirs"))
    assert len(ours) == COUNT + 2
    for (step, mine), (other_step, other) in zip(ours, theirs, strict=True):
        assert (step, mine.tag, mine.metadata) == (other_step, other.tag, other.metadata)
        if mine.metadata.plugin_data.plugin_name == "scalars":
            assert mine == other
        else:
            *size, encoded = mine.tensor.string_val
            *other_size, other_encoded = other.tensor.string_val
            assert size == other_size
            np.testing.assert_array_equal(tf.io.decode_png(encoded), tf.io.decode_png(other_encoded))


def summaries(folder: Path) -> list[tuple[int, Any]]:
    """What TensorBoard's reader finds: (step, what was written)."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    (file,) = folder.iterdir()
    return [(event.step, value) for event in EventFileLoader(str(file)).Load() for value in event.summary.value]


def test_each_function_is_traced_once_and_the_cost_is_known(
    watched: Watched, capsys: pytest.CaptureFixture[str]
) -> None:
    callback = watched.callback
    assert callback.trace_count == 2  # the maps', and the probabilities' for faithfulness
    assert [cost.epoch for cost in callback.costs] == [0, 1, 2]
    assert all(cost.seconds > 0 and cost.share == cost.seconds / cost.training_seconds for cost in callback.costs)
    assert callback.start_seconds > 0
    callback.on_train_end()
    assert capsys.readouterr().out.startswith("Grad-CAM: 3 pictures, ")
    callback.on_train_begin()  # a training that goes on
    callback.on_epoch_begin(3)
    callback.on_epoch_end(3)
    assert callback.trace_count == 2
    assert len(callback.costs) == 4
    del callback.costs[3:], watched.maps[3:], watched.weights[3:]
