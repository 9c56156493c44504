"""Any Keras classifier: vision transformers, half precision, model files of every kind, and whose code is run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops
from toy_networks import called

from live_gradcam import Classifier, Explainer, load_classifier
from live_gradcam.attribution.coverage import coverage_of
from live_gradcam.attribution.methods.method import load_method
from live_gradcam.errors import ModelError, UsageError
from live_gradcam.networks.catalog import check_model, known_models
from live_gradcam.networks.custom_objects import read_custom_objects
from live_gradcam.networks.graph import flatten
from live_gradcam.networks.lites import SCALINGS
from live_gradcam.networks.model_source import ModelOptions
from live_gradcam.networks.preprocessing import PREPROCESSINGS
from live_gradcam.networks.split import token_grid
from live_gradcam.networks.target_layer import candidate_layers, default_target, find_layer, layers_to_step_through

FIXTURES = Path(__file__).parents[1] / "fixtures"
SIZE = (32, 48)


def classifier_of(model: keras.Model) -> Classifier:
    classes = max(2, model.output_shape[-1])
    labels = tuple(f"class {index}" for index in range(classes))
    return Classifier("toy", model, labels, tuple(model.input_shape[1:3]), PREPROCESSINGS["unit"])


def noise(seed: int = 0, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def unit_rgb(frame: np.ndarray) -> np.ndarray:
    return (frame[None, :, :, ::-1] / 255).astype(np.float32)


def explained(model: keras.Model, frame: np.ndarray, **settings) -> tuple[np.ndarray, np.ndarray]:
    """What the one pass gives for class 1: the raw map after the ReLU, and the logits."""
    explanation = Explainer(classifier_of(model), maps=1, tune="off", **settings)(frame, target=1)
    return explanation.heatmaps[0] * explanation.evidence[0], explanation.logits


def by_tape(model: keras.Model, layer: str, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A layer's activations and gradients (…, channels) for class 1, and the logits, of a model that ends in those."""
    output = next(operation.output for operation in model.operations if operation.name == layer)
    both = keras.Model(model.input, [output, model.output])
    with tf.GradientTape() as tape:
        activations, logits = both(unit_rgb(frame), training=False)
        score = logits[0, 1]
    return activations[0].numpy(), tape.gradient(score, activations)[0].numpy(), logits[0].numpy()


# --- keras.applications -------------------------------------------------------------------------------------------

#: (layer, shape) of each classifier's default target, checked by hand; benchmarks/applications.py goes through all.
TARGET_LAYERS = json.loads((FIXTURES / "target_layers.json").read_text("utf-8"))

FAMILIES = ["VGG16", "ResNet50", "ResNet50V2", "DenseNet121", "InceptionV3", "Xception", "NASNetMobile", "ConvNeXtTiny"]
FAMILIES += ["MobileNet", "MobileNetV2", "MobileNetV3Small", "EfficientNetB1", "EfficientNetV2B2"]


