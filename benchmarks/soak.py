"""An endurance run: so many frames through the live loop without a window; memory, threads and traces must stay flat.

    python benchmarks/soak.py --frames 20000

Prints the resident memory every tenth of the way, and the summary. Exits with 1 if memory grew by more than 2 % (at
least 20 MB) after the first fifth, the one-pass function was traced again, or a thread was left behind.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from live_gradcam import LiveOptions, live
from live_gradcam.attribution.fit_choice import Look
from live_gradcam.attribution.session import Session, SessionOptions, start_session
from live_gradcam.benchmark import synthetic_frames
from live_gradcam.networks.catalog import DEFAULT_MODEL
from live_gradcam.sources.frame import Frame
from live_gradcam.sources.source import FrameSource

_SAMPLES = 10
_WARM_SAMPLES = 2
_GROWTH, _LEAST_GROWTH_MB = 0.02, 20.0


def resident_mb() -> float:
    """The process's resident memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--height", type=int, default=360, help="of a frame, in pixels")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="what explains them")
    parser.add_argument("--no-record", action="store_true", help="encode nothing")
    arguments = parser.parse_args()
    memory: list[float] = []
    sessions: list[Session] = []

    def start(options: SessionOptions, *, look: Look | None = None) -> Session:
        sessions.append(start_session(replace(options, model=arguments.model, maps=None), look=look))
        return sessions[-1]

    class Synthetic(FrameSource):
        name, is_live = "synthetic", True

        def frames(self) -> Iterator[Frame]:
            size = arguments.height, arguments.height * 16 // 9
            for frame in itertools.islice(synthetic_frames(size), arguments.frames):
                if frame.index % (arguments.frames // _SAMPLES) == 0:
                    memory.append(resident_mb())
                    print(f"{frame.index:6} frames: {memory[-1]:.1f} MB", flush=True)
                yield frame

    before = set(threading.enumerate())
    with tempfile.TemporaryDirectory() as folder:
        record = None if arguments.no_record else Path(folder) / "soak.mp4"
        options = LiveOptions(surface="none", every_frame=True, record=record)
        summary = live("0", options=options, opener=lambda _: Synthetic(), start=start)
    print(json.dumps(summary.to_json(), indent=2))

    after_warm_up = memory[_WARM_SAMPLES]
    grown = max(memory[_WARM_SAMPLES:]) - after_warm_up
    left = [thread.name for thread in threading.enumerate() if thread not in before and not _is_pool(thread)]
    faults = [
        *([f"memory grew by {grown:.1f} MB"] if grown > max(_LEAST_GROWTH_MB, _GROWTH * after_warm_up) else []),
        *([f"traced {sessions[0].explainer.trace_count} times"] if sessions[0].explainer.trace_count != 1 else []),
        *([f"threads left behind: {', '.join(left)}"] if left else []),
        *([f"{summary.frames} frames explained"] if summary.frames != arguments.frames else []),
    ]
    print("; ".join(faults) or f"flat: {grown:+.1f} MB after the first fifth, one trace, no thread left behind")
    return 1 if faults else 0


def _is_pool(thread: threading.Thread) -> bool:
    """The overlay's helper lives as long as the overlay."""
    return thread.name.startswith("overlay")


if __name__ == "__main__":
    sys.exit(main())
