"""How a model file wants its pixels, which it seldom says.

Its batch norms remember: a layer's moving mean and variance are those of what entered it in training. What enters it
for natural pictures has much the same ones when their pixels are scaled as they were in training, and others when they
are not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import tensorflow as tf

from live_gradcam.files import cache_folder, write_json
from live_gradcam.networks.graph import Network, Operation, run
from live_gradcam.networks.network_input import network_input
from live_gradcam.networks.preprocessing import PREPROCESSINGS, Preprocessing
from live_gradcam.networks.single import HeldStill
from live_gradcam.networks.target_layer import makes_features

#: How pixels are scaled, in words.
SCALES = {
    "raw": "0…255",
    "unit": "0…1",
    "tf": "−1…1",
    "caffe": "0…255 less ImageNet's mean, in BGR",
    "torch": "ImageNet's mean and deviation",
}
#: What is tried: of one scale at a time the usual order of channels, and the other one.
_CANDIDATES = {
    "raw": ("raw", "raw-bgr"),
    "unit": ("unit", "unit-bgr"),
    "tf": ("tf", "tf-bgr"),
    "caffe": ("caffe",),
    "torch": ("torch",),
}
#: How many batch norms are looked at, from the first.
_NORMS = 3
#: By how much a scale has to fit better than the next one, and an order of channels than the usual one.
_MARGIN, _MARGIN_OF_ORDER = 1.5, 1.25
#: By how much pixels of 0…1 have to fit better what a model does to them than those of 0…255.
_MARGIN_OF_FRONT = 3
#: From this distance on a scale does not fit.
_FITS_TO = 0.9
#: Of how a scale is found: what was remembered by another one is found again.
_VERSION = 2
#: What is said of a channel at most: one that is far off says no more than one that is farther off.
_FARTHEST = 1000.0


@dataclass(frozen=True)
class PixelScale:
    """How pixels are to be scaled.

    Attributes:
        name: of `PREPROCESSINGS`.
        why: "inside": the model scales them itself, from 0…255; "first layers": it does, from another range; "batch
            norms": their statistics fit this scale and no other; "nearest": they fit none, and this one best; "guess":
            what is usual.
    """

    name: str
    why: str


def find_pixel_scale(network: Network) -> PixelScale:
    """How a network wants its pixels.

    What its batch norms say is remembered in the user's cache folder, by all that it depends on.

    Args:
        network: laid out flat.
    """
    front = _front(network)
    if any(_scales(network, operation) for operation in front):
        return PixelScale("unit", "first layers") if _expects_unit(network, front) else PixelScale("raw", "inside")
    norms = _first_norms(network)
    if not norms:
        return PixelScale(_usual(network), "guess")
    operations = _leading_to(network.operations, norms)
    key, table = _key(network, operations, norms), cache_folder() / "pixel-scales.json"
    known = _read_table(table)
    if key in known:
        return PixelScale(*known[key])
    found = _said_by(network, operations, norms)
    _write_table(table, {**known, key: (found.name, found.why)})
    return found


def _said_by(network: Network, operations: Sequence[Operation], norms: Sequence[Operation]) -> PixelScale:
    names, distances = zip(*_distances(network, operations, norms).items(), strict=True)
    (best, name), *others = sorted(zip(distances, names, strict=True))
    if best > _FITS_TO:
        return PixelScale(name, "nearest")
    if not others or others[0][0] >= _MARGIN * best:
        return PixelScale(name, "batch norms")
    return PixelScale(_usual(network), "guess")


def _key(network: Network, operations: Sequence[Operation], norms: Sequence[Operation]) -> str:
    """What is remembered depends on it: the layers up to the norms, their weights, the input, and how it is found."""
    digest = hashlib.sha256(repr((_VERSION, network.shapes[network.input])).encode())
    for operation in (*operations, *norms):
        digest.update(f"{operation.name} {type(operation.layer).__name__}".encode())
        for weight in getattr(operation.layer, "weights", ()):
            digest.update(np.asarray(weight).tobytes())
    return digest.hexdigest()


def _read_table(path: Path) -> dict[str, tuple[str, str]]:
    try:
        content = json.loads(path.read_text("utf-8"))
        return {str(key): (str(name), str(why)) for key, (name, why) in content.items() if name in PREPROCESSINGS}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write_table(path: Path, table: dict[str, tuple[str, str]]) -> None:
    with suppress(OSError):  # it is found again the next time
        write_json(path, table)


def photographs() -> np.ndarray:
    """Natural pictures, uint8 (n, 160, 160, 3) BGR; `benchmarks/reference/photographs.py` says which."""
    encoded = np.frombuffer(files("live_gradcam.networks").joinpath("photographs.jpg").read_bytes(), np.uint8)
    strip = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert strip is not None  # it is part of the package
    return np.stack(np.split(strip, strip.shape[1] // strip.shape[0], axis=1))


def two_photographs(height: int, width: int, channels: int) -> np.ndarray:
    """Two of them as a network's input that nobody has scaled further, float32 (2, height, width, channels), 0…1."""
    pictures = np.stack([cv2.resize(picture, (width, height)) for picture in photographs()[:2]])
    return pictures[..., :channels].astype(np.float32) / 255


