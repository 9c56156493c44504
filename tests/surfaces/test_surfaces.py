"""Surfaces: what they say of themselves decides the run, and one of another package or thread is as good as ours."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import SECONDS, run
from fake_live import ThreadedSurface, camera, fake_session
from frame_sources import GivenFrames
from other_packages import install, python_path
from screen import Screen, virtual_screen

from live_gradcam import LiveOptions, LiveSummary, SessionOptions, live
from live_gradcam.choices import SURFACES
from live_gradcam.drawing.hud import BarArea, Hud
from live_gradcam.live_loop import frames
from live_gradcam.live_loop.commands import COMMANDS
from live_gradcam.live_loop.teaching_commands import ALL_COMMANDS
from live_gradcam.sources.frame import Frame
from live_gradcam.surfaces import probe, window
from live_gradcam.surfaces.commands import Command
from live_gradcam.surfaces.none import NoSurface
from live_gradcam.surfaces.scene import Scene
from live_gradcam.surfaces.surface import Wants
from live_gradcam.surfaces.window import Window

TOUR = Path(__file__).parents[2] / "videos" / "tour.mp4"

# --- what a surface says of itself --------------------------------------------------------------------------------


def shown_on(surface: object, seconds: float = 0.0, **options: object) -> LiveSummary:
    summary = live(
        "0",
        session=fake_session(seconds=seconds),
        options=LiveOptions(surface=surface, **options),
        opener=lambda _: GivenFrames(camera()),
    )
    failure = getattr(surface, "failure", None)
    if failure is not None:
        raise failure
    return summary


def test_a_surface_is_checked_opened_and_closed_once() -> None:
    surface = ThreadedSurface(lambda surface: surface.wait_for(lambda scene: scene.explained))
    summary = shown_on(surface)
    assert surface.calls == ["check", "open", "close"]
    assert [row.name for row in surface.table] == [row.name for row in ALL_COMMANDS]
    assert surface.table.help == COMMANDS.help
    assert 0 < summary.displayed <= surface.scenes


def test_a_surface_is_closed_after_an_error_too() -> None:
    class Broken(ThreadedSurface):
        def show(self, scene: Scene) -> None:
            super().show(scene)
            raise RuntimeError("the screen fell down")

    surface = Broken(lambda surface: None)
    with pytest.raises(RuntimeError, match="fell down"):
        shown_on(surface)
    assert surface.calls[-1] == "close"


def test_scenes_are_drawn_or_clean_as_the_surface_wants_them() -> None:
    def look(pictures: str) -> Scene:
        found: list[Scene] = []
        script = found.append
        surface = ThreadedSurface(
            lambda surface: script(surface.wait_for(lambda scene: scene.explained)), Wants(pictures=pictures)
        )
        shown_on(surface)
        return found[0]

    drawn, clean = look("drawn"), look("clean")
    assert np.abs(drawn.picture.astype(int) - drawn.frame.image).max() > 50
    assert drawn.areas
    assert clean.picture is clean.frame.image
    assert not clean.areas
    assert clean.explained.explanation.heatmaps.shape == (1, 7, 7)  # with which a page draws by itself
    assert clean.hud.notes
    assert clean.state["colormap"] == "turbo"


@pytest.mark.slow
def test_frames_are_shown_before_they_are_explained_if_the_surface_wants_that() -> None:
    def first(previews: bool) -> bool:
        is_explained: list[bool] = []
        surface = ThreadedSurface(
            lambda surface: is_explained.append(surface.wait_for(bool).explained is not None), Wants(previews=previews)
        )
        shown_on(surface, seconds=0.3)
        return is_explained[0]

    assert not first(previews=True)
    assert first(previews=False)


@pytest.mark.slow
def test_a_surface_that_wants_every_explained_frame_gets_it_however_slow_it_is() -> None:
    class Slow(ThreadedSurface):
        def show(self, scene: Scene) -> None:
            threading.Event().wait(0.1)
            super().show(scene)

    def displayed(every: bool) -> tuple[int, int]:
        surface = Slow(lambda surface: surface.wait_for(lambda _: False), Wants(previews=False, every_explained=every))
        surface.wait_for = lambda condition: None  # it ends by the number of frames
        surface.ask = lambda name, argument=None: None
        summary = shown_on(surface, max_frames=20)
        return summary.displayed, summary.frames

    assert displayed(every=True) == (20, 20)
    shown, explained = displayed(every=False)
    assert (shown < 15, explained) == (True, 20)


def test_no_surface_shows_nothing_and_waits_for_nobody() -> None:
    surface = SURFACES.load("none")()
    surface.check()
    surface.open(COMMANDS)
    assert list(surface.commands()) == []
    assert surface.wants == Wants(pictures="none", previews=False, every_explained=True, full_speed=True, maps=1)
    surface.close()


@pytest.mark.slow
@pytest.mark.parametrize("every_frame", [False, True])
@pytest.mark.parametrize("full_speed", [False, True])
def test_a_file_is_read_at_full_speed_if_the_surface_wants_that_and_no_frame_is_dropped(
    every_frame: bool, full_speed: bool
) -> None:
    class Quiet(NoSurface):
        wants = Wants(pictures="none", full_speed=full_speed)

    frames = [Frame(np.full((48, 64, 3), 9, np.uint8), index, Fraction(index, 10), 0.0) for index in range(31)]
    summary = live(
        "a.mp4",
        session=fake_session(),
        options=LiveOptions(surface=Quiet(), every_frame=every_frame),
        opener=lambda _: GivenFrames(frames, is_live=False),
    )
    assert (summary.seconds < 2.5) == (every_frame and full_speed)  # they last for 3 seconds


# --- the window's commands ----------------------------------------------------------------------------------------


def test_a_window_wants_all_that_a_person_can_see() -> None:
    assert Window().wants == Wants()


class _Toolkit:
    """What `Window` uses of OpenCV's windows.

    Attributes:
        room: (width, height) of the window's picture.
        shown: the newest picture.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = (400, 114)  # as Qt says before there is a picture
        self.shown = np.zeros((0, 0, 3), np.uint8)
        for name in ("namedWindow", "setMouseCallback"):
            monkeypatch.setattr(window.cv2, name, lambda *_: None)
        monkeypatch.setattr(window, "let_qt_have_its_events", lambda: None)
        monkeypatch.setattr(window.cv2, "resizeWindow", lambda _, *size: setattr(self, "room", size))
        monkeypatch.setattr(window.cv2, "getWindowImageRect", lambda _: (0, 0, *self.room))
        monkeypatch.setattr(window.cv2, "imshow", lambda _, picture: setattr(self, "shown", picture))
        monkeypatch.setattr(window.cv2, "getWindowProperty", lambda *_: 1)
        monkeypatch.setattr(window.cv2, "pollKey", lambda: -1)


