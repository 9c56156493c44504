"""The commands of a live run, in one table: name, argument, keys, help, and what each does to the run.

The table serves the window's keys, the help on the screen, the README, and whatever else gives commands. To add a
command, write its function and its row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from live_gradcam.choices import HUD_LEVELS, VIEWS, Choices
from live_gradcam.errors import UsageError, did_you_mean
from live_gradcam.live_loop.variants import FITS_TO_STEP_THROUGH
from live_gradcam.surfaces.commands import Argument, CommandRow, CommandTable

if TYPE_CHECKING:
    from live_gradcam.live_loop.loop import LiveRun

Name = TypeVar("Name", bound=str)

_ALPHA_STEP = 0.1
_SWITCH = "true or false; none to change it"


def _quit(run: LiveRun, _: Argument) -> None:
    run.quit()


def _pause(run: LiveRun, argument: Argument) -> None:
    run.pause(_switched(run.state.paused, argument))


def _view(run: LiveRun, argument: Argument) -> None:
    run.state.view = _next_or_named(VIEWS, run.state.view, argument)
    run.notify(run.state.view.replace("-", " "))


def _help(run: LiveRun, argument: Argument) -> None:
    run.state.help = _switched(run.state.help, argument)


def _hud(run: LiveRun, argument: Argument) -> None:
    run.state.hud = _next_or_named(HUD_LEVELS, run.state.hud, argument)


def _snapshot(run: LiveRun, _: Argument) -> None:
    run.take_snapshot()


def _record(run: LiveRun, argument: Argument) -> None:
    run.record(_switched(run.is_recording, argument))


def _mirror(run: LiveRun, argument: Argument) -> None:
    run.state.mirror = _switched(run.state.mirror, argument)


def _colormap(run: LiveRun, argument: Argument) -> None:
    overlay = run.state.overlay
    if argument is None:
        overlay.next_colormap()
    else:
        overlay.use_colormap(str(argument))
    run.notify(f"colour map: {overlay.colormap}")


def _opacity(run: LiveRun, argument: Argument) -> None:
    if isinstance(argument, bool) or not isinstance(argument, int | float):
        raise UsageError(f"the opacity is {argument!r}: it must be a number from 0 to 1")
    run.state.overlay.use_alpha(argument)
    _say_alpha(run)


def _more_opaque(run: LiveRun, _: Argument) -> None:
    _change_alpha(run, _ALPHA_STEP)


def _less_opaque(run: LiveRun, _: Argument) -> None:
    _change_alpha(run, -_ALPHA_STEP)


def _change_alpha(run: LiveRun, step: float) -> None:
    run.state.overlay.change_alpha(step)
    _say_alpha(run)


def _say_alpha(run: LiveRun) -> None:
    run.notify(f"heatmap: {100 * run.state.overlay.alpha:.0f} %")


def _layer(run: LiveRun, argument: Argument) -> None:
    if not isinstance(argument, str):
        raise UsageError(f"the layer is {argument!r}: it must be a layer's name")
    if run.variants is not None:
        run.variants.ask(layer=argument)


def _layer_back(run: LiveRun, _: Argument) -> None:
    if run.variants is not None:
        run.variants.step_layer(-1)


def _layer_forward(run: LiveRun, _: Argument) -> None:
    if run.variants is not None:
        run.variants.step_layer(1)


def _method(run: LiveRun, argument: Argument) -> None:
    if run.variants is None:
        return
    if argument is None:
        run.variants.step_method()
    else:
        run.variants.ask(method=_named("method", run.variants.methods, argument))


def _fit(run: LiveRun, argument: Argument) -> None:
    if run.variants is None:
        return
    if argument is None:
        run.variants.step_fit()
    else:
        run.variants.ask(fit=_named("fit", run.variants.fits, argument))


def _pin(run: LiveRun, argument: Argument) -> None:
    run.pin(_whole_number("class", argument))


def _pin_place(run: LiveRun, argument: Argument) -> None:
    place, explanation = _whole_number("place", argument), run.explanation
    if explanation is not None and 1 <= place <= len(explanation.predictions):
        run.pin(explanation.predictions[place - 1].index)


def _track(run: LiveRun, _: Argument) -> None:
    run.state.pinned = ()


def _freeze(run: LiveRun, _: Argument) -> None:
    if run.explanation is not None and not run.state.pinned:
        run.pin(run.explanation.target)


def _boxes(run: LiveRun, argument: Argument) -> None:
    run.state.boxes = _switched(run.state.boxes, argument)


def _timings(run: LiveRun, argument: Argument) -> None:
    run.state.timings = _switched(run.state.timings, argument)


def _teach(run: LiveRun, argument: Argument) -> None:
    run.teach(_switched(run.state.teaching, argument))


def _switched(current: bool, argument: Argument) -> bool:
    """What is wanted of a switch: the argument, or else the opposite of what it is."""
    if argument is not None and not isinstance(argument, bool):
        raise UsageError(f"{argument!r} is neither true nor false")
    return not current if argument is None else argument


def _next_or_named(choices: Choices, current: str, argument: Argument) -> str:
    """The name that is wanted: the argument, or else the one after the current one."""
    names = tuple(choices)
    return names[(names.index(current) + 1) % len(names)] if argument is None else _named(choices.kind, names, argument)


def _named(kind: str, names: Sequence[Name], argument: Argument) -> Name:
    for name in names:
        if name == argument:
            return name
    raise UsageError(f"there is no {kind} {argument!r}{did_you_mean(str(argument), names)}")


def _whole_number(kind: str, argument: Argument) -> int:
    if isinstance(argument, bool) or not isinstance(argument, int):
        raise UsageError(f"the {kind} is {argument!r}: it must be a whole number")
    return argument


COMMANDS: CommandTable[LiveRun] = CommandTable(
    CommandRow("quit", _quit, "quit", keys="qQ\x1b", keys_name="q, Esc"),
    CommandRow("pause", _pause, "pause, or go on", _SWITCH, " ", "Space"),
    CommandRow("view", _view, f"show the next view: {', '.join(VIEWS)}", "its name; none for the next", "\t", "Tab"),
    CommandRow("help", _help, "show or hide these keys", _SWITCH, "hH?", "h"),
    CommandRow(
        "snapshot",
        _snapshot,
        "save a snapshot: the picture, the clean frame, the numbers",
        keys="sS",
        keys_name="s",
    ),
    CommandRow("record", _record, "start or stop recording", _SWITCH, "rR", "r"),
    CommandRow("mirror", _mirror, "flip the picture as in a mirror, or back", _SWITCH, "mM", "m"),
    CommandRow("colormap", _colormap, "use the next colour map", "its name; none for the next", "cC", "c"),
    CommandRow("more-opaque", _more_opaque, "make the heatmap stronger", keys="+=", keys_name="+"),
    CommandRow("less-opaque", _less_opaque, "make the heatmap weaker", keys="-_", keys_name="-"),
    CommandRow("opacity", _opacity, "set how strong the heatmap is", "from 0 to 1"),
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
    CommandRow("track", _track, "explain the top class again", keys="tT", keys_name="t"),
    CommandRow("freeze", _freeze, "keep explaining the class that is explained now", keys="fF", keys_name="f"),
    CommandRow("boxes", _boxes, "show or hide the boxes", _SWITCH, "bB", "b"),
    CommandRow("timings", _timings, "show or hide how long each stage takes", _SWITCH, "dD", "d"),
    CommandRow("teach", _teach, "teach the network your own classes, or stop", _SWITCH, "lL", "l"),
    CommandRow("hud", _hud, "show more or less text", f"{', '.join(HUD_LEVELS)}; none for the next"),
)
