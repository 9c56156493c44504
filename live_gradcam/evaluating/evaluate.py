"""How faithful maps are, of several methods side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from live_gradcam.attribution.session import Session, SessionOptions, start_session
from live_gradcam.attribution.start import StartSession
from live_gradcam.choices import METHODS
from live_gradcam.errors import LiveGradcamError, UsageError, check_number
from live_gradcam.evaluating.curves import write_curves
from live_gradcam.evaluating.dataset import read_dataset, recipe_of
from live_gradcam.evaluating.evaluator import Evaluator
from live_gradcam.evaluating.figures import Evaluation, Figures, mean_figures
from live_gradcam.evaluating.pictures import pictures_among, plan_sources, read_boxes, read_pictures
from live_gradcam.networks.preprocessing import Preprocessing
from live_gradcam.sources.labelled import is_dataset
from live_gradcam.sources.levels import Levels
from live_gradcam.sources.shared_levels import shared_levels

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

#: Of what `Evaluations.to_json` gives. New fields may come under the same number.
SCHEMA = 1


@dataclass(frozen=True)
class EvaluationOptions:
    """How maps are evaluated.

    Attributes:
        methods: the methods to compare; empty for the session's own.
        steps: of deletion and insertion.
        every: of a video, one frame in so many; None for one per second.
        boxes: a JSON file with the boxes of the objects, for the pointing game; None to leave that out.
        random_head: compare with the maps of the network with a random head.
        levels: which of a picture's values are black and white; None for what the model's card and the file say, or
            else what the values of all pictures are like.

    Raises:
        UsageError: a number that is not possible.
    """

    methods: tuple[str, ...] = ()
    steps: int = 50
    every: int | None = None
    boxes: str | Path | None = None
    random_head: bool = True
    levels: Levels | None = None

    def __post_init__(self) -> None:
        check_number("--steps", self.steps, least=1)
        if self.every is not None:
            check_number("--every", self.every, least=1)


@dataclass(frozen=True)
class Evaluations:
    """What was measured, on all pictures.

    Attributes:
        model: the network's name.
        layer: the target layer.
        steps: of deletion and insertion.
        pictures: what was measured on each picture.
        failed: the files that could not be read, or not to their end, each with the reason.
    """

    model: str
    layer: str
    steps: int
    pictures: tuple[Evaluation, ...]
    failed: tuple[tuple[Path, LiveGradcamError], ...] = ()

    @property
    def figures(self) -> dict[str, Figures]:
        """The means over the pictures, by method and by control; empty without pictures."""
        return mean_figures(self.pictures) if self.pictures else {}

    @property
    def accuracy(self) -> float | None:
        """The share of the pictures with a label whose explained class is that of the label; None without labels."""
        right = [one.target.index == one.truth.index for one in self.pictures if one.truth is not None]
        return sum(right) / len(right) if right else None

    @property
    def title(self) -> str:
        """A line that says what was measured."""
        pictures = "1 picture" if len(self.pictures) == 1 else f"{len(self.pictures)} pictures"
        return f"{self.model} · {self.layer} · {pictures} · {self.steps} steps"

    def write_curves(self, path: str | Path) -> None:
        """Plot deletion and insertion into a PNG, SVG or PDF file.

        Raises:
            OutputError: the file cannot be written.
        """
        write_curves(Path(path), self.figures, self.title)

    def to_json(self) -> dict[str, Any]:
        """All numbers as plain values: see docs/json.md."""
        return {
            "schema": SCHEMA,
            "model": self.model,
            "layer": self.layer,
            "steps": self.steps,
            "maps": {name: one.to_json() for name, one in self.figures.items()},
            **({} if self.accuracy is None else {"accuracy": round(self.accuracy, 6)}),
            "pictures": [evaluation.to_json() for evaluation in self.pictures],
        }


def evaluate(
    sources: str | Path | Sequence[str | Path] | tf.data.Dataset,
    *,
    model: str | Path | keras.Model | None = None,
    session: Session | SessionOptions | None = None,
    options: EvaluationOptions | None = None,
    start: StartSession = start_session,
    on_progress: Callable[[str], None] = lambda map_: None,
    on_failed: Callable[[Path, LiveGradcamError], None] = lambda file, error: None,
) -> Evaluations:
    """Measure how faithful maps are to the network: deletion, insertion, average drop, pointing game, random head.

    Args:
        sources: pictures, folders of pictures, and videos. Or a `tf.data.Dataset` of pictures, in batches or not,
            with labels or without: classes, or one number for each class.
        model: as of the session's options, which may give it too. With a Keras model, the pictures of a dataset are
            taken to be what it takes; otherwise they are RGB, of 0…255 or 0…1.
        session: what to explain with: a session, or the options of one, which is then started.
        options: how.
        start: starts the session.
        on_progress: called before each map is measured, with its name.
        on_failed: called with each file that cannot be read, or not to its end, when that is known; the others go on.

    Raises:
        LiveGradcamError: a name or a source that does not exist, before anything slow is done; what `Evaluator` does
            not measure; and as `start_session`.
    """
    options = options or EvaluationOptions()
    session = _with_model(session or SessionOptions(), model)
    for method in options.methods:
        METHODS.check(method)
    dataset = sources if is_dataset(sources) else None
    given = [sources] if isinstance(sources, (str, Path)) else [] if dataset is not None else sources
    if not given and dataset is None:
        raise UsageError("there is nothing to evaluate: give a picture, a folder of pictures, or a video")
    if isinstance(session, SessionOptions):
        session.check()
    recipe = None
    if dataset is not None:
        session, recipe = _for_dataset(dataset, session, model, options)
    files = plan_sources([Path(source) for source in given], options.levels)
    boxes = read_boxes(Path(options.boxes), files) if options.boxes else None
    levels = options.levels or Levels.of_card(session.card_levels) or shared_levels(pictures_among(files))
    methods = options.methods or (session.method,)
    if isinstance(session, SessionOptions):
        session = start(replace(session, method=methods[0], methods=methods))
    if options.random_head:
        on_progress("making the head random")
    evaluator = Evaluator(session, methods, steps=options.steps, boxes=boxes, random_head=options.random_head)
    evaluations: list[Evaluation] = []
    failed: list[tuple[Path, LiveGradcamError]] = []
    for file in files:
        try:
            for picture in read_pictures(file, options.every, levels):
                evaluations.append(evaluator.evaluate(picture, on_progress=on_progress))
        except LiveGradcamError as error:
            failed.append((file, error))
            on_failed(file, error)
    if recipe is not None:
        for picture in read_dataset(dataset, recipe, len(session.vocabulary.classes)):
            evaluations.append(evaluator.evaluate(picture, on_progress=on_progress))
    return Evaluations(session.model, session.layer, options.steps, tuple(evaluations), tuple(failed))


def _with_model(session: Session | SessionOptions, model: str | Path | keras.Model | None) -> Session | SessionOptions:
    if model is None:
        return session
    if isinstance(session, SessionOptions):
        return replace(session, model=model)
    raise UsageError("the session has a model already: leave model= out")


def _for_dataset(
    dataset: tf.data.Dataset,
    session: Session | SessionOptions,
    model: str | Path | keras.Model | None,
    options: EvaluationOptions,
) -> tuple[Session | SessionOptions, Preprocessing]:
    """What to explain a dataset with, and what makes its numbers of pixels.

    A Keras model takes these numbers, so that it is explained with the same recipe.
    """
    if options.boxes or options.levels or options.every:
        raise UsageError("boxes, levels and every are for files: leave them out for a dataset")
    is_input = model is not None and not isinstance(model, (str, Path))
    recipe = recipe_of(dataset, is_of_pictures=not is_input)
    if is_input and isinstance(session, SessionOptions):
        session = replace(session, preprocessing=recipe, fit="stretch")
    return session, recipe


def parse_methods(text: str) -> tuple[str, ...]:
    """The names in a list with commas, each once.

    Raises:
        UsageError: there are none.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise UsageError("there are no methods in the list: give some, such as grad-cam,hirescam")
    return names