# --- what the model does itself -----------------------------------------------------------------------------------

#: Two greys that a picture is filled with, to see whether a layer changes values.
_GREYS = (200.0, 37.0)


def _front(network: Network) -> list[Operation]:
    """What is done to pixels before the first layers with weights that are trained."""
    pixels, front = {network.input}, []
    for operation in network.operations:
        if not pixels.issuperset(operation.inputs) or isinstance(operation.layer, HeldStill):
            continue
        if not makes_features(operation.layer):
            front.append(operation)
            pixels.update(operation.outputs)
    return front


def _scales(network: Network, operation: Operation) -> bool:
    """Whether an operation changes the pixels' values."""
    return isinstance(operation.layer, keras.layers.Normalization) or not _keeps_values(network, operation)


def _expects_unit(network: Network, front: Sequence[Operation]) -> bool:
    """Whether a front makes numbers as networks have them of pixels of 0…1, and far from them of those of 0…255.

    Networks have 0…1, −1…1, 0…255, this less its mean, or mean 0 and deviation 1. Only a front that multiplies and adds
    is asked: of another one it is not known what it is for.
    """
    pixels = {network.input}.union(*(operation.outputs for operation in front))
    rest = [operation for operation in network.operations if operation not in front]
    read = pixels.intersection(value for operation in rest for value in operation.inputs)
    natural = photographs()
    mean, deviation = float(natural.mean()), float(natural.std())
    usual = np.array(
        [(mean / scale, deviation / scale) for scale in (1, 255)]
        + [(2 * mean / 255 - 1, 2 * deviation / 255), (0, deviation), (0, 1)]
    )
    distances = np.zeros(2)  # of 0…255, and of 0…1
    try:
        greys = [run(front, {network.input: _filled(network, grey)}) for grey in (0.0, 127.5, 255.0)]
    except Exception:  # it is for another type, or a function of the user's
        return False
    for value in read:
        black, middle, white = (_of_channels(values[value]) for values in greys)
        if not np.allclose(middle, (black + white) / 2, rtol=1e-3, atol=1e-4 * np.abs(white - black).max()):
            return False
        changes = black != white  # others may be coordinates, say
        for place, scale in enumerate((1, 255)):
            gain = np.abs(white - black)[changes] / 255 / scale
            means = black[changes] + (white - black)[changes] * mean / 255 / scale
            shift = np.abs(means[:, None] - usual[:, 0]) / usual[:, 1]
            stretch = np.abs(np.log(gain[:, None] * deviation / usual[:, 1]))
            distances[place] += (shift + stretch).min(axis=1).sum()
    return bool(distances[0] > _MARGIN_OF_FRONT * distances[1])


def _filled(network: Network, grey: float) -> tf.Tensor:
    """Images of one grey as the network takes them."""
    return tf.fill([network.batch or 1, *(side or 1 for side in network.shapes[network.input])], grey)


def _of_channels(images: tf.Tensor) -> np.ndarray:
    """The value of each channel of images of one grey, float64 (channels,): in the middle, where nothing is padded."""
    values = np.asarray(tf.cast(images, tf.float32), np.float64)
    return np.median(values.reshape(-1, values.shape[-1]), axis=0)


def _keeps_values(network: Network, operation: Operation) -> bool:
    """Whether an operation only moves, cuts or pads pixels: of a grey picture it makes one of that grey, and of 0.

    In one channel at least: others may be added.
    """
    for grey in _GREYS:
        shapes = [[side or 1 for side in network.shapes[value]] for value in operation.inputs]
        try:
            outputs = operation.call([tf.fill([1, *shape], grey) for shape in shapes])
        except Exception:  # it is for another type, or a function of the user's
            return False
        for output in outputs:
            values = np.asarray(tf.cast(output, tf.float32))
            channels = values.reshape(-1, values.shape[-1])
            is_grey = np.isclose(channels, grey, rtol=1e-3)
            kept = is_grey.any(axis=0) & (is_grey | np.isclose(channels, 0)).all(axis=0)
            if not kept.any():  # others may be coordinates, say
                return False
    return True


