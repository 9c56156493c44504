"""What can be chosen by name, each with a line of help. Nothing heavy is imported to know a name, or to refuse one."""

from __future__ import annotations

import os
from typing import Final, Literal

from live_gradcam.errors import kind_and_line
from live_gradcam.families import Choices, Family, Member, OneMore

# --- what is computed ---------------------------------------------------------------------------------------------

#: What is differentiated.
Score = Literal["logit", "margin", "probability"]
SCORES = Choices(
    "score",
    {
        "logit": "the class's own number before the softmax",
        "margin": "the logit against all other classes together",
        "probability": "the probability; its map fades where the network is sure",
    },
)

#: How a frame is made to fit the network's input.
Fit = Literal["stretch", "crop", "letterbox", "native", "tiles"]
#: A fit, or "auto" to have one chosen.
FitChoice = Literal["auto", "stretch", "crop", "letterbox", "native", "tiles"]
FITS = Choices(
    "fit",
    {
        "stretch": "squeeze the whole frame into the input",
        "crop": "take the middle of the frame",
        "letterbox": "show the whole frame with grey bars",
        "native": "run the network at the frame's own shape",
        "tiles": "cut the frame into squares that overlap",
    },
)
FIT_CHOICES = Choices("fit", {"auto": "the most accurate fit that keeps up", **FITS.helps})

#: What a network's numbers are.
Output = Literal["classes", "labels", "values"]
OUTPUTS = Choices(
    "kind of output",
    {
        "classes": "one of them is right, and they add up to 1",
        "labels": "each is right or wrong by itself",
        "values": "they are no probabilities",
    },
)

#: What is listed: ImageNet's own classes (or those of any other network), or groups of them with everyday names.
Names = Literal["imagenet", "everyday"]
NAMES = Choices("set of names", {"imagenet": "the network's own classes", "everyday": "what people call them"})

#: How much is timed to find the fastest form of each layer.
Tune = Literal["off", "remembered", "auto", "full"]
TUNES = Choices(
    "tune",
    {
        "off": "time nothing, and choose by rule",
        "remembered": "use what was timed before, and time nothing new",
        "auto": "time for a few seconds what was not timed before",
        "full": "time everything again",
    },
)

#: Whether the network is rewritten into a faster form that gives the same result.
LOWERINGS = Choices("lowering", {"on": "rewrite it", "off": "run it as Keras has it"})

#: The numbers in which products are computed.
Precision = Literal["f32", "bf16"]
PRECISIONS = Choices("precision", {"f32": "32 bits", "bf16": "16 bits, with sums in 32: faster on some processors"})
#: As a precision: bf16 where that is faster and changes next to nothing.
AUTO_PRECISION: Final = "auto"
#: A precision, or "auto" to have one chosen.
PrecisionChoice = Literal["auto", "f32", "bf16"]
PRECISION_CHOICES = Choices(
    "precision",
    {AUTO_PRECISION: "bf16 where it is faster and hardly changes the answers, else f32", **PRECISIONS.helps},
)

_OF_METHODS = "live_gradcam.attribution.methods"

