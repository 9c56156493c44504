"""What the page shows of a camera: the names, and the program's own picture."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from browser_server import serving
from chromium import STANDS_STILL, downloads, go_to, launch, until, use_camera, write_calm_clip
from command_line import AT_ONCE
from playwright.sync_api import Browser, Page

from live_gradcam.drawing.overlay import Overlay
from live_gradcam.explanations.explanation import Explanation, Prediction, Region

pytestmark = pytest.mark.slow


def _snapshot(page: Page, folder: Path) -> tuple[np.ndarray, np.ndarray, dict]:
    """Click on "Snapshot": the picture, the clean picture, and the numbers."""
    paths = downloads(page, 3, lambda: page.get_by_role("button", name="Snapshot").click(), folder)
    seen, clean = sorted((path for path in paths if path.suffix == ".png"), key=lambda path: -len(path.name))[::-1]
    (numbers,) = (path for path in paths if path.suffix == ".json")
    assert {clean.name, numbers.name} == {f"{seen.stem}-clean.png", f"{seen.stem}.json"}
    return cv2.imread(str(seen)), cv2.imread(str(clean)), json.loads(numbers.read_text("utf-8"))


def _explanation(numbers: dict) -> Explanation:
    target = Prediction(numbers["target"], numbers["target_label"], 1.0)
    heatmap = np.array(numbers["heatmap"], np.float32)[None]
    nothing = np.zeros(1, np.float32)
    region = Region(*numbers["region"])
    return Explanation((target,), heatmap, (target,), np.ones(1, np.float32), nothing, nothing, region)


@pytest.fixture(scope="module")
def camera_of_720p(playwright, tmp_path_factory):
    """A browser whose camera plays the tour as large as it is."""
    with closing(launch(playwright, write_calm_clip(tmp_path_factory.mktemp("clip") / "large.y4m"))) as browser:
        yield browser


def _opened(browser: Browser, address: str) -> Page:
    page = browser.new_page(locale="en-GB", viewport={"width": 1280, "height": 720})
    go_to(page, address)
    use_camera(page)
    return page


def test_the_page_names_the_cat_the_cup_and_the_tripod(browser):
    with serving(*AT_ONCE) as server:
        page = _opened(browser, server.address)
        for name in ("cat", "cup", "tripod"):
            page.locator(".classes .name", has_text=name).first.wait_for(timeout=120_000)
        page.close()


def test_the_overlay_is_the_programs_own_picture(camera_of_720p, address, tmp_path):
    page = _opened(camera_of_720p, address)
    page.keyboard.press("m")  # no mirror
    page.keyboard.press(" ")
    until(page, STANDS_STILL)
    _, clean, numbers = _snapshot(page, tmp_path)
    assert clean.shape == (720, 1280, 3)
    page.get_by_role("button", name="View").click()
    page.locator(".options label", has_text="None").click()
    page.keyboard.press("Escape")
    page.mouse.click(640, 300)  # away from the tools, which then go
    until(page, "document.querySelector('.live-gradcam.idle') && !document.querySelector('.shown')")
    until(page, "document.getAnimations().length === 0")
    shown = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    own = Overlay().blend(clean, _explanation(numbers))
    difference = np.abs(shown.astype(int) - own)
    assert np.abs(own.astype(int) - clean).max() > 50  # there is something to see
    assert difference.max() <= 4
    assert difference.mean() < 1
    page.close()


def test_a_map_is_enlarged_as_opencv_does_it(open_page):
    page = open_page(starts=False)
    random = np.random.default_rng(0)
    for size in ((7, 7), (7, 13), (12, 24), (1, 1), (3, 5), (28, 28)):
        levels = random.integers(0, 256, size, np.uint8)
        large = page.evaluate(
            """async ([levels, height, width]) => {
                const { enlarge } = await import("/page/enlarging.js");
                return Array.from(enlarge(new Uint8Array(levels), height, width, 16));
            }""",
            [levels.ravel().tolist(), *size],
        )
        own = cv2.resize(levels, (16 * size[1], 16 * size[0]), interpolation=cv2.INTER_CUBIC)
        difference = np.abs(np.array(large).reshape(own.shape) - own.astype(int))
        assert difference.max() <= 1  # OpenCV rounds its weights where it has no better way
