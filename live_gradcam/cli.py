"""The command line: each command parses, calls one pipeline, and turns errors into one line and an exit code.

Nothing heavy is imported before a command computes: `--help` and wrong arguments answer at once.
"""

import importlib.metadata
import inspect
import json
import logging
import os
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from enum import Enum
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from live_gradcam.addresses import address_of, masked, masked_values
from live_gradcam.attribution.fit_choice import describe_fit
from live_gradcam.attribution.session import Engine, EngineOptions
from live_gradcam.errors import LiveGradcamError, UsageError
from live_gradcam.networks.catalog import CATALOG, DEFAULT_MODEL

if TYPE_CHECKING:
    from live_gradcam.annotating.cluster import ClusterWorkers
    from live_gradcam.annotating.jobs import AnnotateJob
    from live_gradcam.annotating.options import AnnotateOptions
    from live_gradcam.annotating.summary import AnnotateSummary
    from live_gradcam.annotating.workers import ProcessWorkers
    from live_gradcam.attribution.fit_choice import Look
    from live_gradcam.drawing.overlay import Overlay
    from live_gradcam.evaluation import Evaluation, Figures
    from live_gradcam.explanations.boxes import BoxOptions
    from live_gradcam.explanations.explanation import Prediction
    from live_gradcam.sinks.encoding import Encoding
    from live_gradcam.sources.levels import Levels

_PROCESS_START = time.perf_counter()
_FAILED, _INTERRUPTED = 1, 130
_PIPE_WIDTH = 200
_LARGEST_BATCH = 64
_HIGHEST_RATE = 1000
_SMALLEST_INPUT, _LARGEST_INPUT = 32, 4096

