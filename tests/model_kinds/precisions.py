"""Models that compute in few digits, or whose layers multiply with more than their kernel."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from tests.model_kinds.kind import classes, features, kind, picture, stem


def _in(policy: str) -> keras.Model:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        image = picture()
        x = layers.GlobalAveragePooling2D()(features(stem(image)))
        return keras.Model(image, layers.Dense(5, activation="softmax", dtype="float32")(x))
    finally:
        keras.config.set_dtype_policy(before)


@kind("mixed_float16", "precisions", few_digits=True)
def _() -> keras.Model:
    return _in("mixed_float16")


@kind("mixed_bfloat16", "precisions", few_digits=True)
def _() -> keras.Model:
    return _in("mixed_bfloat16")


@kind("bfloat16", "precisions", few_digits=True)
def _() -> keras.Model:
    return _in("bfloat16")


@kind("int8", "precisions", few_digits=True, finish=lambda model: model.quantize("int8"))
@kind("int4", "precisions", few_digits=True, finish=lambda model: model.quantize("int4"))
def _() -> keras.Model:
    image = picture()
    x = layers.Dense(12, activation="relu")(layers.GlobalAveragePooling2D()(features(stem(image))))
    return keras.Model(image, layers.Dense(5, activation="softmax")(x))


def _with_lora(model: keras.Model) -> None:
    for layer in model.layers:
        if isinstance(layer, (layers.Dense, layers.Conv2D)):
            layer.enable_lora(2)
            layer.lora_kernel_b.assign(np.random.default_rng(1).normal(0, 0.3, layer.lora_kernel_b.shape))


@kind("LoRA", "precisions", finish=_with_lora)
def _() -> keras.Model:
    image = picture()
    return keras.Model(image, classes(features(stem(image))))
