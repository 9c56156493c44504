"""One explained frame against everybody's prediction: our engines and others, interleaved in one run.

    python benchmarks/engines.py                                 # five networks, every contestant
    python benchmarks/engines.py -m VGG16 --only explained openvino plain-xla --rounds 30
    python benchmarks/engines.py --one-process                   # the cross-check: all in one process
    python benchmarks/engines.py --json engines.json --chart docs/engines.png     # of all networks in engines.json
    python benchmarks/engines.py -m --json engines.json --chart docs/engines.png  # draws what is there

Every contestant is given the same uint8 BGR frames of the network's own size, a new one for each call, and gives the
class probabilities; those that say so give the Grad-CAM map too. Before anything is timed, the probabilities of a
photograph are compared with those of the Keras model as it is. Each contestant lives in a process of its own, in which
it is asked for a burst of frames, in turn with all others, and then left alone until its threads have stopped spinning.
The first frames of a burst are not counted: they find the caches full of the others' numbers, and threads that sleep
(`--settle 0` counts all: what a frame costs after an idle gap). Figures are medians. Ratios are medians over the
rounds, of bursts that follow one another: what else the machine does for a while changes both.

The extras `openvino` and `onnx` bring OpenVINO and ONNX Runtime; --chart takes matplotlib; pytorch-grad-cam and
torchcam are measured where `grad-cam`, `torchcam` and `torchvision` are installed. VGG16 takes 2 GiB a contestant.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np

NETWORKS = ("efficientnet-lite0", "MobileNetV2", "EfficientNetB0", "ResNet50", "VGG16")
BURST = 5
PAUSE_SECONDS = 0.05

#: Takes a frame, uint8 (height, width, 3) BGR, gives the probabilities (classes,), NaN where it does not tell.
Engine = Callable[[np.ndarray], np.ndarray]


# --- the contestants ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Contestant:
    """An engine that is measured.

    Attributes:
        title: as the table says it.
        build: makes it for a network's name.
        needs: the packages that it takes; it is left out where one is missing.
        gives_map: whether a call gives the Grad-CAM map too.
        tolerance: the largest difference of a probability from the Keras model's; None: its weights are others.
    """

    title: str
    build: Callable[[str], Engine]
    needs: tuple[str, ...] = ()
    gives_map: bool = True
    tolerance: float | None = 1e-3


def load(network: str) -> Any:
    """The classifier, with the same weights in every process: ImageNet's where they are installed, else random ones."""
    import keras

    from live_gradcam import load_classifier

    keras.utils.set_random_seed(0)
    return load_classifier(network, weights="imagenet" if "lite" in network else None)


def ours(*, explained: bool, **options: Any) -> Callable[[str], Engine]:
    """Our explainer, or its prediction alone, with its own settings of XLA."""

    def build(network: str) -> Engine:
        from live_gradcam.compiling.runtime import set_compiler_flags

        set_compiler_flags()
        from live_gradcam import Explainer

        classifier = load(network)
        explainer = Explainer(classifier, topk=5, maps=1, **options)

        def engine(frame: np.ndarray) -> np.ndarray:
            predictions = explainer(frame).predictions if explained else explainer.predict(frame)
            answer = np.full(len(classifier.labels), np.nan, np.float32)
            for prediction in predictions:
                answer[prediction.index] = prediction.probability
            return answer

        return engine

    return build


def keras_model(network: str) -> tuple[Any, Callable[[np.ndarray], Any]]:
    """The Keras model as it is, with probabilities for an answer, and what turns a frame into its input."""
    import keras
    import tensorflow as tf

    from live_gradcam.networks.network_input import network_input

    classifier = load(network)
    model = classifier.model
    if getattr(model.layers[-1], "activation", None) is not keras.activations.softmax:
        model = keras.Model(model.input, keras.layers.Softmax()(model.output))
    return model, lambda frame: network_input(tf.constant(frame[None]), classifier.preprocessing)


def plain(*, jit_compile: bool) -> Callable[[str], Engine]:
    """`tf.function` around the Keras model: a prediction alone, no setting of ours."""

    def build(network: str) -> Engine:
        import tensorflow as tf

        model, preprocess = keras_model(network)
        function = tf.function(lambda x: model(x, training=False), jit_compile=jit_compile)
        return lambda frame: function(preprocess(frame)).numpy()[0]

    return build


