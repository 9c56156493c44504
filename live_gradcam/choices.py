"""What can be chosen by name, each with a line of help. Nothing heavy is imported to know a name, or to refuse one.

A closed set of names is a `Choices`. A set that other packages can add to is a `Family`: each member is one object in
one module, which is imported when it is asked for.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, Literal, NamedTuple

from live_gradcam.errors import LiveGradcamError, UsageError, did_you_mean, first_line

_log = logging.getLogger(__name__)


class Choices:
    """Names to choose from, in the order in which they are listed.

    Args:
        kind: what one of them is called in an error, such as "method".
        helps: each name with a line of help.
    """

    def __init__(self, kind: str, helps: Mapping[str, str]) -> None:
        self.kind = kind
        self._helps = dict(helps)

    @property
    def helps(self) -> Mapping[str, str]:
        """Each name with its line of help."""
        return self._helps

    def __iter__(self) -> Iterator[str]:
        return iter(self._helps)

    def __contains__(self, name: object) -> bool:
        return name in self._helps

    def __len__(self) -> int:
        return len(self._helps)

    def check(self, name: str) -> None:
        """Refuse a name that does not exist.

        Raises:
            UsageError: there is no such name; the closest ones are suggested.
        """
        if name not in self:
            hint = did_you_mean(name, self) or f": use one of {', '.join(self)}"
            raise UsageError(f"there is no {self.kind} {name!r}{hint}")


class Member(NamedTuple):
    """A member of a family.

    Attributes:
        help: one line.
        place: where the object is: "package.module:name".
        is_quick: of a method, whether it is quick enough for a camera, as it says itself too.
    """

    help: str
    place: str
    is_quick: bool = True


class Family(Choices):
    """Names whose objects are loaded when they are asked for; other packages can add to them by entry points.

    A name of this package cannot be taken by another one, and of two packages that add one name, the first has it. A
    package that is broken must not stop those who do not want what it adds: see `usable` and `leave_out`.

    Args:
        kind: as for `Choices`.
        group: of the entry points: the name of each is the member's name, and what it points to is the member's object.
        members: those of this package, by name.
    """

    def __init__(self, kind: str, group: str, members: Mapping[str, Member]) -> None:
        super().__init__(kind, {name: member.help for name, member in members.items()})
        self.group = group
        self._members = dict(members)
        self._registered: dict[str, tuple[Any, str]] = {}
        self._warned: set[str] = set()

    @cached_property
    def _all_added(self) -> tuple[EntryPoint, ...]:
        points = _installed(tuple(sys.path)).select(group=self.group)
        return tuple(point for point in points if point.name not in self._members)

    @cached_property
    def added(self) -> dict[str, EntryPoint]:
        """The names that other packages add, each with its entry point."""
        added: dict[str, EntryPoint] = {}
        for point in self._all_added:
            added.setdefault(point.name, point)
        return added

    def __iter__(self) -> Iterator[str]:
        return iter((*self._members, *self.added, *self._registered))

    def __contains__(self, name: object) -> bool:
        return name in self._members or name in self.added or name in self._registered

    def __len__(self) -> int:
        return len(self._members) + len(self.added) + len(self._registered)

    @property
    def helps(self) -> Mapping[str, str]:
        """Each name with its line of help; of a name that another package adds, that package."""
        added = {name: f"from the package {_package_of(point)}" for name, point in self.added.items()}
        return {**self._helps, **added, **{name: line for name, (_, line) in self._registered.items()}}

    @property
    def of_this_package(self) -> tuple[str, ...]:
        """The names that no other package added."""
        return tuple(self._members)

    def row(self, name: str) -> Member | None:
        """What is known of a name of this package without loading its object; None of any other name."""
        return self._members.get(name)

    def register(self, name: str, member: Any, line: str) -> None:
        """Add an object under a name, in this process alone. One that was registered under it before is replaced.

        Args:
            name: of the member.
            member: the object.
            line: of help.

        Raises:
            UsageError: this package or another one has the name already.
        """
        if name in self._members or name in self.added:
            raise UsageError(f"there is a {self.kind} {name!r} already: give yours another name")
        self._registered[name] = (member, line)

    def load(self, name: str) -> Any:
        """The object of a name.

        Raises:
            UsageError: there is no such name.
            LiveGradcamError: the package that adds it cannot be imported.
        """
        self.check(name)
        if name in self._members:
            module, _, attribute = self._members[name].place.partition(":")
            return getattr(import_module(module), attribute)
        if name in self._registered:
            return self._registered[name][0]
        self._name_the_others(name)
        try:
            return self.added[name].load()
        except Exception as error:  # of a package that is not ours: whatever its import raises
            raise LiveGradcamError(
                f"the {self.kind} {name} {self.helps[name]} cannot be loaded: {first_line(error)}"
            ) from error

    def usable(self, names: Iterable[str]) -> Iterator[tuple[str, Any]]:
        """Each of some names with its object, without those that cannot be loaded; a warning, once a name, says so."""
        for name in names:
            try:
                loaded = self.load(name)
            except LiveGradcamError as error:
                self.warn_once(name, str(error))
                continue
            yield name, loaded

    def leave_out(self, name: str, error: Exception) -> None:
        """Warn, once a name, that what another package adds fails, so that the others do without it.

        Args:
            name: what fails.
            error: how.
        """
        self.warn_once(
            name, f"the {self.kind} {name} {self.helps[name]} is left out: it fails with {first_line(error)}"
        )

    def warn_once(self, name: str, line: str) -> None:
        """Warn of a name with a line, where that was not done before."""
        if name not in self._warned:
            self._warned.add(name)
            _log.warning("%s", line)

    def _name_the_others(self, name: str) -> None:
        """Warn, once a name, that several packages add it. Those who do not want it are not bothered."""
        first, *others = dict.fromkeys(_package_of(point) for point in self._all_added if point.name == name) or [""]
        if others:
            self.warn_once(
                f"{name} of several packages",
                f"the packages {first} and {' and '.join(others)} both add the {self.kind} {name}: "
                f"the one of {first} is used",
            )


class OneMore(Choices):
    """The names of a family, and one before them that stands for no object.

    Args:
        name: the one.
        help: its line of help.
        family: the others.
    """

    def __init__(self, name: str, help: str, family: Family) -> None:
        super().__init__(family.kind, {name: help})
        self._family = family

    @property
    def helps(self) -> Mapping[str, str]:
        """Each name with its line of help."""
        return {**self._helps, **self._family.helps}

    def __iter__(self) -> Iterator[str]:
        return iter((*self._helps, *self._family))

    def __contains__(self, name: object) -> bool:
        return name in self._helps or name in self._family

    def __len__(self) -> int:
        return len(self._helps) + len(self._family)


@lru_cache(maxsize=1)
def _installed(path: tuple[str, ...]) -> Any:
    """The entry points of all packages on a path. Files of each package are read for them: once for all families."""
    return entry_points()


def _package_of(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.module


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
