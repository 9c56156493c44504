"""The table of commands: what each does to a run, with which argument, and that all who list the keys read it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from fake_live import ThreadedSurface, camera, fake_session
from frame_sources import GivenFrames

from live_gradcam import LiveOptions, LiveSummary, live
from live_gradcam.attribution.session.chosen_engine import ChosenEngine, Way
from live_gradcam.choices import HUD_LEVELS, VIEWS
from live_gradcam.drawing.overlay import COLORMAPS_TO_STEP_THROUGH, Overlay
from live_gradcam.errors import UsageError
from live_gradcam.explanations.explanation import Target
from live_gradcam.explanations.vocabulary import Groups, Vocabulary
from live_gradcam.live_loop.commands import COMMANDS
from live_gradcam.live_loop.explaining_commands import EXPLAINING
from live_gradcam.live_loop.state import LiveState
from live_gradcam.surfaces.commands import Command, CommandTable


def run(script: Callable[[ThreadedSurface], None], session: Any = None, **options: object) -> LiveSummary:
    """Run a script against a live run on a loop of grey frames."""
    surface = ThreadedSurface(script)
    summary = live(
        "0",
        session=session or fake_session(),
        options=LiveOptions(surface=surface, **options),
        opener=lambda _: GivenFrames(camera()),
    )
    if surface.failure is not None:
        raise surface.failure
    return summary


def state_is(**expected: object) -> Callable[[object], bool]:
    return lambda scene: {**scene.state, **expected} == scene.state


# --- the table ----------------------------------------------------------------------------------------------------


def test_keys() -> None:
    assert COMMANDS.of_key("q") == COMMANDS.of_key("\x1b") == Command("quit")
    assert COMMANDS.of_key(" ") == Command("pause")
    assert [COMMANDS.of_key(digit) for digit in "1290"] == [Command("pin-place", place) for place in (1, 2, 9, 10)]
    assert COMMANDS.of_key("z") is None
    assert COMMANDS.of_key("") is None
    assert COMMANDS.of_key(chr(0xFF51)) is None  # an arrow, whose last byte is that of Q
    characters = [character for row in COMMANDS for character in row.keys]
    assert len(set(characters)) == len(characters)
    assert len({row.name for row in COMMANDS}) == len(list(COMMANDS))
    for row in COMMANDS:
        assert bool(row.keys) == bool(row.keys_name)
        assert len(row.key_arguments) in (0, len(row.keys))
        assert row.help


def test_the_page_of_the_window_names_every_key() -> None:
    page = (Path(__file__).parents[2] / "docs" / "live.md").read_text(encoding="utf-8")
    rows = [f"| `{name}` | {help} |" for name, help in COMMANDS.help]
    assert "\n".join(rows) in page


# --- what they do -------------------------------------------------------------------------------------------------


def test_a_choice_steps_to_the_next_name_and_takes_a_name() -> None:
    def script(surface: ThreadedSurface) -> None:
        surface.wait_for(lambda scene: scene.explained)
        for name, values in (("view", VIEWS), ("hud", HUD_LEVELS), ("colormap", COLORMAPS_TO_STEP_THROUGH)):
            before, *others = values
            surface.wait_for(state_is(**{name: {"hud": "full"}.get(name, before)}))
            for value in (*others, before):
                surface.ask(name)
                surface.wait_for(state_is(**{name: value}))
            surface.ask(name, others[-1])
            surface.wait_for(state_is(**{name: others[-1]}))

    run(script)


@pytest.mark.parametrize("name", ["mirror", "boxes", "help", "timings"])
def test_a_switch_changes_and_takes_true_or_false(name: str) -> None:
    def script(surface: ThreadedSurface) -> None:
        surface.wait_for(lambda scene: scene.explained)
        before = surface.wait_for(bool).state[name]
        for argument, expected in ((None, not before), (None, before), (True, True), (True, True), (False, False)):
            surface.ask(name, argument)
            surface.wait_for(state_is(**{name: expected}))

    run(script, mirror=False)


def test_the_heatmaps_opacity_by_keys_and_by_a_slider() -> None:
    def script(surface: ThreadedSurface) -> None:
        surface.wait_for(state_is(alpha=0.5))
        surface.ask("more-opaque")
        surface.wait_for(state_is(alpha=0.6))
        surface.ask("less-opaque")
        surface.ask("less-opaque")
        surface.wait_for(lambda scene: scene.hud.notice == "heatmap: 40 %")
        surface.ask("opacity", 0.95)
        surface.ask("more-opaque")
        surface.wait_for(state_is(alpha=1.0))
        surface.ask("opacity", 0)
        surface.wait_for(state_is(alpha=0.0))

    run(script)


@pytest.mark.parametrize(
    ("engine", "note"),
    [
        ({"engine": "graph"}, "engine: graph"),
        ({"chosen": ChosenEngine(Way("xla", "f32"), "there is no other")}, "engine: xla"),
        (
            {
                "engine": "openvino",
                "precision": "bf16",
                "chosen": ChosenEngine(Way("openvino", "bf16"), "the fastest", milliseconds={"xla": 2.0}),
            },
            "engine: openvino in bf16, the fastest here",
        ),
    ],
)
def test_the_engine_is_named_with_the_reason_where_it_was_chosen(engine: dict[str, Any], note: str) -> None:
    def script(surface: ThreadedSurface) -> None:
        surface.wait_for(lambda scene: note in scene.hud.notes)

    run(script, session=fake_session(**engine))


def test_classes_are_pinned_by_place_or_index_frozen_and_tracked() -> None:
    def explains(label: str) -> Callable[[object], bool]:
        return lambda scene: scene.explained and scene.explained.explanation.targets[0].label == label

    def script(surface: ThreadedSurface) -> None:
        surface.wait_for(explains("something"))
        surface.ask("pin-place", 2)
        surface.wait_for(explains("else"))
        assert "pinned: else" in surface.wait_for(bool).hud.notes
        surface.ask("pin", 2)
        surface.wait_for(explains("other"))
        surface.wait_for(state_is(pinned=[{"index": 2, "against": None}]))
        surface.ask("pin-place", 10)  # there is none: nothing happens
        surface.ask("track")
        surface.wait_for(explains("something"))
        surface.wait_for(state_is(pinned=[]))
        surface.ask("freeze")
        surface.wait_for(state_is(pinned=[{"index": 0, "against": None}]))

    run(script)


def test_the_method_layer_and_fit_change_in_the_background() -> None:
    def script(surface: ThreadedSurface) -> None:
        surface.wait_for(state_is(method="grad-cam", layer="last", fit="tiles"))
        for name, argument, field, value in (
            ("method", None, "method", "layercam"),
            ("method", "grad-cam", "method", "grad-cam"),
            ("layer-back", None, "layer", "first"),
            ("layer-forward", None, "layer", "last"),
            ("layer", "first", "layer", "first"),
            ("fit", None, "fit", "crop"),
            ("fit", "letterbox", "fit", "letterbox"),
        ):
            surface.ask(name, argument)
            surface.wait_for(state_is(**{field: value}))
        surface.wait_for(lambda scene: scene.explained.layer == "first")
        surface.wait_for(lambda scene: scene.explained.explanation.fit == "letterbox")

    run(script)


def test_a_pause_holds_the_picture() -> None:
    def script(surface: ThreadedSurface) -> None:
        surface.wait_for(lambda scene: scene.explained)
        surface.ask("pause")
        held = surface.wait_for(lambda scene: scene.hud.banner == "PAUSED").frame.index
        time.sleep(0.5)
        assert surface.wait_for(state_is(paused=True)).frame.index == held
        surface.ask("pause", False)
        surface.wait_for(lambda scene: scene.frame.index > held + 3 and not scene.state["paused"])

    run(script)


@pytest.mark.slow
def test_snapshots_and_recordings_are_saved_and_reported(tmp_path: Path) -> None:
    def script(surface: ThreadedSurface) -> None:
        surface.wait_for(lambda scene: scene.explained)
        surface.ask("record")
        surface.wait_for(lambda scene: scene.hud.recording == "REC 00:01")
        surface.ask("record", True)  # it is on already
        surface.ask("record")
        surface.wait_for(lambda scene: (scene.hud.notice or "").startswith(f"recording saved as {tmp_path}"))
        surface.ask("snapshot")
        surface.wait_for(lambda scene: (scene.hud.notice or "").startswith(f"snapshot saved as {tmp_path}"))

    summary = run(script, snapshots=tmp_path)
    assert list(summary.recordings) == list(tmp_path.glob("*.mp4"))
    assert len(summary.recordings) == 1
    assert len(list(tmp_path.glob("*.png"))) == 2
    assert len(list(tmp_path.glob("*.json"))) == 1


def test_a_snapshot_is_what_was_on_the_screen_whatever_comes_with_it(tmp_path: Path) -> None:
    shown: list[np.ndarray] = []

    def script(surface: ThreadedSurface) -> None:
        show = surface.show
        surface.show = lambda scene: (shown.append(scene.picture), show(scene))
        surface.wait_for(lambda scene: scene.explained and len(shown) > 1)
        surface.ask_together("view", "raw", then="snapshot")
        surface.wait_for(lambda scene: (scene.hud.notice or "").startswith("snapshot saved"))

    run(script, snapshots=tmp_path)
    (path,) = (path for path in tmp_path.glob("*.png") if not path.stem.endswith("-clean"))
    saved = cv2.imread(str(path))
    assert any((saved == picture).all() for picture in shown)


@pytest.mark.parametrize(
    ("name", "argument", "notice"),
    [
        ("veiw", None, "there is no command 'veiw'; did you mean view?"),
        ("quit", 3, "the command quit takes no argument"),
        ("view", "gird", "there is no view 'gird'; did you mean grid?"),
        ("mirror", "yes", "'yes' is neither true nor false"),
        ("opacity", 2, "alpha is 2: it must be from 0 (only the picture) to 1 (only the colours)"),
        ("opacity", "strong", "the opacity is 'strong': it must be a number from 0 to 1"),
        ("pin", 99, "the network has no class 99"),
        ("pin", "cat", "the class is 'cat': it must be a whole number"),
        ("method", "grad-camm", "there is no method 'grad-camm'; did you mean grad-cam or layercam?"),
        ("layer", None, "the layer is None: it must be a layer's name"),
    ],
)
def test_what_is_wrong_with_a_command_is_shown_and_the_run_goes_on(name: str, argument: object, notice: str) -> None:
    def script(surface: ThreadedSurface) -> None:
        before = surface.wait_for(lambda scene: scene.explained).state
        surface.ask(name, argument)
        index = surface.wait_for(lambda scene: scene.hud.notice == notice).frame.index
        assert surface.wait_for(lambda scene: scene.frame.index > index).state == before

    run(script)


def test_what_a_run_begins_with_is_what_its_options_say() -> None:
    def script(surface: ThreadedSurface) -> None:
        surface.wait_for(
            state_is(view="grid", hud="none", mirror=True, boxes=False, pinned=[{"index": 1, "against": 0}])
        )

    surface = ThreadedSurface(script)
    options = LiveOptions(surface=surface, view="grid", hud="none")
    live("0", session=fake_session(targets=(Target(1, 0),)), options=options, opener=lambda _: GivenFrames(camera()))
    assert surface.failure is None


# --- commands on a run that is not shown ----------------------------------------------------------------------------


class Run:
    """All that the commands which change an explanation ask for."""

    def __init__(self) -> None:
        self.state = LiveState(Overlay())
        self.variants = None
        self.vocabulary = Vocabulary(("something", "else", "other", "more"), hidden=frozenset({3}))
        self.maps = 2
        self.explanation: Any = SimpleNamespace(
            predictions=[SimpleNamespace(index=index) for index in (1, 0, 2)], target=1
        )

    def do(self, name: str, argument: Any = None) -> list[tuple[int, int | None]]:
        run: Any = self
        CommandTable(*EXPLAINING).do(Command(name, argument), run)
        return [(target.index, target.against) for target in self.state.pinned]


def test_several_classes_are_pinned_and_taken_away() -> None:
    run = Run()
    assert run.do("pin-add", 2) == [(2, None)]
    assert run.do("pin-add", 0) == [(2, None), (0, None)]
    with pytest.raises(UsageError, match="as many classes are pinned as can be explained, 2: take one away first"):
        run.do("pin-add", 1)
    assert run.do("pin-add", 2) == [(0, None)]
    assert run.do("pin-add", 0) == []
    for index in (3, 4, -1):  # the class of index 3 is hidden
        with pytest.raises(UsageError, match=f"the network has no class {index}"):
            run.do("pin-add", index)


def test_classes_are_contrasted() -> None:
    run = Run()
    assert run.do("contrast") == [(1, 0)]  # what is explained, against the best other one
    assert run.do("contrast") == [(1, None)]
    assert run.do("contrast", 2) == [(1, 2)]
    assert run.do("pin-add", 0) == [(1, 2), (0, None)]
    assert run.do("contrast") == [(1, None), (0, None)]
    assert run.do("contrast", "0>2") == [(0, 2)]
    assert run.do("contrast", " 2 > 0 ") == [(2, 0)]
    for argument, words in [
        (2, "a class cannot be contrasted with itself: give another one"),
        ("1>1", "a class cannot be contrasted with itself: give another one"),
        ("1>3", "the network has no class 3"),
        ("1>2>0", "the contrast is '1>2>0': give the index of the other class, or both as A>B"),
        ("cat", "the contrast is 'cat': give the index of the other class, or both as A>B"),
        (1.5, "the class is 1.5: it must be a whole number"),
    ]:
        with pytest.raises(UsageError) as error:
            run.do("contrast", argument)
        assert str(error.value) == words
    run.explanation, run.state.pinned = None, ()
    with pytest.raises(UsageError, match="nothing is explained yet"):
        run.do("contrast")


def test_a_class_is_not_contrasted_with_the_group_that_it_is_of() -> None:
    run = Run()
    run.vocabulary = Vocabulary(("tabby", "tiger cat", "cup"), Groups(("cat", "cup"), (0, 0, 1)))
    run.explanation = SimpleNamespace(predictions=[SimpleNamespace(index=index) for index in (3, 4)], target=3)
    assert run.do("contrast") == [(3, 4)]
    run.state.pinned = (Target(1),)
    assert run.do("contrast") == [(1, 4)]


def test_the_smoothing_is_set() -> None:
    run = Run()
    for seconds in (0.5, 10, 0):
        run.do("smooth", seconds)
        assert run.state.smooth == seconds
    for argument in (None, True, -1, 11, float("nan"), "long"):
        with pytest.raises(UsageError, match="it must be a number of seconds from 0 to 10"):
            run.do("smooth", argument)
