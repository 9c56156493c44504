"""Teaching on the page: collecting by mouse, touch and key, names, undo, and the model to take away."""

from __future__ import annotations

import pytest
from chromium import PHONE, downloads, until

from live_gradcam import load_classifier

pytestmark = pytest.mark.slow

PANEL = "liveGradcam.state.teaching_panel"


def _count(index: int) -> str:
    return f"({PANEL}.rows.find((row) => row.index === {index})?.count ?? 0)"


def test_two_things_are_taught_and_the_model_is_taken_away(open_page, tmp_path):
    page = open_page()
    page.get_by_role("button", name="Teach").click()
    until(page, f"{PANEL}?.is_ready")
    # What was taught nothing is not sure of anything, and has nothing to take back.
    until(page, "document.querySelector('.seen').innerText === 'Nothing taught yet'")
    assert page.locator(".heading").inner_text().strip() == "Nothing taught yet"
    assert page.locator(".classes button:visible").count() == 0
    assert page.get_by_role("button", name="Undo").is_disabled()
    page.locator(".hold").first.hover()
    page.mouse.down()
    until(page, f"{_count(1)} >= 5")
    assert page.locator(".hold.collecting").count() == 1
    page.mouse.up()
    until(page, f"!{PANEL}.rows.some((row) => row.is_collecting)")
    page.get_by_label("Name of class 1").click()
    page.keyboard.press("Control+a")
    page.keyboard.type("first thing")
    page.keyboard.press("Enter")
    until(page, f"{PANEL}.rows.some(({{ name }}) => name === 'first thing')")
    page.locator(".seen").click()  # away from the field
    assert page.get_by_role("button", name="Undo").is_enabled()
    page.keyboard.down("2")
    until(page, f"{_count(2)} >= 5")
    page.keyboard.up("2")
    until(page, f"!{PANEL}.rows.some((row) => row.is_collecting)")
    until(page, "liveGradcam.stage.answer.explanation.predictions.some(({ label }) => label === 'first thing')")
    page.keyboard.down("2")
    until(page, f"{PANEL}.rows.find((row) => row.index === 2).bursts === 2")
    page.keyboard.up("2")
    before = page.evaluate(_count(2))
    page.get_by_role("button", name="Undo").click()
    until(page, f"{_count(2)} < {before}")
    (model,) = downloads(page, 1, lambda: page.get_by_role("button", name="Download").click(), tmp_path)
    assert model.suffix == ".keras"
    names = load_classifier(model).labels
    assert "first thing" in names
    page.get_by_role("button", name="Stop teaching").click()
    until(page, "!liveGradcam.state.teaching && liveGradcam.stage.answer.explanation.predictions.length === 5")


def test_a_finger_teaches(open_page):
    page = open_page(**PHONE)
    page.get_by_role("button", name="Teach").tap()
    until(page, f"{PANEL}?.is_ready")
    box = page.locator(".hold").first.bounding_box()
    finger = page.context.new_cdp_session(page)
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [place]})
    until(page, f"{_count(1)} >= 3")
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    until(page, f"!{PANEL}.rows.some((row) => row.is_collecting)")
    # Both at once: the last picture may still be counted between two looks.
    text, count = page.evaluate(f"[document.querySelector('.taught li .count').innerText, {_count(1)}]")
    assert text == str(count)


def test_a_panel_that_is_closed_ends_a_lesson_without_pictures(open_page):
    page = open_page()
    page.get_by_role("button", name="Teach").click()
    until(page, f"{PANEL}?.is_ready")
    page.get_by_role("button", name="Close").click()
    until(page, "!liveGradcam.state.teaching")
