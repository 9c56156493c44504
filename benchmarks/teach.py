"""What a frame costs while the network is taught, over what it costs without.

    python benchmarks/teach.py                            # EfficientNet-Lite0 on videos/tour.mp4
    python benchmarks/teach.py --seconds 120 --fps 30
    python benchmarks/teach.py --json teach.json

Frames come at a camera's rate. Seconds with and without teaching take turns: in every other one a class is collected,
and at its end the head is fitted, swapped, and tested, as the live loop does it, while frames go on. The frame without
teaching is that of an explainer that gives no features. The table gives the milliseconds of a frame; "cost" is the
ratio of the means.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from live_gradcam.compiling.runtime import describe_runtime, set_compiler_flags

_VIDEO = Path(__file__).parents[1] / "videos" / "tour.mp4"
_CLASSES = 3


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", default="efficientnet-lite0")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--fps", type=float, default=30)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    set_compiler_flags()  # before TensorFlow is imported
    report = measure(options.model, options.seconds, options.fps)
    for name in ("without", "teaching"):
        numbers = report[name]
        print(f"{name:10} {' '.join(f'{key} {value:8.2f}' for key, value in numbers.items())}")
    print(f"cost {report['cost']:.3f} × (median {report['cost_of_median']:.3f} ×), {report['examples']} examples")
    print(f"traces: {report['traces']}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def measure(model: str, seconds: int, fps: float) -> dict[str, Any]:
    """Explain frames with and without teaching in turn."""
    from live_gradcam import Explainer, Session, open_source
    from live_gradcam.attribution.options import ExplainerOptions
    from live_gradcam.fitting.taught_session import taught_session
    from live_gradcam.fitting.teacher import Teacher
    from live_gradcam.live_loop.teaching import Teaching
    from live_gradcam.sources.frame import Frame

    with open_source(_VIDEO) as source:
        images = [frame.image for frame in itertools.islice(source.frames(), 0, None, 10)]
    teacher = Teacher.load(model)
    options = ExplainerOptions().changed(maps=1)
    session = taught_session(teacher, options, images[0].shape[:2])
    plain = Explainer(teacher.live_classifier, maps=1, fit=teacher.input_fit, tune="remembered")
    plain.warm_up()
    without = Session(plain, (), {})
    assert session.explain_frame(images[0]).features is not None
    assert without.explain_frame(images[0]).features is None
    times: dict[str, list[float]] = {"without": [], "teaching": []}
    with Teaching() as teaching:
        teaching.take(teacher, session)
        for second in range(seconds):
            is_teaching = second % 2 == 1
            name, explained = ("teaching", session) if is_teaching else ("without", without)
            if is_teaching:
                teaching.hold(second // 2 % _CLASSES + 1)
            for place in range(round(fps)):
                due = time.perf_counter() + 1 / fps
                image = images[(second * 7 + place) % len(images)]
                frame = Frame(image, place, Fraction(second) + Fraction(place) / Fraction(fps), time.monotonic())
                start = time.perf_counter()
                if is_teaching:
                    teaching.swap()
                explanation = explained.explain_frame(image)
                if is_teaching:
                    teaching.see(frame, explanation.features)
                times[name].append(time.perf_counter() - start)
                if is_teaching and place == round(fps) // 2:
                    teaching.release()  # what it brings about is done in this second
                time.sleep(max(0.0, due - time.perf_counter()))
        examples = sum(one.count for one in teaching.classes)
    of_teaching, of_none = times["teaching"][round(fps) :], times["without"][round(fps) :]
    return {
        "model": model,
        "without": statistics(of_none),
        "teaching": statistics(of_teaching),
        "cost": float(np.mean(of_teaching) / np.mean(of_none)),
        "cost_of_median": float(np.median(of_teaching) / np.median(of_none)),
        "examples": examples,
        "traces": session.explainer.trace_count,
        "runtime": describe_runtime(),
    }


def statistics(seconds: list[float]) -> dict[str, float]:
    """Milliseconds: the mean, percentiles, and the longest."""
    milliseconds = 1e3 * np.array(seconds)
    p50, p95, p99 = np.percentile(milliseconds, [50, 95, 99])
    return {"mean": float(milliseconds.mean()), "p50": p50, "p95": p95, "p99": p99, "max": float(milliseconds.max())}


if __name__ == "__main__":
    main()