app = typer.Typer(
    name="live-gradcam",
    help="See what an image classifier sees, and where: Grad-CAM on cameras, streams, videos and pictures.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_terminal = Console(stderr=True, highlight=False)


def main() -> None:
    """Run the command line."""
    app()


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"live-gradcam {importlib.metadata.version('live-gradcam')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


# --- flags that commands share: one spelling everywhere -----------------------------------------------------------


class Score(str, Enum):
    """`--score`."""

    LOGIT = "logit"
    MARGIN = "margin"
    PROBABILITY = "probability"


class Fit(str, Enum):
    """`--fit`."""

    AUTO = "auto"
    STRETCH = "stretch"
    CROP = "crop"
    LETTERBOX = "letterbox"
    NATIVE = "native"
    TILES = "tiles"


class OutputKind(str, Enum):
    """`--output` of a model's numbers."""

    CLASSES = "classes"
    LABELS = "labels"
    VALUES = "values"


class Names(str, Enum):
    """`--names`."""

    IMAGENET = "imagenet"
    EVERYDAY = "everyday"


class Lowering(str, Enum):
    """`--lowering`."""

    ON = "on"
    OFF = "off"


class FirstView(str, Enum):
    """`--view`."""

    OVERLAY = "overlay"
    SIDE_BY_SIDE = "side-by-side"
    HEATMAP = "heatmap"
    RAW = "raw"
    GRID = "grid"


class HudLevel(str, Enum):
    """`--hud`."""

    FULL = "full"
    MINIMAL = "minimal"
    NONE = "none"


class Tune(str, Enum):
    """`--tune`."""

    OFF = "off"
    REMEMBERED = "remembered"
    AUTO = "auto"
    FULL = "full"


class Backend(str, Enum):
    """`--engine`."""

    XLA = "xla"
    GRAPH = "graph"
    OPENVINO = "openvino"
    ONNXRUNTIME = "onnxruntime"


class Precision(str, Enum):
    """`--precision`."""

    F32 = "f32"
    BF16 = "bf16"


Model = Annotated[
    str, typer.Option("--model", "-m", metavar="NAME|PATH", help="A network's name, or a .keras or .h5 file.")
]
Weights = Annotated[
    str, typer.Option("--weights", metavar="FILE|imagenet|none", help="A weights file; none: random weights.")
]
Labels = Annotated[
    str | None,
    typer.Option("--labels", metavar="FILE", help="Class names: one a line, JSON or CSV; or the word imagenet."),
]
Preprocessing = Annotated[
    str | None,
    typer.Option(
        "--preprocessing",
        metavar="NAME",
        help="How pixels become input: auto (what the model's batch norms expect), raw (0…255), unit (0…1), tf (-1…1), "
        "caffe, torch; raw-bgr, unit-bgr, tf-bgr. Default: the network's own, or auto.",
    ),
]
OutputFlag = Annotated[
    OutputKind | None,
    typer.Option(
        "--output-kind",
        help="What a model file's numbers are: classes (one is right), labels (each by itself), values (no "
        "probabilities). Default: what its last layer says.",
    ),
]
Head = Annotated[
    str | None,
    typer.Option("--head", metavar="NAME", help="The output of a model file to explain, where it has several."),
]
Feed = Annotated[
    list[str] | None,
    typer.Option(
        "--feed",
        metavar="NAME=VALUE|FILE.npy",
        help="Hold an input of a model file other than the picture still. Several inputs: give it several times.",
    ),
]
Layer = Annotated[
    str | None,
    typer.Option(
        "--layer", metavar="NAME[,NAME…]", help="Target layer, or several to fuse. Default: the last feature maps."
    ),
]
CustomObjects = Annotated[
    str | None,
    typer.Option(
        "--custom-objects",
        metavar="FILE.py",
        help="Run this Python file first: it defines the classes that the model file uses besides Keras' own.",
    ),
]
TrustModel = Annotated[
    bool,
    typer.Option(
        "--trust-model", help="Run the code that a model file holds (Lambda layers): only for files you trust."
    ),
]
SourceFps = Annotated[
    str | None,
    typer.Option(
        "--source-fps",
        metavar="N",
        help="Frames a second of a file without times, such as .h264. Default: what it names.",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")]
TuneFlag = Annotated[
    Tune,
    typer.Option(
        "--tune",
        help="Time the forms of each layer: auto: what is not remembered, for seconds; remembered: nothing new; full: "
        "all, anew.",
    ),
]
PictureLevels = Annotated[
    str | None,
    typer.Option(
        "--levels",
        metavar="LOW:HIGH",
        help="The values that are black and white in pictures: 0:4095. Default: by the file, or by the bits in use.",
    ),
]
JsonPath = Annotated[
    Path | None, typer.Option("--json", metavar="PATH|-", help="Write the numbers as JSON; -: to stdout.")
]


def _model_flags(
    model: Model = DEFAULT_MODEL,
    weights: Weights = "imagenet",
    labels: Labels = None,
    preprocessing: Preprocessing = None,
    output_kind: OutputFlag = None,
    head: Head = None,
    feed: Feed = None,
    layer: Layer = None,
    custom_objects: CustomObjects = None,
    trust_model: TrustModel = False,
) -> EngineOptions:
    return EngineOptions(
        model,
        weights,
        labels,
        preprocessing,
        output_kind.value if output_kind else None,
        head,
        tuple(feed or ()),
        layer,
        custom_objects=custom_objects,
        trust=trust_model,
    )


def _engine_flags(
    model: Model = DEFAULT_MODEL,
    weights: Weights = "imagenet",
    labels: Labels = None,
    preprocessing: Preprocessing = None,
    output_kind: OutputFlag = None,
    head: Head = None,
    feed: Feed = None,
    layer: Layer = None,
    custom_objects: CustomObjects = None,
    trust_model: TrustModel = False,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            "-c",
            metavar="top1|INDEX|LABEL|A>B",
            help="The class to explain, or why A rather than B. Several: a map each.",
        ),
    ] = None,
    topk: Annotated[int, typer.Option("--topk", "-k", min=1, metavar="N", help="How many predictions to show.")] = 5,
    score: Annotated[Score, typer.Option("--score", help="What is differentiated.")] = Score.LOGIT,
    fit: Annotated[
        Fit,
        typer.Option("--fit", help="How a frame is made to fit the network's input. auto: the best that keeps up."),
    ] = Fit.AUTO,
    tiles: Annotated[
        int | None,
        typer.Option(
            "--tiles",
            min=1,
            max=16,
            metavar="N",
            help="Cut a frame into N overlapping tiles. Default: by its shape, 16:9 into 3.",
        ),
    ] = None,
    names: Annotated[
        Names | None,
        typer.Option(
            "--names",
            help='List ImageNet\'s classes ("Egyptian cat") or everyday names ("cat"). Default: everyday for live, and '
            "where -c names one.",
        ),
    ] = None,
    input_size: Annotated[
        str | None,
        typer.Option(
            "--input-size",
            metavar="N|WxH",
            help="Run the network at another size: larger gives finer maps. Only where it takes any.",
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            metavar="NAME",
            help="grad-cam, grad-cam++, hirescam, xgrad-cam, layercam, elementwise, cam, eigen-cam, eigengrad-cam, "
            "finer-cam, recipro-cam, counterfactual; for pictures and files guided-grad-cam, score-cam, ablation-cam.",
        ),
    ] = "grad-cam",
    lowering: Annotated[
        Lowering, typer.Option("--lowering", help="Rewrite the network for the engine; off: as Keras has it.")
    ] = Lowering.ON,
    backend: Annotated[Backend, typer.Option("--engine", help="What runs the network and its gradient.")] = Backend.XLA,
    tune: TuneFlag = Tune.AUTO,
    precision: Annotated[
        Precision, typer.Option("--precision", help="Of the products before the target layer; sums are f32.")
    ] = Precision.F32,
    threads: Annotated[
        int | None,
        typer.Option("--threads", min=1, metavar="N", help="Threads that compute. Default: one a processor."),
    ] = None,
) -> EngineOptions:
    return EngineOptions(
        model,
        weights,
        labels,
        preprocessing,
        output_kind.value if output_kind else None,
        head,
        tuple(feed or ()),
        layer,
        classes=tuple(classes or ()),
        topk=topk,
        score=score.value,
        fit=fit.value,
        tiles=tiles,
        names=names.value if names else None,
        lowering=lowering is Lowering.ON,
        engine=backend.value,
        tune=tune.value,
        precision=precision.value,
        threads=threads,
        method=method,
        input_size=_parse_input_size(input_size) if input_size else None,
        custom_objects=custom_objects,
        trust=trust_model,
    )


def _drawing_flags(
    alpha: Annotated[float, typer.Option("--alpha", metavar="0…1", help="Weight of the heatmap's colours.")] = 0.5,
    colormap: Annotated[
        str, typer.Option("--colormap", metavar="NAME", help="turbo, jet, viridis, inferno, …: OpenCV's names.")
    ] = "turbo",
) -> "Overlay":
    from live_gradcam.drawing.overlay import Overlay

    return Overlay(colormap, alpha)


def _box_flags(
    box: Annotated[bool, typer.Option("--box/--no-box", help="Draw a box around each region of the map.")] = False,
    box_threshold: Annotated[
        float,
        typer.Option("--box-threshold", metavar="0…1", help="The share of the map's maximum where a region ends."),
    ] = 0.15,
) -> "BoxOptions":
    from live_gradcam.explanations.boxes import BoxOptions

    return BoxOptions(box_threshold, drawn=box)


# --- what surrounds every command ---------------------------------------------------------------------------------


def _command(**groups: Callable[..., Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a command, with shared flags, `-v` and `--debug`, and with errors as one line and an exit code.

    Args:
        groups: for each of these parameters of the command, the function whose parameters are its flags and whose
            result is its value.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        own = [p for p in inspect.signature(function).parameters.values() if p.name not in groups]
        shared = {name: list(inspect.signature(group).parameters.values()) for name, group in groups.items()}
        logging_flags = list(inspect.signature(_set_up_logging).parameters.values())

        def command(**values: Any) -> None:
            debug = values["debug"]
            with _errors_in_a_line(debug=debug):
                _set_up_logging(**{p.name: values.pop(p.name) for p in logging_flags})
                _refuse_addresses(function.__name__, values)
                for name, group in groups.items():
                    values[name] = group(**{p.name: values.pop(p.name) for p in shared[name]})
                function(**values)

        parameters = [*own, *(p for flags in shared.values() for p in flags), *logging_flags]
        keyword_only = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
        command.__signature__ = inspect.Signature(keyword_only)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        command.__doc__ = function.__doc__
        app.command(name=function.__name__)(command)
        return function

    return register


def _refuse_addresses(command: str, values: dict[str, Any]) -> None:
    """Make sure that no file is an address, of which a path has lost a slash."""
    for name, value in values.items():
        for path in value if isinstance(value, list) else [value]:
            address = address_of(path) if isinstance(path, Path) else None
            if address is None:
                continue
            if address.lower().startswith("file:"):
                raise UsageError(f"{address} is an address: give the path alone, without file://")
            if name not in ("source", "sources", "images"):
                flag = name.removesuffix("_path").replace("_", "-")
                raise UsageError(f"{address} is an address, and --{flag} takes a file or a folder")
            raise UsageError(
                f"{address} is an address, and {command} reads files: download it first (curl -LO ADDRESS), or explain "
                "a stream as it comes with live-gradcam live ADDRESS"
            )


def _set_up_logging(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say what is being done.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and TensorFlow's own messages.")] = False,
) -> None:
    handler = _StderrHandler()
    handler.setFormatter(logging.Formatter("live-gradcam: %(message)s"))
    logger = logging.getLogger("live_gradcam")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING)
    if not debug:
        warnings.simplefilter("ignore")  # libraries' notes to programmers


def _is_debugging() -> bool:
    return logging.getLogger("live_gradcam").level == logging.DEBUG


class _StderrHandler(logging.Handler):
    """Logs to `sys.stderr` as it is at the time, which TensorFlow's start replaces for a while."""

    def emit(self, record: logging.LogRecord) -> None:
        print(masked(self.format(record)), file=sys.stderr)


@contextmanager
def _errors_in_a_line(*, debug: bool) -> Iterator[None]:
    try:
        yield
    except LiveGradcamError as error:
        if debug:
            _print_traceback()
        _complain(str(error))
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        raise typer.Exit(_INTERRUPTED) from None
    except typer.Exit:
        raise
    except Exception as error:
        if debug:
            _print_traceback()
            raise typer.Exit(_FAILED) from None
        reason = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        _complain(f"unexpected {reason} (run it again with --debug for the details)")
        raise typer.Exit(_FAILED) from None


def _print_traceback() -> None:
    print(masked(traceback.format_exc()), end="", file=sys.stderr)


def _complain(message: str) -> None:
    print(masked(f"live-gradcam: {' '.join(message.split())}"), file=sys.stderr)


def _start_engine(options: EngineOptions, look: "Look | None" = None) -> Engine:
    from live_gradcam.attribution.session import start_engine

    with _terminal.status(f"starting {options.model}"):
        engine = start_engine(options, look=look, let_tensorflow_talk=_is_debugging())
    log = logging.getLogger(__name__)
    log.info("%s, ready in %.1f s", " · ".join(engine.description), sum(engine.start_s.values()))
    for rule, count in engine.explainer.rewrites.items():
        log.info("lowering: %s, %d times", rule, count)
    return engine


def _write_json(content: Any, path: Path) -> None:
    from live_gradcam.files import writing

    text = json.dumps(masked_values(content), indent=2, ensure_ascii=False)
    if str(path) == "-":
        print(text)
        return
    with writing(path):
        path.write_text(text + "\n", encoding="utf-8")


def _check_json_path(path: Path | None, *, overwrite: bool) -> None:
    from live_gradcam.files import check_output

    if path is not None and str(path) != "-":
        check_output(path, overwrite=overwrite)


# --- the commands -------------------------------------------------------------------------------------------------


@_command(engine=_engine_flags, overlay=_drawing_flags, boxes=_box_flags)
def live(
    engine: EngineOptions,
    overlay: "Overlay",
    boxes: "BoxOptions",
    source: Annotated[
        str,
        typer.Argument(metavar="[SOURCE]", help="Camera number, /dev/videoN, file, or rtsp://, http://, udp:// URL."),
    ] = "0",
    headless: Annotated[bool, typer.Option("--headless", help="No window.")] = False,
    max_frames: Annotated[
        int | None, typer.Option("--max-frames", min=1, metavar="N", help="Stop after N explained frames.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option("--record", metavar="FILE.mp4", help="Write what is seen to a video.")
    ] = None,
    record_clean: Annotated[
        bool, typer.Option("--record-clean", help="Record the frames without anything drawn.")
    ] = False,
    snapshots: Annotated[
        Path, typer.Option("--snapshots", metavar="FOLDER", help="Where the keys s and r write to.")
    ] = Path(),
    view: Annotated[FirstView, typer.Option("--view", help="What the window shows first.")] = FirstView.OVERLAY,
    hud: Annotated[HudLevel, typer.Option("--hud", help="How much is said over the picture.")] = HudLevel.FULL,
    smooth: Annotated[
        float,
        typer.Option(
            "--smooth", min=0, metavar="SECONDS", help="Smooth predictions, maps and boxes over time; 0: not."
        ),
    ] = 0.2,
    smooth_display: Annotated[
        bool,
        typer.Option("--smooth-display", help="Show each frame at once, under the newest map; its age is told."),
    ] = False,
    every_frame: Annotated[
        bool,
        typer.Option("--every-frame/--latest", help="Drop no frame: the source waits. Default: the newest frame wins."),
    ] = False,
    reconnect: Annotated[
        int | None,
        typer.Option(
            "--reconnect", min=0, metavar="N", help="Tries to open a source again that stopped. Default: for ever."
        ),
    ] = None,
    resolution: Annotated[
        str | None, typer.Option("--resolution", metavar="WxH", help="Picture size to ask the camera for.")
    ] = None,
    camera_fps: Annotated[
        float | None, typer.Option("--camera-fps", min=1, metavar="N", help="Frame rate to ask the camera for.")
    ] = None,
    camera_backend: Annotated[
        str | None, typer.Option("--backend", metavar="NAME", help="The camera's driver: v4l2, dshow, avfoundation, …")
    ] = None,
    source_fps: SourceFps = None,
    mirror: Annotated[
        bool | None, typer.Option("--mirror/--no-mirror", help="As in a mirror. Default: on for a local camera.")
    ] = None,
    json_path: JsonPath = None,
    overwrite: Overwrite = False,
) -> None:
    """Explain a camera, a stream or a file as it comes. In the window, h shows the keys and q quits."""
    from live_gradcam.drawing.views import View
    from live_gradcam.files import check_output
    from live_gradcam.live_loop.run import LiveOptions, run_live
    from live_gradcam.sources.capture import CameraOptions, camera_index, open_source
    from live_gradcam.surfaces.window import check_display

    engine.check()
    camera = CameraOptions(_parse_size(resolution) if resolution else None, camera_fps, camera_backend)
    camera.check()
    source_rate = _parse_rate(source_fps, "--source-fps") if source_fps else None
    _check_json_path(json_path, overwrite=overwrite)
    if record:
        check_output(record, overwrite=overwrite)
    if not headless:
        check_display()
    options = LiveOptions(
        headless=headless,
        every_frame=every_frame,
        max_frames=max_frames,
        record=record,
        record_clean=record_clean,
        snapshots=snapshots,
        smooth=smooth,
        smooth_display=smooth_display,
        reconnect=reconnect,
        mirror=camera_index(source) is not None if mirror is None else mirror,
        view=View(view.value),
        hud=hud.value,
        boxes=boxes,
    )
    engine = replace(engine, maps=1 if headless else None, is_live=True)  # the grid shows a map a class
    paced = not (every_frame and headless)
    summary = run_live(
        source,
        lambda look: _start_engine(engine, look),
        overlay,
        options,
        opener=lambda name: open_source(name, camera, paced=paced, source_rate=source_rate),
    )
    if str(json_path) != "-":
        recorded = "".join(f", recorded in {path}" for path in summary.recordings)
        print(f"{summary.frames} frames explained at {summary.fps:.1f} FPS, {summary.dropped} dropped{recorded}")
    if json_path is not None:
        _write_json(summary.record(), json_path)
    if summary.left_out:
        _complain(f"{summary.left_out} frames are not in the recording: the encoder did not keep up")
    code = _INTERRUPTED if summary.stopped else 0
    _leave_threads_behind(code)
    if code:
        raise typer.Exit(code)


def _leave_threads_behind(code: int) -> None:
    """End the process where a driver or a compiler does not come back: all files are finished, and nothing is lost."""
    threads = [thread for thread in threading.enumerate() if thread.name in ("capture-reader", "explain", "compile")]
    if threads:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _encoding_flags(
    codec: Annotated[
        str | None,
        typer.Option("--codec", metavar="NAME", help="h264, hevc, av1, vp9, gif or png. Default: by the ending."),
    ] = None,
    crf: Annotated[
        int | None, typer.Option("--crf", min=0, metavar="N", help="Quality: lower is better, and larger.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option("--preset", metavar="NAME", help="The encoder's speed: veryfast, slow, …; av1: 0…13."),
    ] = None,
    hardware: Annotated[
        bool, typer.Option("--hardware", help="Encode on the graphics hardware, where an encoder opens.")
    ] = False,
) -> "Encoding":
    from live_gradcam.sinks.encoding import Encoding

    return Encoding(codec, crf, preset, hardware)


@_command(engine=_engine_flags, overlay=_drawing_flags, boxes=_box_flags, encoding=_encoding_flags)
def annotate(
    engine: EngineOptions,
    overlay: "Overlay",
    boxes: "BoxOptions",
    encoding: "Encoding",
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...", help="Videos, pictures, folders of them, or numbered pictures: shots/%04d.png."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="The .mp4, .mkv, .webm or .gif to write, or the folder for several. Default: beside SOURCE.",
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--start", metavar="TIME", help="Begin there: seconds, m:ss or h:mm:ss.")
    ] = None,
    end: Annotated[str | None, typer.Option("--end", metavar="TIME", help="End before there.")] = None,
    stride: Annotated[
        int, typer.Option("--stride", min=1, metavar="N", help="Explain every N-th frame, and hold its map.")
    ] = 1,
    output_fps: Annotated[
        str | None,
        typer.Option("--output-fps", metavar="N", help="So many frames a second, such as 25 or 30000/1001."),
    ] = None,
    picture_fps: Annotated[
        str, typer.Option("--picture-fps", metavar="N", help="Pictures a second, where SOURCE is a sequence of them.")
    ] = "25",
    source_fps: SourceFps = None,
    levels: PictureLevels = None,
    size: Annotated[
        str | None, typer.Option("--size", metavar="WxH", help="Size of the output; 1280x or x720: in proportion.")
    ] = None,
    layout: Annotated[
        str,
        typer.Option(
            "--layout", "--view", metavar="NAME", help="overlay, side-by-side, panels, heatmap, raw or grid of classes."
        ),
    ] = "overlay",
    smooth: Annotated[
        float,
        typer.Option("--smooth", min=0, metavar="SECONDS", help="Smooth what is drawn over time; the numbers are not."),
    ] = 0.0,
    jsonl: Annotated[
        Path | None,
        typer.Option("--jsonl", metavar="PATH", help="Write a line of JSON a frame. Several videos: a folder."),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="PATH", help="Write a row a frame. Several videos: a folder.")
    ] = None,
    heatmaps: Annotated[
        Path | None,
        typer.Option(
            "--heatmaps", metavar="PATH", help="Write the raw maps: NAME.npz or NAME.zarr. Several videos: a folder."
        ),
    ] = None,
    contact_sheet: Annotated[
        Path | None,
        typer.Option(
            "--contact-sheet",
            metavar="PATH.png",
            help="Draw the video's classes over time, with some frames. Several videos: a folder.",
        ),
    ] = None,
    batch: Annotated[
        str, typer.Option("--batch", metavar="auto|N", help="Explain so many frames at a time; auto: what is fastest.")
    ] = "auto",
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, max=256, metavar="N", help="Work in N processes, on files and their parts."),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster", metavar="ADDRESS", help="Work on a Ray cluster: HOST:PORT, auto, or local for one here."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on: leave out what is done in this way, begin anew what was cut short.")
    ] = False,
    json_path: JsonPath = None,
    overwrite: Overwrite = False,
) -> None:
    """Write annotated copies of recordings: every frame explained, at its own time, with sound and subtitles."""
    from live_gradcam.annotating.jobs import SidecarPaths, check_jobs, plan_jobs
    from live_gradcam.annotating.options import AnnotateOptions
    from live_gradcam.annotating.parallel import annotate_in_parallel, start_workers
    from live_gradcam.annotating.progress import AnnotateProgress
    from live_gradcam.annotating.provenance import Provenance
    from live_gradcam.annotating.run import annotate_all
    from live_gradcam.annotating.source import SourceAhead, obstacle
    from live_gradcam.annotating.summary import Report, describe_loss, describe_notes
    from live_gradcam.flow.overlap import let_stages_run_on
    from live_gradcam.flow.stopping import StopRequest

    engine.check()
    _check_workers(workers, cluster, encoding)
    options = AnnotateOptions(
        start=_parse_time(start, "--start"),
        end=_parse_time(end, "--end"),
        stride=stride,
        output_fps=_parse_rate(output_fps, "--output-fps") if output_fps else None,
        picture_fps=_parse_rate(picture_fps, "--picture-fps"),
        source_fps=_parse_rate(source_fps, "--source-fps") if source_fps else None,
        levels=_parse_levels(levels),
        size=_parse_output_size(size) if size else None,
        layout=layout,
        smooth=smooth,
        boxes=boxes,
        batch=_parse_batch(batch),
        colormap=overlay.colormap,
        alpha=overlay.alpha,
        encoding=encoding,
    )
    engine = options.engine(engine)
    jobs = plan_jobs(sources, output, options, SidecarPaths(jsonl, csv, heatmaps, contact_sheet))
    provenances = [Provenance.of(job.source, engine, options) for job in jobs]
    are_done = check_jobs(jobs, provenances, options, overwrite=overwrite, resume=resume)
    _check_json_path(json_path, overwrite=overwrite or resume)
    report = Report(importlib.metadata.version("live-gradcam"))
    failed: list[Path] = []

    def say(text: str) -> None:
        if str(json_path) != "-":
            print(text)

    def done(job: "AnnotateJob", summary: "AnnotateSummary") -> None:
        report.done(job, summary)
        progress.done(job)
        say(f"{job.output}: {summary.frames} frames in {summary.seconds:.1f} s ({summary.fps:.1f} FPS)")
        for note in describe_notes(job, summary):
            _complain(note)
        if summary.loss:
            failed.append(job.source)
            _complain(describe_loss(job, summary))

    def not_done(job: "AnnotateJob", error: LiveGradcamError) -> None:
        report.failed(job, error)
        progress.done(job)
        failed.append(job.source)
        _complain(str(error))

    for job in (job for job, is_done in zip(jobs, are_done, strict=True) if is_done):
        report.skipped(job)
        say(f"{job.output} is done already")
    todo = [pair for pair, is_done in zip(zip(jobs, provenances, strict=True), are_done, strict=True) if not is_done]
    progress = AnnotateProgress(_terminal, len(todo))
    for job, _ in todo:  # what is no recording is told before TensorFlow has started
        if (error := obstacle(job.source, options)) is not None:
            not_done(job, error)
    todo = [pair for pair in todo if pair[0].source not in failed]
    stop = StopRequest()
    let_stages_run_on()
    with ExitStack() as stack:
        if todo:
            several = _several_workers(workers, cluster, engine, options)
            if several is None:
                # A single recording is decoded while TensorFlow starts.
                opened = stack.enter_context(SourceAhead(todo[0][0].source, options)) if len(todo) == 1 else None
                started = _start_engine(engine, opened.look if opened else None)
                report.start_s = started.start_s
                stack.enter_context(stop)
                work: Callable[..., None] = partial(annotate_all, todo, started, options, opened=opened)
            else:
                stack.enter_context(stop)
                stack.enter_context(several)
                with _terminal.status(f"starting {engine.model}"):
                    report.start_s = start_workers(several, stop)
                work = partial(annotate_in_parallel, todo, options, several)
            stack.enter_context(progress)
            work(stop=stop, on_done=done, on_failed=not_done, on_progress=progress.update)
    report.seconds, report.stopped = time.perf_counter() - _PROCESS_START, stop.requested
    if json_path is not None:
        _write_json(report.record(), json_path)
    if stop.requested:
        raise typer.Exit(_INTERRUPTED)
    if failed:
        raise typer.Exit(_FAILED)


