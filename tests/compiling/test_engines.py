"""Every engine gives XLA's explanation; plain gradients are TensorFlow's; a missing engine is one line."""

from __future__ import annotations

import importlib.util
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from command_line import environment, finish, start
from keras import layers
from typer.testing import CliRunner

from live_gradcam import Classifier, Explainer, Explanation
from live_gradcam.attribution.plain_gradients import plain_gradients
from live_gradcam.choices import ENGINES
from live_gradcam.cli import app
from live_gradcam.compiling.compilation import check_engine, compile_function
from live_gradcam.compiling.engines.openvino import openvino_model
from live_gradcam.errors import ModelError, UsageError
from live_gradcam.networks.preprocessing import PREPROCESSINGS

OTHERS = ("graph", "openvino", "onnxruntime")


def classifier_of(model: keras.Model) -> Classifier:
    labels = tuple(f"class {index}" for index in range(model.output_shape[-1]))
    return Classifier("toy", model, labels, tuple(model.input_shape[1:3]), PREPROCESSINGS["unit"])


def assert_agree(other: Explanation, xla: Explanation) -> None:
    np.testing.assert_allclose(other.logits, xla.logits, atol=1e-3)
    np.testing.assert_allclose(other.heatmaps, xla.heatmaps, atol=1e-3)
    np.testing.assert_allclose(other.evidence, xla.evidence, rtol=1e-3, atol=1e-6)
    assert other.region == xla.region
    for ours, theirs in ((other.predictions, xla.predictions), (other.targets, xla.targets)):
        assert [(p.index, p.label) for p in ours] == [(p.index, p.label) for p in theirs]
        np.testing.assert_allclose([p.probability for p in ours], [p.probability for p in theirs], atol=1e-4)


# --- agreement ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("engine", OTHERS)
def test_the_default_network_is_explained_alike(
    lite0: Classifier, explainer: Explainer, chelsea: np.ndarray, coffee: np.ndarray, engine: str
) -> None:
    other = Explainer(lite0, maps=1, engine=engine)
    other.warm_up()
    for picture in (chelsea, coffee):
        for target in (None, 0, 985):
            assert_agree(other(picture, target=target), explainer(picture, target=target))
    assert other.trace_count == 1
    for ours, theirs in zip(other.predict(chelsea), explainer.predict(chelsea), strict=True):
        assert (ours.index, ours.label) == (theirs.index, theirs.label)
        assert ours.probability == pytest.approx(theirs.probability, abs=1e-4)