#: How a map is made.
METHODS = Family(
    "method",
    "live_gradcam.methods",
    {
        "grad-cam": Member("feature maps weighted by their mean gradient", f"{_OF_METHODS}.grad_cam:METHOD"),
        "grad-cam++": Member("weights for several objects of one class", f"{_OF_METHODS}.grad_cam_plus_plus:METHOD"),
        "hirescam": Member("feature maps times gradients, place by place", f"{_OF_METHODS}.hirescam:METHOD"),
        "xgrad-cam": Member("weights by each place's share of the feature map", f"{_OF_METHODS}.xgrad_cam:METHOD"),
        "layercam": Member("positive gradients only, for early layers", f"{_OF_METHODS}.layercam:METHOD"),
        "elementwise": Member("positive parts of maps times gradients", f"{_OF_METHODS}.elementwise:METHOD"),
        "cam": Member("the dense layer's own weights, after global pooling only", f"{_OF_METHODS}.cam:METHOD"),
        "eigen-cam": Member("what the feature maps have most in common", f"{_OF_METHODS}.eigen_cam:METHOD"),
        "eigengrad-cam": Member("the same of maps times gradients", f"{_OF_METHODS}.eigengrad_cam:METHOD"),
        "finer-cam": Member("what tells the class from the most similar ones", f"{_OF_METHODS}.finer_cam:METHOD"),
        "recipro-cam": Member("the score of each place alone, without gradients", f"{_OF_METHODS}.recipro_cam:METHOD"),
        "counterfactual": Member("what speaks against the class", f"{_OF_METHODS}.counterfactual:METHOD"),
        "guided-grad-cam": Member(
            "pixels that raise the score; not live", f"{_OF_METHODS}.guided_grad_cam:METHOD", is_quick=False
        ),
        "score-cam": Member(
            "the score of the picture under each map; not live", f"{_OF_METHODS}.score_cam:METHOD", is_quick=False
        ),
        "ablation-cam": Member(
            "the score without each map; not live", f"{_OF_METHODS}.ablation_cam:METHOD", is_quick=False
        ),
    },
)

_NETWORKS = "live_gradcam.networks"

#: Where models come from. Each is asked in turn whether a model is its own.
MODEL_SOURCES = Family(
    "model source",
    "live_gradcam.models",
    {
        "lites": Member("EfficientNet-Lite 0 to 2", f"{_NETWORKS}.lites:SOURCE"),
        "applications": Member("the classifiers of keras.applications", f"{_NETWORKS}.applications:SOURCE"),
        "keras-file": Member("a .keras file", f"{_NETWORKS}.keras_file:SOURCE"),
        "h5-file": Member("an .h5 file", f"{_NETWORKS}.h5_file:SOURCE"),
        "saved-model": Member("a SavedModel folder, for predictions alone", f"{_NETWORKS}.saved_model:SOURCE"),
        "in-memory": Member("a Keras model of a Python program", f"{_NETWORKS}.in_memory:SOURCE"),
    },
)

_OF_ENGINES = "live_gradcam.compiling.engines"

#: What runs the network and its gradient.
ENGINES = Family(
    "engine",
    "live_gradcam.engines",
    {
        "xla": Member("TensorFlow's compiler", f"{_OF_ENGINES}.xla:ENGINE"),
        "graph": Member("TensorFlow's own kernels", f"{_OF_ENGINES}.graph:ENGINE"),
        "openvino": Member("Intel's OpenVINO, on the processor", f"{_OF_ENGINES}.openvino:ENGINE"),
        "onnxruntime": Member("ONNX Runtime, on the processor", f"{_OF_ENGINES}.onnxruntime:ENGINE"),
    },
)

#: As an engine: the fastest one here.
AUTO_ENGINE = "auto"
ENGINE_CHOICES = OneMore(AUTO_ENGINE, "the fastest of those that are installed", ENGINES)
#: What a session's engine is where nobody chooses one: a name of `ENGINE_CHOICES`.
DEFAULT_ENGINE = AUTO_ENGINE
#: What runs a network where nothing else is known to be faster.
USUAL_ENGINE = "xla"
#: The variable of the environment that says what the engine is where nobody chooses one.
ENGINE_VARIABLE = "LIVE_GRADCAM_ENGINE"


def default_engine() -> str:
    """A session's engine where nobody chooses one, as the environment says it; it is not checked."""
    return os.environ.get(ENGINE_VARIABLE) or DEFAULT_ENGINE


# --- what is read -------------------------------------------------------------------------------------------------

#: What gives frames, in the order in which it is asked whether a source is of its kind; those of other packages first.
SOURCES = Family(
    "kind of source",
    "live_gradcam.sources",
    {
        "camera": Member("a camera: its number, or /dev/videoN", "live_gradcam.sources.camera:SOURCE"),
        "stream": Member("an address: rtsp://, http://, udp://, …", "live_gradcam.sources.stream:SOURCE"),
        "pictures": Member("a picture, a folder of them, or shots/%04d.png", "live_gradcam.sources.pictures:SOURCE"),
        "video": Member("a video file", "live_gradcam.sources.reader:SOURCE"),
    },
)