def _check_workers(count: int | None, cluster: str | None, encoding: "Encoding") -> None:
    if cluster is None and count is None:
        return
    if cluster is not None and count is not None:
        raise UsageError("--workers are processes on this machine, --cluster has workers of its own: give one of them")
    if encoding.codec == "png":
        raise UsageError("a folder of pictures is written by one process: leave out --workers and --cluster")
    if cluster is not None:
        from live_gradcam.annotating.cluster import check_cluster

        check_cluster()


def _several_workers(
    count: int | None, cluster: str | None, engine: EngineOptions, options: "AnnotateOptions"
) -> "ProcessWorkers | ClusterWorkers | None":
    """What works, besides this process; None for nothing."""
    from live_gradcam.annotating.cluster import ClusterWorkers
    from live_gradcam.annotating.workers import ProcessWorkers

    if cluster is None and count is None:
        return None
    if cluster is not None:
        return ClusterWorkers(cluster, engine, options)
    return ProcessWorkers(count or 1, engine, options)


def _parse_batch(text: str) -> int | None:
    """A number of frames; None for "auto"."""
    if text == "auto":
        return None
    if not (text.isdecimal() and 1 <= int(text) <= _LARGEST_BATCH):
        raise UsageError(f"the batch {text!r} is not auto, nor a number of frames from 1 to {_LARGEST_BATCH}")
    return int(text)