def test_the_table_of_target_layers_is_complete() -> None:
    assert set(TARGET_LAYERS) == set(known_models()) - set(SCALINGS)
    assert all(min(shape[:2]) >= 7 for _, shape in TARGET_LAYERS.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_the_target_layer_and_the_input_size_of_a_family_whose_map_covers_all_of_the_input(name: str) -> None:
    keras.utils.clear_session()  # layers without a name are numbered from the start
    with keras.StatelessScope(initialize_variables=False):  # no weights are asked for, and random ones take long
        model = getattr(keras.applications, name)(weights=None)
        size = (known_models()[name].input_size,) * 2
        assert model.input_shape[1:3] in (size, (None, None))
        network = flatten(model, size)
        target = default_target(network)
        assert [target.name, list(network.shapes[target.outputs[0]])] == TARGET_LAYERS[name]
        assert coverage_of(network, target.outputs[0]) is None


@pytest.mark.slow
@pytest.mark.parametrize(("name", "engine"), [("MobileNetV3Small", "graph"), ("MobileNet", "xla")])
def test_the_compiled_map_of_an_application_is_the_tapes(name: str, engine: str) -> None:
    keras.utils.set_random_seed(6)
    model = getattr(keras.applications, name)(
        weights=None, input_shape=(64, 64, 3), classes=5, classifier_activation=None
    )
    generator = np.random.default_rng(6)
    for weight in model.weights:  # of normalizations and scales, so that folding them is seen
        if np.ptp(weight) == 0:
            weight.assign(generator.uniform(0.8, 1.2, weight.shape))
    frame = noise(6, (64, 64))
    layer = default_target(flatten(model, (64, 64))).name
    activations, gradients, expected_logits = by_tape(model, layer, frame)
    raw = (activations * gradients.mean(axis=(0, 1))).sum(axis=-1)
    explanation = Explainer(classifier_of(model), maps=1, relu=False, tune="off", engine=engine)(frame, target=1)
    np.testing.assert_allclose(explanation.logits, expected_logits, atol=1e-4 * np.abs(expected_logits).max())
    np.testing.assert_allclose(explanation.evidence[0], raw.max(), atol=1e-3 * np.abs(raw).max())
    np.testing.assert_allclose(explanation.heatmaps[0], (raw - raw.min()) / np.ptp(raw), atol=1e-3)


# --- vision transformers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "input_size", "grid"),
    [
        ((196, 768), (224, 224), (14, 14, 0)),
        ((197, 768), (224, 224), (14, 14, 1)),
        ((198, 768), (224, 224), (14, 14, 2)),
        ((199, 768), (224, 224), None),
        ((142, 64), (224, 160), (14, 10, 2)),
        ((140, 64), (224, 160), (14, 10, 0)),
        ((141, 64), (224, 160), (14, 10, 1)),
        ((140, 64), (224, 224), None),
        ((24, 12), (32, 48), (4, 6, 0)),
        ((7, 5), (32, 48), (2, 3, 1)),
        ((1, 64), (224, 224), None),
        ((2, 64), (224, 224), None),
        ((3, 64), (10, 20), (1, 2, 1)),
        ((None, 64), (224, 224), None),
        ((1000,), (224, 224), None),
        ((7, 7, 512), (224, 224), None),
    ],
)
def test_tokens_make_up_a_grid_of_the_inputs_proportions(shape, input_size, grid) -> None:
    assert token_grid(shape, input_size) == grid


@pytest.mark.parametrize(("patch", "grid"), [((32, 8), (2, 8)), ((8, 32), (8, 2)), ((16, 16), (4, 4))])
def test_tokens_of_patches_of_another_shape_have_the_grid_of_their_map(patch, grid) -> None:
    image = keras.Input((64, 64, 3))
    x = layers.Reshape((16, 8))(layers.Conv2D(8, patch, strides=patch, name="patches")(image))
    x = layers.LayerNormalization(name="tokens")(ClassToken()(x))
    model = keras.Model(image, layers.Dense(3, use_bias=False)(layers.GlobalAveragePooling1D()(x)))
    frame = noise(3, (64, 64))
    explainer = Explainer(classifier_of(model), layer="tokens", maps=1, relu=False, tune="off", engine="graph")
    found = explainer(frame, target=1).heatmaps[0]
    assert found.shape == grid
    inner = keras.Model(image, model.get_layer("tokens").output)
    tokens = inner(frame[None, ..., ::-1].astype(np.float32) / 255)[0, 1:]
    raw = np.reshape(tokens @ model.layers[-1].kernel.value[:, 1:2] / 17, grid)
    np.testing.assert_allclose(found, (raw - raw.min()) / np.ptp(raw), atol=1e-4)


class ClassToken(layers.Layer):
    """Puts a learned token in front of the others."""

    def build(self, shape) -> None:
        self.token = self.add_weight(shape=(1, 1, shape[-1]), initializer="random_normal")

    def call(self, x):
        return ops.concatenate([ops.broadcast_to(self.token, (ops.shape(x)[0], 1, x.shape[-1])), x], axis=1)


