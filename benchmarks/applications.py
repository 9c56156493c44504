"""Every classifier of `keras.applications` against an eager `tf.GradientTape` on the user's own Keras model.

    python benchmarks/applications.py                          # all, about an hour on two cores
    python benchmarks/applications.py --only ConvNeXtTiny VGG16

For each: the default target layer and its shape, which must be those of `tests/fixtures/target_layers.json` (checked by
hand against the architectures), and the logits and the Grad-CAM map of the compiled one-pass function, which must be
those of the tape. Nothing of live-gradcam is in the reference: `keras.Model(input, [layer.output, logits])`, and Keras'
own preprocessing. The weights are random, those of normalizations too, so that folding them is checked.

Each network has a process of its own, because some take gigabytes. The exit code is 1 where anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np

from live_gradcam.compiling.runtime import set_compiler_flags
from live_gradcam.silence import quiet_tensorflow

TARGET_LAYERS = Path(__file__).parents[1] / "tests" / "fixtures" / "target_layers.json"

#: The largest differences that pass, relative to the largest logit and to the largest value of the map before its ReLU.
LOGITS_TOLERANCE, MAP_TOLERANCE = 1e-4, 1e-3


# --- one network, in a process of its own -------------------------------------------------------------------------


def check(name: str) -> dict[str, Any]:
    """Build a network, explain a photograph with it, and compare with the tape."""
    set_compiler_flags()
    with quiet_tensorflow():
        import keras
        import tensorflow as tf

        from live_gradcam import Explainer, load_classifier

        keras.utils.set_random_seed(0)
        classifier = load_classifier(name, weights=None)
        frame = photograph(classifier.input_size)
        preprocess = sys.modules[getattr(keras.applications, name).__module__].preprocess_input
        pixels = preprocess(frame[None, ..., ::-1].astype(np.float32))
        randomize(classifier.model, pixels)
        logits, raw_maps = {}, {}
        explainer = Explainer(classifier, maps=1, topk=1, tune="off")
        keras.utils.clear_session()  # so that layers without a name are numbered from the start again
        reference = getattr(keras.applications, name)(weights=None, classifier_activation=None)
        reference.set_weights(classifier.model.get_weights())
        logits["tape"], raw_maps["tape"], channels = tape_grad_cam(tf, reference, explainer.layer, pixels)
        target = int(logits["tape"].argmax())
        explanation = explainer(frame, target=target)
    logits["one pass"] = explanation.logits
    raw_maps["one pass"] = explanation.heatmaps[0] * explanation.evidence[0]
    largest = np.abs(raw_maps["tape"]).max()
    return {
        "name": name,
        "layer": explainer.layer,
        "shape": [*explanation.heatmaps[0].shape, channels],
        "logits": difference(logits["tape"], logits["one pass"], np.abs(logits["tape"]).max()),
        "map": difference(np.maximum(raw_maps["tape"], 0), raw_maps["one pass"], largest),
        "evidence": float(explanation.evidence[0] / largest),
        "rewrites": sum(explainer.rewrites.values()),
    }


def randomize(model: Any, pixels: np.ndarray) -> None:
    """Give the weights that Keras starts at 0, 1 or almost 0 (of normalizations, biases, scales) other values.

    Batch norms get the statistics of a picture and small factors, as in a trained network: otherwise, EfficientNetV2S
    enlarges differences of float32's last digit until its logits are rounding alone.
    """
    generator = np.random.default_rng(0)
    for weight in model.weights:
        value = np.asarray(weight)
        if np.ptp(value) == 0 and weight.dtype == "float32" and value.size > 1:
            around = 0.3 if "gamma" in weight.name else 0.0
            weight.assign(generator.uniform(around - 0.2, around + 0.2, value.shape))
    for layer in model.layers:
        if hasattr(layer, "momentum"):
            layer.momentum = 0.0
    model(pixels, training=True)


def photograph(size: tuple[int, int]) -> np.ndarray:
    """The cat that the package brings along, uint8 BGR."""
    encoded = np.frombuffer(files("live_gradcam.attribution").joinpath("cat.jpg").read_bytes(), np.uint8)
    picture = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert picture is not None
    return cv2.resize(picture, size[::-1])


def tape_grad_cam(tf: Any, model: Any, layer: str, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """By a model that ends in logits: those (classes,), Grad-CAM of the best class before the ReLU (h, w), channels."""
    import keras

    output = next(operation.output for operation in model.operations if operation.name == layer)
    both = keras.Model(model.input, [output, model.output])
    with tf.GradientTape() as tape:
        activations, logits = both(pixels, training=False)
        best = tf.reduce_max(logits[0])
    weights = tf.reduce_mean(tape.gradient(best, activations), axis=(1, 2), keepdims=True)
    raw_map = tf.reduce_sum(activations * weights, axis=-1)[0]
    return logits[0].numpy(), raw_map.numpy(), activations.shape[-1]


def difference(expected: np.ndarray, actual: np.ndarray, largest: float) -> float:
    """The largest difference, relative to `largest`; infinite where numbers are not finite or shapes differ."""
    if expected.shape != actual.shape or not np.isfinite(expected).all():
        return float("inf")
    return float(np.nan_to_num(np.abs(actual - expected).max() / largest, nan=np.inf))


# --- all of them --------------------------------------------------------------------------------------------------


def check_in_process(name: str) -> dict[str, Any]:
    """`check` in a new process, whose compiled programs are thrown away afterwards."""
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, __file__, "--here", name]
        finished = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, "XDG_CACHE_HOME": cache}, check=False
        )
    if finished.returncode:
        lines = finished.stderr.strip().splitlines() or [f"ended with {finished.returncode}"]
        return {"name": name, "failure": lines[-1][:200]}
    return json.loads(finished.stdout)


def problems(result: dict[str, Any], expected: list[Any] | None) -> list[str]:
    """What is wrong with a result, in words."""
    if "failure" in result:
        return [result["failure"]]
    found = []
    if [result["layer"], result["shape"]] != expected:
        found.append(f"the layer should be {expected}")
    if not result["logits"] <= LOGITS_TOLERANCE:
        found.append("the logits differ")
    if not result["map"] <= MAP_TOLERANCE:
        found.append("the map differs")
    if not result["evidence"] > 0:
        found.append("the map is empty, so that nothing was compared")
    if not result["rewrites"]:
        found.append("nothing was rewritten")
    return found


def main() -> int:
    """Print a row a network; 1 where anything differs."""
    expected: dict[str, list[Any]] = json.loads(TARGET_LAYERS.read_text("utf-8"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(expected), default=list(expected), metavar="NAME")
    parser.add_argument("--here", choices=list(expected), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps(check(options.here)))
        return 0
    failed = 0
    print(f"{'network':18} {'default target layer':28} {'shape':16} {'logits':>8} {'map':>8} {'rewrites':>8} {'s':>5}")
    for name in options.only:
        start = time.perf_counter()
        result = check_in_process(name)
        wrong = problems(result, expected[name])
        failed += bool(wrong)
        if "failure" not in result:
            shape = " × ".join(map(str, result["shape"]))
            numbers = f"{result['logits']:8.1e} {result['map']:8.1e} {result['rewrites']:8}"
            print(f"{name:18} {result['layer']:28} {shape:16} {numbers} {time.perf_counter() - start:5.0f}", flush=True)
        for problem in wrong:
            print(f"{name:18} WRONG: {problem}", flush=True)
    print(f"\n{len(options.only) - failed} of {len(options.only)} are as they should be")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