def _parse_time(text: str | None, flag: str) -> Fraction | None:
    """Seconds of "75", "1:15" or "0:01:15.5"."""
    if text is None:
        return None
    parts = text.split(":")
    try:
        numbers = [Fraction(part) for part in parts]
    except (ValueError, ZeroDivisionError):
        numbers = []
    if not numbers or len(numbers) > 3 or any(number < 0 for number in numbers):
        raise UsageError(f"{flag} {text!r} is not a time: give seconds, m:ss or h:mm:ss, such as 75, 1:15 or 0:01:15.5")
    return sum((number * 60**place for place, number in enumerate(reversed(numbers))), Fraction(0))


def _parse_rate(text: str, flag: str) -> Fraction:
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= _HIGHEST_RATE:
        raise UsageError(f"{flag} {text!r} is not a frame rate: give a number such as 25, 29.97 or 30000/1001")
    return rate


def _parse_output_size(text: str) -> tuple[int | None, int | None]:
    width, separator, height = text.lower().partition("x")
    sides = [int(side) if side.isdecimal() else 0 if side else None for side in (width, height)]
    if not separator or sides == [None, None] or any(side is not None and not 16 <= side <= 16384 for side in sides):
        raise UsageError(f"the size {text!r} is not WIDTHxHEIGHT: give it like 1280x720, 1280x or x720")
    return sides[0], sides[1]


