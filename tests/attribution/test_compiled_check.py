"""A compiler that computes other numbers than TensorFlow's own kernels is told of, and nothing of it is kept."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from command_line import environment
from keras import layers
from toy_networks import FRAME, called, classifier_of, pooled_network, two_dense_layers

from live_gradcam import Explainer
from live_gradcam.attribution.compiled_check import _photographs
from live_gradcam.choices import ENGINES, Precision
from live_gradcam.compiling.engines.engine import CompiledFunction
from live_gradcam.compiling.engines.xla import Xla


class Faulty(Xla):
    """XLA, with a result that is a hundredth off, or a number."""

    title = "Faulty"

    def __init__(self, result: str, *, factor: float = 1.01, number: float = 0) -> None:
        self.result = result
        self.factor = factor
        self.number = number

    def compile(self, traced: Any, names: Sequence[str], precision: Precision) -> CompiledFunction:
        compiled = super().compile(traced, names, precision)

        def run(*arrays: np.ndarray) -> dict[str, np.ndarray]:
            answers = compiled(*arrays)
            return {**answers, self.result: self.factor * answers[self.result] + self.number}

        return run


@pytest.fixture(autouse=True)
def nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another test may have compiled the same, and what XLA reads is not compared again."""
    monkeypatch.setattr("live_gradcam.compiling.xla_programs.are_new", lambda folder: True)


def explained_by(engine: Xla, monkeypatch: pytest.MonkeyPatch, model: keras.Model, **options: Any) -> Explainer:
    monkeypatch.setattr(ENGINES, "load", lambda name: engine)
    explainer = Explainer(classifier_of(model), tune="off", **options)
    explainer.warm_up()
    return explainer


@pytest.mark.parametrize("result", ["logits", "raw_maps_0"])
@pytest.mark.parametrize("batch", [1, 3])
def test_other_numbers_are_said_once_for_each_function_and_are_not_for_the_next_start(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, result: str, batch: int
) -> None:
    explainer = explained_by(Faulty(result), monkeypatch, two_dense_layers())
    caplog.clear()
    explainer.explain_batch([FRAME] * batch)
    explainer.explain_batch([FRAME] * batch)
    assert [record.levelname for record in caplog.records] == ["WARNING"] * (batch > 1)
    assert not explainer._runner.functions.are_final
    explainer = explained_by(Faulty(result), monkeypatch, two_dense_layers())
    assert caplog.messages[-1].startswith("toy: do not trust its maps. Faulty computes other numbers than TensorFlow")
    assert "1.0e-02 of the largest: use --engine graph" in caplog.messages[-1]