class Positions(layers.Layer):
    """Adds a learned vector to each token."""

    def build(self, shape) -> None:
        self.positions = self.add_weight(shape=shape[1:], initializer="random_normal")

    def call(self, x):
        return x + self.positions


def encoder_block(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    y = layers.LayerNormalization(name=f"{name}_norm1")(x)
    y = layers.MultiHeadAttention(2, 6, name=f"{name}_attention")(y, y)
    x = layers.Add(name=f"{name}_attended")([x, y])
    y = layers.LayerNormalization(name=f"{name}_norm2")(x)
    y = layers.Dense(24, activation="gelu", name=f"{name}_mlp1")(y)
    y = layers.Dropout(0.1)(layers.Dense(12, name=f"{name}_mlp2")(y))
    return layers.Add(name=f"{name}_out")([x, y])


def vision_transformer(pool: str, blocks: int = 2) -> keras.Model:
    keras.utils.set_random_seed(3)
    image = keras.Input((*SIZE, 3))
    x = layers.Conv2D(12, 8, strides=8, name="patches")(image)
    x = layers.Reshape((-1, 12))(x)
    if pool == "class token":
        x = ClassToken(name="class_token")(x)
    x = Positions(name="positions")(x)
    for block in range(blocks):
        x = encoder_block(x, f"block{block + 1}")
    x = layers.LayerNormalization(name="norm")(x)
    x = x[:, 0] if pool == "class token" else layers.GlobalAveragePooling1D()(x)
    return keras.Model(image, layers.Dense(4, name="classes")(x), name="vit")


class Patches(layers.Layer):
    """Keras' code example: pixels of patches in rows, without a convolution."""

    def call(self, images):
        patches = ops.image.extract_patches(images, 8)
        return ops.reshape(patches, (ops.shape(images)[0], patches.shape[1] * patches.shape[2], patches.shape[3]))


def code_example() -> keras.Model:
    """As keras.io/examples/vision/image_classification_with_vision_transformer: augmentation, patches, flattening."""
    keras.utils.set_random_seed(3)
    image = keras.Input((*SIZE, 3))
    augmentation = [layers.Normalization(mean=0.5, variance=0.1), layers.Resizing(64, 96), layers.RandomFlip()]
    x = keras.Sequential(augmentation, name="augmentation")(image)
    x = layers.Dense(12, name="projection")(Patches(name="pixels")(x))
    for block in ("block1", "block2"):
        x = encoder_block(Positions(name="positions")(x) if block == "block1" else x, block)
    x = layers.Flatten()(layers.LayerNormalization(name="norm")(x))
    x = layers.Dense(16, activation="gelu", name="mlp")(layers.Dropout(0.5)(x))
    return keras.Model(image, layers.Dense(4, name="classes")(x), name="vit")


@pytest.mark.slow
def test_mean_pooled_tokens_give_cam() -> None:
    """Under mean pooling and a dense layer each token's gradient is kernel / n, so the map is tokens · kernel / n."""
    model = vision_transformer("mean")
    frame = noise()
    tokens = keras.Model(model.input, model.get_layer("norm").output)(unit_rgb(frame), training=False)[0].numpy()
    kernel, bias = model.get_layer("classes").get_weights()
    expected = (tokens @ kernel[:, 1] / 24).reshape(4, 6)
    raw_map, logits = explained(model, frame, layer="norm", engine="graph")
    np.testing.assert_allclose(raw_map, np.maximum(expected, 0), atol=1e-6)
    np.testing.assert_allclose(logits[1], expected.sum() + bias[1], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "layer", "leading", "method", "engine"),
    [
        (lambda: vision_transformer("class token", blocks=1), "block1_norm1", 1, "grad-cam", "xla"),
        (lambda: vision_transformer("class token"), "block2_norm1", 1, "hirescam", "graph"),
        (code_example, "block2_norm1", 0, "grad-cam", "graph"),
        (code_example, "block2_norm1", 0, "layercam", "graph"),
    ],
)
def test_the_map_of_tokens_is_the_tapes(build, layer: str, leading: int, method: str, engine: str) -> None:
    model, frame = build(), noise(1)
    rows, columns = (4, 6) if leading else (8, 12)
    activations, gradients, expected_logits = by_tape(model, layer, frame)
    as_map = (1, rows, columns, 12)
    expected = load_method(method).raw_map(
        tf.reshape(activations[leading:], as_map), tf.reshape(gradients[leading:], as_map)
    )
    raw_map, logits = explained(model, frame, layer=layer, method=method, engine=engine)
    np.testing.assert_allclose(logits, expected_logits, atol=1e-5)
    assert raw_map.max() > 0
    np.testing.assert_allclose(raw_map, np.maximum(expected[0], 0), atol=1e-5 * np.abs(expected).max() + 1e-9)