@contextmanager
def _passes_bar(path: Path) -> Iterator[Callable[[int, int], None]]:
    """A bar for a picture that takes many passes, on a terminal."""
    if not _terminal.is_terminal:  # before 14.3 rich ends even a disabled bar with an empty line
        yield lambda done, total: None
        return
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total} passes")
    with Progress(*columns, console=_terminal, transient=True) as bar:
        task: TaskID | None = None

        def progress(done: int, total: int) -> None:
            nonlocal task
            task = bar.add_task(path.name, total=total) if task is None else task
            bar.update(task, completed=done)

        yield progress


@_command(engine=_engine_flags, overlay=_drawing_flags, boxes=_box_flags)
def explain(
    engine: EngineOptions,
    overlay: "Overlay",
    boxes: "BoxOptions",
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Pictures.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="OUT.png", help="The picture to write, or the folder for several."),
    ] = None,
    smooth_grad: Annotated[
        int,
        typer.Option(
            "--smooth-grad", min=0, max=1000, metavar="N", help="Average the maps of N noisy copies of each picture."
        ),
    ] = 0,
    levels: PictureLevels = None,
    json_path: JsonPath = None,
    overwrite: Overwrite = False,
) -> None:
    """Explain pictures: overlay, picture and heatmap side by side. With --json alone, only the numbers."""
    from live_gradcam.pictures import explain_image, image_record, plan_pictures, write_panels

    engine.check()
    wanted = _parse_levels(levels)
    _check_json_path(json_path, overwrite=overwrite)
    draws = output is not None or json_path is None
    pictures = plan_pictures(images, output, overwrite=overwrite) if draws else [None] * len(images)
    started = _start_engine(engine)
    records, failed = [], False
    for path, picture in zip(images, pictures, strict=True):
        try:
            with _passes_bar(path) as progress:
                image, explanation = explain_image(
                    path,
                    started,
                    box_threshold=boxes.threshold,
                    levels=wanted,
                    smooth_samples=smooth_grad,
                    on_progress=progress,
                )
            if picture is not None:
                write_panels(picture, image, explanation, overlay, boxes=boxes.drawn)
        except LiveGradcamError as error:
            _complain(str(error))
            failed = True
            continue
        records.append(image_record(path, image, explanation, started))
        if str(json_path) != "-":
            named = ", ".join(map(_describe, explanation.predictions))
            print(f"{path}: {named}" + (f" → {picture}" if picture is not None else ""))
    if json_path is not None and records:
        _write_json(records[0] if len(images) == 1 else records, json_path)
    if failed:
        raise typer.Exit(_FAILED)