def dense_headed() -> keras.Model:
    """VGG in small: the maps are pooled and go through hidden layers; half of the windows are all 0, so tied."""
    keras.utils.set_random_seed(3)
    image = keras.Input((48, 48, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(12, 3, padding="same", activation="relu", bias_initializer=keras.initializers.Constant(-0.1))(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Dense(20, activation="relu")(layers.Flatten()(x))
    x = layers.Dense(16, activation="relu")(x)
    return keras.Model(image, layers.Dense(6, activation="softmax", kernel_initializer="random_normal")(x))


@pytest.mark.slow
@pytest.mark.versions
@pytest.mark.parametrize("score", ["logit", "margin", "probability"])
def test_a_dense_head_is_explained_alike(chelsea: np.ndarray, score: str) -> None:
    classifier = classifier_of(dense_headed())
    xla, *others = (Explainer(classifier, score=score, topk=3, engine=engine) for engine in ("xla", *OTHERS))
    for target in (None, 4):
        expected = xla(chelsea, target=target)
        assert expected.heatmaps.any()
        for other in others:
            assert_agree(other(chelsea, target=target), expected)


def many_kinds() -> keras.Model:
    """Under the target layer `early` everything that a plain gradient is for, and what TensorFlow's own must do."""
    keras.utils.set_random_seed(4)
    image = keras.Input((24, 24, 3))
    x = early = layers.Conv2D(8, 3, activation="tanh", name="early")(image)
    x = layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2, activation="relu6")(x)
    x = layers.BatchNormalization()(x)
    x = layers.AveragePooling2D(3, strides=1, padding="same")(layers.Activation("swish")(x))
    y = layers.Conv2D(6, 3, strides=2, padding="same", activation="elu")(early)
    x = layers.Concatenate()([x, layers.MaxPooling2D(3, strides=1, padding="same")(y), layers.LeakyReLU()(y)])
    x = layers.SeparableConv2D(10, 3, activation="selu")(x)
    x = layers.Conv2D(8, 1, activation="softplus")(layers.Activation("hard_swish")(x))
    x = layers.Dense(8, activation="sigmoid")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, layers.Dense(4)(layers.LayerNormalization()(x)))


@pytest.mark.slow
def test_heads_of_all_kinds_of_operations(chelsea: np.ndarray) -> None:
    classifier = classifier_of(many_kinds())
    xla, *others = (
        Explainer(classifier, layer="early", maps=1, relu=False, engine=engine)
        for engine in ("xla", "openvino", "onnxruntime")
    )
    for other in others:
        assert_agree(other(chelsea), xla(chelsea))


@pytest.mark.slow
def test_gelu_is_explained_alike_by_onnx_which_has_no_erfc(chelsea: np.ndarray) -> None:
    keras.utils.set_random_seed(4)
    image = keras.Input((20, 24, 3))
    x = layers.Conv2D(6, 3, activation="gelu")(image)
    x = layers.Dense(9, activation="gelu")(layers.GlobalAveragePooling2D()(x))
    classifier = classifier_of(keras.Model(image, layers.Dense(4, activation="softmax")(x)))
    xla, other = (Explainer(classifier, engine=engine, tune="off") for engine in ("xla", "onnxruntime"))
    assert_agree(other(chelsea), xla(chelsea))


@pytest.mark.slow
def test_a_frame_that_is_a_view_is_read_right(chelsea: np.ndarray) -> None:
    classifier = classifier_of(dense_headed())
    view = chelsea[100:148, 100:148]
    for engine in ("openvino", "onnxruntime"):
        explainer = Explainer(classifier, fit="crop", maps=1, engine=engine)
        np.testing.assert_array_equal(explainer(view).logits, explainer(view.copy()).logits)


# --- of another package -------------------------------------------------------------------------------------------


class Eager:
    """An engine that runs the traced function as TensorFlow does, and counts."""

    title = "Eager"
    packages = ("numpy",)
    install = "eager"
    precisions = ("f32",)
    is_xla = False
    calls = 0

    def compile(self, traced, names, precision):
        def compiled(*arrays: np.ndarray) -> dict[str, np.ndarray]:
            self.calls += 1
            return {name: value.numpy() for name, value in traced(*map(tf.constant, arrays)).items()}

        return compiled


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> Eager:
    package, engine = ModuleType("outside_package"), Eager()
    package.ENGINE = engine
    monkeypatch.setitem(sys.modules, "outside_package", package)
    point = EntryPoint("eager", "outside_package:ENGINE", ENGINES.group)
    monkeypatch.setattr(ENGINES, "added", {"eager": point})
    return engine


@pytest.mark.slow
def test_an_engine_of_another_package_explains_alike(eager: Eager, chelsea: np.ndarray) -> None:
    classifier = classifier_of(dense_headed())
    xla, other = (Explainer(classifier, maps=2, engine=name) for name in ("xla", "eager"))
    assert_agree(other(chelsea), xla(chelsea))
    assert eager.calls == 3  # once on zeros, and once on a photograph
    assert other.engine == "eager"


def test_an_engine_of_another_package_is_refused_as_ours_are(eager: Eager) -> None:
    with pytest.raises(UsageError, match=r"^the engine eager does not compute in bf16: use --engine xla or openvino$"):
        check_engine("eager", "bf16")
    eager.packages = ("no_such_package",)
    with pytest.raises(UsageError, match=r"^the engine eager is not installed: pip install 'eager'$"):
        check_engine("eager")


# --- plain gradients ----------------------------------------------------------------------------------------------


def assert_plain_gradient(function, image: np.ndarray) -> None:
    """The plain gradient is TensorFlow's, and has no gradient operator in it."""
    weights = np.random.default_rng(1).normal(0, 1, function(image).shape).astype(np.float32)

    @tf.function
    def theirs(x):
        return tf.gradients(function(x) * weights, x)[0]

    @tf.function
    def ours(x):
        with plain_gradients():
            return tf.gradients(function(x) * weights, x)[0]

    x = tf.constant(image)
    np.testing.assert_allclose(ours(x), theirs(x), atol=1e-5)
    kinds = {operation.type for operation in ours.get_concrete_function(x).graph.get_operations()}
    assert not any("Grad" in kind or ("Native" in kind and "Backprop" in kind) for kind in kinds), kinds


def image(*, tied: bool) -> np.ndarray:
    """(2, 9, 10, 3); tied: few different numbers, and many zeros, as after a ReLU."""
    values = np.random.default_rng(0).normal(0, 1, (2, 9, 10, 3)).astype(np.float32)
    return np.maximum(np.round(values), 0) if tied else values


@pytest.mark.slow
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(("size", "strides"), [(2, 2), (3, 2), (3, 1), (2, 3), ((2, 3), (1, 2)), (1, 1)])
def test_a_pools_plain_gradient(size, strides, padding: str) -> None:
    for tied in (False, True):
        assert_plain_gradient(lambda x: tf.nn.max_pool2d(x, size, strides, padding), image(tied=tied))
    assert_plain_gradient(lambda x: tf.nn.avg_pool2d(x, size, strides, padding), image(tied=False))


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2)])
def test_a_depthwise_convolutions_plain_gradient(stride: int, dilation: int, padding: str) -> None:
    kernel = np.random.default_rng(2).normal(0, 1, (3, 2, 3, 2)).astype(np.float32)
    assert_plain_gradient(
        lambda x: tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], padding, dilations=(dilation, dilation)),
        image(tied=False),
    )


