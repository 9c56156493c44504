"""The commands that change what is explained, and how: they act on any run with an explanation, shown or not."""

from __future__ import annotations

from live_gradcam.choices import Fit
from live_gradcam.errors import UsageError
from live_gradcam.explanations.explanation import Explanation, Target
from live_gradcam.live_loop.arguments import SWITCH, named, switched, whole_number
from live_gradcam.live_loop.runs import ExplainedRun
from live_gradcam.surfaces.commands import Argument, CommandRow

#: Without native, which is compiled for the first frame; the one that a run begins with is stepped through too.
FITS_TO_STEP_THROUGH: tuple[Fit, ...] = ("tiles", "crop", "stretch", "letterbox")

#: The longest time constant that can be set while a run goes on, in seconds.
MOST_SMOOTH = 10


def _layer(run: ExplainedRun, argument: Argument) -> None:
    if not isinstance(argument, str):
        raise UsageError(f"the layer is {argument!r}: it must be a layer's name")
    if run.variants is not None:
        run.variants.ask(layer=argument)


def _layer_back(run: ExplainedRun, _: Argument) -> None:
    if run.variants is not None:
        run.variants.step_layer(-1)


def _layer_forward(run: ExplainedRun, _: Argument) -> None:
    if run.variants is not None:
        run.variants.step_layer(1)


def _method(run: ExplainedRun, argument: Argument) -> None:
    if run.variants is None:
        return
    if argument is None:
        run.variants.step_method()
    else:
        run.variants.ask(method=named("method", run.variants.methods, argument))


def _fit(run: ExplainedRun, argument: Argument) -> None:
    if run.variants is None:
        return
    if argument is None:
        run.variants.step_fit()
    else:
        run.variants.ask(fit=named("fit", run.variants.fits, argument))


def _pin(run: ExplainedRun, argument: Argument) -> None:
    run.state.pinned = (Target(_class(run, argument)),)


def _pin_place(run: ExplainedRun, argument: Argument) -> None:
    place, explanation = whole_number("place", argument), run.explanation
    if explanation is not None and 1 <= place <= len(explanation.predictions):
        _pin(run, explanation.predictions[place - 1].index)


def _pin_add(run: ExplainedRun, argument: Argument) -> None:
    """Explain one more class; or no longer, if it is pinned."""
    index, pinned = _class(run, argument), run.state.pinned
    others = tuple(target for target in pinned if target.index != index)
    if len(others) < len(pinned):
        run.state.pinned = others
        return
    if len(pinned) >= run.maps:
        raise UsageError(
            "as many classes are pinned as can be explained, {count}: take one away first", count=len(pinned)
        )
    run.state.pinned = (*pinned, Target(index))


def _contrast(run: ExplainedRun, argument: Argument) -> None:
    """Contrast the class that is explained, or one that is named, with another; or stop."""
    pinned = run.state.pinned
    if argument is None and any(target.against is not None for target in pinned):
        run.state.pinned = tuple(Target(target.index) for target in pinned)
        return
    index, against = _contrasted(run, argument)
    others = tuple(target for target in pinned[1:] if target.index != index)
    run.state.pinned = (Target(index, against), *others)


def _contrasted(run: ExplainedRun, argument: Argument) -> tuple[int, int]:
    """The class to explain, and the one to contrast it with."""
    if isinstance(argument, str):
        indices = [int(text) for text in argument.split(">") if text.strip().isascii() and text.strip().isdecimal()]
        if len(indices) != 2 or argument.count(">") != 1:
            raise UsageError(f"the contrast is {argument!r}: give the index of the other class, or both as A>B")
        index, against = (_class(run, index) for index in indices)
    else:
        explanation = run.explanation
        if explanation is None:
            raise UsageError("nothing is explained yet: contrast classes when there is a picture")
        index = run.state.pinned[0].index if run.state.pinned else explanation.target
        against = _best_other(run, explanation, index) if argument is None else _class(run, argument)
    if index == against:
        raise UsageError("a class cannot be contrasted with itself: give another one")
    return index, against