def eager_recipe(network: str) -> Engine:
    """Grad-CAM as it is usually written: a model of two outputs, a gradient tape, and NumPy."""
    import keras
    import tensorflow as tf

    from live_gradcam.networks.graph import flatten
    from live_gradcam.networks.target_layer import default_target

    model, preprocess = keras_model(network)
    layer = default_target(flatten(model, model.input_shape[1:3])).name
    both = keras.Model(model.input, [model.get_layer(layer).output, model.output])

    def engine(frame: np.ndarray) -> np.ndarray:
        with tf.GradientTape() as tape:
            activations, predictions = both(preprocess(frame))
            score = predictions[:, tf.argmax(predictions[0])]
        gradient = tape.gradient(score, activations)
        weights = tf.reduce_mean(gradient, axis=(0, 1, 2))
        heatmap = np.maximum((activations[0] @ weights[:, tf.newaxis]).numpy()[..., 0], 0)
        heatmap /= heatmap.max() or 1
        return predictions.numpy()[0]

    return engine


def torch_model(network: str) -> tuple[Any, Any, Callable[[np.ndarray], Any]]:
    """The network of torchvision of the same architecture, with random weights, its target layer, and its input."""
    import torch
    import torchvision

    torch.manual_seed(0)
    builders = {
        "VGG16": (torchvision.models.vgg16, lambda model: model.features[29]),
        "ResNet50": (torchvision.models.resnet50, lambda model: model.layer4[-1]),
        "MobileNetV2": (torchvision.models.mobilenet_v2, lambda model: model.features[-1]),
        "EfficientNetB0": (torchvision.models.efficientnet_b0, lambda model: model.features[-1]),
    }
    if network not in builders:
        raise LookupError(f"torchvision has no {network}")
    make, layer_of = builders[network]
    model = make(weights=None).eval()

    def preprocess(frame: np.ndarray) -> Any:
        return torch.from_numpy(frame[:, :, ::-1].transpose(2, 0, 1)[None].astype(np.float32) / 255)

    return model, layer_of(model), preprocess


def pytorch_grad_cam(network: str) -> Engine:
    """The package grad-cam."""
    from pytorch_grad_cam import GradCAM

    model, layer, preprocess = torch_model(network)
    cam = GradCAM(model=model, target_layers=[layer])

    def engine(frame: np.ndarray) -> np.ndarray:
        cam(input_tensor=preprocess(frame), targets=None)
        return cam.outputs.softmax(-1).detach().numpy()[0]

    return engine


def torchcam(network: str) -> Engine:
    """The package torchcam."""
    from torchcam.methods import GradCAM

    model, layer, preprocess = torch_model(network)
    cam = GradCAM(model, layer)

    def engine(frame: np.ndarray) -> np.ndarray:
        scores = model(preprocess(frame))
        cam(int(scores[0].argmax()), scores)
        return scores.softmax(-1).detach().numpy()[0]

    return engine


_ONNX = ("onnxruntime", "tf2onnx", "onnx")
_BF16 = 0.05


def _contestants() -> dict[str, Contestant]:
    as_keras_has_it = {"explained": False, "lowering": False}
    return {
        "explained": Contestant("live-gradcam", ours(explained=True)),
        "forward": Contestant("live-gradcam, prediction", ours(explained=False), gives_map=False),
        "explained-bf16": Contestant("live-gradcam, bf16", ours(explained=True, precision="bf16"), tolerance=_BF16),
        "plain-xla": Contestant("Keras, jit_compile=True", plain(jit_compile=True), gives_map=False),
        "graph": Contestant("Keras, tf.function", plain(jit_compile=False), gives_map=False),
        "eager-recipe": Contestant("the usual eager recipe", eager_recipe),
        "openvino": Contestant("OpenVINO", ours(engine="openvino", **as_keras_has_it), ("openvino",), gives_map=False),
        "openvino-bf16": Contestant(
            "OpenVINO, bf16",
            ours(engine="openvino", precision="bf16", **as_keras_has_it),
            ("openvino",),
            gives_map=False,
            tolerance=_BF16,
        ),
        "openvino-explained": Contestant(
            "live-gradcam --engine openvino", ours(explained=True, engine="openvino"), ("openvino",)
        ),
        "openvino-forward": Contestant(
            "--engine openvino, prediction", ours(explained=False, engine="openvino"), ("openvino",), gives_map=False
        ),
        "onnxruntime": Contestant(
            "ONNX Runtime", ours(engine="onnxruntime", **as_keras_has_it), _ONNX, gives_map=False
        ),
        "onnxruntime-explained": Contestant(
            "live-gradcam --engine onnxruntime", ours(explained=True, engine="onnxruntime"), _ONNX
        ),
        "pytorch-grad-cam": Contestant(
            "pytorch-grad-cam", pytorch_grad_cam, ("pytorch_grad_cam", "torchvision"), tolerance=None
        ),
        "torchcam": Contestant("torchcam", torchcam, ("torchcam", "torchvision"), tolerance=None),
    }


