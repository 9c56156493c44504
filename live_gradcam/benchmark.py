"""Measuring: how many explained frames per second, and what the map costs over the prediction."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from live_gradcam.attribution.agreement import compare_answers
from live_gradcam.attribution.fit_choice import Stream
from live_gradcam.attribution.session import Session, SessionOptions, start_session
from live_gradcam.attribution.start import StartSession
from live_gradcam.attribution.targets import Targets
from live_gradcam.attribution.timing import takes_callers
from live_gradcam.compiling.runtime import describe_runtime
from live_gradcam.drawing.hud import draw_predictions
from live_gradcam.drawing.overlay import Overlay
from live_gradcam.errors import SourceError, check_number
from live_gradcam.explanations.explanation import Explanation
from live_gradcam.flow.metrics import StageTimings, percentiles_ms
from live_gradcam.flow.side_by_side import side_by_side
from live_gradcam.sinks.writer import VideoWriter
from live_gradcam.sources.frame import Frame
from live_gradcam.sources.opening import open_source
from live_gradcam.sources.options import DEFAULT_OPTIONS, SourceOptions
from live_gradcam.sources.playback import noted_frames

#: Of the report. New fields may come under the same number.
SCHEMA = 1

_SYNTHETIC_RATE = Fraction(30)
_TIME_BASE = Fraction(1, 90_000)
_SETTLING_PAIRS = 5
#: Two frames at a time are compared with one in turns of so many frames.
_TURN = 10
_DRIFT_PIXELS = 7


def synthetic_frames(size: tuple[int, int]) -> Iterator[Frame]:
    """An endless stream of a soft coloured pattern that drifts by, no two frames in a row alike.

    Args:
        size: (height, width) in pixels.
    """
    height, width = size
    coarse = np.random.default_rng(0).integers(0, 256, (9, 32, 3), np.uint8)
    pattern = cv2.resize(coarse, (2 * width, height), interpolation=cv2.INTER_CUBIC)
    panorama = np.concatenate([pattern, pattern[:, ::-1]], axis=1)  # mirrored, so that its ends meet
    panorama = np.concatenate([panorama, panorama[:, :width]], axis=1)
    for index in itertools.count():
        left = _DRIFT_PIXELS * index % (4 * width)
        image = np.ascontiguousarray(panorama[:, left : left + width])
        yield Frame(image, index, index / _SYNTHETIC_RATE, time.monotonic())


def file_frames(uri: str | Path, options: SourceOptions = DEFAULT_OPTIONS) -> Iterator[Frame]:
    """The frames of a source, over and over, their times going on.

    Args:
        uri: see `open_source`.
        options: what is wanted of it.

    Raises:
        SourceError: it cannot be opened, or gives no frame.
    """
    offset = Fraction(0)
    index = 0
    while True:
        with open_source(uri, options) as source:
            before = index
            last = offset
            for frame in source.frames() if index else noted_frames(source):
                last = offset + frame.pts
                yield Frame(frame.image, index, last, frame.captured_at)
                index += 1
            if index == before:
                raise SourceError(f"not one frame of {source.name} can be read")
            offset = last + 1 / (source.frame_rate or _SYNTHETIC_RATE)


def bench(
    source: str | Path | None = None,
    *,
    reading: SourceOptions = DEFAULT_OPTIONS,
    session: SessionOptions | None = None,
    overlay: Overlay | None = None,
    frames: int = 200,
    size: tuple[int, int] = (720, 1280),
    process_start: float | None = None,
    start: StartSession = start_session,
) -> dict[str, Any]:
    """Measure the whole way of a frame, and explaining against predicting.

    Args:
        source: what gives frames, see `open_source`; a video or pictures are repeated. None for a synthetic stream.
        reading: what is wanted of the source.
        session: the options of the session to measure.
        overlay: draws.
        frames: how many frames to measure.
        size: (height, width) in pixels of the synthetic stream's frames.
        process_start: `time.perf_counter()` at which the process began; None for now.
        start: starts the session.

    Returns:
        The report, as plain values: see docs/json.md. `fps` counts frames that are read, explained, drawn and encoded
        one after the other; `latency_ms` is from a frame being there to its picture being drawn; `stages_ms`,
        `forward_ms` (predictions only) and `explain_ms` (predictions and Grad-CAM) are medians; `gradcam_overhead` is
        the median of the ratios of pairs, explaining and predicting the same new frame in turn; `two_at_a_time` is what
        two threads explain together, in turn with one: frames per second, and their ratio; `compile_s` is tracing
        and compiling, and `start_s` the whole start by part; `time_to_first_frame_s` counts from the process's start.
        `agreement` compares with full precision: None for a session of full precision, else the share of frames with
        the same top class, and the mean and least correlation of the maps of one class.

    Raises:
        UsageError: `frames` is less than 1.
        LiveGradcamError: the source cannot be read; and as `start_session`.
    """
    begun = time.perf_counter() if process_start is None else process_start
    check_number("--frames", frames, least=1)
    options, overlay = session or SessionOptions(), overlay or Overlay()
    options.check()
    stream = synthetic_frames(size) if source is None else file_frames(source, reading)
    first = next(stream)
    height, width = first.image.shape[:2]

    def look() -> Stream:
        return Stream((height, width), None)

    started = start(options, look=look)
    started.explain(first.image)
    time_to_first_frame = time.perf_counter() - begun
    forward, explained, ratios = _compare(stream, started, frames)
    timings, latencies, seconds = _run_stages(stream, started, overlay, frames)
    two_at_a_time = _compare_callers(stream, started, frames) if takes_callers(started.explainer) else None
    agreement = None
    if started.precision != "f32":
        reference = start(replace(options, precision="f32"), look=look)
        images = (frame.image for frame in itertools.islice(stream, frames))
        agreement = asdict(compare_answers(images, partial(_explain, reference), partial(_explain, started)))
    return {
        "schema": SCHEMA,
        "model": started.model,
        "method": started.method,
        "layer": started.layer,
        "engine": started.engine,
        "engine_choice": started.chosen.text if started.chosen else None,
        "precision": started.precision,
        "fit": started.fit,
        "tiles": started.tiles_for((height, width)),
        "input_size": list(started.input_size),
        "frame_size": [height, width],
        "frames": frames,
        "fps": frames / seconds,
        "latency_ms": percentiles_ms(latencies),
        "stages_ms": timings.medians_ms(),
        "forward_ms": 1e3 * float(np.median(forward)),
        "explain_ms": 1e3 * float(np.median(explained)),
        "gradcam_overhead": float(np.median(ratios)),
        "two_at_a_time": two_at_a_time,
        "agreement": agreement,
        "compile_s": started.start_s["compile"],
        "start_s": started.start_s,
        "time_to_first_frame_s": time_to_first_frame,
        "rewrites": started.rewrites,
        **describe_runtime(),
    }


def _compare(stream: Iterator[Frame], session: Session, pairs: int) -> tuple[list[float], list[float], list[float]]:
    """Predicting and explaining in turn, a new frame for each pair, the order swapped from pair to pair."""
    forward, explain, ratios = [], [], []
    for pair in range(-_SETTLING_PAIRS, pairs):
        image = next(stream).image
        first_predict = pair % 2 == 0
        seconds = {}
        for predicting in (first_predict, not first_predict):
            start = time.perf_counter()
            if predicting:
                session.predict(image)
            else:
                session.explain(image)
            seconds[predicting] = time.perf_counter() - start
        if pair >= 0:
            forward.append(seconds[True])
            explain.append(seconds[False])
            ratios.append(seconds[False] / seconds[True])
    return forward, explain, ratios


def _compare_callers(stream: Iterator[Frame], session: Session, frames: int) -> dict[str, float]:
    """The same frames explained one at a time and two at a time, in turns, the order swapped from turn to turn."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(-1, max(1, frames // _TURN)):
        images = [frame.image for frame in itertools.islice(stream, _TURN)]
        for callers in (1, 2) if turn % 2 else (2, 1):
            start = time.perf_counter()
            for _ in side_by_side(session.explain, images, callers):
                pass
            if turn >= 0:
                rates[callers].append(len(images) / (time.perf_counter() - start))
    ratios = [two / one for one, two in zip(rates[1], rates[2], strict=True)]
    return {
        "fps": float(np.median(rates[2])),
        "fps_of_one": float(np.median(rates[1])),
        "gain": float(np.median(ratios)),
    }


def _explain(session: Session, image: np.ndarray, targets: Targets) -> Explanation:
    return session.explain(image, targets=targets)


def _run_stages(
    stream: Iterator[Frame], session: Session, overlay: Overlay, frames: int
) -> tuple[StageTimings, list[float], float]:
    """Read, explain, draw and write: the stages' times, each frame's latency and the seconds in all.

    The latency is from the frame being there to its picture being drawn.
    """
    timings = StageTimings()
    latencies: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        with timings.measure("read"):
            frame = next(stream)
        size = frame.image.shape[:2]
        output = Path(folder, "bench.mp4")
        with VideoWriter(output, size=size, frame_rate=_SYNTHETIC_RATE, time_base=_TIME_BASE) as writer:
            for remaining in reversed(range(frames)):
                there = time.perf_counter()
                with timings.measure("explain"):
                    explanation = session.explain(frame.image)
                with timings.measure("draw"):
                    picture = overlay.blend(frame.image, explanation, in_place=True)
                    draw_predictions(picture, explanation)
                latencies.append(time.perf_counter() - there)
                with timings.measure("write"):
                    writer.write(picture, frame.pts)
                if remaining:
                    with timings.measure("read"):
                        frame = next(stream)
        return timings, latencies, time.perf_counter() - begun
