"""The teaching window: real keys that are held, repeat and are let go, and a name that is typed."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from command_line import begin, finish
from keras import layers
from mjpeg_server import MjpegServer
from screen import virtual_screen, wait_until

pytestmark = pytest.mark.slow


@pytest.mark.skipif(sys.platform != "linux", reason="Xvfb is a Linux screen")
def test_a_person_teaches_two_classes_and_names_one(tmp_path: Path) -> None:
    if not (shutil.which("Xvfb") and shutil.which("xdotool")):
        pytest.skip("needs Xvfb and xdotool (.ci/run installs them)")
    image = keras.Input((32, 32, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, activation="relu")(layers.Rescaling(1 / 255)(image)))
    keras.Model(image, layers.Dense(4, activation="softmax")(x)).save(tmp_path / "toy.keras")
    red, blue = (np.full((240, 320, 3), colour, np.uint8) for colour in ((20, 20, 220), (220, 20, 20)))
    output, summary = tmp_path / "own.keras", tmp_path / "summary.json"
    with virtual_screen() as screen, MjpegServer([red], fps=25) as server:
        process = begin(
            *("teach", server.url, "-m", tmp_path / "toy.keras", "-o", output, "--tune", "off"),
            *("--snapshots", tmp_path / "shots", "--json", summary),
            DISPLAY=screen.display,
        )
        window = screen.window(process)

        def hold(key: str, seconds: float) -> None:
            screen.xdotool("windowfocus", "--sync", window.number)
            screen.xdotool("keydown", key)
            time.sleep(seconds)
            screen.xdotool("keyup", key)

        def is_ready() -> bool:
            window.press("s")
            return any((tmp_path / "shots").glob("*.json"))

        wait_until(is_ready, process)
        hold("1", 2)
        server.show([blue])
        time.sleep(1.5)  # in which the burst ends, and the picture comes
        hold("2", 2)
        time.sleep(1)
        for key in ("n", "s", "k", "y", "1", "BackSpace"):
            window.press(key)
            time.sleep(0.2)
        window.press("Return")
        time.sleep(0.5)
        window.press("w")
        wait_until(lambda: (tmp_path / "own.features.npz").exists(), process)
        time.sleep(0.5)
        window.press("q")
        finished = finish(process)
    assert (finished.code, finished.err) == (0, ""), finished
    taught = json.loads(summary.read_text("utf-8"))["taught"]
    assert [one["name"] for one in taught["classes"]] == ["class 1", "sky"]
    assert all(one["count"] >= 4 and one["bursts"] == 1 for one in taught["classes"])
    assert (taught["models"], taught["is_unsaved"]) == ([str(output)], False)
    model = keras.models.load_model(output)
    said = model(np.stack([red[:32, :32, ::-1], blue[:32, :32, ::-1]]).astype(np.float32))
    assert np.argmax(said, axis=1).tolist() == [0, 1]
    assert f"written as {output}" in finished.out
