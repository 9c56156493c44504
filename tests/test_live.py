"""The live loop: a real stream, a real window, real keys."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import Xlib.display
import Xlib.protocol.event
import Xlib.X
from command_line import finish, run, start
from mjpeg_server import MjpegServer

from live_gradcam.pipelines.metrics import FrameRate, StageTimings, percentiles_ms

TOUR = Path(__file__).parents[1] / "videos" / "tour.mp4"


def recorded(path: Path) -> list[tuple[float, np.ndarray]]:
    with av.open(str(path)) as container:
        return [(float(frame.time), frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)]


def test_a_network_stream_is_explained_and_recorded(tmp_path: Path, coffee: np.ndarray) -> None:
    recording = tmp_path / "x.mp4"
    with MjpegServer([coffee, coffee[:, ::-1].copy()], fps=25) as server:
        finished = run("live", server.url, "--headless", "--max-frames", 100, "--record", recording)
    assert finished.code == 0, finished
    assert finished.err == ""
    assert finished.out.startswith("100 frames explained at ")
    frames = recorded(recording)
    times = [seconds for seconds, _ in frames]
    assert len(frames) == 100
    assert times[0] == 0
    assert all(later > earlier for earlier, later in itertools.pairwise(times))
    assert frames[0][1].shape == coffee.shape
    with av.open(str(recording)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")


def test_a_stream_that_stops_keeps_what_was_recorded(tmp_path: Path, coffee: np.ndarray) -> None:
    recording = tmp_path / "x.mp4"
    with MjpegServer([coffee], fps=25) as server:
        process = start("live", server.url, "--headless", "--record", recording)
        part = tmp_path / "x.mp4.part"
        _wait_until(part.exists, process)
        time.sleep(1)
        server.stop()
        finished = finish(process)
    assert finished.code == 1
    assert finished.err.count("\n") == 1
    assert "stopped after" in finished.err
    assert len(recorded(recording)) > 0


def test_a_file_plays_to_its_end(tmp_path: Path) -> None:
    finished = run("live", TOUR, "--headless", "--record", tmp_path / "x.mp4")
    assert finished.code == 0, finished
    frames = recorded(tmp_path / "x.mp4")
    explained, dropped = int(finished.out.split()[0]), int(finished.out.split(", ")[1].split()[0])
    assert explained == len(frames)
    assert explained + dropped == 360
    assert frames[-1][0] == pytest.approx(12, abs=1)  # its own rate, however slow the machine


# --- the window ---------------------------------------------------------------------------------------------------


def _wait_until(condition: Callable[[], object], process: subprocess.Popen[str], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


@pytest.fixture
def screen() -> Iterator[str]:
    """A virtual X screen; its DISPLAY."""
    if not (shutil.which("Xvfb") and shutil.which("xdotool")):
        pytest.skip("needs Xvfb and xdotool (.ci/run installs them)")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1600x1000x24"], pass_fds=[write], stderr=subprocess.DEVNULL
    )
    os.close(write)
    with os.fdopen(read) as numbers:
        display = f":{numbers.readline().strip()}"
    yield display
    server.terminate()
    server.wait()


def xdotool(display: str, *arguments: str) -> str:
    finished = subprocess.run(
        ["xdotool", *arguments], env={**os.environ, "DISPLAY": display}, capture_output=True, text=True, check=False
    )
    return finished.stdout.strip()


def press_close_button(display: str, window: int) -> None:
    """What a window manager sends when the X in a window's title bar is pressed."""
    connection = Xlib.display.Display(display)
    target = connection.create_resource_object("window", window)
    wish = [connection.get_atom("WM_DELETE_WINDOW"), Xlib.X.CurrentTime, 0, 0, 0]
    protocols = connection.get_atom("WM_PROTOCOLS")
    target.send_event(Xlib.protocol.event.ClientMessage(window=target, client_type=protocols, data=(32, wish)))
    connection.close()


@pytest.mark.parametrize("key", ["q", "Escape"])
def test_the_window_shows_the_overlay_pauses_and_quits(
    screen: str, tmp_path: Path, coffee: np.ndarray, key: str
) -> None:
    recording = tmp_path / "x.mp4"
    with MjpegServer([coffee], fps=25) as server:
        process = start("live", server.url, "--record", recording, DISPLAY=screen)
        _wait_until(lambda: xdotool(screen, "search", "--name", "^live-gradcam$"), process)
        window = xdotool(screen, "search", "--name", "^live-gradcam$").splitlines()[-1]
        _wait_until(lambda: (tmp_path / "x.mp4.part").exists(), process)
        time.sleep(1)
        xdotool(screen, "windowfocus", "--sync", window)
        xdotool(screen, "key", "--window", window, "space")
        time.sleep(2)
        xdotool(screen, "key", "--window", window, "space")
        time.sleep(1)
        xdotool(screen, "key", "--window", window, key)
        finished = finish(process)
    assert finished.code == 0, finished
    assert finished.err == ""
    times = [seconds for seconds, _ in recorded(recording)]
    assert max(np.diff(times)) > 1.5  # the pause: no frame was explained


def test_closing_the_window_ends_it(screen: str, coffee: np.ndarray) -> None:
    with MjpegServer([coffee], fps=25) as server:
        process = start("live", server.url, DISPLAY=screen)
        _wait_until(lambda: xdotool(screen, "search", "--name", "^live-gradcam$"), process)
        time.sleep(2)
        window = xdotool(screen, "search", "--name", "^live-gradcam$").splitlines()[-1]
        press_close_button(screen, int(window))
        finished = finish(process)
    assert finished.code == 0, finished


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