def _scene(height: int, width: int) -> Scene:
    """A white picture with a class in its upper half; drawn at another size it is grey."""

    def draw(size: tuple[int, int], grey: int = 100) -> tuple[np.ndarray, list[BarArea]]:
        return np.full((*size, 3), grey, np.uint8), [BarArea(0, 0, size[1], size[0] // 2, 7)]

    picture, areas = draw((height, width), 255)
    frame = Frame(picture, 0, Fraction(0), 0.0)
    return Scene(picture, areas, frame, None, Hud(), {}, draw)


def _clicked(opened: Window, x: int, y: int) -> list[Command]:
    opened._on_mouse(cv2.EVENT_LBUTTONDOWN, x, y, 0, None)
    return list(opened.commands())


def test_a_window_shows_the_picture_as_it_is_at_its_first_size_and_where_it_is_larger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    toolkit, opened = _Toolkit(monkeypatch), Window()
    opened.open(COMMANDS)
    for frame_size, room in (((360, 640), (640, 360)), ((1080, 1920), (1600, 900)), ((719, 1001), (1001, 719))):
        scene = _scene(*frame_size)
        for _ in range(2):
            opened.show(scene)
            assert toolkit.room == room
            assert toolkit.shown is scene.picture
        toolkit.room = (2 * room[0], 2 * room[1])
        opened.show(scene)
        assert toolkit.shown is scene.picture
        toolkit.room = room


def test_a_window_made_smaller_has_the_picture_drawn_for_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    toolkit, opened, scene = _Toolkit(monkeypatch), Window(), _scene(720, 1280)
    opened.open(COMMANDS)
    opened.show(scene)
    toolkit.room = (320, 180)
    opened.show(scene)
    np.testing.assert_array_equal(toolkit.shown, np.full((180, 320, 3), 100))
    assert _clicked(opened, 160, 80) == [Command("pin", 7)]
    assert _clicked(opened, 160, 100) == []
    toolkit.room = (320, 400)  # higher than the picture, which is between bars
    opened.show(scene)
    assert toolkit.shown.shape == (400, 320, 3)
    assert (toolkit.shown[110:290] == 100).all()
    assert not toolkit.shown[:110].any()
    assert not toolkit.shown[290:].any()
    assert _clicked(opened, 160, 115) == [Command("pin", 7)]
    assert _clicked(opened, 160, 105) == _clicked(opened, 160, 205) == []


def test_a_window_keeps_the_shape_of_a_picture_that_is_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    toolkit, opened = _Toolkit(monkeypatch), Window()
    opened.open(COMMANDS)
    opened.show(_scene(720, 1280))
    opened.show(_scene(1280, 480))
    assert toolkit.room == (338, 900)  # as much as a screen has room for
    toolkit.room = (1280, 720)  # a window manager that gives windows their sizes gave it another one
    opened.show(_scene(1280, 480))
    height, width = toolkit.shown.shape[:2]
    assert width / height == pytest.approx(1280 / 720, abs=0.01)
    rows, columns = np.nonzero(toolkit.shown[:, :, 0])
    assert (np.ptp(columns) + 1) / (np.ptp(rows) + 1) == pytest.approx(480 / 1280, abs=0.01)


def test_a_scene_is_drawn_smaller_with_text_in_a_size_of_its_own() -> None:
    found: list[Scene] = []
    shown_on(ThreadedSurface(lambda surface: found.append(surface.wait_for(lambda scene: scene.areas))))
    picture, areas = found[0].redraw((90, 160))
    assert (found[0].picture.shape, picture.shape) == ((360, 640, 3), (90, 160, 3))
    first = found[0].areas[0].bottom - found[0].areas[0].top
    small = areas[0].bottom - areas[0].top
    assert (first, small) == (18, 13)  # of letters of 11 and 8 pixels: not a quarter of it


def test_the_commands_that_surfaces_give_by_themselves_exist() -> None:
    names = {row.name: row for row in COMMANDS}
    assert names["quit"].argument == ""
    assert names["pin"].argument
    assert Command("pin", 3).argument == 3


# --- from another package -----------------------------------------------------------------------------------------

_MODULE = '''
"""A surface that prints what it sees, as a stranger's package adds it."""
from live_gradcam.surfaces import probe, window
from live_gradcam.surfaces.commands import Command
from live_gradcam.surfaces.surface import Wants

class Teletype:
    wants = Wants(pictures="clean", maps=1)
    def __init__(self): self.asked = []
    def check(self): print("checked")
    def open(self, commands): print("opened with", len(list(commands)) > 10)
    def show(self, scene):
        if scene.explained and not self.asked:
            print("saw", scene.explained.explanation.targets[0].label)
            self.asked.append(Command("quit"))
    def commands(self): return self.asked
    def close(self): print("closed")
'''


@pytest.fixture
def package(tmp_path: Path) -> str:
    """The PYTHONPATH of an installed package with a surface."""
    groups = {"live_gradcam.surfaces": ["teletype = teletype:Teletype"]}
    install(tmp_path, "teletype-surface", groups=groups, modules={"teletype": _MODULE})
    return python_path(tmp_path, Path(__file__).parents[2])


@pytest.mark.slow
def test_a_surface_of_another_package_is_a_choice_as_ours_are(package: str, quick_network: list[str]) -> None:
    finished = run("live", TOUR, "--surface", "teletype", *quick_network, PYTHONPATH=package)
    assert (finished.code, finished.err) == (0, ""), finished
    checked, opened, saw, closed, summary = finished.out.splitlines()
    assert (checked, opened, closed) == ("checked", "opened with True", "closed")
    assert saw.startswith("saw ")
    assert re.match(r"\d+ frames? explained at ", summary), summary
    refused = run("live", TOUR, "--surface", "teletypo", PYTHONPATH=package)
    assert refused.code == 2
    assert "there is no surface 'teletypo'; did you mean teletype" in refused.err
    assert "teletype" in run("live", "--help", PYTHONPATH=package, COLUMNS="200").out


# --- a quick start --------------------------------------------------------------------------------------------------


def test_the_network_starts_when_the_first_picture_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "_PATIENCE_SECONDS", SECONDS)
    surface = ThreadedSurface(lambda surface: surface.wait_for(lambda scene: scene.explained))
    seen_before: list[int] = []

    def start(options: SessionOptions, **_: object) -> object:
        seen_before.append(surface.scenes)
        return fake_session()

    options = LiveOptions(surface=surface)
    live("0", session=SessionOptions(), options=options, opener=lambda _: GivenFrames(camera()), start=start)
    assert surface.failure is None
    assert seen_before[0] > 0


def test_a_window_is_tried_once_however_early_that_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":71077")  # which there is not
    monkeypatch.setenv("QT_QPA_PLATFORM", "wayland")  # of which only another process can tell
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    probe.begin_probe()
    probe.begin_probe()
    (begun,) = probe._begun
    assert not probe.can_open_window(SECONDS)
    assert begun.returncode not in (None, 0)
    assert probe._begun == []
    monkeypatch.delenv("DISPLAY")
    probe.begin_probe()
    assert probe._begun == []


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Screen]:
    """A virtual X screen, which is this process' display."""
    if not shutil.which("Xvfb"):
        pytest.skip("needs Xvfb (.ci/run installs it)")
    with virtual_screen("640x480") as screen:
        monkeypatch.setenv("DISPLAY", screen.display)
        monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
        yield screen


def test_a_display_that_answers_needs_no_other_process(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    probe.begin_probe()
    assert probe._begun == []
    monkeypatch.setattr(probe, "_could_open", lambda seconds: pytest.fail("another process is asked"))
    assert probe.can_open_window(SECONDS)


@pytest.mark.parametrize("missing", ["display", "plug-in"])
def test_another_process_has_the_last_word(
    missing: str, screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a display that is not there, and of a plug-in that does not load."""
    if missing == "display":
        monkeypatch.setenv("DISPLAY", ":71077")
    else:
        broken = tmp_path / "libqxcb.so"
        broken.write_bytes(b"no library")
        monkeypatch.setattr(probe, "_x11_plugin", lambda: broken)
    asked: list[float] = []
    monkeypatch.setattr(probe, "_could_open", lambda seconds: bool(asked.append(seconds)))
    assert not probe.can_open_window(SECONDS)
    assert asked == [SECONDS]


def test_a_display_that_does_not_answer_is_waited_for_no_longer_than_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("DISPLAY", f"127.0.0.1:{silent.getsockname()[1] - 6000}")  # of which X makes the port again
        with pytest.raises(subprocess.TimeoutExpired):
            probe.can_open_window(0.2)