CONTESTANTS = _contestants()


# --- the frames ---------------------------------------------------------------------------------------------------


def photograph(size: tuple[int, int]) -> np.ndarray:
    """A cat, uint8 (height, width, 3) BGR."""
    encoded = np.frombuffer(files("live_gradcam.attribution").joinpath("cat.jpg").read_bytes(), np.uint8)
    return cv2.resize(cv2.imdecode(encoded, cv2.IMREAD_COLOR), size[::-1])


def new_frames(size: tuple[int, int]) -> Iterator[np.ndarray]:
    """The cat, each time moved on and with other noise."""
    cat, generator = photograph(size), np.random.default_rng(0)
    for shift in itertools.count(1):
        noise = generator.integers(0, 16, cat.shape, np.uint8)
        yield cv2.add(np.roll(cat, shift, axis=1), noise)


# --- the race -----------------------------------------------------------------------------------------------------


class Runner:
    """A contestant in this process."""

    def __init__(self, network: str, name: str, size: tuple[int, int]) -> None:
        self._engine = CONTESTANTS[name].build(network)
        self._frames = new_frames(size)
        self.answer = self._engine(photograph(size))

    def burst(self, settle_seconds: float) -> list[float]:
        """Milliseconds of the frames of a burst, after those of the first seconds."""
        begun = time.perf_counter()
        while time.perf_counter() - begun < settle_seconds:
            self._engine(next(self._frames))
        times = []
        for _ in range(BURST):
            frame = next(self._frames)
            start = time.perf_counter()
            self._engine(frame)
            times.append(1e3 * (time.perf_counter() - start))
        return times


def _serve(connection: Any, network: str, name: str, size: tuple[int, int]) -> None:
    from live_gradcam.silence import quiet_tensorflow

    try:
        with quiet_tensorflow():
            runner = Runner(network, name, size)
    except Exception as error:  # whatever an engine raises: the race goes on without it
        connection.send(f"{type(error).__name__}: {error}".splitlines()[0])
        return
    connection.send(runner.answer)
    while (settle_seconds := connection.recv()) is not None:
        connection.send(runner.burst(settle_seconds))


class RemoteRunner:
    """A contestant in a process of its own."""

    def __init__(self, network: str, name: str, size: tuple[int, int]) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        context.Process(target=_serve, args=(theirs, network, name, size), daemon=True).start()
        theirs.close()
        try:
            answer = self._connection.recv()
        except EOFError:
            answer = "its process died: is there memory enough?"
        if isinstance(answer, str):
            raise RuntimeError(answer)
        self.answer: np.ndarray = answer

    def burst(self, settle_seconds: float) -> list[float]:
        """As `Runner.burst`."""
        self._connection.send(settle_seconds)
        return self._connection.recv()

    def close(self) -> None:
        """End its process."""
        self._connection.send(None)
        self._connection.close()


def check(name: str, answer: np.ndarray, expected: np.ndarray) -> None:
    """Refuse a contestant that answers something else than the Keras model."""
    tolerance = CONTESTANTS[name].tolerance
    if tolerance is not None and not np.nanmax(np.abs(answer - expected)) <= tolerance:
        raise RuntimeError(f"a probability differs by {np.nanmax(np.abs(answer - expected)):.1e}")


def race(
    network: str, names: list[str], *, rounds: int, settle_seconds: float, one_process: bool
) -> dict[str, list[float]]:
    """Milliseconds of each contestant's frames."""
    from live_gradcam.networks.catalog import known_models

    side = known_models()[network].input_size
    size = (side, side)
    make = Runner if one_process else RemoteRunner
    reference = RemoteRunner(network, "graph", size)
    expected = reference.answer
    reference.close()
    runners: dict[str, Any] = {}
    for name in names:
        try:
            runner = make(network, name, size)
            check(name, runner.answer, expected)
        except Exception as error:  # as above
            print(f"  {name} is left out: {error}", flush=True)
            continue
        runners[name] = runner
    times: dict[str, list[float]] = {name: [] for name in runners}
    for round_ in range(-1, rounds):
        order = list(runners)
        for name in order[round_ % len(order) :] + order[: round_ % len(order)]:
            burst = runners[name].burst(settle_seconds)
            time.sleep(PAUSE_SECONDS)
            if round_ >= 0:
                times[name] += burst
    if not one_process:
        for runner in runners.values():
            runner.close()
    return times


