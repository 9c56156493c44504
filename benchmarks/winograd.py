"""Where Winograd's convolution wins over XLA's own: both forms against it, shape by shape, interleaved in one run.

    python benchmarks/winograd.py

Prints a line a shape: XLA's time in milliseconds, and the ratio of each form's to it (medians; below 1 is faster).
`cam/lowering.py` takes its limits from this table.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from live_gradcam.cam.lowering import _F2, _F4, _Affine, _plain_product, _winograd_product

#: Side of the map, channels in, channels out: those of VGG16 and ResNet50, and a few thinner ones.
SHAPES = (
    (224, 64, 64),
    (112, 64, 128),
    (112, 128, 128),
    (56, 64, 64),
    (56, 128, 256),
    (56, 256, 256),
    (28, 128, 128),
    (28, 256, 512),
    (28, 512, 512),
    (14, 256, 256),
    (14, 512, 512),
    (7, 512, 512),
    (56, 32, 32),
)
ROUNDS = 15


def compiled(affine: _Affine, product: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[tf.Tensor], tf.Tensor]:
    """The layer as one XLA function."""
    call = affine.call(product)
    return tf.function(lambda x: call([x])[0], jit_compile=True, autograph=False)


def main() -> None:
    """Measure and print the table."""
    generator = np.random.default_rng(0)
    print(f"{'map':>5} {'in':>4} {'out':>4} {'XLA ms':>8} {'F(2×2)':>7} {'F(4×4)':>7}")
    for side, inputs, outputs in SHAPES:
        kernel = (0.05 * generator.normal(size=(3, 3, inputs, outputs))).astype(np.float32)
        affine = _Affine("convolution", kernel, np.zeros(outputs, np.float32), tf.nn.relu, padding="same")
        products = (_plain_product(affine), _winograd_product(affine, _F2), _winograd_product(affine, _F4))
        functions = [compiled(affine, product) for product in products]
        seconds: list[list[float]] = [[] for _ in functions]
        for round_ in range(-2, ROUNDS):
            x = tf.constant(generator.normal(size=(1, side, side, inputs)), tf.float32)
            expected = None
            for function, times in zip(functions, seconds, strict=True):
                start = time.perf_counter()
                answer = function(x).numpy()
                elapsed = time.perf_counter() - start
                expected = answer if expected is None else expected
                assert np.abs(answer - expected).max() <= 2e-4 * np.abs(expected).max()
                if round_ >= 0:
                    times.append(elapsed)
        plain, two, four = (float(np.median(times)) for times in seconds)
        print(f"{side:5} {inputs:4} {outputs:4} {1e3 * plain:8.2f} {two / plain:7.2f} {four / plain:7.2f}", flush=True)


if __name__ == "__main__":
    main()