# --- what is written ----------------------------------------------------------------------------------------------

_OF_SIDECARS = "live_gradcam.annotating.sidecars"

_OF_SINKS = "live_gradcam.sinks"

#: As what an annotated recording is written, by its codec.
SINKS = Family(
    "codec",
    "live_gradcam.sinks",
    {
        "h264": Member("what every player takes", f"{_OF_SINKS}.video:H264"),
        "hevc": Member("smaller than h264, and slower to encode", f"{_OF_SINKS}.video:HEVC"),
        "av1": Member("the smallest, for new players", f"{_OF_SINKS}.video:AV1"),
        "vp9": Member("for WebM files", f"{_OF_SINKS}.video:VP9"),
        "gif": Member("an animated picture of 256 colours", f"{_OF_SINKS}.gif:GIF"),
        "png": Member("a folder of pictures, without loss", f"{_OF_SINKS}.folder:PNG"),
    },
)

#: What is written beside an annotated recording.
SIDECARS = Family(
    "sidecar",
    "live_gradcam.sidecars",
    {
        "jsonl": Member("a line of JSON per frame", f"{_OF_SIDECARS}.json_lines:SIDECAR"),
        "csv": Member("a table with a row per frame", f"{_OF_SIDECARS}.table:SIDECAR"),
        "heatmaps": Member("the raw maps, as NAME.npz or NAME.zarr", f"{_OF_SIDECARS}.raw_maps:SIDECAR"),
        "contact-sheet": Member("the classes over time, as NAME.png", f"{_OF_SIDECARS}.contact_sheet:SIDECAR"),
    },
)

_OF_EXPORTS = "live_gradcam.exporting.formats"

#: As what a model is written for other programs.
EXPORTS = Family(
    "format",
    "live_gradcam.exports",
    {
        "onnx": Member("a file that many programs run", f"{_OF_EXPORTS}.onnx:FORMAT"),
        "openvino": Member("Intel's files of network and weights", f"{_OF_EXPORTS}.openvino:FORMAT"),
        "saved-model": Member("TensorFlow's folder, for servers", f"{_OF_EXPORTS}.saved_model:FORMAT"),
        "tflite": Member("a file for phones and small computers", f"{_OF_EXPORTS}.tflite:FORMAT"),
    },
)

# --- what is seen -------------------------------------------------------------------------------------------------

#: What is shown of an explained frame, in the order of the Tab key. `drawing.views` draws them.
View = Literal["overlay", "side-by-side", "heatmap", "raw", "grid"]
VIEWS = Choices(
    "view",
    {
        "overlay": "the heatmap over the frame",
        "side-by-side": "the frame beside the overlay",
        "heatmap": "the heatmap alone",
        "raw": "the frame alone",
        "grid": "an overlay for each of the best classes",
    },
)

#: What an annotated file shows.
LAYOUTS = Choices("layout", {**VIEWS.helps, "panels": "overlay, frame and heatmap side by side"})

#: How much is written over the picture.
HudLevel = Literal["full", "minimal", "none"]
HUD_LEVELS = Choices(
    "level of text",
    {
        "full": "all of it",
        "minimal": "the class and the frame rate",
        "none": "only what must be said, such as that the source is gone",
    },
)

#: Where a live run is shown, and where its commands come from.
SURFACES = Family(
    "surface",
    "live_gradcam.surfaces",
    {
        "window": Member("a window on this machine's screen", "live_gradcam.surfaces.window:SURFACE"),
        "none": Member("nothing is shown; for recording and counting", "live_gradcam.surfaces.none:SURFACE"),
    },
)

#: All that other packages can add to.
FAMILIES = (METHODS, MODEL_SOURCES, ENGINES, SOURCES, SINKS, SIDECARS, EXPORTS, SURFACES)


def blamed(error: BaseException) -> str:
    """Whose an error is: "the sidecar table from the package tables fails with KeyError: 'name'".

    Returns:
        "" where it came of nothing that another package adds.
    """
    members = " or ".join(member for family in FAMILIES for member in family.behind(error))
    return f"{members} fails with {kind_and_line(error)}" if members else ""
