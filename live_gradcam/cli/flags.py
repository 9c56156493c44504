"""Flags that commands share: one spelling everywhere."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from live_gradcam.attribution.session import SessionOptions
from live_gradcam.choices import (
    DEFAULT_ENGINE,
    ENGINE_CHOICES,
    ENGINE_VARIABLE,
    FIT_CHOICES,
    LOWERINGS,
    METHODS,
    NAMES,
    OUTPUTS,
    PRECISION_CHOICES,
    SCORES,
    SINKS,
    TUNES,
    FitChoice,
    Names,
    Output,
    PrecisionChoice,
    Score,
    Tune,
)
from live_gradcam.cli.marks import Flags, Written, chosen
from live_gradcam.cli.parsing import parse_input_size, parse_levels
from live_gradcam.networks.catalog import DEFAULT_MODEL, known_models
from live_gradcam.sources.times import parse_rate

if TYPE_CHECKING:
    from live_gradcam.drawing.overlay import Overlay
    from live_gradcam.explanations.boxes import BoxOptions
    from live_gradcam.sinks.encoding import Encoding
    from live_gradcam.sources.options import SourceOptions

Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME|PATH",
        help="A network's name (see live-gradcam models), or a .keras or .h5 file.",
        autocompletion=lambda incomplete: [name for name in known_models() if name.startswith(incomplete)],
    ),
]
Weights = Annotated[
    str,
    typer.Option("--weights", metavar="FILE|imagenet|none", help="A weights file. none: random weights."),
]
Labels = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="FILE|imagenet",
        help="A file of class names: a line each, JSON or CSV. imagenet: its 1000.",
    ),
]
Preprocessing = Annotated[
    str | None,
    typer.Option(
        "--preprocessing",
        metavar="NAME",
        help="How pixels become input: raw (0…255), unit (0…1), tf (-1…1), caffe, torch; raw-bgr, unit-bgr, tf-bgr. "
        "auto: guess from the model's batch norms. Default: the network's own, or auto.",
    ),
]
OutputKind = Annotated[
    Output | None,
    chosen(
        OUTPUTS,
        "--output-kind",
        help="What the numbers of a model file are. classes: one is right. labels: each is right or wrong by itself. "
        "values: no probabilities. Default: what the last layer says.",
    ),
    OUTPUTS,
]
Head = Annotated[
    str | None,
    typer.Option("--head", metavar="NAME", help="Which output of a model file to explain, if it has several."),
]
Feed = Annotated[
    list[str] | None,
    typer.Option(
        "--feed",
        metavar="NAME=VALUE|FILE.npy",
        help="Set an input of a model file that is not the picture. Repeat it for several inputs.",
    ),
]
Layer = Annotated[
    str | None,
    typer.Option(
        "--layer",
        metavar="NAME[,NAME…]",
        help="The target layer, or several to combine. Default: the last feature maps. See live-gradcam layers.",
    ),
]
CustomObjects = Annotated[
    str | None,
    typer.Option(
        "--custom-objects",
        metavar="FILE.py",
        help="Run this Python file first. It defines the model's own layers and functions.",
    ),
]
TrustModel = Annotated[
    bool,
    typer.Option("--trust-model", help="Run the code in a model file (Lambda layers). Only for files you trust."),
]
SourceFps = Annotated[
    str | None,
    typer.Option(
        "--source-fps",
        metavar="N",
        help="Frames per second of a file without times, such as .h264. Default: what the file says.",
    ),
]
PictureFps = Annotated[
    str,
    typer.Option("--picture-fps", metavar="N", help="Pictures per second, of a folder or a numbered sequence."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")]
TuneFlag = Annotated[
    Tune,
    chosen(
        TUNES,
        "--tune",
        help="How much time to spend on finding the fastest form of each layer. auto: a few seconds, once per network. "
        "remembered: none, use earlier results. full: measure everything again. off: none, choose by rule.",
    ),
    TUNES,
]
PictureLevels = Annotated[
    str | None,
    typer.Option(
        "--levels",
        metavar="LOW:HIGH",
        help="Which values are black and white in pictures, such as 0:4095. Default: what the file says, or the bits "
        "in use.",
    ),
]
JsonPath = Annotated[
    Path | None,
    typer.Option("--json", metavar="PATH|-", help="Write the numbers as JSON. -: to stdout."),
    Written(is_last=True),
]


def model_flags(
    model: Model = DEFAULT_MODEL,
    weights: Weights = "imagenet",
    labels: Labels = None,
    preprocessing: Preprocessing = None,
    output_kind: OutputKind = None,
    head: Head = None,
    feed: Feed = None,
    layer: Layer = None,
    custom_objects: CustomObjects = None,
    trust_model: TrustModel = False,
) -> SessionOptions:
    """Which network."""
    return SessionOptions(
        model,
        weights,
        labels,
        preprocessing,
        output_kind,
        head,
        tuple(feed or ()),
        layer,
        custom_objects=custom_objects,
        trust=trust_model,
    )


def backbone_flags(
    model: Model = DEFAULT_MODEL,
    weights: Weights = "imagenet",
    preprocessing: Preprocessing = None,
    head: Head = None,
    feed: Feed = None,
    custom_objects: CustomObjects = None,
    trust_model: TrustModel = False,
) -> SessionOptions:
    """Whose features are used, for a network of one's own classes."""
    return model_flags(
        model,
        weights,
        preprocessing=preprocessing,
        head=head,
        feed=feed,
        custom_objects=custom_objects,
        trust_model=trust_model,
    )


