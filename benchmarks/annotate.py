"""How near `live-gradcam annotate` comes to what this machine can do, and to the script that people write.

Every part runs in a process of its own, which waits while the others run; rounds go through all of them in turn, each
on the same frames. Printed are medians over the rounds:

- annotate: a file in, an annotated file out, as the command does it;
- one, two (if asked for): the same with one, and with two frames explained at a time;
- decode, explain, draw, encode: each stage alone, on frames that are in memory already;
- script: one frame at a time, OpenCV in, an eager GradientTape over the Keras model, OpenCV out (mp4v, no sound).

The ceiling is what no arrangement of the stages can beat: the slowest stage alone, or the CPU time of all of them over
the number of processors, whichever is slower.

    python benchmarks/annotate.py [VIDEO] [--frames 240] [--rounds 5] [--batch 1] [--fit stretch] [--engine xla]
    python benchmarks/annotate.py --only one,two                    # their ratio, round by round

The script squeezes frames, as such scripts do; `--fit stretch` does the same.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

TOUR = Path(__file__).parent.parent / "videos" / "tour.mp4"
STAGES = ("decode", "explain", "draw", "encode")
PARTS = ("annotate", *STAGES, "script")
#: Frames kept in memory, for the stages that begin there.
KEPT = 48
#: The variable that says to a part's process how frames enter the network.
FIT_VARIABLE = "ANNOTATE_BENCHMARK_FIT"
#: The variables that say with which network and engine, likewise.
MODEL_VARIABLE, ENGINE_VARIABLE = "ANNOTATE_BENCHMARK_MODEL", "ANNOTATE_BENCHMARK_ENGINE"
#: The script is so slow that a few of its frames tell as much.
SCRIPT_FRAMES = 24

#: A part's run: it takes a number of frames and does its work on them.
Run = Callable[[int], None]


def main(
    video: Annotated[Path, typer.Argument(help="A video.")] = TOUR,
    frames: Annotated[int, typer.Option(help="How many frames a round.")] = 240,
    rounds: Annotated[int, typer.Option(help="How many rounds.")] = 5,
    batch: Annotated[int, typer.Option(help="Frames that annotate explains at a time.")] = 1,
    fit: Annotated[str, typer.Option(help="How frames enter the network.")] = "tiles",
    model: Annotated[str, typer.Option("--model", "-m", help="The network.")] = "efficientnet-lite0",
    engine: Annotated[str, typer.Option(help="What runs it.")] = "xla",
    only: Annotated[str, typer.Option(help="Parts, with commas.")] = ",".join(PARTS),
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the numbers there.")] = None,
    part: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Measure, interleaved, and print a table."""
    os.environ.update({FIT_VARIABLE: fit, MODEL_VARIABLE: model, ENGINE_VARIABLE: engine})
    if part is not None:
        serve(part, video, batch)
        return
    parts = only.split(",")
    processes = {name: start(name, video, batch) for name in parts}
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in parts}
    for _ in range(rounds):
        for name, process in processes.items():
            measured[name].append(ask(process, SCRIPT_FRAMES if name == "script" else frames))
    for process in processes.values():
        process.communicate("", timeout=60)
    medians = print_table(measured)
    if {"one", "two"} <= set(parts):
        print_ratio(measured)
    if set(PARTS) <= set(parts):
        report(medians, json_path)
    elif json_path is not None:
        json_path.write_text(json.dumps({"parts": medians}, indent=2) + "\n")


def print_ratio(measured: dict[str, list[dict[str, float]]]) -> None:
    """Print what two at a time bring, in time and in processor time, over the rounds."""
    for key, what in (("wall", "frames per second"), ("cpu", "frames per second of processor time")):
        ratios = [one[key] / two[key] for one, two in zip(measured["one"], measured["two"], strict=True)]
        low, middle, high = np.quantile(ratios, (0.25, 0.5, 0.75))
        print(f"two at a time: {middle:.3f} × the {what} of one (quarters {low:.3f} and {high:.3f})")