def _describe(prediction: "Prediction") -> str:
    text = f"{prediction.label} {prediction.amount(1)}"
    finest = prediction.finest
    return text if finest is None or finest.label == prediction.label else f"{text} ({_describe(finest)})"


@_command(engine=_engine_flags, overlay=_drawing_flags)
def bench(
    engine: EngineOptions,
    overlay: "Overlay",
    source: Annotated[
        Path | None, typer.Argument(metavar="[SOURCE]", help="A video file. Default: a synthetic stream.")
    ] = None,
    frames: Annotated[
        int, typer.Option("--frames", "-n", min=1, metavar="N", help="How many frames to measure.")
    ] = 200,
    size: Annotated[
        str, typer.Option("--size", metavar="WxH", help="Frame size of the synthetic stream.")
    ] = "1280x720",
    json_path: JsonPath = None,
    overwrite: Overwrite = False,
) -> None:
    """Measure throughput: frames a second, the time of each stage, and what Grad-CAM costs over the prediction."""
    from live_gradcam.benchmark import file_frames, run_bench, synthetic_frames

    engine.check()
    _check_json_path(json_path, overwrite=overwrite)
    stream = file_frames(source) if source else synthetic_frames(_parse_size(size))
    report = run_bench(
        stream,
        lambda look: _start_engine(engine, look),
        overlay,
        frames=frames,
        process_start=_PROCESS_START,
        start_reference=None
        if engine.precision == "f32"
        else lambda look: _start_engine(replace(engine, precision="f32"), look),
    )
    if str(json_path) != "-":
        _print_report(report)
    if json_path is not None:
        _write_json(report, json_path)