def session_flags(
    options: Annotated[SessionOptions, Flags(model_flags, "Network")],
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            "-c",
            metavar="top1|INDEX|LABEL|A>B",
            help="The class to explain, or A>B: why A and not B. Repeat it for several classes.",
        ),
    ] = None,
    topk: Annotated[int, typer.Option("--topk", "-k", min=1, metavar="N", help="How many predictions to list.")] = 5,
    score: Annotated[
        Score,
        chosen(
            SCORES,
            "--score",
            help="Which number the map explains. logit: the class's own score. margin: the class against all others. "
            "probability: its map fades where the network is sure.",
        ),
        SCORES,
    ] = "logit",
    fit: Annotated[
        FitChoice,
        chosen(
            FIT_CHOICES,
            "--fit",
            help="How to fit a frame into the network's input. auto: the most accurate way that is fast enough.",
        ),
        FIT_CHOICES,
    ] = "auto",
    tiles: Annotated[
        int | None,
        typer.Option(
            "--tiles",
            min=1,
            max=16,
            metavar="N",
            help="Cut a frame into N overlapping squares. Default: by its shape, 3 for 16:9.",
        ),
    ] = None,
    names: Annotated[
        Names | None,
        chosen(
            NAMES,
            "--names",
            help='Which names to list. imagenet: its classes, such as "Egyptian cat". everyday: what people say, such '
            'as "cat". Default: everyday for live, and where -c is such a name.',
        ),
        NAMES,
    ] = None,
    input_size: Annotated[
        str | None,
        typer.Option(
            "--input-size",
            metavar="N|WxH",
            help="Run the network at another size, if it takes any. A larger size gives finer maps.",
        ),
    ] = None,
    method: Annotated[
        str,
        chosen(METHODS, "--method", help="How to make the map."),
        METHODS,
    ] = "grad-cam",
    lowering: Annotated[
        str,
        chosen(LOWERINGS, "--lowering", help="Rewrite the network into a faster form that gives the same result."),
        LOWERINGS,
    ] = "on",
    engine: Annotated[
        str,
        chosen(
            ENGINE_CHOICES,
            "--engine",
            help="What runs the network and its gradient. auto: the fastest that is installed, timed once per network.",
            variable=ENGINE_VARIABLE,
        ),
        ENGINE_CHOICES,
    ] = DEFAULT_ENGINE,
    tune: TuneFlag = "auto",
    precision: Annotated[
        PrecisionChoice,
        chosen(
            PRECISION_CHOICES,
            "--precision",
            help="f32: 32-bit numbers. bf16: 16-bit products before the target layer, faster on some processors. "
            "auto: bf16 where it is faster and hardly changes the answers.",
        ),
        PRECISION_CHOICES,
    ] = "f32",
    threads: Annotated[
        int | None,
        typer.Option("--threads", min=1, metavar="N", help="How many threads compute. Default: one per processor."),
    ] = None,
) -> SessionOptions:
    """What to explain with."""
    return replace(
        options,
        classes=tuple(classes or ()),
        topk=topk,
        score=score,
        fit=fit,
        tiles=tiles,
        names=names,
        lowering=lowering == "on",
        engine=engine,
        tune=tune,
        precision=precision,
        threads=threads,
        method=method,
        input_size=parse_input_size(input_size) if input_size else None,
    )


def source_flags(
    source_fps: SourceFps = None, picture_fps: PictureFps = "25", levels: PictureLevels = None
) -> "SourceOptions":
    """How a source is read."""
    from live_gradcam.sources.options import SourceOptions

    return SourceOptions(
        source_fps=parse_rate(source_fps, "--source-fps") if source_fps else None,
        picture_fps=parse_rate(picture_fps, "--picture-fps"),
        levels=parse_levels(levels),
    )


def overlay_flags(
    alpha: Annotated[
        float, typer.Option("--alpha", metavar="0…1", help="How strong the heatmap's colours are over the frame.")
    ] = 0.5,
    colormap: Annotated[
        str, typer.Option("--colormap", metavar="NAME", help="The heatmap's colours: turbo, jet, viridis, inferno, …")
    ] = "turbo",
) -> "Overlay":
    """How maps are drawn."""
    from live_gradcam.drawing.overlay import Overlay

    return Overlay(colormap, alpha)


def box_flags(
    box: Annotated[bool, typer.Option("--box/--no-box", help="Draw a box around each region of the map.")] = False,
    box_threshold: Annotated[
        float,
        typer.Option("--box-threshold", metavar="0…1", help="Where a region ends, as a share of the map's maximum."),
    ] = 0.15,
) -> "BoxOptions":
    """Which boxes there are."""
    from live_gradcam.explanations.boxes import BoxOptions

    return BoxOptions(box_threshold, drawn=box)


def encoding_flags(
    codec: Annotated[
        str | None,
        chosen(SINKS, "--codec", help="How to encode the pictures. png: into a folder. Default: by the ending."),
        SINKS,
    ] = None,
    crf: Annotated[
        int | None, typer.Option("--crf", min=0, metavar="N", help="Quality. A lower number is better and larger.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option("--preset", metavar="NAME", help="The encoder's speed: veryfast, slow, …; of av1: 0…13."),
    ] = None,
    hardware: Annotated[
        bool, typer.Option("--hardware", help="Encode on the graphics card, if one of its encoders works.")
    ] = False,
) -> "Encoding":
    """How a file is encoded."""
    from live_gradcam.sinks.encoding import Encoding

    return Encoding(codec, crf, preset, hardware)
