"""The live loop: a real stream, a real window, real keys."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import keras
import numpy as np
import pytest
from command_line import AT_ONCE, SECONDS, Running, begin, environment, finish, run, run_script, start
from keras import layers
from mjpeg_server import MjpegServer
from screen import Screen, virtual_screen, wait_until
from video_files import make_video, moving

from live_gradcam.flow.metrics import Durations, FrameRate, StageTimings, percentiles_ms
from live_gradcam.live_loop.commands import COMMANDS

pytestmark = pytest.mark.slow

#: Of the streams: each frame is explained, whatever the test looks at.
_FPS = 12


def recorded(path: Path) -> list[tuple[float, np.ndarray]]:
    with av.open(str(path)) as container:
        return [(float(frame.time), frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)]


def start_recording(server: MjpegServer, recording: Path, *options: object) -> Running:
    """A live command without a window that has begun to record."""
    process = begin("live", server.url, "--headless", "--record", recording, *options)
    wait_until(recording.with_name(f"{recording.name}.part").exists, process)
    return process


def test_a_network_stream_is_explained_and_recorded(
    tmp_path: Path, coffee: np.ndarray, quick_network: list[str]
) -> None:
    recording = tmp_path / "x.mp4"
    with MjpegServer([coffee, coffee[:, ::-1].copy()], fps=_FPS) as server:
        finished = run("live", server.url, "--headless", "--max-frames", 40, "--record", recording, *quick_network)
    assert finished.code == 0, finished
    assert finished.err == ""
    assert finished.out.startswith("40 frames explained at ")
    frames = recorded(recording)
    times = [seconds for seconds, _ in frames]
    assert len(frames) == 40
    assert times[0] == 0
    assert all(later > earlier for earlier, later in itertools.pairwise(times))
    assert frames[0][1].shape == coffee.shape
    with av.open(str(recording)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")


def test_a_stream_that_stops_keeps_what_was_recorded(
    tmp_path: Path, coffee: np.ndarray, quick_network: list[str]
) -> None:
    recording = tmp_path / "x.mp4"
    with MjpegServer([coffee], fps=_FPS) as server:
        process = start_recording(server, recording, "--reconnect", 0, *quick_network)
        time.sleep(1)
        server.stop()
        finished = finish(process)
    assert finished.code == 1
    assert finished.err.count("\n") == 1
    assert "stopped after" in finished.err
    assert len(recorded(recording)) > 0


def test_a_file_plays_to_its_end(tmp_path: Path, quick_network: list[str]) -> None:
    source = make_video(tmp_path / "in.mp4", [moving(index, height=180, width=320) for index in range(150)], rate=30)
    finished = run("live", source, "--headless", "--record", tmp_path / "x.mp4", *quick_network)
    assert finished.code == 0, finished
    frames = recorded(tmp_path / "x.mp4")
    explained, dropped = int(finished.out.split()[0]), int(finished.out.split(", ")[1].split()[0])
    assert explained == len(frames)
    assert explained + dropped == 150
    assert frames[-1][0] == pytest.approx(5, abs=1)  # its own rate, however slow the machine


# --- sources that misbehave ---------------------------------------------------------------------------------------


def test_a_camera_that_is_restarted_is_found_again_and_the_recording_goes_on(
    tmp_path: Path, coffee: np.ndarray, chelsea: np.ndarray, quick_network: list[str]
) -> None:
    recording, summary = tmp_path / "x.mp4", tmp_path / "x.json"
    with MjpegServer([coffee], fps=_FPS) as server:
        process = start_recording(server, recording, "--json", summary, *quick_network)
        time.sleep(1)
        server.stop()
        time.sleep(1)
        with MjpegServer([chelsea], fps=_FPS, port=server.port):
            time.sleep(4)
            process.send_signal(signal.SIGINT)
            finished = finish(process)
    assert finished.code == 130, finished
    assert re.fullmatch(
        rf"live-gradcam: the source {server.url} stopped after \d+ frames; trying to open it again\n"
        r"live-gradcam: the source is back after \d s\n",
        finished.err,
    )
    assert json.loads(summary.read_text())["reconnects"] == 1
    frames = recorded(recording)
    assert max(np.diff([seconds for seconds, _ in frames])) > 0.9  # the outage: no frame was made up
    assert np.abs(frames[-1][1].astype(int) - frames[0][1]).mean() > 20  # the other picture is there
    assert all(picture.any() for _, picture in frames)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_though_the_source_has_frozen(
    tmp_path: Path, coffee: np.ndarray, quick_network: list[str], ending: signal.Signals
) -> None:
    recording = tmp_path / "x.mp4"
    with MjpegServer([coffee], fps=_FPS) as server:
        process = start_recording(server, recording, *quick_network)
        time.sleep(0.5)
        server.stall()
        time.sleep(0.5)
        process.send_signal(ending)
        start_of_end = time.monotonic()
        finished = finish(process)
        assert time.monotonic() - start_of_end < 20
    assert finished.code == 130, finished
    assert finished.err == ""
    assert recorded(recording)


def test_what_was_recorded_until_a_kill_plays(tmp_path: Path, coffee: np.ndarray, quick_network: list[str]) -> None:
    recording = tmp_path / "x.mp4"
    with MjpegServer([coffee], fps=_FPS) as server:
        process = start_recording(server, recording, *quick_network)
        time.sleep(5)
        process.kill()
        process.communicate()
    frames = recorded(tmp_path / "x.mp4.part")
    assert frames[-1][0] > 2.5  # all but the last fragment, of a second, and what was under way
    assert frames[-1][1].shape == coffee.shape


def test_a_stream_that_is_turned_is_recorded_in_one_size_between_bars(
    tmp_path: Path, coffee: np.ndarray, quick_network: list[str]
) -> None:
    recording = tmp_path / "x.mp4"
    with MjpegServer([coffee], fps=_FPS) as server:
        process = start_recording(server, recording, "--record-clean", *quick_network)
        time.sleep(1)
        server.show([np.rot90(coffee).copy()])
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        finished = finish(process)
    assert (finished.code, finished.err) == (130, "")
    frames = recorded(recording)
    assert {picture.shape for _, picture in frames} == {coffee.shape}
    height, width = coffee.shape[:2]
    inner = height * height // width
    bar = (width - inner) // 2
    last = frames[-1][1]
    assert last[:, : bar - 4].max() < 16
    assert last[:, bar + inner + 4 :].max() < 16
    small = cv2.resize(np.rot90(coffee), (inner, height), interpolation=cv2.INTER_AREA)
    assert difference(last[:, bar : bar + inner], small) < 8


# --- the window ---------------------------------------------------------------------------------------------------


@pytest.fixture
def screen() -> Iterator[Screen]:
    """A virtual X screen."""
    if not (shutil.which("Xvfb") and shutil.which("xdotool")):
        pytest.skip("needs Xvfb and xdotool (.ci/run installs them)")
    with virtual_screen() as screen:
        yield screen


@pytest.fixture(scope="module")
def brown_is_coffee(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The flags for a network that takes what is brown for coffee, and has two layers with maps. It starts at once."""
    image = keras.Input((112, 112, 3))
    early = layers.Conv2D(3, 8, strides=8, activation="relu", name="early")
    late = layers.Conv2D(3, 2, strides=2, activation="relu", name="late")
    scores = layers.Dense(7, activation="softmax")
    model = keras.Model(image, scores(layers.GlobalAveragePooling2D()(late(early(layers.Rescaling(1 / 255)(image))))))
    colours = np.array([[1, 0, -1], [1, 1, 1], [-1, -1, -1]]).T  # how brown, how bright and how dark a place is
    early.set_weights([np.broadcast_to(colours / 64, (8, 8, 3, 3)), np.array([0.01, -1.5, 0.6])])
    late.set_weights([np.broadcast_to(np.eye(3) / 4, (2, 2, 3, 3)), np.zeros(3)])
    of_colours = np.zeros((3, 7))
    of_colours[(0, 1, 2, 1), (0, 1, 2, 6)] = 30, 2, 2, 3
    scores.set_weights([of_colours, np.array([-0.3, 0.5, 0.4, 0.3, 0.2, 0.1, -0.5])])
    folder = tmp_path_factory.mktemp("coffee")
    model.save(folder / "coffee.keras")
    (folder / "names.txt").write_text("coffee\ngrey\nblack\nblue\ngreen\nred\nwhite\n", "utf-8")
    return ["-m", str(folder / "coffee.keras"), "--labels", str(folder / "names.txt"), "--fit", "stretch", *AT_ONCE]