# --- the report ---------------------------------------------------------------------------------------------------

#: The first contestant's time over each of these is what the project's goals are about.
RATIOS = (
    ("explained", "openvino"),
    ("explained", "plain-xla"),
    ("explained", "eager-recipe"),
    ("explained", "forward"),
    ("openvino-explained", "openvino"),
    ("openvino-explained", "openvino-forward"),
    ("onnxruntime-explained", "onnxruntime"),
)


def report(network: str, times: dict[str, list[float]]) -> dict[str, Any]:
    """Print a network's table, and return it."""
    medians = {name: float(np.median(values)) for name, values in times.items()}
    print(f"\n{network}")
    for name, median in medians.items():
        low, high = np.percentile(times[name], [10, 90])
        shown = "with map" if CONTESTANTS[name].gives_map else ""
        title = CONTESTANTS[name].title
        print(f"  {title:36} {median:9.2f} ms  ({low:.2f} to {high:.2f})  {shown}")
    bursts = {name: np.median(np.reshape(values, (-1, BURST)), axis=1) for name, values in times.items()}
    ratios = {f"{a} ÷ {b}": float(np.median(bursts[a] / bursts[b])) for a, b in RATIOS if bursts.keys() >= {a, b}}
    for title, ratio in ratios.items():
        print(f"  {title:48} {ratio:6.3f}" + (f"  (1/{1 / ratio:.1f})" if ratio < 0.5 else ""))
    print(flush=True)
    return {"median_ms": medians, "ratios": ratios}


def draw_chart(tables: dict[str, Any], path: Path) -> None:
    """A panel a network, a bar a contestant: milliseconds per frame, logarithmic; those with a map are coloured."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = -(-len(tables) // 2)
    figure, panels = pyplot.subplots(rows, 2, figsize=(11, 3.6 * rows), layout="constrained", squeeze=False)
    for panel in panels.flat[len(tables) :]:
        panel.set_visible(False)
    for panel, (network, table) in zip(panels.flat, tables.items(), strict=False):
        medians = dict(sorted(table["median_ms"].items(), key=lambda item: -item[1]))
        titles = [CONTESTANTS[name].title for name in medians]
        ours_, other, prediction = "#d1495b", "#edae49", "#a5adb5"
        colours = [
            (ours_ if name.startswith("explained") or name.endswith("-explained") else other)
            if CONTESTANTS[name].gives_map
            else prediction
            for name in medians
        ]
        bars = panel.barh(titles, list(medians.values()), color=colours)
        panel.bar_label(bars, [f" {value:.1f}" for value in medians.values()], fontsize=8)
        panel.set(title=network, xscale="log", xlabel="ms per frame")
        panel.set_xlim(1, 4 * max(medians.values()))
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    handles = [pyplot.Rectangle((0, 0), 1, 1, color=colour) for colour in (ours_, other, prediction)]
    figure.legend(
        handles, ["live-gradcam, with map", "others, with map", "prediction only"], loc="outside lower center", ncols=3
    )
    figure.savefig(path, dpi=110)


def main() -> None:
    """Run the race and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", nargs="*", default=list(NETWORKS), metavar="NAME")
    parser.add_argument("--only", nargs="+", choices=list(CONTESTANTS), metavar="CONTESTANT")
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="bursts of each contestant")
    parser.add_argument("--settle", type=float, default=0.15, metavar="SECONDS", help="of each burst, not counted")
    parser.add_argument("--one-process", action="store_true")
    parser.add_argument("--json", type=Path, metavar="PATH", help="written after each network, beside others")
    parser.add_argument("--chart", type=Path, metavar="PNG")
    options = parser.parse_args()
    names = [name for name in CONTESTANTS if options.only is None or name in options.only]
    names = [name for name in names if all(find_spec(package) for package in CONTESTANTS[name].needs)]
    tables = json.loads(options.json.read_text(encoding="utf-8")) if options.json and options.json.exists() else {}
    for network in options.model:
        times = race(
            network, names, rounds=options.rounds, settle_seconds=options.settle, one_process=options.one_process
        )
        tables[network] = report(network, times)
        if options.json:
            options.json.write_text(json.dumps(tables, indent=1) + "\n", encoding="utf-8")
    if options.chart:
        draw_chart(tables, options.chart)


if __name__ == "__main__":
    main()