def _parse_levels(text: str | None) -> "Levels | None":
    from live_gradcam.sources.levels import Levels

    return None if text is None else Levels.parse(text)


def _parse_size(text: str) -> tuple[int, int]:
    """(height, width) of "WIDTHxHEIGHT"."""
    width, separator, height = text.lower().partition("x")
    if not (separator and width.isdecimal() and height.isdecimal() and int(width) >= 2 and int(height) >= 2):
        raise UsageError(f"the size {text!r} is not of the form WIDTHxHEIGHT, such as 1280x720")
    return int(height), int(width)


def _parse_input_size(text: str) -> tuple[int, int]:
    """(height, width) of "N" or "WIDTHxHEIGHT", at least 32 pixels each."""
    height, width = (int(text), int(text)) if text.isdecimal() else _parse_size(text)
    if min(height, width) < _SMALLEST_INPUT or max(height, width) > _LARGEST_INPUT:
        raise UsageError(f"the input size {text!r} is not from {_SMALLEST_INPUT} to {_LARGEST_INPUT} pixels")
    return height, width


def _print_report(report: dict[str, Any]) -> None:
    height, width = report["frame_size"]
    latency, stages, threads = report["latency_ms"], report["stages_ms"], report["threads"]
    rows = {
        "model": f"{report['model']} · {report['method']} · {report['layer']}",
        "engine": report["engine"],
        "fit": describe_fit(report["fit"], report["tiles"]),
        "device": report["device"],
        "threads": ", ".join(f"{name} {count}" for name, count in threads.items()),
        "frames": f"{report['frames']} of {width}×{height}",
        "throughput": f"{report['fps']:.1f} FPS (read, explain, draw and write, one after the other)",
        "latency": f"{latency['p50']:.1f} ms p50, {latency['p95']:.1f} p95, {latency['p99']:.1f} p99 (explain, draw)",
        "stages": ", ".join(f"{stage} {milliseconds:.1f} ms" for stage, milliseconds in stages.items()),
        "prediction only": f"{report['forward_ms']:.2f} ms",
        "with Grad-CAM": f"{report['explain_ms']:.2f} ms, {report['gradcam_overhead']:.3f} × the prediction",
        **({"agreement": _describe_agreement(report["agreement"])} if report["agreement"] else {}),
        "compiling": f"{report['compile_s']:.1f} s",
        "first frame after": f"{report['time_to_first_frame_s']:.1f} s",
    }
    table = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        table.add_row(name, value)
    _print_table(table)


def _describe_agreement(agreement: dict[str, float]) -> str:
    return (
        f"{100 * agreement['top1']:.1f} % of top classes, maps correlated by {agreement['map_correlation']:.4f} "
        f"(worst {agreement['map_correlation_min']:.4f}) with f32"
    )