@pytest.mark.parametrize("build", [lambda: vision_transformer("class token"), code_example])
def test_a_transformer_asks_for_a_layer_and_names_one(build) -> None:
    network = flatten(build(), SIZE)
    with pytest.raises(ModelError, match=r"vision transformer.* --layer, such as block2_norm1; live-gradcam layers"):
        default_target(network)
    names = [operation.name for operation in candidate_layers(network)]
    assert {"block1_norm1", "block2_attention", "block2_norm2", "norm"} <= set(names)
    steps = [step.name for step in layers_to_step_through(network)]
    assert steps[-4:] == ["block1_attended", "block1_out", "block2_attended", "norm"]


def test_a_convolutional_network_that_ends_in_tokens_keeps_its_last_map() -> None:
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same")(image)
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="last_map")(x)
    x = layers.Reshape((64, 8))(x)
    y = layers.MultiHeadAttention(1, 8)(x, x)
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling1D()(layers.Add()([x, y]))))
    assert default_target(flatten(model, (32, 32))).name == "last_map"


def test_a_map_that_is_only_reshaped_is_looked_at_before() -> None:
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", name="last_map")(image)
    x = layers.Reshape((8, 8, 32))(x)
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    assert default_target(flatten(model, (32, 32))).name == "last_map"


def test_a_vector_is_no_target() -> None:
    network = flatten(vision_transformer("mean"), SIZE)
    with pytest.raises(UsageError, match="cannot be the target layer"):
        find_layer(network, "classes")


# --- nesting ------------------------------------------------------------------------------------------------------


def small_backbone() -> keras.Model:
    image = keras.Input((*SIZE, 3))
    x = layers.Conv2D(4, 3, strides=2, activation="relu", name="conv_a")(image)
    return keras.Model(image, layers.Conv2D(5, 3, activation="relu", name="conv_b")(x), name="backbone")


def test_three_levels_of_nesting_give_cam() -> None:
    """Sequential in Sequential in Sequential, global average pooling and a dense layer: the map is Σ kernel · A / n."""
    keras.utils.set_random_seed(4)
    backbone = small_backbone()
    middle = keras.Sequential([keras.Input((*SIZE, 3)), backbone, layers.GlobalAveragePooling2D()], name="middle")
    outer = keras.Sequential([keras.Input((*SIZE, 3)), middle, layers.Dropout(0.5)], name="outer")
    classes = layers.Dense(3, name="classes")
    model = keras.Sequential([keras.Input((*SIZE, 3)), outer, classes])
    frame = noise(2)
    maps = backbone(unit_rgb(frame), training=False)[0].numpy()
    kernel, bias = classes.get_weights()
    raw = maps @ kernel[:, 1] / (maps.shape[0] * maps.shape[1])
    raw_map, logits = explained(model, frame, engine="graph")
    np.testing.assert_allclose(raw_map, np.maximum(raw, 0), atol=1e-6)
    np.testing.assert_allclose(logits, maps.mean(axis=(0, 1)) @ kernel + bias, atol=1e-5)
    assert default_target(flatten(model, SIZE)).name == "outer/middle/backbone/conv_b"


