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
