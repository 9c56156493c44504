"""How faithful the maps of some methods are to the network, on pictures and frames of videos, next to two controls."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from live_gradcam.attribution.session import Session
from live_gradcam.errors import ModelError, SourceError, UsageError, first_line
from live_gradcam.explanations import faithfulness
from live_gradcam.explanations.explanation import Prediction, Region
from live_gradcam.explanations.faithfulness import ObjectBox
from live_gradcam.explanations.fits import enlarged
from live_gradcam.files import writing
from live_gradcam.sources.folders import check_exists, look_into
from live_gradcam.sources.image import check_picture, read_image
from live_gradcam.sources.kinds import Kind, kind_of
from live_gradcam.sources.levels import Levels
from live_gradcam.sources.reader import VideoReader

if TYPE_CHECKING:
    from live_gradcam.attribution.explainer import Explainer
    from live_gradcam.networks.classifier import Classifier

_log = logging.getLogger(__name__)

#: What the curves can be written as.
_PLOT_SUFFIXES = (".png", ".svg", ".pdf")
#: What `explain` adds to the name of a picture.
_PANELS_ENDING = "-gradcam"

RANDOM_MAP, CENTRED_BLOB = "random map", "centred blob"
#: Over how many random maps the control is averaged.
_RANDOM_MAPS = 5

Boxes = Mapping[str, Sequence[ObjectBox]]


@dataclass(frozen=True)
class Picture:
    """A picture to evaluate maps on.

    Attributes:
        name: of the file; of a frame, `FILE#INDEX`.
        image: uint8 (height, width, 3), BGR.
    """

    name: str
    image: np.ndarray


@dataclass(frozen=True)
class Figures:
    """What is measured of one map, or the mean of it over several.

    Attributes:
        deletion: float32 (steps + 1,): the class's probability with more and more of the most salient pixels gone.
        insertion: float32 (steps + 1,): with more and more of them there.
        drop: of the probability, in per cent, when the explanation map is shown.
        increase: 100 where it rises instead, else 0.
        hit: 100 where the map points at the object, else 0; None without boxes.
        rank_correlation: with the map of the network with a random head, -1…1; None where that was not asked for.
        absolute_rank_correlation: its absolute value, 0…1.
    """

    deletion: np.ndarray
    insertion: np.ndarray
    drop: float
    increase: float
    hit: float | None = None
    rank_correlation: float | None = None
    absolute_rank_correlation: float | None = None

    @property
    def deletion_auc(self) -> float:
        """The area under `deletion`, 0…1: the lower the better."""
        return faithfulness.area_under_curve(self.deletion)

    @property
    def insertion_auc(self) -> float:
        """The area under `insertion`, 0…1: the higher the better."""
        return faithfulness.area_under_curve(self.insertion)

    @classmethod
    def mean(cls, figures: Sequence[Figures]) -> Figures:
        """The mean of each figure, over those that have it. An area's mean is the area under the mean curve."""
        return cls(
            deletion=np.mean([one.deletion for one in figures], axis=0),
            insertion=np.mean([one.insertion for one in figures], axis=0),
            drop=float(np.mean([one.drop for one in figures])),
            increase=float(np.mean([one.increase for one in figures])),
            hit=_mean_of_known([one.hit for one in figures]),
            rank_correlation=_mean_of_known([one.rank_correlation for one in figures]),
            absolute_rank_correlation=_mean_of_known([one.absolute_rank_correlation for one in figures]),
        )

    def record(self) -> dict[str, Any]:
        """As plain numbers, for JSON."""
        numbers = {
            "deletion_auc": self.deletion_auc,
            "insertion_auc": self.insertion_auc,
            "average_drop_percent": self.drop,
            "increase_percent": self.increase,
            "pointing_percent": self.hit,
            "random_head_correlation": self.rank_correlation,
            "random_head_absolute_correlation": self.absolute_rank_correlation,
        }
        return {
            **{name: None if number is None else round(number, 6) for name, number in numbers.items()},
            "deletion": [round(float(probability), 6) for probability in self.deletion],
            "insertion": [round(float(probability), 6) for probability in self.insertion],
        }


