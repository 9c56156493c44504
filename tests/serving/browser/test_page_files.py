"""Pictures and videos of a person's own, explained on the page."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from chromium import VIDEO, downloads, until

from live_gradcam import Explainer, load_classifier
from live_gradcam.sources.image import read_image

pytestmark = pytest.mark.slow

ANSWER = "liveGradcam.stage.answer"


def _choose(page, path) -> None:
    page.locator(".tools").get_by_role("button", name="Source").click()
    with page.expect_file_chooser() as chooser:
        page.locator(".panel").get_by_text("Choose a picture or a video").click()
    chooser.value.set_files(path)


def test_a_picture_is_explained(open_page, quick_network, chelsea, tmp_path):
    page = open_page(starts=False)
    path = tmp_path / "chelsea.png"
    cv2.imwrite(str(path), chelsea)
    _choose(page, path)
    until(page, f"Boolean({ANSWER}?.explanation)")
    assert page.evaluate(f"{ANSWER}.frame") == {"width": 225, "height": 150}  # the input is 96 × 96
    model = quick_network[quick_network.index("-m") + 1]
    halved = cv2.resize(chelsea[:300, :450], (225, 150), interpolation=cv2.INTER_AREA)
    own = Explainer(load_classifier(model), fit="stretch")(halved)
    for one in page.evaluate(f"{ANSWER}.explanation.predictions"):
        assert one["probability"] == pytest.approx(own.probabilities[one["index"]], abs=0.01)
    page.locator(".classes button").nth(1).click()  # the same picture is explained for another class
    until(page, f"{ANSWER}.explanation.target === {ANSWER}.explanation.predictions[1].index")


def test_what_is_transparent_in_a_picture_is_white_as_for_the_program(open_page, tmp_path):
    page = open_page(starts=False)
    picture = np.zeros((96, 96, 4), np.uint8)
    picture[:48] = (255, 0, 0, 255)  # blue; below it black that nobody sees
    picture[72:, :, 3] = 128
    path = tmp_path / "half.png"
    cv2.imwrite(str(path), picture)
    _choose(page, path)
    until(page, f"Boolean({ANSWER}?.explanation)")
    seen = page.evaluate(
        "[10, 60, 84].map((y) =>"
        " [...liveGradcam.stage.still.getContext('2d').getImageData(48, y, 1, 1).data.slice(0, 3)])"
    )
    assert seen == [list(one[::-1]) for one in read_image(path)[[10, 60, 84], 48].tolist()]
    assert seen[1] == [255, 255, 255]
    shots = downloads(page, 3, lambda: page.keyboard.press("s"), tmp_path)
    (clean,) = (shot for shot in shots if shot.name.endswith("-clean.png"))
    assert np.array_equal(read_image(clean), read_image(path))


def test_an_answer_that_comes_soon_after_another_is_shown_too(open_page, chelsea, tmp_path):
    page = open_page(starts=False)
    path = tmp_path / "chelsea.png"
    cv2.imwrite(str(path), chelsea)
    _choose(page, path)
    until(page, f"Boolean({ANSWER}?.explanation)")
    second = page.locator(".classes button").nth(1)
    second.wait_for()
    # Of a camera's frame and of the picture that is chosen next, which has no answer but this one.
    page.evaluate(
        "(() => { const { label, stage } = liveGradcam; const parts = { table: null, latency: 1, timings: false };"
        "label.show(stage.answer, parts); label.clear(); label.show(stage.answer, parts); })()"
    )
    second.wait_for()


def test_a_large_picture_is_halved_as_long_as_the_program_would_do_so(open_page, chelsea, tmp_path):
    page = open_page(starts=False)
    path = tmp_path / "large.jpg"
    cv2.imwrite(str(path), cv2.resize(chelsea, (3000, 2000)))
    _choose(page, path)
    until(page, f"Boolean({ANSWER}?.explanation)")
    assert page.evaluate(f"{ANSWER}.frame") == {"width": 187, "height": 125}
    assert page.evaluate("[liveGradcam.stage.picture.width, liveGradcam.stage.picture.height]") == [3000, 2000]


def test_a_video_is_explained_while_it_plays(open_page):
    page = open_page(starts=False)
    _choose(page, VIDEO)
    until(page, "liveGradcam.viewing.source?.kind === 'video' && liveGradcam.viewing.trips.length > 10")
    assert page.evaluate(f"{ANSWER}.frame") == {"width": 320, "height": 180}
    assert page.evaluate("liveGradcam.viewing.source.video.currentTime") > 0


def test_a_file_that_is_neither_is_refused_in_words(open_page, tmp_path):
    page = open_page(starts=False)
    (tmp_path / "notes.txt").write_text("nothing to see")
    _choose(page, tmp_path / "notes.txt")
    page.get_by_role("heading", name="This file cannot be shown").wait_for()
    assert "notes.txt" in page.locator(".card").inner_text()
    page.evaluate("liveGradcam.useLanguage('de')")
    page.get_by_role("heading", name="Diese Datei lässt sich nicht zeigen").wait_for()