@pytest.mark.parametrize(
    "function",
    [
        tf.nn.relu,
        tf.nn.relu6,
        tf.nn.leaky_relu,
        tf.nn.elu,
        tf.nn.selu,
        tf.nn.softplus,
        tf.nn.sigmoid,
        tf.nn.tanh,
        lambda x: tf.sqrt(x * x + 1),
        lambda x: tf.math.rsqrt(x * x + 1),
        lambda x: tf.concat([x, 2 * x, x * x], axis=-1),
        lambda x: tf.nn.conv2d(x, tf.reshape(tf.range(36.0) / 36, [2, 2, 3, 3]), 2, "SAME"),
    ],
)
def test_a_plain_gradient_of_other_operations(function) -> None:
    assert_plain_gradient(function, 4 * image(tied=False))


# --- the command line ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_a_command_runs_on_the_engine_and_prints_nothing_that_is_not_ours(
    tmp_path: Path, chelsea: np.ndarray, engine: str
) -> None:
    cv2.imwrite(str(tmp_path / "chelsea.png"), chelsea)
    finished = finish(start("explain", tmp_path / "chelsea.png", "--engine", engine, "--json", "-"))
    assert (finished.code, finished.err) == (0, "")
    assert json.loads(finished.out)["predictions"][0]["label"] == "Egyptian cat"


# --- what goes wrong ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("engine", "package", "extra"),
    [("openvino", "openvino", "openvino"), ("onnxruntime", "onnxruntime", "onnx"), ("onnxruntime", "tf2onnx", "onnx")],
)
def test_an_engine_that_is_not_installed_is_one_line_with_the_command(
    monkeypatch, engine: str, package: str, extra: str
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        "live_gradcam.compiling.compilation.find_spec", lambda name: None if name == package else find_spec(name)
    )
    monkeypatch.setattr("live_gradcam.attribution.session.loading.load_with_options", None)  # it must not come to that
    for arguments in (["explain", "x.png"], ["annotate", "x.mp4"], ["live", "x.mp4", "--headless"], ["bench"]):
        result = CliRunner().invoke(app, [*arguments, "--engine", engine])
        assert result.exit_code == 2
        expected = f"live-gradcam: the engine {engine} is not installed: pip install 'live-gradcam[{extra}]'\n"
        assert result.stderr == expected


@pytest.mark.parametrize("engine", ["graph", "onnxruntime"])
def test_an_engine_without_bf16_is_one_line(engine: str) -> None:
    result = CliRunner().invoke(app, ["bench", "--engine", engine, "--precision", "bf16"])
    assert result.exit_code == 2
    expected = f"live-gradcam: the engine {engine} does not compute in bf16: use --engine xla or openvino\n"
    assert result.stderr == expected


def test_an_engine_that_does_not_exist_is_refused_with_a_suggestion() -> None:
    with pytest.raises(UsageError, match="there is no engine 'openvin'; did you mean openvino"):
        check_engine("openvin")
    assert CliRunner().invoke(app, ["bench", "--engine", "tensorrt"]).exit_code == 2


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["xla", "openvino", "onnxruntime"])
def test_a_network_that_an_engine_cannot_compile_is_one_line(engine: str) -> None:
    class InPython(layers.Layer):
        def call(self, inputs):
            return tf.ensure_shape(tf.py_function(lambda x: x, [inputs], tf.float32), inputs.shape)

        def compute_output_spec(self, inputs):
            return keras.KerasTensor(inputs.shape, inputs.dtype)

    picture = keras.Input((8, 8, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(InPython()(picture)))
    explainer = Explainer(classifier_of(keras.Model(picture, layers.Dense(2)(pooled))), lowering=False, engine=engine)
    with pytest.raises(ModelError, match=r"^toy cannot be compiled by ") as raised:
        explainer.warm_up()
    assert "\n" not in str(raised.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "line"),
    [
        (lambda x: tf.math.betainc(x, x, x), "No conversion rule found for operations: Betainc"),
        (lambda x: tf.math.real(tf.signal.fft2d(tf.cast(x, tf.complex64))), "Conversion is failed for: FFT2D"),
        (
            lambda x: tf.concat([x, tf.zeros(tf.stack([1, tf.cast(tf.reduce_sum(x), tf.int32) + 5]))], axis=0),
            "Argument shapes are inconsistent",
        ),
        (lambda x: tf.reshape(x, [5]), "Cannot reshape a tensor with 4 elements"),
    ],
)
def test_of_what_openvino_says_the_telling_line_is_shown(function: Callable[[tf.Tensor], tf.Tensor], line: str) -> None:
    with pytest.raises(ModelError, match=f"^toy cannot be compiled by OpenVINO: {line}"):
        compile_function(
            lambda x: {"y": function(x)}, [tf.TensorSpec((1, 4), tf.float32, name="x")], "openvino", name="toy"
        )


