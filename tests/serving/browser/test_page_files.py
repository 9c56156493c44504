"""Pictures and videos of a person's own, explained on the page."""

from __future__ import annotations

import cv2
import pytest
from chromium import VIDEO, until

pytestmark = pytest.mark.slow

ANSWER = "liveGradcam.stage.answer"


def _choose(page, path) -> None:
    page.locator("input[type=file]").first.set_input_files(path)


def test_a_picture_is_explained(open_page, chelsea, tmp_path):
    page = open_page(starts=False)
    path = tmp_path / "chelsea.png"
    cv2.imwrite(str(path), chelsea)
    _choose(page, path)
    until(page, f"Boolean({ANSWER}?.explanation)")
    assert page.evaluate(f"{ANSWER}.explanation.predictions[0].label") == "cat"
    assert page.evaluate(f"{ANSWER}.frame") == {"width": 451, "height": 300}
    assert page.evaluate(f"{ANSWER}.explanation.predictions[0].probability") > 0.5
    page.locator(".classes button").nth(1).click()  # the same picture is explained for another class
    until(page, f"{ANSWER}.explanation.target === {ANSWER}.explanation.predictions[1].index")


def test_a_large_picture_is_halved_as_long_as_the_network_would_do_so(open_page, chelsea, tmp_path):
    page = open_page(starts=False)
    path = tmp_path / "large.jpg"
    cv2.imwrite(str(path), cv2.resize(chelsea, (3000, 2000)))
    _choose(page, path)
    until(page, f"Boolean({ANSWER}?.explanation)")
    assert page.evaluate(f"{ANSWER}.frame") == {"width": 375, "height": 250}  # the input is 224 × 224
    assert page.evaluate("[liveGradcam.stage.picture.width, liveGradcam.stage.picture.height]") == [3000, 2000]


def test_a_video_is_explained_while_it_plays(open_page):
    page = open_page(starts=False)
    _choose(page, VIDEO)
    until(page, f"Boolean({ANSWER}?.explanation)")
    assert page.evaluate(f"{ANSWER}.frame") == {"width": 640, "height": 360}
    page.locator(".classes .name", has_text="tripod").first.wait_for(timeout=60_000)


def test_a_file_that_is_neither_is_refused_in_words(open_page, tmp_path):
    page = open_page(starts=False)
    (tmp_path / "notes.txt").write_text("nothing to see")
    _choose(page, tmp_path / "notes.txt")
    page.get_by_role("heading", name="This file cannot be shown").wait_for()
    assert "notes.txt" in page.locator(".card").inner_text()