def test_a_backbone_that_is_called_twice_is_looked_at_in_its_last_call() -> None:
    keras.utils.set_random_seed(4)
    backbone, classes = small_backbone(), layers.Dense(3)
    image = keras.Input((*SIZE, 3))
    first, second = backbone(image), backbone(image[:, :, ::-1])
    pooled = layers.GlobalAveragePooling2D()(layers.Multiply()([first, second]))
    model = keras.Model(image, classes(pooled))
    frame = noise(3)
    pixels = unit_rgb(frame)
    one, other = backbone(pixels), backbone(pixels[:, :, ::-1])
    with tf.GradientTape() as tape:
        tape.watch(other)
        logits = classes(tf.reduce_mean(one * other, axis=(1, 2)))
        score = logits[0, 1]
    weights = tf.reduce_mean(tape.gradient(score, other), axis=(1, 2), keepdims=True)
    raw = tf.reduce_sum(other * weights, axis=-1)[0].numpy()
    raw_map, one_pass_logits = explained(model, frame, layer="conv_b", engine="graph")
    np.testing.assert_allclose(one_pass_logits, logits[0], atol=1e-5)
    np.testing.assert_allclose(raw_map, np.maximum(raw, 0)[:, ::-1], atol=1e-6)  # it saw the picture mirrored


# --- half precision -----------------------------------------------------------------------------------------------


def in_precision(policy: str, head: str | None, input_dtype: str | None = None) -> keras.Model:
    """The same random network in another precision: a stem, a nested model, and a head of its own precision."""
    keras.utils.set_random_seed(1)
    keras.config.set_dtype_policy(policy)
    try:
        inner_image = keras.Input((16, 24, 8))
        x = layers.Conv2D(8, 3, activation="relu", padding="same")(inner_image)
        inner = keras.Model(inner_image, layers.BatchNormalization()(x), name="inner")
        image = keras.Input((*SIZE, 3), dtype=input_dtype)
        x = layers.BatchNormalization()(layers.Conv2D(8, 3, strides=2, padding="same")(image))
        x = inner(layers.DepthwiseConv2D(3, padding="same")(layers.ReLU()(x)))
        x = layers.Flatten()(layers.MaxPooling2D(4)(x))
        return keras.Model(image, layers.Dense(3, activation="softmax", dtype=head)(x))
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "head", "input_dtype", "engine", "tolerance"),
    [
        ("mixed_float16", "float32", None, "xla", 5e-3),
        ("mixed_float16", None, None, "graph", 5e-3),
        ("mixed_bfloat16", "float32", None, "graph", 4e-2),
        ("float16", None, "float16", "graph", 5e-3),
        ("float32", None, "float16", "graph", 5e-3),
        ("float64", None, None, "graph", 1e-5),
    ],
)
def test_other_precisions_give_what_float32_does(policy, head, input_dtype, engine: str, tolerance: float) -> None:
    reference = in_precision("float32", None)
    model = in_precision(policy, head, input_dtype)
    model.set_weights(reference.get_weights())
    expected_map, expected_logits = explained(reference, noise(4), engine="graph")
    raw_map, logits = explained(model, noise(4), engine=engine)
    assert expected_map.shape == raw_map.shape == (16, 24)
    np.testing.assert_allclose(logits, expected_logits, atol=tolerance * np.abs(expected_logits).max())
    np.testing.assert_allclose(raw_map, expected_map, atol=tolerance * expected_map.max())


# --- model files --------------------------------------------------------------------------------------------------


def predicted_by(path: Path, **settings) -> np.ndarray:
    """The probabilities that a loaded file gives for a grey picture."""
    return called(load_classifier(path, **settings).model, np.full((1, 16, 16, 3), 0.5))


CUSTOM_OBJECTS = """
import keras

@keras.saving.register_keras_serializable("tests")
class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x

class Halved(keras.layers.Layer):
    def call(self, x):
        return x / 2
"""