def _best_other(run: ExplainedRun, explanation: Explanation, index: int) -> int:
    """The best of the list that is not the class itself, nor the group that it is of."""
    for prediction in explanation.predictions:
        if run.vocabulary is not None and not run.vocabulary.overlap(index, prediction.index):
            return prediction.index
    raise UsageError("there is no other class to contrast it with")


def _class(run: ExplainedRun, argument: Argument) -> int:
    """A class that can be explained.

    Raises:
        UsageError: the network has no such class.
    """
    index, vocabulary = whole_number("class", argument), run.vocabulary
    if vocabulary is None or not 0 <= index < len(vocabulary.names) or index in vocabulary.hidden:
        raise UsageError(f"the network has no class {index}")
    return index


def _track(run: ExplainedRun, _: Argument) -> None:
    run.state.pinned = ()


def _freeze(run: ExplainedRun, _: Argument) -> None:
    if run.explanation is not None and not run.state.pinned:
        _pin(run, run.explanation.target)


def _boxes(run: ExplainedRun, argument: Argument) -> None:
    run.state.boxes = switched(run.state.boxes, argument)


def _smooth(run: ExplainedRun, argument: Argument) -> None:
    if isinstance(argument, bool) or not isinstance(argument, int | float) or not 0 <= argument <= MOST_SMOOTH:
        raise UsageError(f"the smoothing is {argument!r}: it must be a number of seconds from 0 to {MOST_SMOOTH}")
    run.state.smooth = float(argument)


def _teach(run: ExplainedRun, argument: Argument) -> None:
    run.teach(switched(run.state.teaching, argument))


#: Those that change what is explained, in the order in which the help lists them.
EXPLAINING: tuple[CommandRow[ExplainedRun], ...] = (
    CommandRow("layer-back", _layer_back, "explain an earlier layer, closer to the picture", keys="[", keys_name="["),
    CommandRow(
        "layer-forward", _layer_forward, "explain a later layer, closer to the prediction", keys="]", keys_name="]"
    ),
    CommandRow("layer", _layer, "explain a layer", "its full name"),
    CommandRow("method", _method, "use the next method", "its name; none for the next", "gG", "g"),
    CommandRow(
        "fit",
        _fit,
        f"use the next fit: {', '.join(FITS_TO_STEP_THROUGH)}",
        "its name; none for the next",
        "wW",
        "w",
    ),
    CommandRow(
        "pin-place",
        _pin_place,
        "explain a class of the list (or click on its bar)",
        "its place in the list, from 1",
        "1234567890",
        "1 … 9, 0",
        tuple(range(1, 11)),
    ),
    CommandRow("pin", _pin, "explain a class", "its index"),
    CommandRow("pin-add", _pin_add, "explain one more class, or stop explaining it", "its index"),
    CommandRow("track", _track, "explain the top class again", keys="tT", keys_name="t"),
    CommandRow("freeze", _freeze, "keep explaining the class that is explained now", keys="fF", keys_name="f"),
    CommandRow(
        "contrast",
        _contrast,
        "explain why this class and not the next best, or stop",
        "the other class's index, or both as A>B; none for the next best",
        "vV",
        "v",
    ),
    CommandRow("boxes", _boxes, "show or hide the boxes", SWITCH, "bB", "b"),
    CommandRow(
        "smooth",
        _smooth,
        "set over how many seconds the maps are smoothed",
        f"seconds, 0 to {MOST_SMOOTH}; 0: not at all",
    ),
)

#: Begins and ends the teaching; `teaching_commands` has what it adds.
TEACH: CommandRow[ExplainedRun] = CommandRow(
    "teach", _teach, "teach the network your own classes, or stop", SWITCH, "lL", "l"
)
