"""How long a start takes: whole processes, from the call to the end, in turn.

    python benchmarks/start.py                            # EfficientNet-Lite0, on a picture that comes with the package
    python benchmarks/start.py -m model.keras --rounds 15 --json start.json

Each row is a process of its own, with a cache folder of the benchmark. "cold" means that nothing is kept of an earlier
start, "warm" that everything is. The table gives the median seconds, the median CPU seconds (of the process, user and
system), the median over rounds of the ratios of both to importing TensorFlow in the same round, and the most memory
that the process had, in MiB. The last rows are of the window, on a screen of its own (Xvfb), with a Motion JPEG stream
of this machine as its camera: they end when its picture can be seen, and their process is ended then.

Needs the extra `fast`, and Xvfb. On a machine that does other work too, read the ratios.
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

import cv2
import numpy as np

import live_gradcam
from live_gradcam.compiling.runtime import processor_name

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # whose camera and screen these are

from mjpeg_server import MjpegServer
from screen import Screen, virtual_screen

#: What the others are compared with.
_IMPORT = "import tensorflow"
#: A picture has so many colours, which a window without one has not; and how often to look.
_COLOURS, _LOOK_SECONDS = 60, 0.01
_PICTURE = Path(live_gradcam.__path__[0]) / "attribution" / "cat.jpg"


@dataclass(frozen=True)
class Start:
    """A process that is measured.

    Attributes:
        name: in the table.
        arguments: of Python.
        cache: the name of its cache folder.
        is_cold: whether its cache is emptied before each round.
        is_window: whether it ends with the first picture in its window.
    """

    name: str
    arguments: tuple[str, ...]
    cache: str
    is_cold: bool = False
    is_window: bool = False


@dataclass(frozen=True)
class Taken:
    """What a process took.

    Attributes:
        seconds: from the call to the end.
        cpu_seconds: of the process and those that it waited for.
        mebibytes: the most memory that it had.
    """

    seconds: float
    cpu_seconds: float
    mebibytes: float


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", default="efficientnet-lite0")
    parser.add_argument("--picture", type=Path, default=_PICTURE)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--cold-rounds", type=int, default=3, help="how many of them start cold too")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="start-") as folder,
        MjpegServer([cv2.imread(str(options.picture))], fps=30) as server,
        virtual_screen("640x480") as screen,
    ):
        starts = starts_of(options.model, options.picture, server.url, Path(folder))
        for start in starts:
            if not start.is_cold:
                run(start, Path(folder), screen)  # which fills its cache, and that of the system for files
        rounds = []
        for number in range(options.rounds):
            asked = [start for start in starts if not start.is_cold or number < options.cold_rounds]
            turned = asked[number % len(asked) :] + asked[: number % len(asked)]
            rounds.append({start.name: run(start, Path(folder), screen) for start in turned})
    rows = {start.name: row_of(start.name, rounds) for start in starts}
    print(f"{options.model} on {processor_name()}, {os.cpu_count()} processors, Python {platform.python_version()}\n")
    print(f"{'':40} {'seconds':>8} {'CPU s':>8} {'÷ import tensorflow':>20} {'of CPU s':>9} {'MiB':>6}")
    for name, row in rows.items():
        print(
            f"{name:40} {row['seconds']:8.2f} {row['cpu_seconds']:8.2f} {row['ratio']:20.2f} {row['cpu_ratio']:9.2f} "
            f"{row['mebibytes']:6.0f}"
        )
    if options.json:
        report = {"model": options.model, "processor": processor_name(), "cpus": os.cpu_count(), "rows": rows}
        options.json.write_text(json.dumps(report, indent=2))


def starts_of(model: str, picture: Path, camera: str, folder: Path) -> list[Start]:
    """What is measured: the import alone, the help, and commands on each engine, cold and warm."""
    program = ("-m", "live_gradcam")
    explain = (*program, "explain", str(picture), "-m", model, "-o", str(folder / "panels.png"), "--overwrite")
    live = (*program, "live", str(picture), "-m", model, "--headless", "--max-frames", "1", "--fit", "crop")
    window = (*program, "live", camera, "-m", model, "--fit", "crop")
    usual, fast = ("--engine", "xla"), ("--engine", "openvino")
    return [
        Start(_IMPORT, ("-c", "import tensorflow"), "none"),
        Start("--help", (*program, "--help"), "none"),
        Start("explain, cold", (*explain, *usual), "xla-cold", is_cold=True),
        Start("explain, warm", (*explain, *usual), "xla"),
        Start("explain with fast, cold", (*explain, *fast), "fast-cold", is_cold=True),
        Start("explain with fast, warm", (*explain, *fast), "fast"),
        Start("live to the first map, warm", (*live, *usual), "xla"),
        Start("live to the first map with fast, warm", (*live, *fast), "fast"),
        Start("window to the camera's picture", (*window, *usual), "xla", is_window=True),
        Start("window to the camera's picture with fast", (*window, *fast), "fast", is_window=True),
    ]


def run(start: Start, folder: Path, screen: Screen) -> Taken:
    """What a process takes.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    cache = folder / start.cache
    if start.is_cold:
        shutil.rmtree(cache, ignore_errors=True)
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "TF_CPP_MIN_LOG_LEVEL": "3", "DISPLAY": screen.display}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # the package as it is installed has its bytecode
    command, nowhere = [sys.executable, *start.arguments], subprocess.DEVNULL
    begun = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdin=nowhere, stdout=nowhere, stderr=nowhere)
    if start.is_window:
        while len(np.unique(screen.shot()[::8, ::8].reshape(-1, 3), axis=0)) < _COLOURS:
            if process.poll() is not None:
                raise subprocess.CalledProcessError(process.returncode, command)
            time.sleep(_LOOK_SECONDS)
        seconds = time.perf_counter() - begun
        process.kill()
    _, status, usage = os.wait4(process.pid, 0)
    if not start.is_window:
        seconds = time.perf_counter() - begun
        if status != 0:
            raise subprocess.CalledProcessError(os.waitstatus_to_exitcode(status), command)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Taken(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def row_of(name: str, rounds: list[dict[str, Taken]]) -> dict[str, float]:
    """The medians of a start."""
    taken = [one for one in rounds if name in one]
    return {
        "seconds": statistics.median(one[name].seconds for one in taken),
        "cpu_seconds": statistics.median(one[name].cpu_seconds for one in taken),
        "ratio": statistics.median(one[name].seconds / one[_IMPORT].seconds for one in taken),
        "cpu_ratio": statistics.median(one[name].cpu_seconds / one[_IMPORT].cpu_seconds for one in taken),
        "mebibytes": statistics.median(one[name].mebibytes for one in taken),
    }


if __name__ == "__main__":
    main()