def _print_table(table: Table) -> None:
    """Print a table: as wide as the terminal, or unbroken into a pipe or file."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
    console.print(table)


@_command(options=_model_flags)
def models(
    options: EngineOptions,
    explain_lowering: Annotated[
        bool, typer.Option("--explain-lowering", help="Show what became of each layer of the model -m.")
    ] = False,
    tune: TuneFlag = Tune.AUTO,
) -> None:
    """List the networks that can be asked for by name; or show how one of them is rewritten."""
    if explain_lowering:
        _print_lowering(replace(options, tune=tune.value))
        return
    table = Table("name", "input", "preprocessing", "ImageNet weights", box=None, pad_edge=False)
    for entry in CATALOG.values():
        default = " (default)" if entry.name == DEFAULT_MODEL else ""
        table.add_row(entry.name + default, f"{entry.input_size}×{entry.input_size}", entry.preprocessing, entry.origin)
    _print_table(table)
    print("\nAny other Keras classifier: -m FILE.keras (or .h5), with --labels FILE and --preprocessing NAME.")


def _print_lowering(options: EngineOptions) -> None:
    from live_gradcam.attribution.session import explain_lowering

    with _terminal.status(f"rewriting {options.model}"):
        rows = explain_lowering(options, let_tensorflow_talk=_is_debugging())
    table = Table("layer", "type", "input shape", "became", "timed, ms", box=None, pad_edge=False)
    for row in rows:
        timed = ", ".join(f"{form} {time_ms:.2f}" for form, time_ms in row.milliseconds.items())
        table.add_row(row.name, row.kind, " × ".join(map(str, row.shape)), row.became or "-", timed)
    _print_table(table)
    rewritten = sum(bool(row.became) for row in rows)
    print(f"\n{rewritten} of {len(rows)} layers rewritten; - stays as it is")


@_command(options=_model_flags)
def layers(options: EngineOptions) -> None:
    """List a model's layers in running order: name, type, output shape; the default target is marked with *."""
    from live_gradcam.attribution.session import list_layers

    options.check()
    with _terminal.status(f"loading {options.model}"):
        rows = list_layers(options, let_tensorflow_talk=_is_debugging())
    table = Table("", "name", "type", "output shape", box=None, pad_edge=False)
    for row in rows:
        mark = "*" if row.is_default else "" if row.is_candidate else "-"
        table.add_row(mark, row.name, row.kind, " × ".join(map(str, row.shape)))
    _print_table(table)
    print("\n* the default target layer; - not a map on the way to the prediction, cannot be a target")


@_command()
def cameras() -> None:
    """List the cameras that open and deliver a picture."""
    from live_gradcam.sources.capture import list_cameras

    found = list_cameras()
    for index, description in found:
        print(f"{index}: {description}")
    if not found:
        print("no camera opens on this machine; live-gradcam live also takes a file or a URL")


@_command(engine=_engine_flags)
def evaluate(
    engine: EngineOptions,
    sources: Annotated[list[Path], typer.Argument(metavar="IMAGE|FOLDER|VIDEO...", help="What to explain.")],
    methods: Annotated[
        str | None,
        typer.Option("--methods", metavar="NAME,NAME…", help="Methods side by side. Default: that of --method."),
    ] = None,
    steps: Annotated[
        int, typer.Option("--steps", min=1, max=1000, metavar="N", help="Steps of deletion and insertion.")
    ] = 50,
    every: Annotated[
        int | None,
        typer.Option("--every", min=1, metavar="N", help="Of a video, take one frame in N. Default: one a second."),
    ] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(
            "--boxes",
            metavar="FILE.json",
            help="The objects, for the pointing game: by picture name, a list of left, top, right, bottom in pixels.",
        ),
    ] = None,
    random_head: Annotated[
        bool,
        typer.Option(
            "--random-head/--no-random-head", help="Compare with the maps of the network with a random last kernel."
        ),
    ] = True,
    levels: PictureLevels = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE.png", help="Plot the curves: PNG, SVG or PDF.")
    ] = None,
    json_path: JsonPath = None,
    overwrite: Overwrite = False,
) -> None:
    """Measure how faithful maps are: deletion, insertion, average drop, pointing game, random head; with controls."""
    from live_gradcam.evaluation import (
        Evaluator,
        check_plot_path,
        evaluation_record,
        mean_figures,
        parse_methods,
        plan_sources,
        read_boxes,
        read_pictures,
        write_curves,
    )
    from live_gradcam.files import check_output

    engine.check()
    _check_json_path(json_path, overwrite=overwrite)
    if output is not None:
        check_plot_path(output)
        check_output(output, overwrite=overwrite)
    names = parse_methods(methods) if methods is not None else (engine.method,)
    wanted = _parse_levels(levels)
    files = plan_sources(sources, wanted)
    object_boxes = read_boxes(boxes, files) if boxes else None
    started = _start_engine(replace(engine, method=names[0], methods=names))
    evaluations: list[Evaluation] = []
    failed = False
    with _terminal.status("making the head random" if random_head else "evaluating") as status:
        evaluator = Evaluator(started, names, steps=steps, boxes=object_boxes, random_head=random_head)
        for file in files:
            try:
                for picture in read_pictures(file, every, wanted):
                    evaluations.append(
                        evaluator.evaluate(picture, on_progress=lambda told: status.update(escape(told)))
                    )
            except LiveGradcamError as error:
                _complain(str(error))
                failed = True
    if evaluations:
        figures = mean_figures(evaluations)
        pictures = "1 picture" if len(evaluations) == 1 else f"{len(evaluations)} pictures"
        title = f"{started.explainer.classifier.name} · {started.explainer.layer} · {pictures} · {steps} steps"
        if str(json_path) != "-":
            _print_figures(figures, title)
        if json_path is not None:
            _write_json(evaluation_record(evaluations, started, steps=steps), json_path)
        if output is not None:
            write_curves(output, figures, title)
    if failed:
        raise typer.Exit(_FAILED)


def _print_figures(figures: "dict[str, Figures]", title: str) -> None:
    def number(value: float | None, places: int) -> str:
        return "-" if value is None else f"{value:.{places}f}"

    columns = ("deletion ↓", "insertion ↑", "drop ↓ %", "increase ↑ %", "pointing ↑ %", "random head ρ", "|ρ|")
    table = Table("map", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right")
    for name, one in figures.items():
        table.add_row(
            name,
            number(one.deletion_auc, 3),
            number(one.insertion_auc, 3),
            number(one.drop, 1),
            number(one.increase, 1),
            number(one.hit, 1),
            number(one.rank_correlation, 2),
            number(one.absolute_rank_correlation, 2),
        )
    print(f"{title}\n")
    _print_table(table)
    print(
        "\n↓ the lower, ↑ the higher the better; ρ: rank correlation with the map of the network with a random head, "
        "0 where the map depends on it; -: not measured"
    )