def print_table(measured: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Print the medians of each part. Returns them."""
    cores = len(os.sched_getaffinity(0))
    medians = {
        name: {key: float(np.median([round_[key] for round_ in rounds])) for key in rounds[0]}
        for name, rounds in measured.items()
    }
    print(f"{cores} processors; medians of {len(next(iter(measured.values())))} rounds\n")
    print(f"{'':10}{'FPS':>9}{'ms/frame':>11}{'CPU ms/frame':>15}{'peak MiB':>11}")
    for name, row in medians.items():
        print(
            f"{name:10}{1 / row['wall']:>9.1f}{1e3 * row['wall']:>11.2f}{1e3 * row['cpu']:>15.2f}{row['peak']:>11.0f}"
        )
    print()
    return medians


def report(medians: dict[str, dict[str, float]], json_path: Path | None) -> None:
    """Print the ratios that matter."""
    cores = len(os.sched_getaffinity(0))
    ours = medians["annotate"]["wall"]
    ceilings = {}
    for label, stages in (("decode, explain, encode", ("decode", "explain", "encode")), ("all four stages", STAGES)):
        slowest = max(medians[stage]["wall"] for stage in stages)
        work = sum(medians[stage]["cpu"] for stage in stages) / cores
        ceiling = max(slowest, work)
        ceilings[label] = ceiling / ours
        print(
            f"ceiling of {label}: {1 / ceiling:.1f} FPS (slowest stage {1 / slowest:.1f}, "
            f"CPU time {1 / work:.1f}); annotate reaches {100 * ceiling / ours:.0f} %"
        )
    ratio = medians["script"]["wall"] / ours
    less = medians["script"]["cpu"] / medians["annotate"]["cpu"]
    print(f"annotate is {ratio:.1f} times as fast as the script, with {less:.1f} times less CPU time")
    if json_path is not None:
        json_path.write_text(json.dumps({"parts": medians, "ceilings": ceilings, "script": ratio}, indent=2) + "\n")


# --- one part, in its own process ---------------------------------------------------------------------------------


def start(part: str, video: Path, batch: int) -> subprocess.Popen[str]:
    """Start a part's process, and wait until it is ready."""
    command = [sys.executable, "-P", __file__, str(video), "--part", part, "--batch", str(batch)]
    command += ["--fit", os.environ[FIT_VARIABLE], "--model", os.environ[MODEL_VARIABLE]]
    command += ["--engine", os.environ[ENGINE_VARIABLE]]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    if process.stdout.readline().strip() != "ready":
        raise SystemExit(f"the part {part} did not start")
    return process


def ask(process: subprocess.Popen[str], frames: int) -> dict[str, float]:
    """Have a part done with so many frames: seconds and CPU seconds per frame, and the process's peak memory in MiB."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{frames}\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def serve(part: str, video: Path, batch: int) -> None:
    """Be a part: run whenever a number of frames comes."""
    from live_gradcam.flow.overlap import let_stages_run_on

    let_stages_run_on()
    with tempfile.TemporaryDirectory() as folder:
        run: Run = MAKE[part](video, Path(folder), batch)
        run(8)
        print("ready", flush=True)
        for line in sys.stdin:
            frames = int(line)
            begun, cpu = time.perf_counter(), time.process_time()
            run(frames)
            wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(json.dumps({"wall": wall / frames, "cpu": cpu / frames, "peak": peak}), flush=True)


def some_frames(video: Path) -> list[np.ndarray]:
    """Frames from all over a video, uint8 BGR."""
    from live_gradcam.sources.reader import VideoReader

    with VideoReader(video) as reader:
        every = max(1, (reader.expected_frames or 0) // KEPT)
        return [frame.image for frame in islice(reader.frames(), 0, KEPT * every, every)]


def make_annotate(video: Path, folder: Path, batch: int, callers: int | None = None) -> Run:
    """A file in, an annotated file out, as the command does it, or with so many frames explained at a time."""
    from live_gradcam.annotating import run as module
    from live_gradcam.annotating.batch import Batch, Planned
    from live_gradcam.annotating.jobs import AnnotateJob
    from live_gradcam.annotating.options import AnnotateOptions
    from live_gradcam.annotating.provenance import Provenance, made_with
    from live_gradcam.annotating.run import annotate_recording
    from live_gradcam.attribution.session import start_session
    from live_gradcam.flow.stopping import StopRequest
    from live_gradcam.sources.reader import VideoReader

    with VideoReader(video) as reader:
        times = [frame.pts for frame in reader.frames()]
    options = AnnotateOptions(batch=batch)
    session_options = options.for_session(session_wanted())
    session = start_session(session_options)
    if callers is not None:
        module._WORTH_TIMING = 0  # also of few frames
        session = with_callers(session, callers)
    job = AnnotateJob(video, folder / "annotated.mp4")

    def run(frames: int) -> None:
        assert frames < len(times), "the video is shorter than a round"
        part = AnnotateOptions(batch=batch, end=times[frames] - times[0])
        planned = Planned.of(job, Provenance.of(video, made_with(session_options, part)))
        annotate_recording(planned, session, Batch([planned], part, StopRequest()))

    return run


def session_wanted() -> Any:
    """The options of the session, as the variables say."""
    from live_gradcam.attribution.session import SessionOptions

    environment = os.environ
    return SessionOptions(
        environment[MODEL_VARIABLE], fit=environment[FIT_VARIABLE], engine=environment[ENGINE_VARIABLE]
    )


def with_callers(session: Any, callers: int) -> Any:
    """A session that has so many threads explain, whatever is faster."""
    from live_gradcam.attribution.session import Session

    class Fixed(Session):
        def fastest_callers(self, frame_size: tuple[int, int], batch: int = 1) -> int:
            return callers

    return Fixed(**vars(session))


def make_decode(video: Path, folder: Path, batch: int) -> Run:
    """Decoding and conversion to BGR alone."""
    from live_gradcam.sources.reader import VideoReader

    def run(frames: int) -> None:
        with VideoReader(video) as reader:
            exhaust(islice(reader.frames(), frames))

    return run


def make_explain(video: Path, folder: Path, batch: int) -> Run:
    """The network and its maps alone."""
    from live_gradcam.attribution.session import start_session

    session, images = start_session(session_wanted()), some_frames(video)

    def run(frames: int) -> None:
        source = cycle(images)
        for _ in range(0, frames, batch):
            session.explain_batch(list(islice(source, batch)), batch)

    return run


def make_draw(video: Path, folder: Path, batch: int) -> Run:
    """The overlay and the text alone."""
    from live_gradcam.annotating.drawing import Drawing
    from live_gradcam.annotating.explaining import TimedExplanation
    from live_gradcam.annotating.options import AnnotateOptions
    from live_gradcam.annotating.tracking import Tracker
    from live_gradcam.attribution.session import start_session

    options = AnnotateOptions()
    session, images = start_session(session_wanted()), some_frames(video)
    explanations = [session.explain(image) for image in images]

    def run(frames: int) -> None:
        tracker, drawing = Tracker(options, session.vocabulary, 0.0, 0), Drawing(options)
        for index, position in enumerate(islice(cycle(range(len(images))), frames)):
            image = images[position]
            timed = TimedExplanation(index, Fraction(index, 30), image.shape[:2], explanations[position])
            drawing.picture(image, tracker.track(timed, numbers=False).shown)

    return run


def make_encode(video: Path, folder: Path, batch: int) -> Run:
    """The conversion from BGR and the encoder alone, on annotated frames one after the other."""
    from live_gradcam.sinks.writer import VideoWriter
    from live_gradcam.sources.reader import VideoReader

    command = [sys.executable, "-m", "live_gradcam", "annotate", str(video), "-o", str(folder / "annotated.mp4")]
    subprocess.run([*command, "--end", "5"], check=True, stdout=subprocess.DEVNULL)
    with VideoReader(folder / "annotated.mp4") as reader:
        images = [frame.image for frame in islice(reader.frames(), 2 * KEPT)]
        rate, time_base = reader.frame_rate, reader.time_base

    def run(frames: int) -> None:
        there_and_back = cycle([*images, *images[::-1]])  # without a cut where they begin again
        size = images[0].shape[:2]
        with VideoWriter(folder / "encoded.mp4", size=size, frame_rate=rate, time_base=time_base) as writer:
            for position, image in enumerate(islice(there_and_back, frames)):
                writer.write(image, position / rate)

    return run


def make_script(video: Path, folder: Path, batch: int) -> Run:
    """The recipe that tutorials give, on the same network."""
    import cv2
    import keras
    import tensorflow as tf

    from live_gradcam import load_classifier
    from live_gradcam.attribution.explainer import Explainer

    classifier = load_classifier("efficientnet-lite0")
    model = classifier.model
    layer = Explainer(classifier, tune="off").layer
    both = keras.Model(model.inputs, [model.get_layer(layer).output, model.output])

    def run(frames: int) -> None:
        capture = cv2.VideoCapture(str(video))
        size = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        writer = cv2.VideoWriter(str(folder / "script.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 30, size)
        for _ in range(frames):
            _, frame = capture.read()
            small = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), classifier.input_size[::-1])
            pixels = (small[None].astype(np.float32) - 127) / 128
            with tf.GradientTape() as tape:
                activations, scores = both(pixels, training=False)
                best = int(tf.argmax(scores[0]))
                score = scores[:, best]
            weights = tf.reduce_mean(tape.gradient(score, activations), axis=(1, 2))
            heatmap = tf.nn.relu(tf.reduce_sum(activations[0] * weights[0], axis=-1)).numpy()
            heatmap = np.uint8(255 * heatmap / (heatmap.max() or 1))
            coloured = cv2.applyColorMap(cv2.resize(heatmap, size), cv2.COLORMAP_JET)
            picture = cv2.addWeighted(frame, 0.6, coloured, 0.4, 0)
            cv2.putText(picture, classifier.labels[best], (10, 40), cv2.FONT_HERSHEY_SIMPLEX, 1, (255, 255, 255), 2)
            writer.write(picture)
        writer.release()

    return run


def exhaust(items: Iterable[Any]) -> None:
    """Take all items, and keep none."""
    for _ in items:
        pass


MAKE: dict[str, Callable[[Path, Path, int], Run]] = {
    "annotate": make_annotate,
    "one": partial(make_annotate, callers=1),
    "two": partial(make_annotate, callers=2),
    "decode": make_decode,
    "explain": make_explain,
    "draw": make_draw,
    "encode": make_encode,
    "script": make_script,
}

if __name__ == "__main__":
    typer.run(main)
