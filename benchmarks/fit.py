"""How good `live-gradcam fit` is, how long it takes, and whether its maps lie on the things.

    python benchmarks/fit.py                          # three sets: stamps, rooms, cells
    python benchmarks/fit.py --sets stamps            # one of them
    python benchmarks/fit.py --sets cells --unfreeze 1  # and with the last block trained, tested on every fold
    python benchmarks/fit.py --shortcut /tmp/shortcut # the trap, and a report that shows it
    python benchmarks/fit.py --keep /tmp/sets         # the pictures stay there, to look at
    python benchmarks/fit.py --json fit.json

`stamps` are 167 photographed birds, flowers, fruits, mammals and vegetables, cut out, as they are. `rooms` are the
same, each laid somewhere on a photograph of a room. `cells` are 2223 grey pictures of solar cells, intact or defect. A
thing of several stamps is a group, and accuracy is that of cross-validation by groups. The time is that of the whole
command, from the start of Python to the file, first with an empty cache and then again. Where masks say where the thing
is, the part of the map that lies on it is compared with the thing's part of the picture (1: the map is blind): of the
true class by the head that never saw the picture, and of the first class by the network's own ImageNet head, with the
same fit.

The trap: birds on nothing but grass, and mammals on rooms. Cross-validation cannot see it, and other backgrounds can.

The material comes from Debian and PyPI into the cache folder, by apt-get, dpkg-deb and pip.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from fit_data import SETS
from material import FOLDER, fetch_material

from live_gradcam.compiling.runtime import describe_runtime
from live_gradcam.errors import UsageError
from live_gradcam.fitting.report.options import FIGURES, PAGE
from live_gradcam.silence import quiet_tensorflow

if TYPE_CHECKING:
    from live_gradcam import Fitted

_DEFAULT_SETS = "stamps,rooms,cells"
_TRAP = "grass"
_MASKED = ("stamps", "rooms", _TRAP)


def main() -> None:
    """Measure, and print a line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", default="efficientnet-lite0")
    parser.add_argument("--sets", default=_DEFAULT_SETS, help=f"of {', '.join(SETS)}; with commas")
    parser.add_argument("--unfreeze", type=int, default=0, metavar="N", help="then train the last N blocks too")
    parser.add_argument(
        "--once", action="store_true", help="do not fit again with what the first fit left in the cache"
    )
    parser.add_argument("--no-maps", action="store_true", help="nor the accuracy without groups")
    parser.add_argument("--shortcut", type=Path, metavar="FOLDER", help="the trap alone: write its report here")
    parser.add_argument("--material", type=Path, default=FOLDER)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="make the sets here, and leave them")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    names = [_TRAP] if options.shortcut else [name.strip() for name in options.sets.split(",")]
    if unknown := set(names) - set(SETS):
        parser.error(f"no set {', '.join(sorted(unknown))}: use {', '.join(SETS)}")
    fetch_material(options.material, sorted({needed for name in names for needed in SETS[name][1]}))

    found: dict[str, Any] = {"model": options.model, "sets": {}}
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            folder = (options.keep or Path(scratch)) / name
            if not folder.exists():
                SETS[name][0](options.material, folder)
            cache = Path(scratch) / f"{name}-cache"
            print(f"\n{name}")
            if options.shortcut:
                found["sets"][name] = show_shortcut(folder, options.shortcut, options.model, cache)
            else:
                found["sets"][name] = measure(folder, options, cache)
    if options.json:
        with quiet_tensorflow():
            found |= describe_runtime()
        options.json.write_text(json.dumps(found, indent=1))


def measure(folder: Path, options: argparse.Namespace, cache: Path) -> dict[str, Any]:
    """Fit to a set, cold and warm, and look at the maps."""
    found: dict[str, Any] = {}
    for turn in ("cold",) if options.once else ("cold", "warm"):
        before = cpu_seconds()
        fit, seconds = run_fit(folder, options.model, cache)
        found[turn] = show_time(turn, fit, seconds, cpu_seconds() - before)
    found |= show_scores(fit)
    if options.unfreeze:
        before = cpu_seconds()
        fit, seconds = run_fit(folder, options.model, cache, "--unfreeze", str(options.unfreeze), "--every-fold")
        found["unfrozen"] = show_time(f"--unfreeze {options.unfreeze}", fit, seconds, cpu_seconds() - before)
        found["unfrozen"] |= show_scores(fit)
    if options.no_maps:
        return found
    fitted = fit_again(folder, options.model, cache)
    found["one_by_one"] = accuracy_one_by_one(fitted)
    print(f"  accuracy where pictures are dealt to the folds one by one {found['one_by_one']:.3f}")
    if folder.name in _MASKED:
        found["on_thing"] = compare_maps(fitted, options.model)
        ours, imagenet, area = (found["on_thing"][key] for key in ("fitted", "imagenet", "area"))
        print(
            f"  of the map on the thing, which is {area:.2f} of the picture: {ours:.2f} ({ours / area:.2f} times its "
            f"part); by the ImageNet head {imagenet:.2f} ({imagenet / area:.2f} times)"
        )
    return found


def show_time(turn: str, fit: dict[str, Any], seconds: float, of_cpu: float) -> dict[str, Any]:
    """Print how long a fit took, and give the figures."""
    stages = ", ".join(f"{stage} {took:.1f}" for stage, took in fit["seconds"].items())
    print(f"  {turn} {seconds:.1f} s in all, {of_cpu:.1f} s of CPU; {stages}")
    return {"seconds": seconds, "cpu_seconds": of_cpu, "stages": fit["seconds"]}