def test_the_same_numbers_are_not_spoken_of(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    explainer = explained_by(Xla(), monkeypatch, two_dense_layers())
    assert explainer._runner.functions.are_final
    assert not caplog.messages


def test_a_map_that_is_rounding_alone_may_be_any(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What is added to all places of a map is taken off by the normalization after it: the mean gradient is 0."""
    image = keras.Input((12, 14, 3))
    x = layers.Conv2D(6, 3, name="maps")(image)
    x = layers.ReLU()(layers.GroupNormalization(groups=-1)(x))
    scores = layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    explainer = explained_by(Faulty("raw_maps_0"), monkeypatch, keras.Model(image, scores), layer="maps")
    assert np.abs(explainer(FRAME).evidence).max() < 1e-4
    assert not caplog.messages


def test_what_the_kernels_cannot_run_is_not_known(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*arrays: np.ndarray) -> dict[str, np.ndarray]:
        raise ValueError("no such kernel")

    monkeypatch.setattr("live_gradcam.compiling.compilation._by_kernels", lambda traced, names: fail)
    explained_by(Faulty("logits"), monkeypatch, pooled_network("maps"))
    assert not caplog.messages


@pytest.mark.parametrize("seed", [None, 7])
def test_random_numbers_are_not_compared(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, seed: int | None
) -> None:
    """They are others each time. From a seed, XLA's own generator makes others than TensorFlow's."""

    class Noise(layers.Layer):
        def call(self, inputs: Any) -> Any:
            shape = tf.shape(inputs)
            noise = tf.random.normal(shape) if seed is None else tf.random.stateless_normal(shape, [seed, 0])
            return inputs + noise

    image = keras.Input((12, 14, 3))
    x = Noise()(layers.Conv2D(6, 3, activation="relu", name="maps")(image))
    scores = layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    explained_by(Xla(), monkeypatch, keras.Model(image, scores), layer="maps")
    assert not [message for message in caplog.messages if "computes other numbers" in message]


def test_logits_that_come_to_nothing_on_the_photograph_are_compared_on_another(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keras.utils.set_random_seed(1)
    image = keras.Input((12, 14, 3))
    x = layers.Flatten()(layers.Conv2D(6, 3, activation="relu", name="maps")(image))
    numbers = layers.Dense(1)(x)
    model = keras.Model(image, numbers)
    frame = _photographs((1, 12, 14, 3))[..., ::-1] / np.float32(255)
    model.layers[-1].bias.assign(-called(model, frame)[0])
    monkeypatch.setattr(ENGINES, "load", lambda name: Faulty("logits", factor=1, number=1e-6))
    explainer = Explainer(replace(classifier_of(model), output="values"), tune="off", lowering=False)
    explainer.warm_up()
    assert not caplog.messages


def test_where_numbers_are_rounded_to_steps_one_step_is_no_fault(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Steps(layers.Layer):
        def call(self, inputs: Any) -> Any:
            return tf.quantization.fake_quant_with_min_max_args(inputs, 0, 4)

    image = keras.Input((12, 14, 3))
    x = Steps()(layers.Conv2D(6, 3, activation="relu", name="maps")(image))
    scores = layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    explained_by(Faulty("logits"), monkeypatch, keras.Model(image, scores), layer="maps")
    assert not caplog.messages


#: Attention over 324 places.
_ATTENTION = """
import logging, sys
import keras
from keras import layers
from live_gradcam import Classifier, Explainer
from live_gradcam.networks.preprocessing import PREPROCESSINGS

logging.basicConfig(level=logging.WARNING)
keras.utils.set_random_seed(0)
image = keras.Input((36, 36, 3))
x = layers.Reshape((324, 32))(layers.Conv2D(32, 2, strides=2, activation="relu")(image))
scores = layers.Rescaling(4.0)(layers.Dot((2, 2))([layers.Dense(32)(x), layers.Dense(32)(x)]))
x = layers.Reshape((18, 18, 32))(layers.Dot((2, 1))([layers.Softmax()(scores), 10 * layers.Dense(32)(x)]))
x = layers.GlobalAveragePooling2D()(layers.Conv2D(16, 3, activation="relu", name="maps")(x))
model = keras.Model(image, layers.Dense(5, activation="softmax")(x))
explainer = Explainer(Classifier("toy", model, tuple("abcde"), (36, 36), PREPROCESSINGS["unit"]), tune="off")
explainer.warm_up()
"""


@pytest.mark.slow
@pytest.mark.parametrize("flag", ["", "--xla_cpu_experimental_ynn_fusion_type=dot"])
def test_a_fault_of_xla_itself_is_found_and_its_program_is_not_kept(tmp_path: Path, flag: str) -> None:
    """By a flag of TensorFlow 2.21 that users may set, products of such sizes are wrong."""
    finished = subprocess.run(
        [sys.executable, "-c", _ATTENTION],
        env=environment(XDG_CACHE_HOME=str(tmp_path), TF_CPP_MIN_LOG_LEVEL="3", XLA_FLAGS=flag),
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stderr.count("do not trust its maps") == bool(flag)
    (folder,) = (tmp_path / "live-gradcam").glob("compiled-*")
    assert bool(list(folder.glob("*.pb"))) == (not flag)
