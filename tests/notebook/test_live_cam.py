"""The camera in a cell, in JupyterLab and a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install playwright")
pytest.importorskip("jupyterlab", reason="JupyterLab is not installed: pip install jupyterlab")

from chromium import launch, write_clip
from notebook_lab import Lab, jupyter_lab, write_notebook
from playwright.sync_api import Playwright

from live_gradcam import LiveCam, SessionOptions, UsageError

_CAM, _LOOK, _SNAPSHOT, _SWITCH, _FIRST = 1, 2, 3, 4, 5
_MANY = "{cam}?.viewing.trips.length > 3"


@pytest.fixture
def lab(tmp_path: Path, playwright: Playwright, quick_network: list[str]) -> Iterator[Lab]:
    """A notebook with a camera, and a browser whose camera plays the tour. Nothing goes wrong in it that it hides."""
    _, model, _, labels, *_ = quick_network
    cells = {
        0: "from live_gradcam import LiveCam, SessionOptions\n"
        f"options = SessionOptions(model={model!r}, labels={labels!r}, fit='stretch', tune='off')\n"
        "socket = True",
        _CAM: "cam = LiveCam(session=options, use_socket=socket)\ncam",
        _LOOK: "print(cam.explanation.target, cam.explanation.heatmaps.dtype, cam.explanation.heatmaps.shape[1:])",
        _SNAPSHOT: "one, = cam.snapshots\nprint(one.picture.shape, one.explanation.targets[0].label, one)",
        _SWITCH: "first, socket = cam, False",
        _FIRST: "print(first, cam, sep='\\n')",
    }
    write_notebook(tmp_path / "cam.ipynb", [cells[place] for place in sorted(cells)])
    mistakes: list[str] = []
    with jupyter_lab(tmp_path) as address:
        browser = launch(playwright, write_clip(tmp_path / "tour.mjpeg", 320))
        page = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB").new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: mistakes.append(str(error)))
        yield Lab(page, address.format(name="cam.ipynb"))
        browser.close()
    assert mistakes == []


def _use_camera(lab: Lab) -> None:
    """Do what a person does to have their camera explained."""
    card = f"{lab.cam(_CAM)}?.notices.card"
    if lab.until(f"{lab.cam(_CAM)}?.viewing.source ? 'camera' : {card}?.querySelector('.first') && 'card'") == "card":
        lab.page.locator(".card .first").click()
    lab.until(_MANY.format(cam=lab.cam(_CAM)))


@pytest.mark.slow
def test_the_camera_in_a_cell(lab):
    page, cam = lab.page, lab.cam(_CAM)
    lab.run(0)
    assert lab.run(_CAM) == "LiveCam(quick.keras, not connected)"  # the cell is done before the network has started
    _use_camera(lab)

    # A click on a class is in Python.
    row = page.locator(".class").nth(2)
    row.click()
    pinned = lab.until(f"{cam}.state.pinned[0]?.index.toString() ?? ''")
    seen = f"{cam}.viewing.trips.length"
    before = page.evaluate(seen)
    lab.until(f"{seen} > {before} + 3")
    assert lab.run(_LOOK) == f"{pinned} float32 (12, 12)"

    # So is a snapshot.
    name = page.evaluate(f"{cam}.state.pinned_names[0]")
    page.get_by_role("button", name="Snapshot").click()
    page.locator(".notice.shown", has_text=".snapshots[0]").wait_for()
    assert lab.run(_SNAPSHOT) == f"(180, 320, 3) {name} Snapshot(320x180, {name})"

    # Keys are the page's while it has the focus, and not the notebook's: "d d" would remove the cell.
    cells = "jupyterapp.shell.currentWidget.content.widgets.length"
    count, is_mirror = page.evaluate(cells), page.evaluate(f"{cam}.look.mirror")
    page.locator(".live-gradcam-cell .stage").click()
    for key in "ddm":
        page.keyboard.press(key)
    assert page.evaluate(cells) == count
    assert page.evaluate(f"{cam}.look.mirror") != is_mirror

    # The cell run again closes the first one. Without a socket the notebook's own messages do it.
    lab.run(_SWITCH)
    lab.run(_CAM)
    _use_camera(lab)
    first, second = lab.run(_FIRST).splitlines()
    assert first == "LiveCam(quick.keras, closed)"
    assert second == "LiveCam(quick.keras, connected by the notebook's messages)"

    # A page that is loaded again goes on with the same one.
    lab.command("docmanager:save")
    page.reload()
    lab.wait_for_kernel()
    _use_camera(lab)
    assert lab.run(_LOOK).endswith("float32 (12, 12)")

    # Another theme, and another kernel.
    page.evaluate("jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Dark' }).then(() => null)")
    lab.until("document.querySelector('.live-gradcam-cell.dark') !== null")
    page.evaluate("jupyterapp.shell.currentWidget.sessionContext.restartKernel().then(() => null)")
    page.locator(".banner.shown", has_text="The kernel has ended, or was started again").wait_for()
    assert page.evaluate(f"{cam}.viewing.source") is None  # the camera is off


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({"model": "efficientnet-lite9"}, "efficientnet-lite"),
        ({"height": 10}, "the height is 10: give a number from 240 on"),
        ({"session": SessionOptions(fit="native")}, "native"),
    ],
)
def test_what_is_wrong_is_said_at_once(keywords, text):
    with pytest.raises(UsageError, match=text):
        LiveCam(**keywords)


def test_it_closes_twice_and_says_so():
    cam = LiveCam()
    assert repr(cam) == "LiveCam(efficientnet-lite0, not connected)"
    assert cam.explanation is None
    assert cam.snapshots == []
    cam.close()
    cam.close()
    assert repr(cam) == "LiveCam(efficientnet-lite0, closed)"
