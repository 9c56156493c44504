"""How far `live-gradcam live` keeps up with a 720p camera of 30 frames per second, by each fit, in a real window.

    python benchmarks/live.py                             # tiles, two of them, crop, and what auto chooses
    python benchmarks/live.py --fits tiles --seconds 60 --engine openvino

The camera is a Motion JPEG stream on this machine, of the tour's frames; the window is on a screen of its own (Xvfb).
Server, screen and program share the processors. The fits take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from functools import reduce
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from live_gradcam.sources.reader import VideoReader

_ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(_ROOT / "tests"))  # whose camera and screen these are

from mjpeg_server import MjpegServer  # noqa: E402
from screen import virtual_screen  # noqa: E402

_FPS = 30


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fits", default="tiles,tiles:2,crop,auto", help="with commas; tiles:N for N tiles")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--engine", default="xla")
    options = parser.parse_args()
    fits = options.fits.split(",")
    runs: dict[str, list[dict[str, Any]]] = {fit: [] for fit in fits}
    with VideoReader(_ROOT / "videos" / "tour.mp4") as reader:
        images = [frame.image for frame in islice(reader.frames(), 0, None, 3)]
    with MjpegServer(images, fps=_FPS) as server, virtual_screen() as screen:
        for _ in range(options.rounds):
            for fit in fits:
                runs[fit].append(watch(server.url, fit, options.engine, options.seconds, screen.display))
    print(f"{'fit':10} explained  camera  dropped  latency p50    p95    p99, ms  explain, ms")
    for fit, reports in runs.items():
        explained, camera, dropped = (median(reports, name) for name in ("explained_fps", "camera_fps", "dropped"))
        p50, p95, p99 = (median(reports, "latency_ms", name) for name in ("p50", "p95", "p99"))
        explain = median(reports, "stages_ms", "explain")
        print(
            f"{fit:10} {explained:9.2f} {camera:7.2f} {dropped:8.0f} {p50:12.1f} {p95:6.1f} {p99:6.1f} {explain:15.1f}"
        )


def median(reports: list[dict[str, Any]], *path: str) -> float:
    """The median over reports of the number at a path of names."""
    return float(np.median([reduce(lambda found, name: found[name], path, one) for one in reports]))


def watch(url: str, fit: str, engine: str, seconds: int, display: str) -> dict[str, Any]:
    """What the program says of so many seconds of a stream."""
    name, _, tiles = fit.partition(":")
    command = [sys.executable, "-m", "live_gradcam", "live", url, "--fit", name, "--engine", engine]
    command += ["--tiles", tiles] if tiles else []
    command += ["--max-frames", str(seconds * _FPS), "--json", "-"]
    environment = {**os.environ, "DISPLAY": display}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return dict(json.loads(finished.stdout))


if __name__ == "__main__":
    main()
