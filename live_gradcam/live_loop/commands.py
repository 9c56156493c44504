"""The commands of a live run, in one table: name, argument, keys, help, and what each does to the run.

The table serves the window's keys, the help on the screen, docs/live.md, the page, and whatever else gives
commands. To add a command, write its function and its row: here what is shown or written, in `explaining_commands`
what is explained.
"""

from __future__ import annotations

from live_gradcam.choices import HUD_LEVELS, VIEWS
from live_gradcam.errors import UsageError
from live_gradcam.live_loop.arguments import SWITCH, next_or_named, switched
from live_gradcam.live_loop.explaining_commands import EXPLAINING, TEACH
from live_gradcam.live_loop.runs import ShownRun
from live_gradcam.surfaces.commands import Argument, CommandRow, CommandTable

_ALPHA_STEP = 0.1


def _quit(run: ShownRun, _: Argument) -> None:
    run.quit()


def _pause(run: ShownRun, argument: Argument) -> None:
    run.pause(switched(run.state.paused, argument))


def _view(run: ShownRun, argument: Argument) -> None:
    run.state.view = next_or_named(VIEWS, run.state.view, argument)
    run.notify(run.state.view.replace("-", " "))


def _help(run: ShownRun, argument: Argument) -> None:
    run.state.help = switched(run.state.help, argument)


def _hud(run: ShownRun, argument: Argument) -> None:
    run.state.hud = next_or_named(HUD_LEVELS, run.state.hud, argument)


def _snapshot(run: ShownRun, _: Argument) -> None:
    run.take_snapshot()


def _record(run: ShownRun, argument: Argument) -> None:
    run.record(switched(run.is_recording, argument))


def _mirror(run: ShownRun, argument: Argument) -> None:
    run.state.mirror = switched(run.state.mirror, argument)


def _colormap(run: ShownRun, argument: Argument) -> None:
    overlay = run.state.overlay
    if argument is None:
        overlay.next_colormap()
    else:
        overlay.use_colormap(str(argument))
    run.notify(f"colour map: {overlay.colormap}")


def _opacity(run: ShownRun, argument: Argument) -> None:
    if isinstance(argument, bool) or not isinstance(argument, int | float):
        raise UsageError(f"the opacity is {argument!r}: it must be a number from 0 to 1")
    run.state.overlay.use_alpha(argument)
    _say_alpha(run)


def _more_opaque(run: ShownRun, _: Argument) -> None:
    _change_alpha(run, _ALPHA_STEP)


def _less_opaque(run: ShownRun, _: Argument) -> None:
    _change_alpha(run, -_ALPHA_STEP)


def _change_alpha(run: ShownRun, step: float) -> None:
    run.state.overlay.change_alpha(step)
    _say_alpha(run)


def _say_alpha(run: ShownRun) -> None:
    run.notify(f"heatmap: {100 * run.state.overlay.alpha:.0f} %")


def _timings(run: ShownRun, argument: Argument) -> None:
    run.state.timings = switched(run.state.timings, argument)


COMMANDS: CommandTable[ShownRun] = CommandTable(
    CommandRow("quit", _quit, "quit", keys="qQ\x1b", keys_name="q, Esc"),
    CommandRow("pause", _pause, "pause, or go on", SWITCH, " ", "Space"),
    CommandRow("view", _view, f"show the next view: {', '.join(VIEWS)}", "its name; none for the next", "\t", "Tab"),
    CommandRow("help", _help, "show or hide these keys", SWITCH, "hH?", "h"),
    CommandRow(
        "snapshot",
        _snapshot,
        "save a snapshot: the picture, the clean frame, the numbers",
        keys="sS",
        keys_name="s",
    ),
    CommandRow("record", _record, "start or stop recording", SWITCH, "rR", "r"),
    CommandRow("mirror", _mirror, "flip the picture as in a mirror, or back", SWITCH, "mM", "m"),
    CommandRow("colormap", _colormap, "use the next colour map", "its name; none for the next", "cC", "c"),
    CommandRow("more-opaque", _more_opaque, "make the heatmap stronger", keys="+=", keys_name="+"),
    CommandRow("less-opaque", _less_opaque, "make the heatmap weaker", keys="-_", keys_name="-"),
    CommandRow("opacity", _opacity, "set how strong the heatmap is", "from 0 to 1"),
    *EXPLAINING,
    CommandRow("timings", _timings, "show or hide how long each stage takes", SWITCH, "dD", "d"),
    TEACH,
    CommandRow("hud", _hud, "show more or less text", f"{', '.join(HUD_LEVELS)}; none for the next"),
)