def show_scores(fit: dict[str, Any]) -> dict[str, Any]:
    """Print how good a fit is on every fold, and give the figures.

    Where training made nothing better, or where no blocks are trained, the folds are those of the head.
    """
    part, scores = next(iter(fit["scores"].items()))
    print(
        f"  {part}: accuracy {scores['accuracy']:.3f}, balanced {scores['balanced_accuracy']:.3f}, calibration error "
        f"{scores['ece']:.3f}: {scores['count']} pictures in {fit['groups']} groups, {fit['folds']} folds"
    )
    figures = {key: scores[key] for key in ("count", "accuracy", "balanced_accuracy", "ece")}
    return figures | {"part": part} | {key: fit[key] for key in ("groups", "same_from_cosine", "folds")}


def cpu_seconds() -> float:
    """The processor's seconds of the commands that have ended. Other work on the machine adds little to them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_fit(folder: Path, model: str, cache: Path, *flags: str) -> tuple[dict[str, Any], float]:
    """Run the command with a cache of its own. Returns its JSON, and the seconds of the whole process.

    Raises:
        UsageError: the command fails.
    """
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        command = ["fit", folder, "-m", model, "-o", out / "fit.keras", "--json", out / "fit.json", *flags]
        environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
        start = time.perf_counter()
        finished = subprocess.run(
            [sys.executable, "-m", "live_gradcam", *map(str, command)], env=environment, capture_output=True, text=True
        )
        seconds = time.perf_counter() - start
        if finished.returncode:
            raise UsageError(f"fit: {finished.stderr.strip() or finished.returncode}")
        return json.loads((out / "fit.json").read_text()), seconds


def fit_again(folder: Path, model: str, cache: Path) -> Fitted:
    """Fit in this process, with the features of the cache."""
    os.environ["XDG_CACHE_HOME"] = str(cache)
    with quiet_tensorflow():
        from live_gradcam import fit

        return fit(folder, model=model)


def accuracy_one_by_one(fitted: Fitted) -> float:
    """What cross-validation gives that knows no groups, and so asks about what it has seen."""
    from live_gradcam.fitting.cross_validation import cross_validate

    targets, classes = fitted.dataset.targets, len(fitted.dataset.classes)
    folds = np.random.default_rng(0).permutation(len(targets)) % len(fitted.fold_heads)
    tested = cross_validate(fitted.features, targets, folds, task="classes", classes=classes)
    return float(np.mean(tested.held_out.argmax(axis=1) == targets))


def compare_maps(fitted: Fitted, model: str) -> dict[str, float]:
    """How much of the maps lies on the things: by the heads that never saw the pictures, and by the ImageNet head.

    Returns:
        "fitted" and "imagenet", the mean share of the map, and "area", that of the picture; of pictures with a map of
        both.
    """
    with quiet_tensorflow():
        from live_gradcam import Explainer, load_classifier
        from live_gradcam.fitting.dataset import read_frame
        from live_gradcam.fitting.masks import find_objects
        from live_gradcam.fitting.report.maps import SIDE, HeldOutExplainer, on_square, share_on

        ours = HeldOutExplainer(fitted)
        theirs = Explainer(load_classifier(model), fit=fitted.backbone.fit, maps=1, topk=1, tune="remembered")
    objects = find_objects(fitted.dataset.examples)
    rows = []
    for row in np.argsort(fitted.folds, kind="stable"):  # so that each head is put in once
        example = fitted.dataset.examples[row]
        frame = read_frame(example, fitted.dataset.levels)
        size = frame.shape[0], frame.shape[1]
        where = objects.of(example, size)
        if where is None or not isinstance(example.target, tuple):
            continue
        inside = cv2.resize(where.opacity, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        explanations = ours(frame, int(fitted.folds[row]), example.target), theirs(frame)
        shares = [share_on(on_square(explanation, size), inside) for explanation in explanations]
        if None not in shares:
            rows.append((*shares, inside.mean()))
    fitted_share, imagenet_share, area = np.mean(np.array(rows, float), axis=0)
    return {"fitted": float(fitted_share), "imagenet": float(imagenet_share), "area": float(area), "count": len(rows)}


def show_shortcut(folder: Path, report: Path, model: str, cache: Path) -> dict[str, Any]:
    """Fit to the trap, and write the report that shows it."""
    run_fit(folder, model, cache, "--report", str(report), "--swap-backgrounds", "--overwrite")
    found = json.loads((report / FIGURES).read_text("utf-8"))
    accuracy = found["backgrounds"]["accuracy"]
    print(
        f"  accuracy of cross-validation {found['scores']['cross-validation']['accuracy']:.3f}; on the background of "
        f"another picture of its class {accuracy['same_class']:.3f}, of the other class {accuracy['other_class']:.3f}"
    )
    for of_class in found["on_object"]:
        print(f"  {of_class['class']}: of the map on the thing {of_class['ratio']:.2f} times the thing's part")
    print(f"  {report / PAGE}, and in one picture {report / 'backgrounds.png'}")
    return {key: found[key] for key in ("scores", "on_object", "backgrounds")}


if __name__ == "__main__":
    try:
        main()
    except UsageError as error:
        sys.exit(f"error: {error}")