@pytest.mark.slow
def test_custom_objects_come_from_a_file_that_the_user_names(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CUSTOM_OBJECTS)
    mine = read_custom_objects(tmp_path / "mine.py")
    assert set(mine) == {"Doubled", "Halved"}
    image = keras.Input((16, 16, 3))
    x = mine["Halved"]()(mine["Doubled"]()(layers.Conv2D(4, 3)(image)))
    model = keras.Model(image, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x)))
    expected = called(model, np.full((1, 16, 16, 3), 0.5))
    for name in ("model.keras", "model.h5"):
        model.save(tmp_path / name)
        with pytest.raises(ModelError, match=r"uses 'Halved'.*--custom-objects FILE\.py") as caught:
            load_classifier(tmp_path / name)
        assert "\n" not in str(caught.value)
        for custom_objects in (tmp_path / "mine.py", {"Halved": mine["Halved"]}):
            np.testing.assert_allclose(
                predicted_by(tmp_path / name, custom_objects=custom_objects), expected, rtol=1e-6
            )


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "there is no file"), ("def broken(", "SyntaxError"), ("import no_such_module", "No module named")],
)
def test_a_file_of_custom_objects_that_cannot_be_run(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "mine.py").write_text(content)
    with pytest.raises(ModelError, match=message) as caught:
        read_custom_objects(tmp_path / "mine.py")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_code_in_a_model_file_is_run_by_the_users_will_alone(tmp_path: Path, name: str) -> None:
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3)(layers.Lambda(lambda x: x * 3, output_shape=(16, 16, 3))(image))
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    expected = called(model, np.full((1, 16, 16, 3), 0.5))
    model.save(tmp_path / name)
    with pytest.raises(ModelError, match=r"Lambda layer, which is code .* --trust-model"):
        load_classifier(tmp_path / name)
    np.testing.assert_allclose(predicted_by(tmp_path / name, trust=True), expected, rtol=1e-6)


def test_marshalled_code_is_refused_without_asking_keras(tmp_path: Path, monkeypatch) -> None:
    """As Keras 2 wrote it; Keras' safe mode did not cover .h5 before 3.11.3."""
    monkeypatch.setattr(keras.saving, "load_model", lambda *_, **__: pytest.fail("it was given to Keras"))
    function = {"function": ["4wEAAAA=", None, None], "function_type": "lambda", "name": "code"}
    inner = {"class_name": "Sequential", "config": {"layers": [{"class_name": "Lambda", "config": function}]}}
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": [inner]}})
    with pytest.raises(ModelError, match="Lambda layer, which is code"):
        load_classifier(tmp_path / "old.h5")


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory) -> tuple[Path, keras.Model]:
    image = keras.Input((16, 16, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image))
    model = keras.Model(image, layers.Dense(3, activation="softmax")(x))
    folder = tmp_path_factory.mktemp("saved") / "flowers"
    model.export(folder, verbose=False)
    return folder, model


def test_a_saved_model_predicts_and_has_no_map(saved_model: tuple[Path, keras.Model]) -> None:
    folder, model = saved_model
    classifier = load_classifier(folder, labels=["a", "b", "c"])
    assert (classifier.name, classifier.input_size) == ("flowers", (16, 16))
    images = np.random.default_rng(0).uniform(0, 1, (2, 16, 16, 3)).astype(np.float32)
    expected = called(model, images)
    np.testing.assert_allclose(called(classifier.model, images), expected, rtol=1e-5)
    for explain in (lambda: Explainer(classifier), lambda: check_model(folder, ModelOptions())):
        with pytest.raises(ModelError, match=r'layers cannot be seen.* model\.save\("NAME\.keras"\)') as caught:
            explain()
        assert "\n" not in str(caught.value)


