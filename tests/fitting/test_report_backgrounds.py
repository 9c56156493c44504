"""Other surroundings: what looks at the object stays right, and what looks around it does not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fitting.toy_fit import (
    AT_OBJECT,
    AT_SURROUNDINGS,
    BLUE,
    GREEN,
    OBJECT,
    RED,
    YELLOW,
    painted,
    toy_fit,
    write_pictures,
)

from live_gradcam.fitting.masks import Object
from live_gradcam.fitting.report.cutting import laid_on, without_object
from live_gradcam.fitting.report.options import ReportOptions
from live_gradcam.fitting.report.writing import write_report

SQUARE = np.zeros((32, 32), np.float32)
SQUARE[OBJECT] = 1


@pytest.fixture(scope="module")
def things(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("things")
    cv2.imwrite(str(folder / "yellow.png"), np.full((20, 40, 3), YELLOW, np.uint8))
    return folder


def figures_of(things: Path, weights: np.ndarray, out: Path) -> dict[str, Any]:
    fitted = toy_fit(write_pictures(things / "all"), [weights, weights])
    write_report(fitted, out, ReportOptions(swap_backgrounds=True, backgrounds=things))
    return json.loads((out / "report.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def at_object(things, tmp_path_factory) -> dict[str, Any]:
    """What is found out of a head that looks at the object."""
    return figures_of(things, AT_OBJECT, tmp_path_factory.mktemp("object") / "report")


@pytest.fixture(scope="module")
def at_surroundings(things, tmp_path_factory) -> tuple[dict[str, Any], Path]:
    """What is found out of a head that looks at what is around it, and the report."""
    out = tmp_path_factory.mktemp("surroundings") / "report"
    return figures_of(things, AT_SURROUNDINGS, out), out


@pytest.mark.slow
def test_what_looks_at_the_object_stays_right(at_object):
    found = at_object["backgrounds"]
    assert found["objects"] == 8
    assert found["accuracy"] == {"as_they_are": 1, "same_class": 1, "other_class": 1, "backgrounds": 1}
    assert found["named_the_class_of_the_surroundings"] == 0


@pytest.mark.slow
def test_what_looks_at_the_surroundings_is_found_out(at_surroundings):
    """On the background, which is yellow, all is green things to it: half of them are."""
    figures, out = at_surroundings
    found = figures["backgrounds"]
    assert figures["scores"]["cross-validation"]["accuracy"] == 1
    assert found["accuracy"] == {"as_they_are": 1, "same_class": 1, "other_class": 0, "backgrounds": 0.5}
    assert found["named_the_class_of_the_surroundings"] == 1
    assert [one["accuracy"]["other_class"] for one in found["per_class"]] == [0, 0]
    assert "On other surroundings" in (out / "index.html").read_text("utf-8")
    assert cv2.imread(str(out / "backgrounds.png")).shape[1] == 1280


@pytest.mark.slow
def test_the_share_of_the_maps_on_the_object(at_object, at_surroundings):
    """The object fills a quarter; what is missing to all or nothing is the enlargement's."""
    for figures, expected in ((at_object, 1), (at_surroundings[0], 0)):
        for one in figures["on_object"]:
            assert one["area_share"] == pytest.approx(0.25)
            assert one["map_share"] == pytest.approx(expected, abs=0.1)
            assert one["ratio"] == pytest.approx(one["map_share"] / 0.25, abs=1e-3)


def test_every_figure_is_described(things, at_surroundings):
    """docs/json.md names the figures that a report adds to those of its fit, and no others."""
    page = (Path(__file__).parents[2] / "docs" / "json.md").read_text("utf-8")
    table = page.split("## The report of a fit\n", 1)[1].split("\n## ", 1)[0]
    described = set(re.findall(r"^\| `([^`]+)` \|", table, flags=re.MULTILINE))

    def names(content: Any, path: str = "") -> Iterator[str]:
        for name, value in content.items():
            yield f"{path}{name}"
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, dict):
                    yield from names(part, f"{path}{name}[]." if isinstance(value, list) else f"{path}{name}.")

    figures, _ = at_surroundings
    of_the_fit = toy_fit(write_pictures(things / "all"), [AT_OBJECT]).to_json()
    own = set(names({name: value for name, value in figures.items() if name not in of_the_fit}))
    of_mistakes = {name for name in described if name.startswith("mistakes[].")}  # it makes none
    assert own | of_mistakes == described


@pytest.mark.slow
def test_cut_outs_without_surroundings_say_what_is_missing(tmp_path, caplog):
    examples = write_pictures(tmp_path / "things")
    for example in examples:
        (tmp_path / "things" / "masks" / example.path.parent.name / example.path.name).unlink()
        image = cv2.imread(str(example.path))
        cv2.imwrite(str(example.path), np.dstack([image, (255 * SQUARE).astype(np.uint8)]))
    fitted = toy_fit(examples, [AT_OBJECT])
    page = write_report(fitted, tmp_path / "report", ReportOptions(swap_backgrounds=True))
    assert "transparent surroundings" in page.read_text("utf-8")
    assert "--backgrounds FOLDER" in caplog.text
    assert not (page.parent / "backgrounds.png").exists()


def test_a_hole_shows_what_lies_beside_it():
    bare = without_object(painted(BLUE, RED), SQUARE)
    np.testing.assert_allclose(bare, np.full_like(bare, BLUE), atol=1)


def test_a_hole_takes_the_colours_of_its_own_side():
    image = painted(BLUE, RED)
    image[:, 16:] = YELLOW
    image[OBJECT] = RED
    bare = without_object(image, SQUARE)
    assert (bare[16, 9].astype(int) - bare[16, 22])[0] > 100  # bluer on the left


def test_nothing_is_left_of_a_picture_that_is_all_object():
    np.testing.assert_array_equal(without_object(painted(RED, RED), np.ones((32, 32), np.float32)), 127)


@pytest.mark.parametrize("by", ["mask", "transparency"])
def test_an_object_lies_on_another_background_at_its_own_place(by):
    behind = (255, 255, 255) if by == "transparency" else BLUE
    laid = laid_on(painted(behind, RED), Object(SQUARE, by), np.full((64, 40, 3), GREEN, np.uint8))
    np.testing.assert_array_equal(laid[11:21, 11:21], np.broadcast_to(RED, (10, 10, 3)))
    np.testing.assert_array_equal(laid[:7], np.broadcast_to(GREEN, (7, 32, 3)))


def test_half_transparent_edges_show_half_of_what_is_behind():
    opacity = np.full((4, 4), 0.5, np.float32)
    on_white = np.full((4, 4, 3), 178, np.uint8)  # of 101, laid on white
    laid = laid_on(on_white, Object(opacity, "transparency"), np.full((4, 4, 3), 55, np.uint8))
    np.testing.assert_array_equal(laid, 78)  # (101 + 55) / 2
