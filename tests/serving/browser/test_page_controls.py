"""What a person does on the page, by clicks on a desktop and taps on a phone, and what becomes of it."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import av
import numpy as np
import pytest
from chromium import DESKTOP, PHONE, STANDS_STILL, downloads, until
from playwright.sync_api import Locator, Page

import live_gradcam

pytestmark = pytest.mark.slow

ANSWER = "liveGradcam.stage.answer"
STATE = "liveGradcam.state"

_PACKAGE = Path(live_gradcam.__path__[0])


class Person:
    """Does what a person does at the page: clicks with a mouse, or taps."""

    def __init__(self, page: Page, *, taps: bool) -> None:
        self.page = page
        self._taps = taps

    def press(self, what: Locator) -> None:
        """Click on something, or tap on it."""
        if self._taps:
            what.tap()
        else:
            what.click()

    def tool(self, name: str) -> None:
        """Press one of the tools."""
        self.press(self.page.locator(".tools").get_by_role("button", name=name, exact=True))

    def option(self, name: str) -> None:
        """Press one of a few, by its text."""
        self.press(self.page.locator(".panel .options label", has_text=name))

    def sees(self, condition: str) -> None:
        """Wait until something is so."""
        until(self.page, condition)


@pytest.fixture(params=["desktop", "phone"])
def person(request, open_page) -> Person:
    """Somebody whose camera is explained."""
    is_phone = request.param == "phone"
    return Person(open_page(**(PHONE if is_phone else DESKTOP)), taps=is_phone)


def test_classes_are_kept_added_and_contrasted(person):
    row = person.page.locator(".classes button")
    person.tool("Pause")  # so that the list stands still
    person.sees(STANDS_STILL)
    first, second = person.page.evaluate(f"{ANSWER}.explanation.predictions.slice(0, 2)")
    person.press(row.nth(1))
    person.sees(f"{STATE}.pinned.length === 1 && {STATE}.pinned[0].index === {second['index']}")
    person.sees(f"{ANSWER}.explanation.target === {second['index']}")  # of the same picture, explained again
    assert second["label"] in person.page.locator(".pinned").inner_text()
    assert row.nth(1).get_attribute("aria-pressed") == "true"
    person.press(person.page.get_by_role("button", name="Add …"))
    person.press(row.nth(0))
    person.sees(f"{STATE}.pinned.length === 2")
    person.press(person.page.get_by_role("button", name="Top class"))
    person.sees(f"{STATE}.pinned.length === 0 && {ANSWER}.explanation.target === {first['index']}")
    person.press(row.nth(0))
    person.sees(f"{STATE}.pinned.length === 1")
    person.press(person.page.get_by_role("button", name="Rather than …"))
    person.press(row.nth(1))
    person.sees(f"{ANSWER}.explanation.contrast === {second['index']}")
    assert person.page.evaluate(f"{ANSWER}.explanation.target") == first["index"]
    person.tool("Go on")
    person.sees("liveGradcam.viewing.trips.length > 5")


def test_method_and_layer_are_chosen(person):
    person.tool("Method")
    person.page.get_by_role("combobox", name="Method").select_option("hirescam")
    person.sees(f"{ANSWER}.method === 'hirescam'")
    layer = person.page.evaluate("liveGradcam.ready.layers.at(-3)")
    person.page.get_by_role("combobox", name="Layer").select_option(layer)
    person.sees(f"{ANSWER}.layer === {layer!r} && {ANSWER}.method === 'hirescam'")
    assert person.page.get_by_role("combobox", name="Layer").input_value() == layer


def test_views_are_drawn(person):
    page = person.page
    person.tool("View")
    opaque = """() => {
        const { data } = liveGradcam.stage.panes.getContext("2d").getImageData(0, 0, ...SIZE);
        let count = 0;
        for (let place = 3; place < data.length; place += 4) count += data[place] === 255;
        return count / (data.length / 4);
    }""".replace("SIZE", "[liveGradcam.stage.panes.width, liveGradcam.stage.panes.height]")
    for name, view in (("Side by side", "side-by-side"), ("Grid of classes", "grid")):
        person.option(name)
        person.sees(f"liveGradcam.look.view === {view!r} && liveGradcam.stage.areas.length === {5 * (view == 'grid')}")
        assert page.locator(".panes").is_visible()
        assert 0.2 < page.evaluate(opaque) <= 1  # the panes, and nothing between and around them
    person.option("Heatmap")
    person.sees("liveGradcam.look.view === 'heatmap'")
    assert page.locator(".map").is_visible()
    assert page.locator(".layers video").evaluate("video => getComputedStyle(video).visibility") == "hidden"
    person.option("Picture")
    person.sees("liveGradcam.look.view === 'raw'")
    assert page.locator(".map").is_hidden()
    person.option("Overlay")
    assert page.locator(".map").is_visible()


def test_a_pane_of_the_grid_keeps_its_class(person):
    person.tool("View")
    person.option("Grid of classes")
    person.tool("Pause")
    person.sees(STANDS_STILL)
    area, scale = person.page.evaluate("[liveGradcam.stage.areas[2], devicePixelRatio]")
    place = {"x": (area["x"] + area["width"] / 2) / scale, "y": (area["y"] + area["height"] / 2) / scale}
    person.page.locator(".panes").click(position=place)
    person.sees(f"{STATE}.pinned[0]?.index === {area['index']}")


def test_strength_colours_boxes_and_mirror_are_set(person):
    page = person.page
    person.tool("View")
    page.get_by_role("slider", name="Strength of the heatmap").fill("0.8")
    page.get_by_role("combobox", name="Colours").select_option("viridis")
    person.sees("liveGradcam.tables.get('viridis') !== null && liveGradcam.look.alpha === 0.8")
    painted = page.evaluate("Array.from(liveGradcam.stage.maps.table)")
    viridis = page.evaluate("Array.from(liveGradcam.tables.get('viridis'))")
    assert painted[255] == int.from_bytes([*viridis[-3:], round(255 * 0.8)], "little")
    assert painted[0] >> 24 == 0
    mirrored = page.evaluate("liveGradcam.look.mirror")
    person.press(page.get_by_label("Mirror"))
    assert page.evaluate("liveGradcam.look.mirror") is not mirrored
    assert page.locator(".layers.mirrored").count() == int(not mirrored)
    person.press(page.get_by_label("Boxes"))
    person.sees(f"{ANSWER}.explanation.boxes.length > 0")
    page.locator(".marks").wait_for(state="visible")


def test_keys_do_what_they_do_in_the_window(open_page):
    page = open_page()
    do = page.keyboard.press
    do("v")
    assert page.evaluate("liveGradcam.look.view") == "side-by-side"
    do("+")
    assert page.evaluate("liveGradcam.look.alpha") == pytest.approx(0.6)
    do("c")
    assert page.evaluate("liveGradcam.look.colormap") == "inferno"
    do("f")
    until(page, f"{STATE}.pinned.length === 1")
    do("t")
    until(page, f"{STATE}.pinned.length === 0")
    do("2")
    until(page, f"{STATE}.pinned.length === 1 && {ANSWER}.explanation.target === {STATE}.pinned[0].index")
    do("b")
    until(page, f"{STATE}.boxes")
    do("d")
    page.locator(".times").wait_for(state="visible")
    do("h")
    page.locator(".keys").wait_for(state="visible")
    keys = page.locator(".keys kbd").all_inner_texts()
    assert {"v", "Space", "s", "r", "1 … 9, 0", "e"} <= set(keys)
    assert "Tab" not in keys  # it leads through the controls
    do("Escape")
    assert page.locator(".keys").is_hidden()


def test_a_recording_plays(person, tmp_path):
    person.tool("Record")
    person.sees("liveGradcam.film.seconds >= 2")
    assert "00:0" in person.page.locator(".film").inner_text()
    (film,) = downloads(person.page, 1, lambda: person.tool("Stop"), tmp_path)
    with av.open(str(film)) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) >= 5
    assert frames[-1].shape == (360, 640, 3)
    assert np.ptp(frames[-1].astype(int)) > 150  # it shows something
    assert np.abs(frames[-1].astype(int) - frames[0]).mean() > 0.5  # which moves


def test_the_exact_view_shows_each_picture_with_its_own_map(open_page):
    page = open_page()
    page.keyboard.press("e")
    until(page, "liveGradcam.stage.picture !== null && liveGradcam.viewing.trips.length > 10")
    assert page.locator(".still").is_visible()
    page.keyboard.press("e")
    until(page, "liveGradcam.stage.picture === null")


def test_a_source_of_the_server_is_watched(person):
    person.tool("Source")
    person.press(person.page.locator(".watched button"))
    person.sees(f"{ANSWER}?.isWatched && {ANSWER}.id > 3")
    assert person.page.evaluate("[liveGradcam.stage.picture.width, liveGradcam.viewing.source]")[1] is None
    assert "viewers" in person.page.locator(".rates").inner_text()
    person.tool("Source")  # which closed when the choice was made
    person.press(person.page.get_by_role("button", name="Use my camera"))
    person.sees(f"{ANSWER} && !{ANSWER}.isWatched")


def test_the_page_speaks_german(open_page):
    page = open_page(locale="de-DE")
    assert page.locator("html").get_attribute("lang") == "de"
    page.locator(".tools").get_by_role("button", name="Ansicht").click()
    page.get_by_label("Sprache").select_option("en")
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator(".tools").get_by_role("button", name="View").is_visible()


def test_both_languages_say_the_same_things(open_page):
    page = open_page(starts=False)
    texts = page.evaluate("import('/page/texts.js').then(({ TEXTS }) => TEXTS)")
    for key, (english, german) in texts.items():
        assert english, key
        assert german, key
        assert _slots(english) == _slots(german), key


def test_the_server_speaks_german(open_page):
    """A notice in German; and each text that the page knows is one that the program says, word for word."""
    page = open_page(locale="de-DE")
    words, values = "class {index} is called {name}", {"index": 1, "name": "cup"}
    for message in ({"text": "class 1 is called cup", "words": words, "values": values}, {"text": "something new"}):
        page.evaluate(f"liveGradcam.text({json.dumps({'type': 'notice', **message})})")
        german = "Klasse 1 heißt cup." if "words" in message else "something new"
        assert page.locator(".notice.shown").inner_text() == german
    texts = page.evaluate("import('/page/texts.js').then(({ FROM_SERVER }) => FROM_SERVER)")
    nodes = [node for file in _PACKAGE.rglob("*.py") for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    assert texts.keys() <= {node.value for node in nodes if isinstance(node, ast.Constant)}
    for english, (german,) in texts.items():
        assert _slots(english) == _slots(german)


def _slots(text: str) -> list[str]:
    return sorted(part.split("}")[0] for part in text.split("{")[1:])