def test_a_saved_model_inside_a_file_is_code_too(saved_model: tuple[Path, keras.Model], tmp_path: Path) -> None:
    image = keras.Input((16, 16, 3))
    model = keras.Model(image, keras.layers.TFSMLayer(str(saved_model[0]), call_endpoint="serve")(image))
    model.save(tmp_path / "wrapped.keras")
    with pytest.raises(ModelError, match="TFSMLayer, which is code"):
        load_classifier(tmp_path / "wrapped.keras")


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    def __init__(self, **settings) -> None:
        super().__init__(**settings)
        self.convolution, self.classes = layers.Conv2D(4, 3, name="convolution"), layers.Dense(3)

    def call(self, x):
        return self.classes(ops.mean(self.convolution(x), axis=(1, 2)))


def test_a_subclassed_model_is_a_graph_of_what_its_call_does(tmp_path: Path) -> None:
    model = Subclassed()
    model(np.zeros((2, 16, 20, 3)))
    model.save(tmp_path / "subclassed.keras")
    for given in (model, tmp_path / "subclassed.keras"):
        classifier = load_classifier(given)
        assert classifier.input_size == (16, 20)
        assert default_target(flatten(classifier.model, (16, 20))).name == "convolution"
        picture = np.random.default_rng(0).random((1, 16, 20, 3), np.float32)
        np.testing.assert_allclose(classifier.model(picture), model(picture), atol=1e-6)
    shared = load_classifier(model).model
    model.classes.bias.assign_add([1.0, 2.0, 3.0])
    np.testing.assert_allclose(shared(picture), model(picture), atol=1e-6)  # weights that change later are its own


class Restless(Subclassed):
    def call(self, x):
        return super().call(x + keras.random.normal((1, 16, 20, 3)))


class OfStaticShapes(Subclassed):
    def call(self, x):
        return super().call(tf.reshape(x, [-1, *x.get_shape().as_list()[1:]]))


@pytest.mark.parametrize(
    ("kind", "shape", "message"),
    [
        (Subclassed, None, "does not say how large its pictures are: call it with one before"),
        (Subclassed, (1, 16, 20, 2), r"takes an input of shape \(1, 16, 20, 2\), and not images"),
        (OfStaticShapes, (1, 16, 20, 3), "its layers cannot be seen: .*Use keras.ops"),
        (Restless, (1, 16, 20, 3), "its layers in a graph give other numbers than it. Build it as"),
    ],
)
def test_a_subclassed_model_that_cannot_be_followed(
    kind: type[keras.Model], shape: tuple[int, ...] | None, message: str
) -> None:
    model = kind()
    if shape is not None:
        model(np.zeros(shape, np.float32))
    with pytest.raises(ModelError, match=message):
        load_classifier(model)


def as_older_keras_2_wrote(config):
    """Configurations without the modules of classes, which Keras 2 wrote from 2.12 on."""
    if isinstance(config, dict):
        new = ("module", "registered_name", "build_config")
        return {key: as_older_keras_2_wrote(value) for key, value in config.items() if key not in new}
    return [as_older_keras_2_wrote(part) for part in config] if isinstance(config, list) else config


@pytest.mark.parametrize("older", [False, True])
def test_a_file_of_keras_2_gives_keras_2s_predictions(tmp_path: Path, older: bool) -> None:
    """A functional backbone in a Sequential in a Sequential, as Teachable Machine makes them."""
    path = tmp_path / "keras2.h5"
    shutil.copy(FIXTURES / "keras2.h5", path)
    if older:
        with h5py.File(path, "r+") as file:
            config = as_older_keras_2_wrote(json.loads(file.attrs["model_config"]))
            file.attrs["model_config"] = json.dumps(config)
    before = path.read_bytes()
    classifier = load_classifier(path, preprocessing="unit")
    with np.load(FIXTURES / "keras2.npz") as reference:
        predictions = called(classifier.model, reference["images"])
        np.testing.assert_allclose(predictions, reference["expected"], rtol=1e-5)
    assert default_target(flatten(classifier.model, (24, 24))).name == "features/backbone/separable"
    assert path.read_bytes() == before
