"""A traced function under a name of its own gives what it gave, here and where it is read again."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from live_gradcam.compiling.xla_function import XlaFunction

X = np.arange(6, dtype=np.float32).reshape(2, 3)


def function_of(variable: tf.Variable, *, call: bool = False) -> XlaFunction:
    weights = tf.constant(np.arange(300, dtype=np.float32).reshape(3, 100))  # too many to be a part of the definition
    half = tf.cast(weights[:, :2], tf.bfloat16)

    @tf.function(jit_compile=True)
    def doubled(x: tf.Tensor) -> tf.Tensor:
        return 2 * x

    def function(x: tf.Tensor) -> dict[str, tf.Tensor]:
        product = tf.linalg.matmul(x, weights) + variable
        rounded = tf.cast(tf.linalg.matmul(tf.cast(x, tf.bfloat16), half), tf.float32)
        return {"rounded": doubled(rounded) if call else 2 * rounded, "product": product}

    traced = tf.function(function, [tf.TensorSpec((2, 3), tf.float32)], jit_compile=True).get_concrete_function()
    return XlaFunction.of_traced(traced, ["x"])


def expected(added: float) -> dict[str, np.ndarray]:
    weights = np.arange(300, dtype=np.float32).reshape(3, 100)
    return {"product": X @ weights + added, "rounded": 2 * (X @ weights[:, :2])}


def assert_gives(function: XlaFunction, added: float) -> None:
    answers = function(X)
    assert list(answers) == ["product", "rounded"]
    for name, values in expected(added).items():
        np.testing.assert_allclose(answers[name], values, rtol=1e-2 if name == "rounded" else 1e-6)


def test_it_follows_its_variables_and_what_is_kept_does_not() -> None:
    variable = tf.Variable(tf.fill((100,), 3.0))
    function = function_of(variable)
    assert_gives(function, 3)
    program = function.to_bytes()
    variable.assign(tf.fill((100,), 7.0))
    assert_gives(function, 7)
    kept = XlaFunction.from_bytes(program)
    assert_gives(kept, 3)
    again = XlaFunction.from_bytes(kept.to_bytes())
    np.testing.assert_array_equal(again(X)["rounded"], function(X)["rounded"])


def test_of_two_of_one_definition_one_can_go() -> None:
    one, other = (function_of(tf.Variable(tf.fill((100,), float(added)))) for added in (1, 2))
    assert one._name == other._name
    assert_gives(one, 1)
    del one
    assert_gives(other, 2)


def test_one_that_calls_others_runs_and_is_not_kept() -> None:
    function = function_of(tf.Variable(tf.zeros((100,))), call=True)
    assert_gives(function, 0)
    with pytest.raises(ValueError, match="not a part of it"):
        function.to_bytes()


_IMPORTS = """
import sys
from live_gradcam.compiling.tensorflow_alone import import_tensorflow_alone
import_tensorflow_alone()
import tensorflow as tf
assert "keras" not in sys.modules and tf.constant(1) + 1 == 2
from tensorflow.keras import layers
import keras
import_tensorflow_alone()
assert layers.Dense is keras.layers.Dense is tf.keras.layers.Dense
assert keras.backend.backend() == "tensorflow" and type(sys.meta_path[0]).__name__ != "_KerasLater"
"""


@pytest.mark.slow
def test_keras_comes_when_it_is_asked_for() -> None:
    subprocess.run([sys.executable, "-c", _IMPORTS], check=True)