@pytest.mark.slow
def test_the_users_logging_goes_on_where_openvino_fails() -> None:
    traced = tf.function(lambda x: x + tf.random.stateless_normal([2], [1, 2])).get_concrete_function(tf.zeros(2))
    logger = logging.getLogger()
    before = logger.level, list(logger.filters), list(logger.handlers)
    with pytest.raises(Exception, match="No conversion rule"):
        openvino_model(traced)
    assert (logger.level, logger.filters, logger.handlers) == before


def test_a_layer_that_cannot_be_traced_is_one_line() -> None:
    class Brightened(layers.Layer):
        def call(self, inputs):
            return inputs + 1 if tf.reduce_mean(inputs) < 0.5 else inputs

        def compute_output_spec(self, inputs):
            return keras.KerasTensor(inputs.shape, inputs.dtype)

    picture = keras.Input((8, 8, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(Brightened()(picture)))
    explainer = Explainer(classifier_of(keras.Model(picture, layers.Dense(2)(pooled))))
    with pytest.raises(ModelError, match=r"^toy cannot be compiled by XLA: .*Brightened") as raised:
        explainer.warm_up()
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_nothing_is_reported_to_openvinos_makers() -> None:
    """In a process of its own: where OpenVINO was imported before, its import has reported already."""
    code = """
import sys
from collections.abc import Callable
import tensorflow as tf
from live_gradcam.compiling.compilation import compile_function
compile_function(lambda x: {"y": 2 * x}, [tf.TensorSpec((1,), tf.float32, name="x")], "openvino", name="toy")
from openvino.tools.ovc import convert_impl
assert convert_impl.tm.__name__ == "openvino.tools.ovc.telemetry_stub"
assert sys.modules["openvino_telemetry"] is None
"""
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True)


@pytest.mark.slow
def test_nothing_is_kept_for_onnx_runtimes_makers(tmp_path: Path) -> None:
    """Where it reports its use to Microsoft, it writes a number for this machine into the cache folder first."""
    code = """
import tensorflow as tf
from live_gradcam.compiling.compilation import compile_function
compile_function(lambda x: {"y": 2 * x}, [tf.TensorSpec((1,), tf.float32, name="x")], "onnxruntime", name="toy")
"""
    subprocess.run([sys.executable, "-c", code], env=environment(XDG_CACHE_HOME=str(tmp_path)), check=True)
    assert {path.name for path in tmp_path.iterdir()} <= {"live-gradcam", "matplotlib"}


@pytest.mark.slow
def test_ctrl_c_is_answered_after_another_thread_has_dropped_openvinos_functions() -> None:
    """Each `openvino.Core` has a stack for signals that goes with it: of several, one that is gone may be in use."""
    code = """
import io, json, os, signal, threading
import numpy as np
import openvino
from openvino import opset13
from live_gradcam.compiling.engines.openvino import ENGINE, core

pixels = opset13.parameter([2], np.float32)
pixels.output(0).set_names({"pixels"})
positive = opset13.relu(pixels)
positive.output(0).set_names({"positive"})
exported = io.BytesIO()
core().compile_model(openvino.Model([positive], [pixels], "toy"), "CPU").export_model(exported)
program = json.dumps({"arguments": ["pixels"], "results": ["positive"]}).encode() + b"\\n" + exported.getvalue()

functions = [ENGINE.restore(memoryview(program), "f32") for _ in range(3)]
assert functions[0](np.float32([-1, 2]))["positive"].tolist() == [0, 2]
thread = threading.Thread(target=functions.clear)
thread.start()
thread.join()
signal.signal(signal.SIGINT, lambda *_: print("answered"))
os.kill(os.getpid(), signal.SIGINT)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), stdout=subprocess.PIPE, text=True, check=True
    )
    assert done.stdout == "answered\n"
