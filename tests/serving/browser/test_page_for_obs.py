"""The clean page, for OBS: the map alone, on nothing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from chromium import until

pytestmark = pytest.mark.slow


def test_the_clean_page_shows_the_map_alone_on_nothing(open_page):
    page = open_page("&clean=1&source=0", starts=False)
    until(page, "liveGradcam.stage.answer?.id > 3")
    assert page.locator("button").count() == 0
    for _ in range(20):  # the map of a frame may be empty
        shot = np.frombuffer(page.screenshot(omit_background=True), np.uint8)
        alpha = cv2.imdecode(shot, cv2.IMREAD_UNCHANGED)[..., 3]
        if alpha.any():
            break
    assert alpha.min() == 0  # there is nothing where the network sees nothing
    assert 100 < alpha.max() <= 129  # half of the strongest colour: nothing else is drawn


def test_a_source_that_is_not_there_is_named(open_page):
    told = "The server has no source 7. It has 1 of them, counted from 0."
    page = open_page("&clean=1&source=7", starts=False)
    page.get_by_text(told).wait_for()
    page = open_page("&source=7", starts=False)
    page.locator(".notice.shown", has_text=told).wait_for()
