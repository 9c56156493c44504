"""How long a start takes: whole processes, from the call to the end, in turn.

    python benchmarks/start.py                            # EfficientNet-Lite0, on a picture that comes with the package
    python benchmarks/start.py -m model.keras --rounds 15 --json start.json

Each row is a process of its own, with a cache folder of the benchmark. "cold" means that nothing is kept of an earlier
start, "warm" that everything is. The table gives the median seconds, the median CPU seconds (of the process, user and
system), and the median over rounds of the ratio to importing TensorFlow in the same round.

Needs the extra `fast`. On a machine that does other work too, read the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import live_gradcam
from live_gradcam.compiling.runtime import processor_name

#: What the others are compared with.
_IMPORT = "import tensorflow"
_PICTURE = Path(live_gradcam.__path__[0]) / "attribution" / "cat.jpg"


@dataclass(frozen=True)
class Start:
    """A process that is measured.

    Attributes:
        name: in the table.
        arguments: of Python.
        cache: the name of its cache folder.
        is_cold: whether its cache is emptied before each round.
    """

    name: str
    arguments: tuple[str, ...]
    cache: str
    is_cold: bool = False


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", default="efficientnet-lite0")
    parser.add_argument("--picture", type=Path, default=_PICTURE)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--cold-rounds", type=int, default=3, help="how many of them start cold too")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="start-") as folder:
        starts = starts_of(options.model, options.picture, Path(folder))
        for start in starts:
            if not start.is_cold:
                run(start, Path(folder))  # which fills its cache, and that of the system for files
        rounds = []
        for number in range(options.rounds):
            asked = [start for start in starts if not start.is_cold or number < options.cold_rounds]
            turned = asked[number % len(asked) :] + asked[: number % len(asked)]
            rounds.append({start.name: run(start, Path(folder)) for start in turned})
    rows = {start.name: row_of(start.name, rounds) for start in starts}
    print(f"{options.model} on {processor_name()}, {os.cpu_count()} processors, Python {platform.python_version()}\n")
    print(f"{'':40} {'seconds':>8} {'CPU s':>8} {'÷ import tensorflow':>20}")
    for name, row in rows.items():
        print(f"{name:40} {row['seconds']:8.2f} {row['cpu_seconds']:8.2f} {row['ratio']:20.2f}")
    if options.json:
        report = {"model": options.model, "processor": processor_name(), "cpus": os.cpu_count(), "rows": rows}
        options.json.write_text(json.dumps(report, indent=2))


def starts_of(model: str, picture: Path, folder: Path) -> list[Start]:
    """What is measured: the import alone, the help, and commands on each engine, cold and warm."""
    program = ("-m", "live_gradcam")
    explain = (*program, "explain", str(picture), "-m", model, "-o", str(folder / "panels.png"), "--overwrite")
    live = (*program, "live", str(picture), "-m", model, "--headless", "--max-frames", "1", "--fit", "crop")
    fast = ("--engine", "openvino")
    return [
        Start(_IMPORT, ("-c", "import tensorflow"), "none"),
        Start("--help", (*program, "--help"), "none"),
        Start("explain, cold", explain, "xla-cold", is_cold=True),
        Start("explain, warm", explain, "xla"),
        Start("explain with fast, cold", (*explain, *fast), "fast-cold", is_cold=True),
        Start("explain with fast, warm", (*explain, *fast), "fast"),
        Start("live to the first map, warm", live, "xla"),
        Start("live to the first map with fast, warm", (*live, *fast), "fast"),
    ]


def run(start: Start, folder: Path) -> tuple[float, float]:
    """The seconds and the CPU seconds of a process.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    cache = folder / start.cache
    if start.is_cold:
        shutil.rmtree(cache, ignore_errors=True)
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "TF_CPP_MIN_LOG_LEVEL": "3"}
    before, begun = os.times(), time.perf_counter()
    subprocess.run([sys.executable, *start.arguments], env=environment, check=True, capture_output=True)
    seconds, after = time.perf_counter() - begun, os.times()
    return seconds, after.children_user + after.children_system - before.children_user - before.children_system


def row_of(name: str, rounds: list[dict[str, tuple[float, float]]]) -> dict[str, float]:
    """The medians of a start."""
    taken = [one for one in rounds if name in one]
    return {
        "seconds": statistics.median(one[name][0] for one in taken),
        "cpu_seconds": statistics.median(one[name][1] for one in taken),
        "ratio": statistics.median(one[name][0] / one[_IMPORT][0] for one in taken),
    }


if __name__ == "__main__":
    main()