def _mean_of_known(numbers: Sequence[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return float(np.mean(known)) if known else None


@dataclass(frozen=True)
class Evaluation:
    """What was measured on one picture.

    Attributes:
        name: the picture's.
        target: the explained class, with its probability for the picture.
        figures: by method, and by control.
    """

    name: str
    target: Prediction
    figures: dict[str, Figures]


def plan_sources(sources: Sequence[Path], levels: Levels | None = None) -> list[Path]:
    """The pictures and videos among the sources: files as they are, of folders their pictures.

    Args:
        sources: the files and folders.
        levels: what is asked for of pictures: which of their values are black and white.

    Raises:
        SourceError: a source that does not exist, a folder without pictures, or a picture that needs a package to be
            read that is not there.
        UsageError: levels of a video.
    """

    def is_ours(path: Path) -> bool:
        return path.stem.endswith(_PANELS_ENDING)

    files: list[Path] = []
    for source in sources:
        check_exists(source, "picture")
        if source.is_dir():
            folder = look_into(source, is_ours)
            files += folder.take(folder.pictures, "pictures")
        else:
            files.append(source)
    for file in files:
        if kind_of(file) is not Kind.VIDEO:
            check_picture(file)
        elif levels is not None:
            raise UsageError(f"--levels is for pictures: {file} is a video")
    return files


def read_pictures(path: Path, every: int | None, levels: Levels | None = None) -> Iterator[Picture]:
    """A picture, or frames of a video.

    Args:
        path: the file.
        every: of a video every so many frames one; None for one a second.
        levels: which of a picture's values are black and white; None for what the file and the values say.

    Raises:
        SourceError: the file cannot be read; or, after the frames that can, not to its end.
    """
    if kind_of(path) is not Kind.VIDEO:
        yield Picture(path.name, read_image(path, levels))
        return
    with VideoReader(path) as reader:
        if reader.rate_note and every is None:
            _log.warning(reader.rate_note)
        stride = every or max(1, round(reader.frame_rate))
        for frame in reader.frames():
            if frame.index % stride == 0:
                yield Picture(f"{path.name}#{frame.index}", frame.image)
        if reader.loss:
            raise SourceError(f"{path} is damaged: {reader.loss}")


def read_boxes(path: Path, files: Sequence[Path]) -> dict[str, tuple[ObjectBox, ...]]:
    """Read the boxes of objects, by picture.

    Args:
        path: JSON: an object from a picture's name to a list of [left, top, right, bottom] in its pixels.
        files: the pictures and videos that they are meant for.

    Raises:
        SourceError: the file cannot be read, or is not of that form.
        UsageError: it names none of the pictures.
    """
    try:
        content = json.loads(path.read_text("utf-8-sig"))
        boxes = {name: tuple(_box(corners) for corners in listed) for name, listed in content.items()}
    except OSError as error:
        raise SourceError(f"the boxes file {path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise SourceError(
            f'the boxes file {path} is not JSON of the form {{"cat.png": [[left, top, right, bottom], …], …}}'
        ) from error
    if not {name.partition("#")[0] for name in boxes} & {file.name for file in files}:
        raise UsageError(
            f"the boxes file {path} names none of the pictures: give their file names, such as {files[0].name}"
        )
    return boxes


def _box(corners: Sequence[float]) -> ObjectBox:
    left, top, right, bottom = map(float, corners)
    if not (left < right and top < bottom):
        raise ValueError(f"{corners} is not left, top, right, bottom")
    return left, top, right, bottom


def check_plot_path(path: Path) -> None:
    """Raise a UsageError for a file that the curves cannot be written as."""
    if path.suffix.lower() not in _PLOT_SUFFIXES:
        raise UsageError(f"the curves cannot be written as {path.name!r}: end it in {', '.join(_PLOT_SUFFIXES)}")


def parse_methods(text: str) -> tuple[str, ...]:
    """The names in a list with commas, each once.

    Raises:
        UsageError: there are none.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise UsageError("there are no methods in the list: give some, such as grad-cam,hirescam")
    return names


class Evaluator:
    """Measures the maps of several methods, and of the two controls, on one picture after the other.

    The controls are random maps of the resolution of the session's own, whose figures are averaged, and a blob in the
    middle of the input.

    Args:
        session: the network, the target layer and the class, if one is pinned.
        methods: the methods' names.
        steps: of deletion and insertion.
        boxes: of the objects, by the picture's name.
        random_head: whether to compare with the maps of a network with a random head, which compiles each
            method once more.

    Raises:
        UsageError: a method that there is not or that is not defined for the network; several classes, a contrast,
            values, or the fit native, none of which the measures are defined for.
        ModelError: the network cannot be given a random head.
    """

    def __init__(
        self, session: Session, methods: Sequence[str], *, steps: int, boxes: Boxes | None = None, random_head: bool
    ) -> None:
        if len(session.targets) > 1 or any(target.against is not None for target in session.targets):
            raise UsageError("maps are evaluated for one class: give one with --class, and no contrast")
        if session.explainer.vocabulary.are_values:
            raise UsageError("maps are evaluated by how probabilities change, and the network gives values")
        if session.explainer.fit == "native":
            raise UsageError("maps are evaluated at one input size: use --fit tiles, stretch, crop or letterbox")
        self._explainer = session.explainer
        self._target = session.targets
        self._steps = steps
        self._boxes = boxes or {}
        self._colour = session.explainer.classifier.preprocessing.mean_colour
        self._methods = _with_methods(session.explainer, methods)
        self._with_random_head: dict[str, Explainer] = {}
        if random_head:
            classifier = with_random_head(session.explainer.classifier)
            self._with_random_head = _with_methods(session.explainer.of_classifier(classifier), methods)

    def evaluate(self, picture: Picture, *, on_progress: Callable[[str], None] = lambda map_: None) -> Evaluation:
        """Measure everything on one picture.

        Args:
            picture: what the network is shown.
            on_progress: is told which map comes next.
        """
        explainer = self._explainer
        pixels, region = explainer.as_seen(picture.image)
        first = explainer(pixels, target=self._target)
        target, map_size = first.targets[0], first.heatmaps.shape[1:]
        boxes = self._boxes.get(picture.name)
        figures: dict[str, Figures] = {}
        for name, method in self._methods.items():
            on_progress(f"{picture.name}: {name}")
            explanation = first if method is explainer else method(pixels, target=target.index)
            heatmap = explanation.heatmaps[0]
            figures[name] = self._measure(heatmap, pixels, target.index, region, boxes)
            if name in self._with_random_head:
                other = self._with_random_head[name](pixels, target=target.index).heatmaps[0]
                correlation = faithfulness.rank_correlation(heatmap, other)
                figures[name] = replace(
                    figures[name], rank_correlation=correlation, absolute_rank_correlation=abs(correlation)
                )
        for name, controls in {
            RANDOM_MAP: [faithfulness.random_map(map_size, seed) for seed in range(_RANDOM_MAPS)],
            CENTRED_BLOB: [faithfulness.centred_blob(pixels.shape[:2])],
        }.items():
            on_progress(f"{picture.name}: {name}")
            figures[name] = Figures.mean(
                [self._measure(control, pixels, target.index, region, boxes) for control in controls]
            )
        return Evaluation(picture.name, target, figures)

    def _measure(
        self,
        heatmap: np.ndarray,
        pixels: np.ndarray,
        target: int,
        region: Region,
        boxes: Sequence[ObjectBox] | None,
    ) -> Figures:
        """All figures of one map but the rank correlation."""
        saliency = enlarged(heatmap, pixels.shape[:2])
        order = faithfulness.pixel_order(saliency)
        changed = chain(
            faithfulness.replaced(pixels, self._colour, order, self._steps),
            faithfulness.replaced(faithfulness.blurred(pixels), pixels, order, self._steps),
            [faithfulness.explanation_map(pixels, saliency, self._colour)],
        )
        probabilities = self._explainer.probabilities(changed)[:, target]
        deletion, insertion, explained = np.split(probabilities, [self._steps + 1, 2 * self._steps + 2])
        whole, shown = float(deletion[0]), float(explained[0])
        return Figures(
            deletion,
            insertion,
            faithfulness.drop(whole, shown),
            faithfulness.increase(whole, shown),
            None if boxes is None else faithfulness.hit(saliency, region, boxes),
        )


def _with_methods(explainer: Explainer, methods: Sequence[str]) -> dict[str, Explainer]:
    """The explainer with each of the methods; none is compiled again that it has already."""
    return {
        name: explainer if name == explainer.method else explainer.variant(method=name, layer=explainer.layer)
        for name in methods
    }


def with_random_head(classifier: Classifier, *, seed: int = 0) -> Classifier:
    """The same classifier with its last kernel, of a dense layer or a convolution, shuffled: the user's is not changed.

    The first step of Adebayo et al.'s cascading randomisation (see `faithfulness.rank_correlation`), with values drawn
    from the kernel's own distribution, without replacement.

    Args:
        classifier: whose model is copied, weights and all.
        seed: of the order.

    Raises:
        ModelError: the model cannot be copied, or has no such layer.
    """
    import keras

    from live_gradcam.networks.graph import flatten

    try:
        model = keras.models.clone_model(classifier.model)
    except Exception as error:  # a layer without a configuration has whatever its constructor says
        reason = f"evaluate it with --no-random-head: {first_line(error)}"
        raise ModelError(f"{classifier.name} cannot be copied, {reason}") from error
    model.set_weights(classifier.model.get_weights())
    operations = flatten(model, classifier.input_size).operations
    kernels = [operation.layer.kernel for operation in operations if hasattr(operation.layer, "kernel")]
    if not kernels:
        raise ModelError(
            f"{classifier.name} has no dense layer or convolution to make random: evaluate it with --no-random-head"
        )
    values = keras.ops.convert_to_numpy(kernels[-1])
    kernels[-1].assign(np.random.default_rng(seed).permutation(values.reshape(-1)).reshape(values.shape))
    return replace(classifier, model=model)


def mean_figures(evaluations: Sequence[Evaluation]) -> dict[str, Figures]:
    """The mean over pictures, by method and control."""
    return {
        name: Figures.mean([evaluation.figures[name] for evaluation in evaluations]) for name in evaluations[0].figures
    }


def evaluation_record(evaluations: Sequence[Evaluation], session: Session, *, steps: int) -> dict[str, Any]:
    """All numbers, for JSON.

    Returns:
        `model`, `layer`, `steps`; `maps`: by method and control the means of `Figures.record`; `pictures`: for each
        `picture`, `target`, `target_label`, `probability` and its own `maps`.
    """

    def records(figures: dict[str, Figures]) -> dict[str, Any]:
        return {name: one.record() for name, one in figures.items()}

    return {
        "model": session.explainer.classifier.name,
        "layer": session.explainer.layer,
        "steps": steps,
        "maps": records(mean_figures(evaluations)),
        "pictures": [
            {
                "picture": evaluation.name,
                "target": evaluation.target.index,
                "target_label": evaluation.target.label,
                "probability": round(evaluation.target.probability, 6),
                "maps": records(evaluation.figures),
            }
            for evaluation in evaluations
        ],
    }


def write_curves(path: Path, figures: dict[str, Figures], title: str) -> None:
    """Plot deletion and insertion, a curve each for every method and control.

    Args:
        path: a PNG, SVG or PDF file.
        figures: what to plot, by name.
        title: over both plots.

    Raises:
        OutputError: the file cannot be written.
    """
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of the fonts that it lists on its first run
    figure = Figure(figsize=(12, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2, sharey=True)
    controls = {RANDOM_MAP: "--", CENTRED_BLOB: ":"}
    colours = colormaps["tab20" if len(figures) > 10 + len(controls) else "tab10"].colors  # type: ignore[attr-defined]
    for position, (name, one) in enumerate(figures.items()):
        colour = "0.35" if name in controls else colours[position % len(colours)]
        width = 1.2 + 3 * (1 - position / len(figures))  # what lies under others of the same course stays visible
        label = f"{name}: {one.deletion_auc:.3f}, {one.insertion_auc:.3f}"
        for panel, curve in zip(panels, (one.deletion, one.insertion), strict=True):
            shares = np.linspace(0, 100, len(curve))
            panel.plot(shares, curve, color=colour, linestyle=controls.get(name, "-"), linewidth=width, label=label)
    panels[0].set(title="deletion: lower is better", xlabel="pixels removed, %", ylabel="probability of the class")
    panels[1].set(title="insertion: higher is better", xlabel="pixels inserted, %")
    for panel in panels:
        panel.set(xlim=(0, 100), ylim=(0, None))
        panel.grid(alpha=0.3)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", title="areas under deletion, insertion", frameon=False)
    figure.suptitle(title)
    with writing(path):
        figure.savefig(path, dpi=120)