class Live:
    """A live command with a window, on a stream of photographs; `is_started` where the start itself is looked at."""

    def __init__(
        self, screen: Screen, folder: Path, server: MjpegServer, *options: object, is_started: bool = False
    ) -> None:
        self.folder = folder
        self._summary = folder / "summary.json"
        command = "live", server.url, "--snapshots", folder, "--json", self._summary, *options
        self.process = (start if is_started else begin)(*command, DISPLAY=screen.display)
        self.window = screen.window(self.process)
        self.screen = screen

    def snapshot(self) -> dict[str, Any]:
        """Take a snapshot by its key, once the session is ready: the numbers, and the pictures `shown` and `clean`."""
        known = set(self.folder.glob("live-gradcam-*.json"))
        pressed, deadline = 0.0, time.monotonic() + 60
        while not (new := self._written() - known):
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            if time.monotonic() > pressed + 2:  # before the session is ready there is nothing to save
                self.window.press("s")
                pressed = time.monotonic()
            time.sleep(0.02)
        newest = max(new)
        return {
            **json.loads(newest.read_text()),
            "shown": cv2.imread(str(newest.with_suffix(".png"))),
            "clean": cv2.imread(str(newest.with_name(f"{newest.stem}-clean.png"))),
        }

    def _written(self) -> set[Path]:
        """The numbers of the snapshots that are complete: they are written last, with a line end."""
        return {path for path in self.folder.glob("live-gradcam-*.json") if path.read_text().endswith("}\n")}

    def snapshot_when(self, condition: Callable[[dict[str, Any]], bool], seconds: float = 60) -> dict[str, Any]:
        """The first snapshot that is as it must be."""
        deadline = time.monotonic() + seconds
        while not condition(snapshot := self.snapshot()):
            assert time.monotonic() < deadline, {key: snapshot[key] for key in ("method", "layer", "target_label")}
        return snapshot

    def end(self, how: Callable[[], None]) -> dict[str, Any]:
        """End it, and return its summary."""
        how()
        finished = finish(self.process)
        assert (finished.code, finished.err) == (0, ""), finished
        return json.loads(self._summary.read_text())


def difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - other).mean())


@pytest.mark.skipif(sys.platform != "linux", reason="Xvfb is a Linux screen")
def test_every_key_does_what_the_help_says(
    screen: Screen, tmp_path: Path, coffee: np.ndarray, brown_is_coffee: list[str]
) -> None:
    with MjpegServer([coffee], fps=_FPS) as server:
        live = Live(screen, tmp_path, server, "--hud", "none", *brown_is_coffee)
        press = live.window.press
        tried = set()

        def try_key(*keys: str) -> None:
            tried.update(command_of_x_key(key) for key in keys)
            press(*keys)
            time.sleep(0.2)  # some frames

        first = live.snapshot()
        tried.add("snapshot")
        assert first["target_label"] == "coffee"
        assert difference(first["clean"], coffee) < 3  # as the stream's JPEG has it
        assert difference(first["shown"], first["clean"]) > 5  # the map is drawn

        try_key("Tab")
        side = live.snapshot()["shown"]
        width = coffee.shape[1]
        assert not side[:50].any()  # two halves, in their own shape
        small = cv2.resize(first["clean"], (width // 2 - 1, round(coffee.shape[0] / 2)), interpolation=cv2.INTER_AREA)
        top = (side.shape[0] - small.shape[0]) // 2
        assert difference(side[top : top + 199, : small.shape[1]], small[:199]) < 6
        try_key("Tab")
        heatmap = live.snapshot()
        hottest = np.unravel_index(np.argmax(np.array(heatmap["heatmap"])), np.shape(heatmap["heatmap"]))
        assert hottest[0] in (2, 3, 4)
        assert difference(heatmap["shown"], heatmap["clean"]) > 30
        try_key("Tab")
        raw = live.snapshot()
        assert difference(raw["shown"], raw["clean"]) == 0
        try_key("m")
        mirrored = live.snapshot()
        assert difference(mirrored["shown"][:, ::-1], mirrored["clean"]) == 0
        try_key("m", "b")
        boxed = live.snapshot()
        left, top, _, bottom = boxed["box"]
        assert difference(boxed["shown"], boxed["clean"]) > 0
        rim = boxed["shown"][(top + bottom) // 2, left]
        assert rim.tolist() == [255, 255, 255]
        try_key("b", "Tab")
        grid = live.snapshot()["shown"]
        assert difference(grid, raw["clean"]) > 20
        try_key("Tab")

        before = live.snapshot()["shown"]
        try_key("plus", "plus")
        assert difference(live.snapshot()["shown"], first["clean"]) > difference(before, first["clean"])
        try_key("minus", "minus", "minus", "minus")
        assert difference(live.snapshot()["shown"], first["clean"]) < difference(before, first["clean"])
        try_key("plus", "plus")
        turbo = live.snapshot()["shown"]
        try_key("c")
        assert difference(live.snapshot()["shown"], turbo) > 3

        try_key("2")
        pinned = live.snapshot_when(lambda snapshot: snapshot["target_label"] == snapshot["predictions"][1]["label"])
        assert pinned["target_label"] != "coffee"
        server.show([coffee[:, ::-1].copy()])
        try_key("t")
        live.snapshot_when(lambda snapshot: snapshot["target_label"] == "coffee")
        try_key("f")
        server.show([np.full_like(coffee, 90)])  # the class leaves the list, and stays pinned
        frozen = live.snapshot_when(lambda s: all(p["label"] != "coffee" for p in s["predictions"]))
        assert frozen["target_label"] == "coffee"
        server.show([coffee])
        try_key("t")
        live.snapshot_when(lambda snapshot: snapshot["predictions"][0]["label"] == "coffee")

        try_key("v")
        second = live.snapshot_when(lambda snapshot: snapshot["contrast"] is not None)
        assert second["target_label"] == "coffee"
        assert second["contrast"] != second["target"]
        try_key("v", "t")
        live.snapshot_when(lambda snapshot: snapshot["contrast"] is None)

        last_layer = first["layer"]
        try_key("bracketleft")
        live.snapshot_when(lambda snapshot: snapshot["layer"] == "early")
        try_key("bracketright")
        live.snapshot_when(lambda snapshot: snapshot["layer"] == last_layer)
        try_key("g")
        live.snapshot_when(lambda snapshot: snapshot["method"] == "grad-cam++")
        fits = ("tiles", "crop", "stretch", "letterbox")
        next_fit = fits[(fits.index(first["fit"]) + 1) % len(fits)]
        try_key("w")
        live.snapshot_when(lambda snapshot: snapshot["fit"] == next_fit)

        plain = live.snapshot()["shown"]
        try_key("h")
        help_ = live.snapshot()["shown"]
        assert difference(help_, plain) > 20
        try_key("h", "d")
        assert difference(live.snapshot()["shown"], plain) < 10

        try_key("r")
        time.sleep(2)
        try_key("r")
        (recording,) = tmp_path.glob("*.mp4")
        assert recorded(recording)

        try_key("l")
        live.snapshot_when(lambda snapshot: "predictions" not in snapshot)  # for nothing is taught yet
        press("l")
        live.snapshot_when(lambda snapshot: len(snapshot.get("predictions", ())) == 5)

        try_key("space")
        paused = live.snapshot()
        time.sleep(1)
        assert live.snapshot()["time"] == paused["time"]
        try_key("space")
        time.sleep(0.5)
        assert live.snapshot()["time"] > paused["time"]
        tried.add("quit")
        assert tried == {row.name for row in COMMANDS if row.keys}
        summary = live.end(lambda: press("q"))
    assert summary["displayed"] > 50


def command_of_x_key(name: str) -> str:
    """The name of a key's command, by the key's X name."""
    characters = {"Tab": "\t", "space": " ", "plus": "+", "minus": "-", "bracketleft": "[", "bracketright": "]"}
    command = COMMANDS.of_key(characters.get(name, name))
    assert command is not None
    return command.name


def test_the_hud_a_click_another_size_and_escape(
    screen: Screen, tmp_path: Path, coffee: np.ndarray, brown_is_coffee: list[str]
) -> None:
    with MjpegServer([coffee], fps=_FPS) as server:
        live = Live(screen, tmp_path, server, *brown_is_coffee)
        first = live.snapshot()
        assert difference(first["shown"][:120, :220], first["clean"][:120, :220]) > 40  # the panel
        live.window.press("d")
        timed = live.snapshot()["shown"]
        below = (slice(235, 290), slice(10, 220))  # where the panel goes on with the stages
        assert timed[below].mean() < 0.6 * first["shown"][below].mean()
        live.window.click(60, 40)  # on the second bar
        pinned = live.snapshot_when(lambda snapshot: snapshot["target_label"] != "coffee")
        assert pinned["target_label"] == first["predictions"][1]["label"]
        live.window.resize(900, 900)
        time.sleep(1)
        shot = screen.shot()
        shown = shot[150:750, :900]  # 900 × 600, in its own shape, between bars
        assert difference(cv2.resize(live.snapshot()["shown"], (900, 600))[300:500], shown[300:500]) < 12
        live.window.resize(300, 200)
        time.sleep(1)
        live.window.click(60, 40)  # on the third bar of letters of 8 pixels, where there were 12 before
        pinned = live.snapshot_when(lambda snapshot: snapshot["target_label"] == first["predictions"][2]["label"])
        assert pinned["shown"].shape == coffee.shape
        live.window.press("t", "d")
        server.show([np.rot90(coffee).copy()])
        turned = live.snapshot_when(lambda snapshot: snapshot["clean"].shape == (600, 400, 3))["shown"]
        time.sleep(1)
        below = slice(266, 292), slice(90)  # of 200 × 300: under all text, beside the scale of the colours
        shown, expected = screen.shot()[below], cv2.resize(turned, (200, 300), interpolation=cv2.INTER_AREA)[below]
        assert difference(expected, shown) < 12
        live.end(lambda: live.window.press("Escape"))


def test_closing_the_window_ends_it_and_finishes_the_recording(
    screen: Screen, tmp_path: Path, coffee: np.ndarray, quick_network: list[str]
) -> None:
    recording = tmp_path / "x.mp4"
    with MjpegServer([coffee], fps=_FPS) as server:
        live = Live(screen, tmp_path, server, "--record", recording, *quick_network)
        wait_until((tmp_path / "x.mp4.part").exists, live.process)
        time.sleep(1)
        live.end(live.window.press_close_button)
    assert recorded(recording)


def test_the_window_shows_the_camera_while_the_network_starts_and_dims_it_when_it_is_gone(
    screen: Screen, tmp_path: Path, coffee: np.ndarray, quick_network: list[str]
) -> None:
    with MjpegServer([coffee], fps=_FPS) as server:
        live = Live(screen, tmp_path, server, "--hud", "none", *quick_network, is_started=True)
        wait_until(lambda: difference(screen.shot()[:100, :600], coffee[:100]) < 6, live.process, 5)
        warming = screen.shot()[:400, :600]
        assert difference(warming[190:210, 200:400], coffee[190:210, 200:400]) > 20  # "starting the network"
        shown = live.snapshot()["shown"]
        server.stop()
        wait_until(lambda: screen.shot()[:150, :600].mean() < 0.6 * shown[:150].mean(), live.process, 6)
        live.end(lambda: live.window.press("q"))


@pytest.mark.alone
def test_the_picture_is_as_new_as_the_network_allows(screen: Screen) -> None:
    """A source of 30 frames per second, a network slowed to 5: the latency does not grow, and each frame is counted.

    Frames that waited instead of being dropped would be late by most of a second after each second.
    """
    script = Path(__file__).parents[1] / "slow_live.py"
    run = subprocess.run(
        [sys.executable, str(script), "20"],
        env=environment(DISPLAY=screen.display),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    summary = json.loads(run.stdout)
    assert summary["explained_fps"] == pytest.approx(5, rel=0.1)
    assert summary["camera_fps"] == pytest.approx(30, rel=0.1)
    assert summary["latency_ms"]["max"] < 2 * 200
    assert summary["displayed"] == summary["frames"]
    assert 0 <= summary["captured"] - summary["frames"] - summary["dropped"] <= 1  # one may be under way at the end


def test_frames_leak_nothing(quick_network: list[str]) -> None:
    """The short form of benchmarks/soak.py: frames of 173 kB, of which 600 would be five times what is allowed."""
    script = Path(__file__).parents[2] / "benchmarks" / "soak.py"
    soak = run_script(script, "--frames", 750, "--height", 180, "--model", quick_network[1], with_tensorflow=True)
    assert soak.code == 0, soak.out + soak.err


# --- measuring ----------------------------------------------------------------------------------------------------


def test_the_frame_rate_looks_back_over_its_window() -> None:
    rate = FrameRate(window=2.0)
    assert rate.tick(0.0) == 0
    assert [rate.tick(0.1 * tick) for tick in range(1, 40)][-1] == pytest.approx(10)
    assert [rate.tick(4 + 0.5 * tick) for tick in range(8)][-1] == pytest.approx(2)


def test_the_frame_rate_of_a_slow_source() -> None:
    rate = FrameRate(window=2.0)
    assert [rate.tick(5.0 * tick) for tick in range(4)][-1] == pytest.approx(0.2)


def test_percentiles_and_medians() -> None:
    assert percentiles_ms([0.001 * value for value in range(101)]) == pytest.approx({"p50": 50, "p95": 95, "p99": 99})
    timings = StageTimings()
    for _ in range(3):
        with timings.measure("draw"):
            pass
    assert 0 <= timings.medians_ms()["draw"] < 1000


def test_durations_keep_their_percentiles_in_the_same_memory() -> None:
    durations = Durations()
    assert durations.percentile_ms(50) is None
    for milliseconds in range(1, 1001):
        durations.add(1e-3 * milliseconds)
    for percent in (50, 95, 99, 100):
        assert durations.percentile_ms(percent) == pytest.approx(10 * percent, rel=0.011)