# --- batch norms --------------------------------------------------------------------------------------------------


def _first_norms(network: Network) -> list[Operation]:
    """The first batch norms over channels."""
    norms = [
        operation
        for operation in network.operations
        if isinstance(operation.layer, keras.layers.BatchNormalization)
        and operation.layer.axis in (-1, len(network.shapes[operation.inputs[0]]))
    ]
    return norms[:_NORMS]


def _distances(network: Network, operations: Sequence[Operation], norms: Sequence[Operation]) -> dict[str, float]:
    """Of each scale, in the better order of channels, how far its statistics are from the norms': name to distance."""
    height, width, channels = (side or 224 for side in network.shapes[network.input])
    pixels = np.stack([cv2.resize(one, (width, height), interpolation=cv2.INTER_AREA) for one in photographs()])
    found = {}
    for names in _CANDIDATES.values():
        by_order = {}
        for name in names:
            preprocessing = PREPROCESSINGS[name]
            if channels == 1:
                if name.endswith("-bgr") or name in ("caffe", "torch"):
                    continue
                preprocessing = replace(preprocessing, channels="grey")
            by_order[name] = _distance(network, operations, norms, pixels, preprocessing)
        if by_order:
            usual, best = names[0], min(by_order, key=by_order.__getitem__)
            chosen = best if by_order[usual] > _MARGIN_OF_ORDER * by_order[best] else usual
            found[chosen] = by_order[chosen]
    return found


def _leading_to(operations: Iterable[Operation], norms: Sequence[Operation]) -> list[Operation]:
    """Those that the norms' inputs depend on, in running order."""
    needed = {norm.inputs[0] for norm in norms}
    leading = []
    for operation in reversed(list(operations)):
        if needed.intersection(operation.outputs):
            needed.update(operation.inputs)
            leading.append(operation)
    return leading[::-1]


def _distance(
    network: Network,
    operations: Sequence[Operation],
    norms: Sequence[Operation],
    pixels: np.ndarray,
    preprocessing: Preprocessing,
) -> float:
    """How far the statistics of what enters the norms are from those that they remember.

    Of a channel: |difference of means| in deviations, plus |log of the deviations' ratio|. The mean over channels.
    """
    images = network_input(tf.constant(pixels), preprocessing)
    batches = [images] if network.batch is None else tf.split(images, len(images))
    values = [run(operations, {network.input: batch}) for batch in batches]
    distances = []
    for norm in norms:
        layer: Any = norm.layer
        entering = np.concatenate([np.asarray(tf.cast(one[norm.inputs[0]], tf.float32), np.float64) for one in values])
        axes = tuple(range(entering.ndim - 1))
        variance = np.asarray(layer.moving_variance, np.float64) + layer.epsilon
        shift = np.abs(entering.mean(axis=axes) - np.asarray(layer.moving_mean, np.float64)) / np.sqrt(variance)
        stretch = np.abs(np.log((entering.var(axis=axes) + layer.epsilon) / variance)) / 2
        distances.append(np.minimum(shift + stretch, _FARTHEST).mean())
    return float(np.mean(distances))


# --- what is usual ------------------------------------------------------------------------------------------------

#: Of a backbone, a part of a layer's name that only it has, to how its publishers scale pixels.
_USUAL = {
    "preact_bn": "tf",  # ResNet…V2
    "conv2_block1_concat": "torch",  # DenseNet
    "conv2_block1_out": "caffe",  # ResNet
    "block2_sepconv1": "tf",  # Xception
    "block5_conv3": "caffe",  # VGG
    "conv_dw_1": "tf",  # MobileNet
    "expanded_conv_project": "tf",  # MobileNetV2
    "mixed0": "tf",  # InceptionV3
    "mixed_5b": "tf",  # InceptionResNetV2
    "normal_conv": "tf",  # NASNet
    "convnext_tiny": "raw",
}


def _usual(network: Network) -> str:
    names = " ".join(operation.name for operation in network.operations)
    return next((scale for part, scale in _USUAL.items() if part in names), "unit")
