"""KerasHub's image classifiers, of small backbones with random weights, for `benchmarks/models.py --hub`.

Each is saved, and loaded by live-gradcam as a user's file is. The pictures are raw: live-gradcam has to find the input
size, the crop, the scale and the offset of the classifier's own preprocessor, with which `predict` computes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
import tensorflow as tf

from live_gradcam import Classifier, load_classifier
from tests.model_kinds import Kind
from tests.model_kinds.comparison import Comparison, compare_model, give_weights, photograph

_TORCH = {
    "scale": [1 / (255 * deviation) for deviation in (0.229, 0.224, 0.225)],
    "offset": [-mean / deviation for mean, deviation in ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))],
}
_TF = {"scale": 1 / 127.5, "offset": -1}
_UNIT = {"scale": 1 / 255}

KINDS: list[Kind] = []


def _classifier(
    name: str,
    side: int = 64,
    *,
    ends: Any = "logits",
    layer: str | None = None,
    pixels: Any = _TORCH,
    crop: bool = True,
) -> Callable[[Callable[[], keras.Model]], None]:
    """List a classifier: the function below gives the class, the backbone and the options of the head."""

    def listed(build: Callable[[], Any]) -> None:
        def task() -> keras.Model:
            converter = keras_hub.layers.ImageConverter(image_size=(side, side), crop_to_aspect_ratio=crop, **pixels)
            preprocessor = keras_hub.models.ImageClassifierPreprocessor(image_converter=converter)
            family, backbone, head = build()
            return family(backbone, num_classes=5, preprocessor=preprocessor, **head)

        name_of_row = f"KerasHub: {name}"
        KINDS.append(Kind(name_of_row, "KerasHub", task, (side, side), ends, layer=layer, preprocessing=None))

    return listed


def compare(kind: Kind, engine: str) -> Comparison:
    """As for other kinds (`tests/model_kinds/comparison.py`), with a saved classifier and raw pictures."""
    keras.utils.set_random_seed(0)
    task: Any = kind.build()
    crops = task.preprocessor.image_converter.crop_to_aspect_ratio
    height, width = kind.size
    frame = photograph((height, width + width // 2) if crops else kind.size)
    raw = frame[None, ..., ::-1].astype(np.float32)
    images = tf.convert_to_tensor(task.preprocessor(raw))
    give_weights(task, images, kind)
    np.testing.assert_allclose(task.predict(raw, verbose=0), kind.numbers(task, images), rtol=1e-3, atol=1e-4)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "classifier.keras"
        task.save(path)
        keras.backend.clear_session()  # so that layers that get a name by themselves get the same

        def load(_: keras.Model, **options: Any) -> Classifier:
            return load_classifier(path, **options)

        return compare_model(kind, task, load, frame, images, engine, fit="crop" if crops else "stretch")


_m = keras_hub.models


@_classifier("ResNet", ends="softmax")
def _() -> Any:
    backbone = _m.ResNetBackbone([64], [7], [64, 64], [1, 1], [1, 2], "basic_block")
    return _m.ResNetImageClassifier, backbone, {"activation": "softmax"}


@_classifier("ResNet V2, of bottlenecks, pooled by maximum", pixels=_TF)
def _() -> Any:
    backbone = _m.ResNetBackbone([64], [7], [64, 64], [1, 1], [1, 2], "bottleneck_block", use_pre_activation=True)
    return _m.ResNetImageClassifier, backbone, {"pooling": "max"}


@_classifier("VGG, flattened", pixels=_UNIT, crop=False)
def _() -> Any:
    backbone = _m.VGGBackbone([1, 1, 1], [8, 12, 16], image_shape=(64, 64, 3))
    return _m.VGGImageClassifier, backbone, {"pooling": "flatten", "pooling_hidden_dim": 24}


@_classifier("VGG, convolutions in the head", pixels=_UNIT)
def _() -> Any:
    backbone = _m.VGGBackbone([1, 1, 1], [8, 12, 16], image_shape=(64, 64, 3))
    return _m.VGGImageClassifier, backbone, {"pooling_hidden_dim": 24}


@_classifier("DenseNet")
def _() -> Any:
    return _m.DenseNetImageClassifier, _m.DenseNetBackbone([2, 2], growth_rate=8), {}


@_classifier("MobileNet", pixels=_TF)
def _() -> Any:
    backbone = _m.MobileNetBackbone(
        stackwise_expansion=[[40, 56], [64, 72]],
        stackwise_num_blocks=[2, 2],
        stackwise_num_filters=[[16, 16], [24, 24]],
        stackwise_kernel_size=[[3, 3], [5, 5]],
        stackwise_num_strides=[[2, 1], [2, 1]],
        stackwise_se_ratio=[[None, None], [0.25, 0.25]],
        stackwise_activation=[["relu", "relu"], ["hard_swish", "hard_swish"]],
        stackwise_padding=[[1, 1], [2, 2]],
        output_num_filters=32,
        depthwise_filters=8,
        depthwise_stride=1,
        depthwise_residual=False,
        last_layer_filter=32,
        squeeze_and_excite=0.5,
    )
    return _m.MobileNetImageClassifier, backbone, {"num_features": 32}


@_classifier("EfficientNet", pixels={})
def _() -> Any:
    backbone = _m.EfficientNetBackbone(
        stackwise_width_coefficients=[1.0] * 3,
        stackwise_depth_coefficients=[1.0] * 3,
        stackwise_kernel_sizes=[3, 3, 5],
        stackwise_num_repeats=[1, 2, 1],
        stackwise_input_filters=[16, 16, 24],
        stackwise_output_filters=[16, 24, 32],
        stackwise_expansion_ratios=[1, 4, 4],
        stackwise_squeeze_and_excite_ratios=[0, 0.25, 0.25],
        stackwise_strides=[1, 2, 2],
        stackwise_block_types=["fused", "fused", "unfused"],
        stackwise_force_input_filters=[0] * 3,
        stackwise_nores_option=[False] * 3,
        num_features=1280,
    )
    return _m.EfficientNetImageClassifier, backbone, {}


@_classifier("Xception", pixels=_TF)
def _() -> Any:
    backbone = _m.XceptionBackbone([[16, 16], [24, 24], [32, 32]], [True, True, False])
    return _m.XceptionImageClassifier, backbone, {}


@_classifier("ViT", layer="vit_patching_and_embedding")
def _() -> Any:
    backbone = _m.ViTBackbone((64, 64, 3), patch_size=16, num_layers=2, num_heads=2, hidden_dim=24, mlp_dim=32)
    return _m.ViTImageClassifier, backbone, {}


@_classifier("DeiT", layer="deit_patching_and_embedding")
def _() -> Any:
    backbone = _m.DeiTBackbone(
        (64, 64, 3), patch_size=16, num_layers=2, num_heads=2, hidden_dim=24, intermediate_dim=32
    )
    return _m.DeiTImageClassifier, backbone, {}


@_classifier("MiT")
def _() -> Any:
    backbone = _m.MiTBackbone(
        layerwise_depths=[1, 1],
        num_layers=2,
        layerwise_num_heads=[1, 2],
        layerwise_sr_ratios=[4, 2],
        max_drop_path_rate=0.1,
        layerwise_patch_sizes=[7, 3],
        layerwise_strides=[4, 2],
        image_shape=(64, 64, 3),
        hidden_dims=[16, 32],
    )
    return _m.MiTImageClassifier, backbone, {}


@_classifier("CSPNet")
def _() -> Any:
    backbone = _m.CSPNetBackbone(
        stem_filters=16,
        stem_kernel_size=3,
        stem_strides=1,
        stackwise_depth=[1, 1],
        stackwise_strides=[2, 2],
        stackwise_num_filters=[16, 32],
        block_type="dark_block",
        stage_type="dark",
        image_shape=(64, 64, 3),
    )
    return _m.CSPNetImageClassifier, backbone, {}


@_classifier("HGNetV2")
def _() -> Any:
    backbone = _m.HGNetV2Backbone(
        depths=[1, 1],
        embedding_size=16,
        hidden_sizes=[32, 48],
        stem_channels=[3, 16, 16],
        hidden_act="relu",
        use_learnable_affine_block=True,
        stackwise_stage_filters=[(16, 16, 32, 1, 2, 3), (32, 24, 48, 1, 2, 3)],
        apply_downsample=[False, True],
        use_lightweight_conv_block=[False, True],
        image_shape=(64, 64, 3),
    )
    return _m.HGNetV2ImageClassifier, backbone, {}


@_classifier("Swin transformer", layer="norm")
def _() -> Any:
    backbone = _m.SwinTransformerBackbone((64, 64, 3), embed_dim=16, depths=(1, 2), num_heads=(1, 2), window_size=4)
    return _m.SwinTransformerImageClassifier, backbone, {}
