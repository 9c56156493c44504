"""What each method costs over the prediction alone, and whether switching between them leaks.

    python benchmarks/methods.py                          # EfficientNet-Lite0, in one run, interleaved
    python benchmarks/methods.py -m VGG16 --weights none
    python benchmarks/methods.py --stills                 # also those for pictures, one frame each

All methods explain the same new frame in turn, the order turned on from frame to frame. The table gives the median
milliseconds, and the median over frames of the ratio to the prediction alone: with one map, and with five. Methods that
the network's head does not allow are left out and named.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from live_gradcam.compiling.runtime import describe_runtime, set_compiler_flags
from live_gradcam.errors import UsageError

if TYPE_CHECKING:
    from live_gradcam import Explainer

_SETTLING = 5
_SEVERAL = 5


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", default="efficientnet-lite0")
    parser.add_argument("--weights", default="imagenet", help="imagenet, none or a file")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--switches", type=int, default=200)
    parser.add_argument("--stills", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    set_compiler_flags()  # before TensorFlow is imported
    from live_gradcam import Explainer, load_classifier
    from live_gradcam.attribution.methods.method import quick_methods

    classifier = load_classifier(options.model, weights=None if options.weights == "none" else options.weights)
    first = {maps: Explainer(classifier, maps=maps) for maps in (1, _SEVERAL)}
    explainers: dict[tuple[str, int], Explainer] = {}
    for method in quick_methods():
        for maps, explainer in first.items():
            try:
                explainers[method, maps] = explainer.variant(method=method, layer=explainer.layer)
            except UsageError as error:
                print(f"left out: {error}")
                break
            explainers[method, maps].warm_up()
    frames = new_frames(classifier.input_size)
    rows = compare(explainers, first[1].predict, frames, options.frames)
    print_table(options.model, rows)
    leak = switch(explainers, frames, options.switches)
    print(f"\n{options.switches} switches between them: {leak:+.1f} MiB, no method traced more than once")
    stills = time_stills(first[1], next(frames)) if options.stills else {}
    for method, seconds in stills.items():
        print(f"{method}: {seconds:.2f} s per frame")
    if options.json:
        report = {"model": options.model, "rows": rows, "switching_mib": leak, "stills_s": stills, **describe_runtime()}
        options.json.write_text(json.dumps(report, indent=2))


def new_frames(size: tuple[int, int]) -> Any:
    """Endless noise of the network's size."""
    generator = np.random.default_rng(0)
    while True:
        yield generator.integers(0, 256, (*size, 3), np.uint8)


def compare(
    explainers: dict[tuple[str, int], Explainer], predict: Callable[[np.ndarray], Any], frames: Any, count: int
) -> dict[str, dict[str, float]]:
    """Medians in milliseconds, and of the ratios to the prediction of the same frame."""
    contestants: dict[tuple[str, int], Callable[[np.ndarray], Any]] = {("prediction alone", 0): predict, **explainers}
    names = list(contestants)
    times: dict[tuple[str, int], list[float]] = {name: [] for name in names}
    for number in range(-_SETTLING, count):
        frame, turn = next(frames), number % len(names)
        for name in names[turn:] + names[:turn]:
            start = time.perf_counter()
            contestants[name](frame)
            if number >= 0:
                times[name].append(time.perf_counter() - start)
    forward = np.array(times.pop(("prediction alone", 0)))
    rows: dict[str, dict[str, float]] = {"prediction alone": {"ms": 1e3 * float(np.median(forward))}}
    for (method, maps), values in times.items():
        row = rows.setdefault(method, {})
        row["ms" if maps == 1 else f"ms of {maps}"] = 1e3 * float(np.median(values))
        row["ratio" if maps == 1 else f"ratio of {maps}"] = float(np.median(np.array(values) / forward))
    for row in rows.values():
        if "ratio" in row:
            row["several to one"] = row[f"ms of {_SEVERAL}"] / row["ms"]
    return rows


def print_table(model: str, rows: dict[str, dict[str, float]]) -> None:
    """A Markdown table."""
    print(
        f"\n| {model} | ms | ÷ prediction | {_SEVERAL} maps, ÷ prediction | {_SEVERAL} maps ÷ 1 |\n| --- " * 1, end=""
    )
    print("| --- | --- | --- | --- |")
    for name, row in rows.items():
        cells = [row.get("ratio"), row.get(f"ratio of {_SEVERAL}"), row.get("several to one")]
        print(f"| {name} | {row['ms']:.2f} | " + " | ".join("" if c is None else f"{c:.3f}" for c in cells) + " |")


def switch(explainers: dict[tuple[str, int], Explainer], frames: Any, switches: int) -> float:
    """Explain a frame with one after the other; MiB of memory more at the end than after the first round."""
    turns = list(explainers.values())
    before = resident_mib()
    for number in range(switches + len(turns)):
        turns[number % len(turns)](next(frames))
        if number == len(turns):
            before = resident_mib()
    assert all(explainer.trace_count == 1 for explainer in turns)
    return resident_mib() - before


def resident_mib() -> float:
    """The memory that the process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def time_stills(explainer: Explainer, frame: np.ndarray) -> dict[str, float]:
    """Seconds of each method for pictures, compiled before."""
    from live_gradcam.attribution.methods.method import quick_methods
    from live_gradcam.choices import METHODS

    seconds = {}
    for method in (name for name in METHODS if name not in quick_methods()):
        still = explainer.variant(method=method, layer=explainer.layer)
        still(frame)
        start = time.perf_counter()
        still(frame)
        seconds[method] = time.perf_counter() - start
    return seconds


if __name__ == "__main__":
    main()
