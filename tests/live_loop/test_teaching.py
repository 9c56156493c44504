"""Teaching while frames run: keys, bursts, names, heads that are swapped between frames, scripts, files."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colours import COLOURS
from fake_live import ThreadedSurface
from frame_sources import GivenFrames
from toy_networks import classifier_of, pooled_network, unpooled_network

from live_gradcam import LiveOptions, LiveSummary, SessionOptions, Teacher, live, load_classifier
from live_gradcam.attribution.session import Session
from live_gradcam.drawing.overlay import Overlay
from live_gradcam.drawing.teaching_panel import TeachingPanel, TeachingRow, draw_teaching
from live_gradcam.errors import OutputError, UsageError
from live_gradcam.fitting import taught_session as starting
from live_gradcam.live_loop.commands import COMMANDS
from live_gradcam.live_loop.options import TeachingOptions
from live_gradcam.live_loop.state import LiveState
from live_gradcam.live_loop.teaching import Teaching
from live_gradcam.live_loop.teaching_commands import ALL_COMMANDS, TEACHING, TEACHING_KEYS, TYPING, Keys
from live_gradcam.live_loop.teaching_thread import Message
from live_gradcam.sources.frame import Frame
from live_gradcam.surfaces.commands import Command
from live_gradcam.surfaces.script import Script, TimedCommand, read_script


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "toy.keras"
    pooled_network("late").save(path)
    return path


def frames(seconds: float, *, rate: int = 10, live: bool = False) -> Iterator[Frame]:
    """A second of red, one of green, one of blue, and so on."""
    draw, begun = np.random.default_rng(5), time.monotonic()
    for index in itertools.count() if live else range(round(seconds * rate)):
        if live:
            time.sleep(max(0.0, begun + index / rate - time.monotonic()))
        colour = list(COLOURS.values())[index // rate % 3]
        image = np.clip(np.array(colour) + draw.integers(-20, 21, (24, 28, 3)), 0, 255).astype(np.uint8)
        yield Frame(image, index, Fraction(index, rate), time.monotonic())


def options_of(model: Path) -> SessionOptions:
    return SessionOptions(str(model), engine="graph", lowering=False, tune="off")


# --- keys ---------------------------------------------------------------------------------------------------------


def test_keys_mean_other_things_while_a_network_is_taught_or_a_name_is_typed() -> None:
    state = LiveState(Overlay())
    keys = Keys(state)
    assert keys.of_key("3") == Command("pin-place", 3)
    assert keys.of_key("w") == Command("fit")
    assert keys.of_key("l") == Command("teach")
    assert keys.help == COMMANDS.help
    state.teaching = True
    assert [keys.of_key(digit) for digit in "120"] == [Command("teach-collect", place) for place in (1, 2, 0)]
    assert [keys.of_key(key) for key in "nuw"] == [Command(f"teach-{name}") for name in ("name", "undo", "save")]
    assert keys.of_key("l") == Command("teach")
    assert [keys.of_key(key) for key in "q\x1bg\t"] == [Command(n) for n in ("quit", "quit", "method", "view")]
    assert keys.help[:4] == TEACHING.help
    assert not {"w", "1 … 9, 0"} & {name for name, _ in keys.help[4:]}
    state.naming = ""
    assert [keys.of_key(key) for key in "q1é "] == [Command("type", key) for key in "q1é "]
    assert [keys.of_key(key) for key in ("\r", "\n", "\uff8d")] == [Command("type-accept")] * 3
    assert [keys.of_key(key) for key in ("\x08", "\uff08")] == [Command("type-delete")] * 2
    assert keys.of_key("\x1b") == Command("type-cancel")
    assert keys.of_key(chr(0xFF51)) is None  # an arrow
    assert keys.of_key("") is None


def test_every_command_has_one_name_and_every_key_one_meaning() -> None:
    names = [row.name for row in (*COMMANDS, *TEACHING, *TYPING)]
    assert sorted(names) == sorted(row.name for row in ALL_COMMANDS)
    for table in (COMMANDS, TEACHING_KEYS, TYPING):
        characters = [character for row in table for character in row.keys]
        assert len(set(characters)) == len(characters)
        for row in table:
            assert bool(row.keys) == bool(row.keys_name)
            assert len(row.key_arguments) in (0, len(row.keys))


def test_the_page_names_every_key() -> None:
    page = (Path(__file__).parents[2] / "docs" / "teach.md").read_text(encoding="utf-8")
    assert "\n".join(f"| `{name}` | {help} |" for name, help in TEACHING.help) in page


# --- bursts -------------------------------------------------------------------------------------------------------


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def ready(clock: Clock) -> Teaching:
    """A network that is taught without anything being compiled: examples come with their features."""
    teaching = Teaching(clock=clock)
    session: Any = object()
    teaching.take(Teacher(classifier_of(pooled_network("late"))), session)
    return teaching


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_burst_ends_when_no_repeat_came_for_a_while() -> None:
    clock, source = Clock(), frames(100)
    with ready(clock) as teaching:
        see = lambda: teaching.see(next(source), np.ones(8, np.float32))  # noqa: E731
        teaching.collect(1)
        see()
        see()  # no second example before the key repeats
        for step in (0.85, 0.5, 0.5):  # the first repeat takes longest
            clock.now += step
            teaching.tick()
            assert teaching.collecting == 1
            teaching.collect(1)
            see()
        clock.now += 0.65
        teaching.tick()
        assert teaching.collecting is None
        see()  # the key is let go
        wait_for(lambda: teaching.classes[1].count == 4)
        assert teaching.classes[1].bursts == 1
        teaching.collect(1)
        see()
        teaching.collect(2)  # another key ends the burst at once
        see()
        wait_for(lambda: teaching.classes[2].count == 1)
        assert (teaching.classes[1].count, teaching.classes[1].bursts) == (5, 2)
    assert teaching.taught().is_unsaved  # type: ignore[union-attr]


def test_a_key_waits_for_a_frame_however_long_one_takes() -> None:
    clock = Clock()
    with ready(clock) as teaching:
        teaching.collect(3)
        clock.now += 60
        teaching.tick()
        assert teaching.collecting == 3
        teaching.see(next(frames(1)), np.ones(8, np.float32))
        teaching.tick()
        assert teaching.collecting is None
        wait_for(lambda: teaching.classes[3].count == 1)


def test_frames_that_are_close_together_are_one_example() -> None:
    with ready(Clock()) as teaching:
        teaching.hold(1)
        for frame in frames(1, rate=100):
            teaching.see(frame, np.ones(8, np.float32))
        teaching.release()
        wait_for(lambda: teaching.classes[1].count == 10)


def test_what_cannot_be_taught_is_said() -> None:
    with pytest.raises(UsageError, match="not ready to be taught yet"):
        Teaching().collect(1)
    with ready(Clock()) as teaching:
        with pytest.raises(UsageError, match="there is no class 12"):
            teaching.hold(12)
        with pytest.raises(UsageError, match="collect pictures of a class first: then you can name it"):
            teaching.rename(None, "cup")
        teaching.undo()
        told = lambda: (teaching.message() or Message("", False)).text  # noqa: E731
        wait_for(lambda: told() == "there is no burst to take back")
        teaching.rename(4, "nothing")
        wait_for(lambda: told() == "another class is called nothing already")
        teaching.save()
        wait_for(lambda: told().startswith("writing"))
        wait_for(lambda: "fewer than two classes" in told())


# --- scripts ------------------------------------------------------------------------------------------------------


def test_a_script_is_read(tmp_path: Path) -> None:
    path = tmp_path / "script.txt"
    path.write_text(
        "# what a person does\n\n2.5 teach-hold 1\n 1 view grid\n"
        "3 teach-name 1=my cup ☕\n4 teach-save\n3.5 boxes true\n",
        encoding="utf-8",
    )
    timed = read_script(path, ALL_COMMANDS)
    assert timed == (
        TimedCommand(1, Command("view", "grid")),
        TimedCommand(2.5, Command("teach-hold", 1)),
        TimedCommand(3, Command("teach-name", "1=my cup ☕")),
        TimedCommand(3.5, Command("boxes", True)),
        TimedCommand(4, Command("teach-save")),
    )
    script = Script(timed)
    assert script.due(0.9) == []
    assert script.due(2.5) == [Command("view", "grid"), Command("teach-hold", 1)]
    assert script.due(2.6) == []
    assert script.left == 3
    for line, words in [
        ("teach-save", "'teach-save' is not SECONDS COMMAND"),
        ("1", "'1' is not SECONDS COMMAND"),
        ("-1 quit", "'-1 quit' is not SECONDS COMMAND"),
        ("1 teach-hol 1", "there is no command 'teach-hol'; did you mean teach-hold"),
        ("1 teach-save now", "the command teach-save takes no argument"),
    ]:
        path.write_text(f"0 help\n{line}\n", encoding="utf-8")
        with pytest.raises(UsageError, match="line 2: ") as error:
            read_script(path, ALL_COMMANDS)
        assert words in str(error.value)
    with pytest.raises(UsageError, match=r"none\.txt cannot be read: No such file"):
        read_script(tmp_path / "none.txt", ALL_COMMANDS)


# --- runs ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_script_teaches_a_network_that_is_written_and_gone_on_with(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Session] = []
    make = starting.taught_session
    monkeypatch.setattr(starting, "taught_session", lambda *given: started.append(make(*given)) or started[-1])
    lines = [f"{second + 0.05} teach-hold {second % 3 + 1}" for second in range(6)]
    lines += [f"{second + 0.75} teach-release" for second in range(6)]
    lines += ['6.1 teach-name 1=red "☕"', "6.2 teach-hold 0", "6.9 teach-release", "7 teach-undo", "7.5 teach-save"]
    script = tmp_path / "script.txt"
    script.write_text("\n".join(lines), encoding="utf-8")
    output = tmp_path / "colours.keras"

    def run(start_from: Path, **options: Any) -> LiveSummary:
        return live(
            "video",
            session=options_of(start_from),
            options=LiveOptions(surface="none", every_frame=True, **options),
            opener=lambda _: GivenFrames(frames(9), is_live=False),
        )

    teaching = TeachingOptions(output)
    taught = run(model, teaching=teaching, script=read_script(script, ALL_COMMANDS)).taught
    assert taught is not None
    assert [one.name for one in taught.classes] == ['red "☕"', "class 2", "class 3"]
    # Ten pictures a second, of those that a busy machine explains in time.
    assert all(4 <= one.count <= 18 and one.bursts == 2 for one in taught.classes), taught.classes
    assert (taught.models, taught.failure, taught.is_unsaved) == ((output,), None, False)
    assert taught.accuracy is not None
    assert taught.accuracy > 0.9  # the last frame of a burst may show the next colour
    (session,) = started
    assert session.explainer.trace_count == 1
    classifier = load_classifier(output)
    assert classifier.labels == ('red "☕"', "class 2", "class 3")
    pixels = np.stack([np.full((12, 14, 3), colour[::-1], np.float32) for colour in COLOURS.values()])
    assert np.asarray(classifier.model(pixels)).argmax(axis=1).tolist() == [0, 1, 2]

    with pytest.raises(OutputError, match="exists already"):
        run(model, teaching=teaching)
    again = run(
        output,
        teaching=TeachingOptions(tmp_path / "more.keras"),
        script=[TimedCommand(0.1, Command("teach-hold", 1)), TimedCommand(0.9, Command("teach-release"))],
    )
    assert again.taught is not None
    assert [(one.name, one.bursts) for one in again.taught.classes] == [('red "☕"', 3), ("class 2", 2), ("class 3", 2)]
    assert again.taught.models == (tmp_path / "more.keras",)  # written at the end
    assert json.loads(json.dumps(again.to_json()))["taught"]["accuracy"] > 0.9


def test_what_a_script_cannot_have_is_logged_where_nobody_sees_a_screen(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    script = [
        TimedCommand(0.1, Command("teach-hold", 12)),
        TimedCommand(0.2, Command("teach-name", "1=nothing")),
        TimedCommand(0.3, Command("teach-save")),
        TimedCommand(99, Command("quit")),
    ]
    summary = live(
        "video",
        session=options_of(model),
        options=LiveOptions(
            surface="none", every_frame=True, teaching=TeachingOptions(tmp_path / "x.keras"), script=script
        ),
        opener=lambda _: GivenFrames(frames(1), is_live=False),
    )
    assert summary.taught is not None
    assert summary.taught.classes == ()
    assert "fewer than two classes have pictures" in str(summary.taught.failure)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    told = {
        "there is no class 12: the keys are 0 to 9",
        "another class is called nothing already",
        "the source ended before 1 of the script's commands",
    }
    assert told <= set(warnings)
    assert not any("fewer" in words for words in warnings)  # the summary says it


def taught_by(script: Callable[[ThreadedSurface], None], model: Path, folder: Path, **options: Any) -> LiveSummary:
    """Run a script against a live run on a camera that sees a second of each colour."""
    surface = ThreadedSurface(script)
    summary = live(
        "0",
        session=options_of(model),
        options=LiveOptions(surface=surface, snapshots=folder, smooth=0, **options),
        opener=lambda _: GivenFrames(frames(0, live=True)),
    )
    if surface.failure is not None:
        raise surface.failure
    return summary


def rows(scene: Any) -> dict[str, TeachingRow]:
    return {row.key: row for row in scene.hud.teaching.rows} if scene.hud.teaching else {}


@pytest.mark.slow
def test_a_live_run_becomes_a_lesson_and_goes_back(model: Path, tmp_path: Path) -> None:
    def collect(surface: ThreadedSurface, place: int, second: int) -> None:
        surface.wait_for(lambda scene: scene.explained and scene.explained.frame.index // 10 % 3 == second)
        surface.ask("teach-hold", place)
        surface.wait_for(lambda scene: rows(scene)[str(place)].amount not in ("", "none"))
        surface.wait_for(lambda scene: scene.explained.frame.index // 10 % 3 == second and scene.frame.index % 10 > 5)
        surface.ask("teach-release")

    def script(surface: ThreadedSurface) -> None:
        scene = surface.wait_for(lambda scene: scene.explained)
        assert (
            scene.explained.explanation.predictions[0].label
            == "class 0"[:-1] + scene.explained.explanation.predictions[0].label[-1]
        )
        surface.ask("teach-collect", 1)
        surface.wait_for(lambda scene: scene.hud.notice and "not being taught" in scene.hud.notice)
        surface.ask("teach")
        surface.wait_for(lambda scene: scene.state["teaching"] and rows(scene))
        scene = surface.wait_for(lambda scene: scene.explained.is_untaught)
        assert scene.explained.explanation is None  # and not sure of "nothing"
        assert scene.hud.notes[0] == scene.hud.minimal_note == "nothing taught yet"
        assert (scene.hud.banner, scene.hud.full_scale) == (None, None)
        assert rows(scene)["1"].name == "hold to collect a class"
        collect(surface, 1, 0)
        collect(surface, 2, 1)
        surface.ask("teach-name")
        surface.wait_for(lambda scene: scene.state["naming"] == "")
        for letter in "grass":
            surface.ask("type", letter)
        surface.ask("type-delete")
        scene = surface.wait_for(lambda scene: scene.state["naming"] == "gras")
        assert scene.hud.teaching.typed == "name of class 2: gras_"
        surface.ask("type-accept")
        surface.wait_for(lambda scene: rows(scene)["2"].name == "gras" and scene.state["naming"] is None)
        assert rows(scene)["2"].mark == "too few: hold it again"
        of_green = surface.wait_for(
            lambda scene: (
                scene.explained.frame.index // 10 % 3 == 1
                and scene.explained.explanation is not None
                and scene.explained.explanation.predictions[0].label == "gras"
            )
        )
        assert [p.label for p in of_green.explained.explanation.predictions] == ["gras", "class 1"]
        assert len(of_green.explained.explanation.heatmaps) == 2
        surface.ask("fit", "tiles")
        surface.wait_for(lambda scene: scene.hud.notice and "there is no fit 'tiles'" in scene.hud.notice)
        surface.ask("pin", 5)
        surface.wait_for(lambda scene: scene.hud.notice and "has no class 5" in scene.hud.notice)
        surface.ask("pin", 2)
        surface.wait_for(lambda scene: scene.explained.explanation.target == 2 and scene.state["pinned"])
        surface.ask("teach-undo")
        surface.wait_for(lambda scene: not scene.state["pinned"])
        surface.wait_for(lambda scene: [p.label for p in scene.explained.explanation.predictions] == ["class 1"])
        surface.ask("pause", True)
        surface.ask("teach-collect", 1)
        surface.wait_for(lambda scene: scene.hud.notice and "paused" in scene.hud.notice)
        surface.ask("pause", False)
        surface.ask("quit")
        surface.wait_for(lambda scene: scene.hud.notice and "not written" in scene.hud.notice)
        surface.ask("teach", False)
        surface.wait_for(lambda scene: not scene.hud.teaching and len(scene.explained.explanation.predictions) == 5)

    summary = taught_by(script, model, tmp_path)
    assert summary.taught is not None
    assert summary.taught.is_unsaved
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_class_that_is_not_there_yet_cannot_be_pinned_when_teaching_has_stopped(model: Path, tmp_path: Path) -> None:
    """The network that was taught from the start goes on with its ten units, of which one has a class."""

    def script(surface: ThreadedSurface) -> None:
        surface.wait_for(lambda scene: scene.explained)
        surface.ask("teach", False)
        surface.wait_for(lambda scene: not scene.state["teaching"])
        surface.ask("pin", 5)
        surface.wait_for(lambda scene: scene.hud.notice == "the network has no class 5")
        surface.ask("pin", 0)
        surface.wait_for(lambda scene: scene.state["pinned"])

    taught_by(script, model, tmp_path, teaching=TeachingOptions())


@pytest.mark.slow
def test_a_network_that_cannot_be_taught_says_so_and_runs_on(tmp_path: Path) -> None:
    flat = tmp_path / "flat.keras"
    unpooled_network().save(flat)

    def script(surface: ThreadedSurface) -> None:
        surface.wait_for(lambda scene: scene.explained)
        surface.ask("teach")
        scene = surface.wait_for(lambda scene: scene.hud.notice and "no pooled features" in scene.hud.notice)
        surface.wait_for(lambda later: later.frame.index > scene.frame.index + 3 and not later.state["teaching"])

    assert taught_by(script, flat, tmp_path).taught is None


# --- the panel ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ground", [0, 255])
@pytest.mark.parametrize("size", [(720, 1280), (240, 320), (40, 60)])
def test_the_panel_is_legible_on_any_ground_and_harms_no_small_picture(ground: int, size: tuple[int, int]) -> None:
    image = np.full((*size, 3), ground, np.uint8)
    all_ten = [TeachingRow(str(key), "a long name " * 5, "120 in 12", "too few", key == 3) for key in range(10)]
    draw_teaching(image, TeachingPanel(all_ten, ["accuracy 93 %"], "name of class 3: " + "w" * 200))
    if size[0] < 100:
        return
    panel = image[size[0] // 20 : size[0] // 2, -size[1] // 4 : -size[1] // 20]
    levels = panel.max(axis=-1)
    assert np.quantile(levels, 0.5) <= 0.35 * 255 + 1  # dark
    assert (levels > 190).mean() > 0.005  # letters
    left = image[size[0] - size[0] // 8 :, : size[1] // 4]
    assert (left == ground).all()
