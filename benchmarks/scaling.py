"""What a frame costs as something grows: the network's input, the frame, the number of maps, the batch.

    python benchmarks/scaling.py                         # all four tables
    python benchmarks/scaling.py --only maps batch -m VGG16 --json scaling.json

Each table is measured in one run, its rows in turn, a new frame for each call. Figures are medians in milliseconds, and
their ratios to the row that the others are compared with.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from live_gradcam.compiling.runtime import set_compiler_flags
from live_gradcam.silence import quiet_tensorflow

#: A run of a row: whatever it takes, it takes a new frame.
Run = Callable[[], Any]

INPUT_SIDES = (96, 128, 160, 192, 224, 320, 448)
FRAME_SIZES = ((320, 240), (640, 480), (1280, 720), (1920, 1080), (3840, 2160))
MAPS = (1, 2, 3, 5, 10)
BATCHES = (1, 2, 4, 8)
SETTLING_ROUNDS = 3


def measure(rows: Mapping[str, Run], rounds: int) -> dict[str, float]:
    """The median milliseconds of each row, all in turn, each twice in a row of which the second counts."""
    times: dict[str, list[float]] = {name: [] for name in rows}
    for round_ in range(-SETTLING_ROUNDS, rounds):
        for name, run in rows.items():
            run()
            start = time.perf_counter()
            run()
            if round_ >= 0:
                times[name].append(1e3 * (time.perf_counter() - start))
    return {name: float(np.median(values)) for name, values in times.items()}


def print_table(title: str, medians: Mapping[str, float], base: str) -> None:
    """Milliseconds and the ratio to the base row."""
    print(f"\n{title}")
    for name, milliseconds in medians.items():
        print(f"  {name:24} {milliseconds:9.2f} ms  {milliseconds / medians[base]:7.3f} ×")
    print(flush=True)


def frames(size: tuple[int, int], count: int = 16) -> Iterable[np.ndarray]:
    """Frames of (width, height), over and over: noise, softened."""
    generator = np.random.default_rng(0)
    made = [cv2.resize(generator.integers(0, 256, (18, 32, 3), np.uint8), size) for _ in range(count)]
    return itertools.cycle(made)


def explaining(explainer: Any, size: tuple[int, int] = (1280, 720)) -> Run:
    """Explains the next frame."""
    explainer.warm_up()
    stream = iter(frames(size))
    return lambda: explainer(next(stream))


def load(name: str) -> Any:
    """A classifier; random weights where ImageNet's are not installed."""
    from live_gradcam import load_classifier

    return load_classifier(name, weights="imagenet" if "lite" in name else None)


def scale_input(_: str, rounds: int) -> dict[str, float]:
    """MobileNetV2 at other input sizes."""
    import keras

    from live_gradcam import Classifier, Explainer
    from live_gradcam.networks.labels import imagenet_labels
    from live_gradcam.networks.preprocessing import PREPROCESSINGS

    rows = {}
    for side in INPUT_SIDES:
        model = keras.applications.MobileNetV2(weights=None, input_shape=(side, side, 3))
        classifier = Classifier(f"MobileNetV2 {side}", model, imagenet_labels(), (side, side), PREPROCESSINGS["tf"])
        rows[f"{side} × {side}"] = explaining(Explainer(classifier, maps=1))
    medians = measure(rows, rounds)
    print_table("MobileNetV2: input size", medians, "224 × 224")
    return medians


def scale_frame(network: str, rounds: int) -> dict[str, float]:
    """Fitting a frame into the network, and drawing on it."""
    from live_gradcam import Explainer
    from live_gradcam.drawing.hud import draw_predictions
    from live_gradcam.drawing.overlay import Overlay

    explainer = Explainer(load(network), maps=1)
    explainer.warm_up()
    overlay = Overlay()

    def drawing(size: tuple[int, int]) -> Run:
        stream = iter(frames(size))
        explanation = explainer(next(stream))

        def draw() -> None:
            picture = overlay.blend(next(stream), explanation, in_place=True)
            draw_predictions(picture, explanation, notes=("30.0 FPS", "efficientnet-lite0", "grad-cam · head_relu6"))

        return draw

    explained, drawn = {}, {}
    for width, height in FRAME_SIZES:
        explained[f"{width} × {height}"] = explaining(explainer, (width, height))
        drawn[f"{width} × {height}"] = drawing((width, height))
    explain_ms, draw_ms = measure(explained, rounds), measure(drawn, rounds)
    print_table(f"{network}: frame size, fitting and explaining", explain_ms, "1280 × 720")
    print_table("frame size, drawing map and predictions", draw_ms, "1280 × 720")
    return {
        **{f"explain {name}": ms for name, ms in explain_ms.items()},
        **{f"draw {n}": ms for n, ms in draw_ms.items()},
    }


def scale_maps(network: str, rounds: int) -> dict[str, float]:
    """Several classes' maps in one pass, over the prediction alone."""
    from live_gradcam import Explainer

    classifier = load(network)
    explainers = {f"{maps} maps": Explainer(classifier, topk=max(MAPS), maps=maps) for maps in MAPS}
    rows = {name: explaining(explainer) for name, explainer in explainers.items()}
    stream = iter(frames((1280, 720)))
    predict = explainers["1 maps"].predict
    medians = measure({"prediction only": lambda: predict(next(stream)), **rows}, rounds)
    print_table(f"{network}: maps in one pass", medians, "prediction only")
    return medians


def scale_batch(network: str, rounds: int) -> dict[str, float]:
    """Several frames in one pass: milliseconds per frame."""
    from live_gradcam import Explainer

    explainer = Explainer(load(network), maps=1)
    rows = {}
    for batch in BATCHES:
        explainer.warm_up(batch)
        stream = iter(frames((1280, 720)))
        rows[batch] = lambda batch=batch, stream=stream: explainer.explain_batch([next(stream) for _ in range(batch)])
    medians = measure({f"batch of {batch}": run for batch, run in rows.items()}, rounds)
    a_frame = {f"batch of {batch}": medians[f"batch of {batch}"] / batch for batch in BATCHES}
    print_table(f"{network}: batch, a frame", a_frame, "batch of 1")
    return a_frame


TABLES = {"input": scale_input, "frame": scale_frame, "maps": scale_maps, "batch": scale_batch}


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", default="efficientnet-lite0", metavar="NAME", help="for all but `input`")
    parser.add_argument("--only", nargs="+", choices=list(TABLES), default=list(TABLES))
    parser.add_argument("--rounds", type=int, default=25, metavar="N")
    parser.add_argument("--json", type=Path, metavar="PATH")
    options = parser.parse_args()
    set_compiler_flags()
    with quiet_tensorflow():
        import live_gradcam.attribution.explainer  # noqa: F401  TensorFlow's greetings
    results = {name: TABLES[name](options.model, options.rounds) for name in options.only}
    if options.json:
        options.json.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
