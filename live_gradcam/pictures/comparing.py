"""One picture, explained by several methods, at several layers and for several classes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from live_gradcam.attribution.session import Session, SessionOptions
from live_gradcam.choices import METHODS
from live_gradcam.drawing.cell_output import CellBar, CellOutput
from live_gradcam.drawing.hud import map_name
from live_gradcam.drawing.sheet import Pane, Sheet, ShownAsSheet, bars_of
from live_gradcam.errors import UsageError
from live_gradcam.explanations.boxes import DEFAULT_BOXES, with_boxes
from live_gradcam.explanations.explanation import Target
from live_gradcam.networks.labels import find_targets
from live_gradcam.pictures.explained import ExplainedPicture, as_dataframe
from live_gradcam.pictures.explaining import check_files
from live_gradcam.pictures.given import Channels, given, is_batch
from live_gradcam.pictures.starting import start_session

if TYPE_CHECKING:
    import pandas

    from live_gradcam.attribution.explainer import Explainer

#: How many panes a row has where only one thing differs.
_COLUMNS = 4
#: Seconds between two pictures of the bar, while a method takes many passes.
_EVERY = 0.25


@dataclass(frozen=True, repr=False)
class Comparison(ShownAsSheet):
    """One picture, explained in several ways. At the end of a notebook's cell it shows itself, as a grid.

    Attributes:
        pictures: the picture with each explanation: by class, then by layer, then by method.
        names: of each what differs: "layercam · block4_add".
        columns: how many a row of the grid has.
    """

    pictures: tuple[ExplainedPicture, ...]
    names: tuple[str, ...]
    columns: int

    def __repr__(self) -> str:
        return f"Comparison({', '.join(self.names)})"

    def to_json(self) -> list[dict[str, Any]]:
        """The numbers of each, as `live-gradcam explain --json` writes several pictures: see docs/json.md."""
        return [picture.to_json() for picture in self.pictures]

    def to_dataframe(self) -> pandas.DataFrame:
        """A pandas table with a row for each map.

        Its columns are `method`, `layer`, `class`, `probability` (or `value`) of that class, `evidence`, and `empty`.

        Raises:
            LiveGradcamError: pandas is not installed.
        """
        explanations = [picture.explanation for picture in self.pictures]
        return as_dataframe(
            {
                "method": one.method,
                "layer": one.layer,
                "class": map_name(one),
                "probability" if one.targets[0].value is None else "value": one.targets[0].number,
                "evidence": float(one.evidence[0]),
                "empty": one.empty[0],
            }
            for one in explanations
        )

    def _sheet(self) -> Sheet:
        first = self.pictures[0].explanation
        panes = [Pane(name, one.overlay("bgr")) for name, one in zip(self.names, self.pictures, strict=True)]
        same = [one for one in (first.model, self._shared("method"), self._shared("layer")) if one]
        return Sheet(" · ".join(same), panes, self.columns, bars_of(first), first.target)

    def _shared(self, what: str) -> str:
        """The method or the layer, where all have the same."""
        found = {getattr(picture.explanation, what) for picture in self.pictures}
        return found.pop() if len(found) == 1 else ""


def compare(
    picture: Any,
    *,
    methods: Sequence[str] = (),
    layers: Sequence[str] = (),
    classes: Sequence[str | int] = (),
    session: Session | SessionOptions | None = None,
    channels: Channels = "rgb",
) -> Comparison:
    """Explain one picture with each of some methods, at each of some layers, for each of some classes.

    All names are checked before TensorFlow starts, as far as they can be known without it; with a session, before
    anything is compiled. Each pair of a method and a layer is compiled once, which takes seconds: in a notebook, a bar
    says how far it is.

    Examples:
        >>> compare("cat.png", methods=["grad-cam", "layercam"], layers=["block4_add", "block12_add"])
        Comparison(grad-cam · block4_add, layercam · block4_add, grad-cam · block12_add, layercam · block12_add)

    Args:
        picture: as `explain` takes it; no batch.
        methods: names of methods; empty for the session's own.
        layers: names of layers; empty for the session's own.
        classes: by index or label, or as "A>B": why A rather than B. Empty for the session's own, or the top class.
        session: what to explain with: a session, or the options of one, which is then started.
        channels: as for `explain`.

    Raises:
        UsageError: there is nothing to compare, no such name, or something is no picture.
        LiveGradcamError: the picture cannot be read; and as `start_session`.
    """
    session = session or SessionOptions()
    methods, layers = _several(methods), _several(layers)
    asked_for = tuple(map(str, _several(classes)))
    if not (methods or layers or asked_for):
        raise UsageError("there is nothing to compare: give methods, layers or classes")
    if is_batch(picture):
        raise UsageError("one picture is compared at a time: give one, and not several")
    for name in methods:
        METHODS.check(name)
    if isinstance(session, SessionOptions):
        first = methods[0] if methods else session.method
        session = replace(session, method=first, methods=methods, classes=asked_for or session.classes)
        for layer in layers or (session.layer,):
            replace(session, layer=layer).check()
        session = replace(session, layer=layers[0] if layers else session.layer)
    (one,) = given([picture], channels, None)
    check_files([one])
    image = one.read(None)
    started = start_session(session) if isinstance(session, SessionOptions) else session
    targets = _targets(started, asked_for)
    explainers = _explainers(started, methods or (started.method,), layers or (started.layer,))
    pictures, progress = [], _Progress(len(targets) * len(explainers))
    try:
        for target in targets:
            for explainer in explainers:
                progress.begin(explainer, is_ready=explainer.is_ready_for(image.shape[:2]))
                explanation = explainer(image, target=target, on_progress=progress).of_map(0)
                explanation = with_boxes(explanation, image.shape[:2], threshold=DEFAULT_BOXES.threshold)
                pictures.append(ExplainedPicture(one.source, image, explanation))
    finally:
        progress.finish()
    lengths = {"method": len(methods), "layer": len(layers), "class": len(targets)}
    differs = [what for what, length in lengths.items() if length > 1] or [
        what for what, names in (("method", methods), ("layer", layers), ("class", asked_for)) if names
    ]
    columns = lengths[differs[0]] if len(differs) > 1 else min(_COLUMNS, len(pictures))
    return Comparison(tuple(pictures), tuple(_name(picture, differs) for picture in pictures), columns)


class _Progress:
    """Shows in a notebook how many maps are made, where they take their time.

    Args:
        count: of all maps.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._number = 0  # of the map that is made now, from 1
        self._what = ""
        self._output = CellOutput()
        self._drawn: float | None = None  # when, if it was

    def begin(self, explainer: Explainer, *, is_ready: bool) -> None:
        """The next map is made, at once or after something is compiled for it."""
        self._number += 1
        self._what = f"{explainer.method} · {explainer.layer}"
        if self._drawn is not None or not is_ready:
            self._draw(0.0)

    def __call__(self, done: int, total: int) -> None:
        """Take note of how many passes of this map are done."""
        if self._drawn is None or time.monotonic() - self._drawn >= _EVERY:
            self._draw(done / total)

    def finish(self) -> None:
        """No more maps are made: the bar goes."""
        self._output.clear()

    def _draw(self, share: float) -> None:
        self._drawn = time.monotonic()
        text = f"map {self._number} of {self._count}, {self._what}"
        self._output.update(CellBar("compare", text, (self._number - 1 + share) / self._count))


def _several(names: Sequence[Any] | Any) -> tuple[Any, ...]:
    """Names, each once; one alone may be given without a list."""
    return tuple(dict.fromkeys([names] if isinstance(names, (str, int)) else names))


def _targets(session: Session, asked_for: Sequence[str]) -> Sequence[Target | None]:
    if not asked_for:
        return session.targets or (None,)
    names = session.plan.options.explained.names
    return [next(iter(find_targets([name], session.classifier.labels, names)), None) for name in asked_for]


def _explainers(session: Session, methods: Sequence[str], layers: Sequence[str]) -> list[Explainer]:
    """One for each layer and method. They are built before the first is compiled, so that a wrong name costs little."""
    same = (session.method, session.layer)
    return [
        session.explainer if (method, layer) == same else session.explainer.variant(method=method, layer=layer)
        for layer in layers
        for method in methods
    ]


def _name(picture: ExplainedPicture, differs: Sequence[str]) -> str:
    explanation = picture.explanation
    names = {"method": explanation.method, "layer": explanation.layer, "class": map_name(explanation)}
    return " · ".join(names[what] for what in differs)
