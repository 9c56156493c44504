"""Chromium with a camera that plays a clip, and the page in it. No pytest here: benchmarks use it too."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import cv2
from playwright.sync_api import Browser, Download, Page, Playwright, sync_playwright

#: Where it is, as Debian has it; None where there is none.
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
VIDEO = Path(__file__).parents[3] / "videos" / "tour.mp4"
SECONDS = 180.0
#: JavaScript: whether the picture stands still and is explained.
STANDS_STILL = (
    "(({ isPaused, capture: { isFresh, isBusy, flying } }) => isPaused && !isFresh && !isBusy && flying.size === 0)"
    "(liveGradcam.viewing)"
)
_LOOKING = """async (milliseconds) => {
    for (const end = performance.now() + milliseconds; ; await new Promise((resolve) => setTimeout(resolve, 30))) {
        const value = CONDITION;
        if (value || performance.now() > end) return value;
    }
}"""

_ARGUMENTS = (
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}


def write_clip(path: Path, width: int = 1280) -> Path:
    """Write the tour as JPEGs one after the other, so many pixels wide: what Chromium's camera plays, at 30 FPS."""
    with path.open("wb") as clip, av.open(str(VIDEO)) as video:
        for frame in video.decode(video=0):
            image = frame.to_ndarray(width=width, height=width * 9 // 16, format="bgr24")
            clip.write(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())
    return path


def write_calm_clip(path: Path, width: int = 1280) -> Path:
    """Write every sixth frame of the tour, for a camera of 10 FPS: the browser decodes nothing, and draws less."""
    height = width * 9 // 16
    with path.open("wb") as clip, av.open(str(VIDEO)) as video:
        clip.write(f"YUV4MPEG2 W{width} H{height} F10:1 Ip A1:1 C420jpeg\n".encode())
        for frame in itertools.islice(video.decode(video=0), 0, None, 6):
            clip.write(b"FRAME\n" + frame.to_ndarray(width=width, height=height, format="yuv420p").tobytes())
    return path


def launch(
    playwright: Playwright, clip: Path, *, asks: bool = False, has_camera: bool = True, arguments: Sequence[str] = ()
) -> Browser:
    """Start a browser whose camera plays a clip.

    Args:
        playwright: there can be only one at a time.
        clip: of `write_clip` or `write_calm_clip`.
        asks: whether it asks a person who is not there, which counts as a no; otherwise it gives the camera.
        has_camera: whether there is one.
        arguments: more of them.
    """
    allowing = () if asks else ("--use-fake-ui-for-media-stream",)
    playing = ("--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={clip}") if has_camera else ()
    given = [*_ARGUMENTS, *allowing, *playing, *arguments]
    return playwright.chromium.launch(executable_path=CHROMIUM, args=given)


def until(page: Page, condition: str, seconds: float = SECONDS) -> Any:
    """Wait until JavaScript gives something true, and return that. The page looks by itself: asking it costs more.

    (Playwright's own `wait_for_function` needs `eval`, which the page's policy forbids.)
    """
    value = page.evaluate(_LOOKING.replace("CONDITION", condition), 1000 * seconds)
    assert value, f"it did not happen in time: {condition}"
    return value


def go_to(page: Page, address: str) -> None:
    """Open an address with a token, which leads on to the page, and wait for the server's greeting."""
    page.goto(address)
    page.wait_for_url(lambda url: "token=" not in url)
    until(page, "Boolean(globalThis.liveGradcam?.hello)")


def use_camera(page: Page) -> None:
    """Do what a person does to have their camera explained, and wait for its first answer."""
    if (
        until(page, "liveGradcam.viewing.source ? 'camera' : document.querySelector('.card .first') && 'card'")
        == "card"
    ):
        page.locator(".card .first").click()
    until(page, "liveGradcam.viewing.trips.length > 0")


def downloads(page: Page, count: int, act: Callable[[], object], folder: Path) -> list[Path]:
    """Do something after which the page gives so many files, and save them."""
    files: list[Download] = []
    page.on("download", lambda file: files.append(file))
    act()
    deadline = time.monotonic() + SECONDS
    while len(files) < count:
        assert time.monotonic() < deadline, f"{len(files)} of {count} files came"
        page.wait_for_timeout(30)
    paths = [folder / file.suggested_filename for file in files]
    for file, path in zip(files, paths, strict=True):
        file.save_as(path)
    return paths


@contextmanager
def camera_page(address: str, **context: Any) -> Iterator[Page]:
    """The page in a browser of its own, with its camera playing the tour and explained.

    Args:
        address: with the token.
        context: of the browser's context, such as `DESKTOP` or `PHONE`.
    """
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = launch(playwright, write_clip(Path(folder) / "tour.mjpeg"))
        page = browser.new_context(**(context or DESKTOP)).new_page()
        go_to(page, address)
        use_camera(page)
        yield page
        browser.close()
