"""The picture: where the heatmap lands, what its colours mean, and text that can be read."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import get_args

import cv2
import numpy as np
import pytest

from live_gradcam.choices import HUD_LEVELS, VIEWS, HudLevel, View
from live_gradcam.drawing import hud, panels
from live_gradcam.drawing.hud import Hud, draw_hud, draw_predictions, map_name
from live_gradcam.drawing.overlay import COLORMAPS, COLORMAPS_TO_STEP_THROUGH, Overlay
from live_gradcam.drawing.panels import three_panels
from live_gradcam.drawing.text import put_text, text_size_for, text_width
from live_gradcam.drawing.views import DRAWERS, compose, mirrored
from live_gradcam.errors import UsageError
from live_gradcam.explanations.explanation import Box, Explanation, Prediction, Region
from live_gradcam.explanations.fits import fit_frame, heatmap_on_frame, shrink
from live_gradcam.live_loop.commands import COMMANDS

pytestmark = pytest.mark.versions


def explanation_of(heatmap: np.ndarray, frame_size: tuple[int, int], target: int = 1) -> Explanation:
    predictions = tuple(Prediction(i, f"class {i}", p) for i, p in ((1, 0.75), (0, 0.2), (2, 0.05)))
    pinned = predictions[0] if target == 1 else Prediction(target, "pinned class", 0.01)
    return Explanation(
        predictions=predictions,
        heatmaps=heatmap[None].astype(np.float32),
        targets=(pinned,),
        evidence=np.array([heatmap.max()]),
        logits=np.zeros(8, np.float32),
        probabilities=np.zeros(8, np.float32),
        region=Region(0, 0, frame_size[1], frame_size[0]),
    )


# --- everyday names -----------------------------------------------------------------------------------------------


def test_the_finest_class_is_written_behind_its_groups_name_where_there_is_room() -> None:
    def drawn(finest: Prediction | None, width: int = 640) -> np.ndarray:
        picture = np.full((480, width, 3), 255, np.uint8)
        one = Prediction(1001, "cat", 0.93, finest)
        explanation = replace(explanation_of(np.zeros((7, 7), np.float32), (480, width)), predictions=(one,))
        draw_predictions(picture, replace(explanation, targets=(one,)))
        return picture

    alone = drawn(None)
    with_class = drawn(Prediction(285, "Egyptian cat", 0.64))
    changed = np.argwhere((alone != with_class).any(axis=2))
    assert len(changed) > 100
    assert text_width("cat", text_size_for((480, 640)), bold=True) < changed[:, 1].min()  # behind the name
    np.testing.assert_array_equal(drawn(Prediction(657, "cat", 0.4)), alone)  # which would say nothing
    np.testing.assert_array_equal(drawn(None, 90), drawn(Prediction(285, "Egyptian cat", 0.64), 90))  # no room


# --- fitting ------------------------------------------------------------------------------------------------------


def columns(width: int, height: int) -> np.ndarray:
    """A frame whose pixels say in which column they are."""
    return np.broadcast_to(np.arange(width, dtype=np.uint8)[None, :, None], (height, width, 3)).copy()


def test_stretch_shows_the_whole_frame() -> None:
    pixels, region = fit_frame(columns(200, 50), (100, 100), "stretch")
    assert pixels.shape == (100, 100, 3)
    assert region == Region(0, 0, 200, 50)
    assert abs(int(pixels[50, 0, 0]) - 0) <= 1
    assert abs(int(pixels[50, 99, 0]) - 199) <= 1


def test_crop_shows_the_middle_in_the_networks_shape() -> None:
    pixels, region = fit_frame(columns(200, 50), (50, 50), "crop")
    assert region == Region(75, 0, 50, 50)
    np.testing.assert_array_equal(pixels, columns(200, 50)[:, 75:125])


def test_letterbox_shows_all_between_grey_bars() -> None:
    frame = np.full((50, 200, 3), 255, np.uint8)
    pixels, region = fit_frame(frame, (100, 100), "letterbox")
    assert region == Region(0, -74, 200, 200)
    assert (pixels[37:62] == 255).all()
    assert (pixels[:37] == 127).all()
    assert (pixels[62:] == 127).all()


@pytest.mark.parametrize("fit", ["stretch", "crop", "letterbox"])
@pytest.mark.parametrize("size", [(1, 1), (3, 500), (501, 2), (225, 223), (1080, 1920)])
def test_every_size_fits(fit: str, size: tuple[int, int]) -> None:
    pixels, region = fit_frame(np.zeros((*size, 3), np.uint8), (224, 224), fit)
    assert pixels.shape == (224, 224, 3)
    assert heatmap_on_frame(np.ones((7, 7), np.float32), region, size).shape == size


def test_shrinking_does_not_alias() -> None:
    """A one-pixel chequerboard is grey from afar; plain bilinear sampling would make it black, white or striped."""
    board = (np.indices((512, 512)).sum(axis=0) % 2 * 255).astype(np.uint8)
    small = shrink(np.repeat(board[:, :, None], 3, axis=2), 100, 100)
    assert np.abs(small.astype(int) - 127.5).max() <= 1


@pytest.mark.parametrize("fit", ["stretch", "crop", "letterbox"])
@pytest.mark.parametrize("size", [(480, 640), (640, 480), (300, 300), (720, 1280)])
def test_a_spot_in_the_frame_comes_back_to_its_place(fit: str, size: tuple[int, int]) -> None:
    """A bright spot goes into the input; the input's brightness, as a heatmap, must peak where the spot is."""
    height, width = size
    x, y = width // 2 + min(size) // 5, height // 2 - min(size) // 4
    frame = np.zeros((*size, 3), np.uint8)
    cv2.circle(frame, (x, y), min(size) // 25, (255, 255, 255), cv2.FILLED)
    pixels, region = fit_frame(frame, (112, 112), fit)
    spot = (pixels[:, :, 0] > 160).astype(np.float32)  # brighter than the bars of a letterbox
    heatmap = cv2.GaussianBlur(spot, (0, 0), 3)
    heatmap /= heatmap.max()
    on_frame = heatmap_on_frame(heatmap, region, size)
    peak_y, peak_x = np.argwhere(on_frame == on_frame.max()).mean(axis=0)
    assert abs(peak_x - x) <= min(size) * 0.02
    assert abs(peak_y - y) <= min(size) * 0.02


def test_what_the_network_was_not_shown_has_no_heat() -> None:
    on_frame = heatmap_on_frame(np.ones((7, 7), np.float32), Region(75, 0, 50, 50), (50, 200))
    assert (on_frame[:, 75:125] == 255).all()
    assert not on_frame[:, :75].any()
    assert not on_frame[:, 125:].any()


def test_an_enlarged_map_stays_within_its_range() -> None:
    """Cubic interpolation overshoots at a step: what wraps around would paint a hole into the hottest place."""
    step = np.zeros((7, 7), np.float32)
    step[:, 4:] = 1
    row = heatmap_on_frame(step, Region(0, 0, 700, 700), (700, 700))[350].astype(int)
    assert row[:300].max() < 40
    assert row[600:].min() == 255
    assert (np.diff(row[350:450]) >= 0).all()


@pytest.mark.parametrize("region", [Region(0, 0, 1600, 900), Region(350, 0, 900, 900), Region(0, -350, 1600, 1600)])
def test_the_overlay_is_the_pictures_and_the_colours_weighted_sum(region: Region) -> None:
    """Pixel by pixel: alpha times the colour where the level is strong, less below; the picture elsewhere."""
    heatmap = np.zeros((7, 7), np.float32)
    heatmap[1:4, 3:6] = np.random.default_rng(0).uniform(0.3, 1, (3, 3))
    image = cv2.resize(np.random.default_rng(1).integers(0, 256, (9, 16, 3), np.uint8), (1600, 900))
    explanation = replace(explanation_of(heatmap, (900, 1600)), region=region)
    overlay = Overlay("turbo", 0.6)
    before = image.copy()
    picture = overlay.blend(image, explanation)
    np.testing.assert_array_equal(image, before)

    levels = heatmap_on_frame(heatmap, region, (900, 1600))
    weights = 0.6 * np.minimum(1, levels / (0.4 * 255))[..., None]
    expected = (1 - weights) * image + weights * overlay.colours(explanation, (900, 1600))
    difference = np.abs(picture - expected)
    assert difference.max() <= 24  # between two colours of the small map, a pixel's own may be another one
    assert difference.mean() < 0.8
    assert np.abs(picture[levels == 0].astype(int) - image[levels == 0]).max() <= 1

    assert overlay.blend(image, explanation, in_place=True) is image
    np.testing.assert_array_equal(image, picture)


def test_a_map_of_no_evidence_leaves_the_picture() -> None:
    image = np.random.default_rng(1).integers(0, 256, (90, 160, 3), np.uint8)
    explanation = explanation_of(np.zeros((7, 7), np.float32), (90, 160))
    np.testing.assert_array_equal(Overlay().blend(image, explanation), image)


# --- overlay ------------------------------------------------------------------------------------------------------


def test_no_heat_leaves_the_picture_and_full_heat_blends_by_alpha() -> None:
    image = np.full((10, 10, 3), 100, np.uint8)
    overlay = Overlay("jet", alpha=0.5)
    hottest = cv2.applyColorMap(np.array([[255]], np.uint8), cv2.COLORMAP_JET)[0, 0].astype(int)
    np.testing.assert_array_equal(overlay.blend(image, explanation_of(np.zeros((1, 1)), (10, 10))), image)
    blended = overlay.blend(image, explanation_of(np.ones((1, 1)), (10, 10)))
    np.testing.assert_allclose(blended[5, 5], (100 + hottest) / 2, atol=1)


def test_alpha_0_is_the_picture_and_alpha_1_the_colours_where_it_is_hot() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    explained = explanation_of(np.ones((2, 2)), (20, 30))
    np.testing.assert_array_equal(Overlay(alpha=0).blend(image, explained), image)
    opaque = Overlay(alpha=1)
    np.testing.assert_array_equal(opaque.blend(image, explained), opaque.colours(explained, (20, 30)))


def test_the_frame_that_was_explained_is_not_drawn_on() -> None:
    image = np.full((40, 40, 3), 9, np.uint8)
    Overlay().blend(image, explanation_of(np.ones((2, 2)), (40, 40)))
    assert (image == 9).all()


def test_a_colour_means_the_same_on_every_picture() -> None:
    overlay = Overlay()
    for heat in (0.0, 0.25, 0.5, 1.0):
        alone = overlay.colours(explanation_of(np.full((1, 1), heat), (3, 3)), (3, 3))
        among = overlay.colours(explanation_of(np.array([[heat] * 6 + [1.0] * 6]), (3, 300)), (3, 300))
        np.testing.assert_array_equal(alone[1, 1], among[1, 0])


@pytest.mark.parametrize("wrong", [("turbos", 0.5), ("turbo", 1.5), ("turbo", -0.1), ("turbo", float("nan"))])
def test_wrong_colours_are_refused(wrong: tuple[str, float]) -> None:
    with pytest.raises(UsageError):
        Overlay(*wrong)
    assert {"turbo", "jet", "viridis", "inferno"} <= set(COLORMAPS)


# --- text ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(240, 320), (720, 1280), (2160, 3840)])
@pytest.mark.parametrize("background", [0, 128, 255])
def test_text_stands_out_from_any_background(size: tuple[int, int], background: int) -> None:
    image = np.full((*size, 3), background, np.uint8)
    draw_predictions(image, explanation_of(np.ones((1, 1)), size), notes=("30.0 FPS",))
    changed = np.any(image != background, axis=2)
    rows, cols = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    panel = image[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    text, ground = int(panel.max()), int(np.median(panel))
    assert text == 255
    assert ground < 100
    assert panel.shape[0] < 0.6 * size[0]


@pytest.mark.parametrize("size", [(1, 1), (10, 3000), (40, 40), (100, 60)])
def test_a_tiny_frame_is_no_error(size: tuple[int, int]) -> None:
    draw_predictions(np.zeros((*size, 3), np.uint8), explanation_of(np.ones((1, 1)), size), notes=("a note",))


def test_the_bar_is_as_long_as_the_probability() -> None:
    image = np.zeros((720, 1280, 3), np.uint8)
    draw_predictions(image, explanation_of(np.ones((1, 1)), (720, 1280)))
    lengths = [
        np.count_nonzero((image == colour).all(axis=2).any(axis=0)) for colour in ((60, 180, 250), (200, 160, 60))
    ]
    assert lengths[1] / lengths[0] == pytest.approx(0.20 / 0.75, rel=0.03)


def test_a_pinned_class_outside_the_predictions_gets_its_own_bar() -> None:
    with_target, without = np.zeros((2, 720, 1280, 3), np.uint8)
    draw_predictions(with_target, explanation_of(np.ones((1, 1)), (720, 1280), target=7))
    draw_predictions(without, explanation_of(np.ones((1, 1)), (720, 1280)))
    rows = [np.flatnonzero(image.any(axis=(1, 2))).max() for image in (with_target, without)]
    assert rows[0] > rows[1] + 20


def test_a_long_label_is_shortened_to_its_room() -> None:
    image = np.zeros((60, 400, 3), np.uint8)
    put_text(image, "a label that is far too long for the room there is" * 3, (5, 40), 20, max_width=150)
    assert np.flatnonzero(image.any(axis=(0, 2))).max() <= 5 + 150 + 2
    assert text_width("猫 größe", 20) > text_width("猫", 20) > 0


def test_three_panels() -> None:
    image = np.random.default_rng(0).integers(0, 256, (400, 500, 3), np.uint8)
    explained = explanation_of(np.full((2, 2), 0.5), (400, 500))
    overlay = Overlay()
    sheet = three_panels(image, explained, overlay)
    strip = sheet.shape[0] - 400
    np.testing.assert_array_equal(sheet[strip:, :500], overlay.blend(image, explained))
    np.testing.assert_array_equal(sheet[strip:, 508:1008], image)
    np.testing.assert_array_equal(sheet[strip:, 1016:], overlay.colours(explained, (400, 500)))
    assert sheet[:strip].max() == 255  # the label


def test_three_panels_of_a_small_picture_cover_it() -> None:
    image = np.full((30, 41, 3), 50, np.uint8)
    sheet = three_panels(image, explanation_of(np.ones((2, 2)), (30, 41)), Overlay())
    assert min(sheet.shape[0], sheet.shape[1]) >= 240
    hottest = cv2.applyColorMap(np.array([[255]], np.uint8), cv2.COLORMAP_TURBO)[0, 0]
    assert (sheet[-5, -5] == hottest).all()


def test_the_help_on_the_screen_names_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    written = texts(monkeypatch)
    draw_hud(np.zeros((720, 1280, 3), np.uint8), Hud(help=COMMANDS.help), None, Overlay())
    assert written == [text for key in COMMANDS.help for text in key]


def test_that_it_records_is_seen_beside_the_help(monkeypatch: pytest.MonkeyPatch) -> None:
    written = texts(monkeypatch)
    draw_hud(np.zeros((720, 1280, 3), np.uint8), Hud(help=COMMANDS.help, recording="REC 00:07"), None, Overlay())
    assert written == ["REC 00:07", *(text for key in COMMANDS.help for text in key)]


# --- views and the head-up display --------------------------------------------------------------------------------


def explained_picture(size: tuple[int, int] = (90, 160)) -> tuple[np.ndarray, Explanation]:
    """A picture, red on the left and blue on the right, and two maps: hot on the left, hot on the right."""
    image = np.zeros((*size, 3), np.uint8)
    image[:, : size[1] // 2, 2] = 120
    image[:, size[1] // 2 :, 0] = 120
    explanation = explanation_of(np.array([[1.0, 0.0], [1.0, 0.0]]), size)
    heatmaps = np.array([[[1, 0], [1, 0]], [[0, 1], [0, 1]]], np.float32)
    return image, replace(
        explanation, heatmaps=heatmaps, targets=explanation.predictions[:2], evidence=np.ones(2, np.float32)
    )


def test_every_view_has_the_frames_size_and_leaves_the_frame() -> None:
    image, explanation = explained_picture((360, 640))
    for view in VIEWS:
        before = image.copy()
        picture, _ = compose(view, image, explanation, Overlay(), boxes=True)
        assert picture.shape == image.shape
        np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("size", [(2, 2), (17, 300), (300, 17), (1, 1)])
def test_a_view_of_a_tiny_frame_is_no_error(size: tuple[int, int]) -> None:
    image, explanation = explained_picture(size)
    for view in VIEWS:
        picture, _ = compose(view, image, explanation, Overlay())
        assert picture.shape == image.shape
        draw_hud(
            picture, Hud(notes=("a", "b"), help=COMMANDS.help, full_scale=1.0, recording="REC"), explanation, Overlay()
        )


def test_a_view_is_drawn_for_each_name_that_there_is() -> None:
    assert tuple(DRAWERS) == tuple(VIEWS) == get_args(View)
    assert tuple(HUD_LEVELS) == get_args(HudLevel)


def test_raw_is_the_frame_and_heatmap_the_map_alone() -> None:
    image, explanation = explained_picture()
    overlay = Overlay()
    np.testing.assert_array_equal(compose("raw", image, explanation, overlay)[0], image)
    heatmap, _ = compose("heatmap", image, explanation, overlay)
    np.testing.assert_array_equal(heatmap[45, 2], overlay.scale_of(explanation)[255, 0])
    np.testing.assert_array_equal(heatmap[45, -3], overlay.scale_of(explanation)[0, 0])


def test_side_by_side_is_the_picture_and_the_overlay() -> None:
    image, explanation = explained_picture((360, 640))
    both, _ = compose("side-by-side", image, explanation, Overlay())
    assert both[180, 80].tolist() == [0, 0, 120]
    assert both[180, 240].tolist() == [120, 0, 0]
    assert both[180, 400].tolist() != [0, 0, 120]  # hot
    assert both[180, 620].tolist() == [120, 0, 0]  # not hot


def test_the_grid_has_a_map_a_class_and_a_click_finds_the_class() -> None:
    image, explanation = explained_picture((360, 640))
    grid, areas = compose("grid", image, explanation, Overlay())
    assert [area.class_index for area in areas] == [1, 0]
    for area, hot_left in zip(areas, (True, False), strict=True):
        middle, quarter = (area.top + area.bottom) // 2 + 10, (area.right - area.left) // 4
        left_is_plain = grid[middle, area.left + quarter // 2].tolist() == [0, 0, 120]
        right_is_plain = grid[middle, area.right - quarter // 2].tolist() == [120, 0, 0]
        assert (left_is_plain, right_is_plain) == (not hot_left, hot_left)


@pytest.mark.parametrize("size", [(720, 1280), (360, 640)])
def test_the_rows_of_a_grid_leave_room_for_rec_and_the_notes(size: tuple[int, int]) -> None:
    image, explanation = explained_picture(size)
    heatmaps, letter = np.concatenate([explanation.heatmaps] * 3)[:5], text_size_for(size)
    several = replace(explanation, heatmaps=heatmaps, targets=(explanation.targets * 3)[:5], evidence=np.ones(5))
    _, areas = compose("grid", image, several, Overlay())
    assert min(area.top for area in areas) >= 2.3 * letter - 1
    assert max(area.bottom for area in areas) <= size[0] - 4.5 * letter + 1
    _, (left, right) = compose("grid", image, explanation, Overlay())  # one row is in the middle
    assert left.top == right.top == pytest.approx(size[0] - left.bottom, abs=3)


@pytest.mark.parametrize("region", [Region(0, 0, 160, 90), Region(35, 0, 90, 90), Region(0, -35, 160, 160)])
def test_the_map_goes_with_the_picture_into_the_mirror(region: Region) -> None:
    image, explanation = explained_picture()
    explanation = replace(explanation, region=region)
    plain = Overlay().blend(image, explanation)
    flipped_image, flipped_explanation = mirrored(image, explanation)
    flipped = Overlay().blend(flipped_image, flipped_explanation)
    assert np.abs(flipped[:, ::-1].astype(int) - plain).max() <= 12  # enlarging rounds to the other side


def boxed(*boxes: tuple[Box, ...], size: tuple[int, int] = (360, 640)) -> tuple[np.ndarray, Explanation]:
    image, explanation = explained_picture(size)
    return image, replace(explanation, boxes=boxes)


LARGE, SMALL = Box(40, 60, 240, 300), Box(400, 100, 500, 200)


@pytest.mark.parametrize("background", [0, 127, 255])
def test_all_boxes_are_drawn_the_first_in_a_thicker_line_and_legible_on_any_background(background: int) -> None:
    image, explanation = boxed((LARGE, SMALL))
    image[:] = background
    picture, _ = compose("raw", image, explanation, Overlay(), boxes=True)
    widths = []
    for box in (LARGE, SMALL):
        for edge in (box.left, box.right - 1):
            row = picture[(box.top + box.bottom) // 2, :, 0]
            not_white = np.flatnonzero(row != 255)
            before, behind = not_white[not_white < edge].max(), not_white[not_white > edge].min()
            assert row[edge] == 255
            assert row[before] == row[behind] == 0  # the rim
            widths.append(behind - before - 1)
    assert widths[0] == widths[1] > widths[2] == widths[3]
    inside = picture[150, 100:200]
    assert (inside == background).all()
    np.testing.assert_array_equal(compose("raw", image, explanation, Overlay())[0], image)


def edges_at(picture: np.ndarray, row: int, columns: slice) -> list[int]:
    """The middles of the white lines across a row."""
    white = np.flatnonzero((picture[row, columns] == 255).all(axis=1)) + columns.start
    return [round(run.mean()) for run in np.split(white, np.flatnonzero(np.diff(white) > 1) + 1) if run.size]


def test_a_box_goes_with_the_picture_into_the_mirror_and_into_the_smaller_views() -> None:
    image, explanation = boxed((LARGE,), (SMALL,))
    _, flipped = mirrored(image, explanation)
    assert flipped.boxes == ((Box(400, 60, 600, 300),), (Box(140, 100, 240, 200),))
    both, _ = compose("side-by-side", image, explanation, Overlay(alpha=0), boxes=True)
    half = 319 / 640
    assert edges_at(both, 180, slice(0, 320)) == []
    np.testing.assert_allclose(edges_at(both, 180, slice(321, 640)), [321 + 40 * half, 321 + 239 * half], atol=1)


def test_the_grid_draws_the_boxes_of_each_class() -> None:
    image, explanation = boxed((LARGE,), (SMALL, Box(20, 20, 60, 60)))
    grid, areas = compose("grid", image, explanation, Overlay(alpha=0), boxes=True)
    for area, box in zip(areas, (LARGE, SMALL), strict=True):
        scale = (area.right - area.left) / 640
        row = round(area.bottom - scale * (360 - 150))  # through the middle of both boxes
        expected = [area.left + scale * box.left, area.left + scale * (box.right - 1)]
        np.testing.assert_allclose(edges_at(grid, row, slice(area.left, area.right)), expected, atol=1)


def test_the_panels_have_boxes_over_the_overlay_only() -> None:
    image, explanation = boxed((LARGE,))
    sheet = three_panels(image, explanation, Overlay(alpha=0), boxes=True)
    plain = three_panels(image, explanation, Overlay(alpha=0))
    differs = np.flatnonzero((sheet != plain).any(axis=(0, 2)))
    assert (differs.min(), differs.max()) == (38, 241)  # a line of 2 pixels on the edges, a rim of 1


# --- what speaks against a class ----------------------------------------------------------------------------------


@pytest.mark.parametrize("colormap", COLORMAPS_TO_STEP_THROUGH)
def test_what_speaks_against_has_its_own_colours_whatever_the_colour_map(colormap: str) -> None:
    """Far from the other's colour at every level that is seen at full weight: by 60 of 255 in some channel."""
    overlay, usual = Overlay(colormap), explained_picture()[1]
    against = replace(usual, against=True)
    np.testing.assert_array_equal(overlay.scale_of(against), Overlay().scale_of(against))
    difference = np.abs(overlay.scale_of(against).astype(int) - overlay.scale_of(usual)).max(axis=(1, 2))
    assert difference[102:].min() >= 60


def test_what_speaks_against_is_between_azure_and_violet_in_every_view() -> None:
    image, explanation = explained_picture((360, 640))
    against = replace(explanation, against=True)
    overlay = Overlay("viridis", alpha=1)
    strongest = overlay.scale_of(against)[255, 0].tolist()
    hue = cv2.cvtColor(overlay.scale_of(against), cv2.COLOR_BGR2HSV)[102:, 0, 0].astype(int) * 2
    assert (hue.min() >= 205, hue.max() <= 285) == (True, True)
    assert overlay.blend(image, against)[180, 5].tolist() == strongest
    assert compose("heatmap", image, against, overlay)[0][180, 5].tolist() == strongest
    assert compose("side-by-side", image, against, overlay)[0][180, 325].tolist() == strongest
    grid, areas = compose("grid", image, against, overlay)
    assert [grid[areas[0].bottom - 20, areas[0].left + 5].tolist()] == [strongest]
    assert three_panels(image, against, overlay)[-180, -600].tolist() == strongest


def test_a_map_is_named_by_what_it_shows() -> None:
    tabby, tiger = Prediction(281, "tabby", 0.6), Prediction(282, "tiger cat", 0.3)
    explanation = replace(explained_picture()[1], targets=(tabby, tiger))
    assert [map_name(explanation), map_name(explanation, 1)] == ["tabby", "tiger cat"]
    assert map_name(replace(explanation, against=True), 1) == "against tiger cat"
    contrast = replace(explanation, contrasts=(tiger, None))
    assert [map_name(contrast), map_name(contrast, 1)] == ["tabby > tiger cat", "tiger cat"]
    assert map_name(replace(contrast, against=True)) == "against tabby > tiger cat"


def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is written from now on."""
    written: list[str] = []
    for module in (hud, panels):
        monkeypatch.setattr(module, "put_text", lambda image, text, *args, **options: written.append(text))
    return written


def test_the_name_of_the_map_is_said_wherever_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    image, explanation = explained_picture((720, 1280))
    against = replace(explanation, against=True)
    written = texts(monkeypatch)
    compose("grid", image, against, Overlay())
    assert written == ["75 %", "against class 1", "20 %", "against class 0"]
    written.clear()
    three_panels(image, against, Overlay())
    assert written == ["against class 1  75.0 %"]
    written.clear()
    draw_predictions(image.copy(), against, notes=("a note",))
    assert written == ["75 %", "class 1", "20 %", "class 0", "5 %", "class 2", "against class 1", "a note"]
    written.clear()
    draw_hud(image.copy(), Hud(level="minimal"), against, Overlay())
    assert written == ["75 %", "against class 1"]
    written.clear()
    draw_hud(image.copy(), Hud(notes=("30 FPS",), notes_in_a_line=True), against, Overlay())
    assert written[-1] == "against class 1 · 30 FPS"
    written.clear()
    draw_hud(image.copy(), Hud(notes=("30 FPS",), notes_in_a_line=True), explanation, Overlay())
    assert written[-1] == "30 FPS"


def test_the_scale_says_what_its_colours_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    image, explanation = explained_picture((720, 1280))
    overlay = Overlay()
    for against, meaning in ((False, "0  evidence"), (True, "0  against")):
        shown = replace(explanation, against=against)
        picture = np.zeros_like(image)
        draw_hud(picture, Hud(full_scale=1.5), shown, overlay)
        strongest = (picture[600:, 1000:] == overlay.scale_of(shown)[255, 0]).all(axis=2)
        assert strongest.any()
        with monkeypatch.context() as patch:
            written = texts(patch)
            draw_hud(picture, Hud(full_scale=1.5), shown, overlay)
        assert written[-2:] == [meaning, "1.5"]


@pytest.mark.parametrize("background", [0, 127, 255])
@pytest.mark.parametrize("size", [(240, 320), (720, 1280), (2160, 3840)])
def test_the_hud_stands_out_from_any_background(size: tuple[int, int], background: int) -> None:
    """Where white is written, what is around is dark."""
    image = np.full((*size, 3), background, np.uint8)
    said = Hud(
        notes=("30.0 FPS",),
        banner="PAUSED",
        notice="done",
        recording="REC 00:01",
        full_scale=0.5,
        minimal_note="30 FPS",
    )
    draw_hud(image, said, explanation_of(np.ones((1, 1)), size), Overlay())
    size_of_text = max(11, round(min(size[0] / 32, size[1] / 42)))
    for left, top in (
        (size[1] // 2 - 2 * size_of_text, size[0] // 2 - size_of_text),  # the banner
        (size[1] - 9 * size_of_text, size[0] - round(2.8 * size_of_text)),  # the scale
        (size[1] - 5 * size_of_text, size_of_text // 2 + 2),  # the recording
    ):
        part = image[top : top + 2 * size_of_text, left : left + 4 * size_of_text].max(axis=2)
        assert part.max() > 230
        assert np.percentile(part, 20) < 100


@pytest.mark.parametrize("level", ["full", "minimal"])
@pytest.mark.parametrize("size", [(90, 120), (120, 160), (180, 240), (240, 240), (320, 240), (240, 320)])
def test_the_mark_of_a_recording_covers_no_class(size: tuple[int, int], level: str) -> None:
    explanation = explanation_of(np.ones((1, 1)), size)
    pictures = []
    for recording in (None, "REC 00:07"):
        pictures.append(np.zeros((*size, 3), np.uint8))
        said = Hud(notes=("12.3 FPS", "latency"), minimal_note="12.3 FPS", recording=recording, level=level)
        areas = draw_hud(pictures[-1], said, explanation, Overlay())
    without, marked = pictures
    for area in areas:
        place = slice(area.top, area.bottom), slice(area.left, area.right)
        np.testing.assert_array_equal(marked[place], without[place])
    assert areas
    assert (marked != without).any()


def test_a_tiny_picture_has_no_mark_of_a_recording() -> None:
    picture = np.zeros((16, 16, 3), np.uint8)
    draw_hud(picture, Hud(recording="REC 00:07"), None, Overlay())
    assert not picture.any()


def test_a_bar_is_where_a_click_finds_it() -> None:
    image = np.zeros((720, 1280, 3), np.uint8)
    explanation = explanation_of(np.ones((1, 1)), (720, 1280))
    areas = draw_hud(image, Hud(), explanation, Overlay())
    assert [area.class_index for area in areas] == [prediction.index for prediction in explanation.predictions]
    for upper, lower in itertools.pairwise(areas):
        assert upper.bottom <= lower.top
    assert all(image[area.top : area.bottom, area.left : area.right].max() > 200 for area in areas)


@pytest.mark.parametrize("size", [(240, 320), (360, 640), (480, 640), (720, 1280)])
def test_all_of_the_text_is_in_the_picture(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys; the predictions with all notes; the notes at the bottom, where a view has no room for a panel."""
    shown: list[tuple[str, tuple[int, int], int]] = []
    monkeypatch.setattr(
        hud, "put_text", lambda panel, text, origin, size, **_: shown.append((text, panel.shape[:2], origin[1]))
    )
    notes = ("30.0 FPS · camera 30.0", "105 ms · 14 dropped", "efficientnet-lite0", "grad-cam · block15_project_norm")
    notes = (
        *notes,
        "fit: 3 tiles",
        "top class",
        *(f"{stage} 12.3 ms" for stage in ("wait", "explain", "draw", "show")),
    )
    explanation = explanation_of(np.ones((1, 1)), size)
    for said in (
        Hud(help=COMMANDS.help, notes=notes),
        Hud(notes=notes),
        *([Hud(notes=notes, notes_in_a_line=True, names_classes=False)] if size[1] >= 640 else []),
    ):
        shown.clear()
        draw_hud(np.zeros((*size, 3), np.uint8), said, explanation, Overlay())
        assert all(0 < baseline < height for _, (height, _), baseline in shown)
        written = " ".join(text for text, _, _ in shown)
        wanted = [text for key in COMMANDS.help for text in key] if said.help else notes
        assert all(text in written for text in wanted)
        assert ("class 1" in written) == (not said.help and not said.notes_in_a_line)


@pytest.mark.parametrize(
    "said", [Hud(help=COMMANDS.help), Hud(notes=("engine: onnxruntime in bf16, the fastest here",))]
)
@pytest.mark.parametrize("width", [320, 640, 1280, 1920])
def test_no_line_is_cut(width: int, said: Hud, monkeypatch: pytest.MonkeyPatch) -> None:
    cut: list[str] = []

    def put(panel: np.ndarray, text: str, origin: tuple[int, int], size: int, *, max_width: int, **options) -> None:
        if text_width(text, size, **{name: options[name] for name in options if name == "bold"}) > max_width:
            cut.append(text)

    monkeypatch.setattr(hud, "put_text", put)
    image = np.zeros((width * 9 // 16, width, 3), np.uint8)
    draw_hud(image, said, explanation_of(np.ones((1, 1)), image.shape[:2]), Overlay())
    assert cut == []


def test_what_has_no_room_in_a_small_picture_is_left_out_and_nothing_is_drawn_over_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[tuple[str, int, int]] = []
    monkeypatch.setattr(
        hud, "put_text", lambda panel, text, origin, size, **_: shown.append((text, panel.shape[0] - origin[1], size))
    )
    notes = tuple(f"note {number}" for number in range(12))
    explanation = explanation_of(np.ones((1, 1)), (90, 160))
    draw_hud(np.zeros((90, 160, 3), np.uint8), Hud(notes=notes, recording="REC 00:07"), explanation, Overlay())
    said = [text for text, _, _ in shown if text]
    assert said == ["75 %", "class 1", "20 %", "class 0", "5 %", "class 2", "note 0", "note 1"]  # no REC: only its dot
    assert all(below >= 0 for _, below, _ in shown)  # no line is cut across
    shown.clear()
    draw_hud(np.zeros((90, 160, 3), np.uint8), Hud(help=COMMANDS.help), explanation, Overlay())
    assert [text for text, _, _ in shown] == ["too small for the keys"]


def test_little_and_nothing_is_said_where_that_is_wanted() -> None:
    explanation = explanation_of(np.ones((1, 1)), (720, 1280))
    inked = []
    for level in HUD_LEVELS:
        image = np.zeros((720, 1280, 3), np.uint8)
        said = Hud(notes=("a", "b"), minimal_note="30 FPS", full_scale=1.0, level=level)
        draw_hud(image, said, explanation, Overlay())
        inked.append(np.count_nonzero(image))
    assert inked[0] > inked[1] > inked[2] == 0


def test_the_colour_map_and_its_weight_can_be_changed() -> None:
    overlay = Overlay("turbo", 0.5)
    image, explanation = explained_picture()
    overlay.change_alpha(0.5)
    np.testing.assert_array_equal(overlay.blend(image, explanation)[45, 2], overlay.scale_of(explanation)[255, 0])
    overlay.change_alpha(0.5)
    assert overlay.alpha == 1
    overlay.change_alpha(-2)
    np.testing.assert_array_equal(overlay.blend(image, explanation), image)
    seen = set()
    for _ in COLORMAPS_TO_STEP_THROUGH:
        overlay.next_colormap()
        seen.add(overlay.colormap)
    assert seen == set(COLORMAPS_TO_STEP_THROUGH) <= set(COLORMAPS)


def test_nothing_is_darkened_where_nothing_is_said() -> None:
    """As over panels, which have a title of their own."""
    picture = np.full((240, 320, 3), 255, np.uint8)
    draw_hud(picture, Hud(names_classes=False), None, Overlay())
    assert (picture == 255).all()


@pytest.mark.parametrize(("size", "panel"), [((4, 3000), (4, 3000)), ((300, 2), (2048, 14)), ((60, 90), (240, 360))])
def test_panels_of_a_long_and_narrow_picture_stay_small(size: tuple[int, int], panel: tuple[int, int]) -> None:
    sheet = three_panels(np.zeros((*size, 3), np.uint8), explanation_of(np.ones((4, 4)), size), Overlay())
    height, width = sheet.shape[:2]
    assert (width - 2 * 8) // 3 == panel[1]
    assert panel[0] < height < panel[0] + 100


@pytest.mark.parametrize("size", [(180, 320), (240, 320), (320, 240), (480, 640), (720, 1280)])
@pytest.mark.parametrize("in_a_line", [False, True])
def test_nothing_is_written_over_other_text(
    size: tuple[int, int], in_a_line: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The panel, the notes at the bottom, the scale and the notice; only the notice may be over the panel, black."""
    image = np.full((*size, 3), 200, np.uint8)
    grounds: list[tuple[int, int, int, int]] = []

    def note(panel: np.ndarray) -> None:
        offset = panel.__array_interface__["data"][0] - image.__array_interface__["data"][0]
        top, left = divmod(offset // 3, size[1])
        grounds.append((left, top, left + panel.shape[1], top + panel.shape[0]))
        panel[:] = panel // 3

    monkeypatch.setattr(hud, "darken", note)
    notes = (
        "cat > dog",
        "11.7 FPS · camera 16.7",
        "latency 60 ms · 90 dropped",
        "tiny",
        "grad-cam · last",
        "fit: stretch",
    )
    said = Hud(
        notes=(*notes, "engine: xla", "top class"), notes_in_a_line=in_a_line, full_scale=1.5, notice="compiling …"
    )
    draw_hud(image, said, explanation_of(np.ones((1, 1)), size), Overlay())
    panel, *others = dict.fromkeys(grounds)
    assert len(others) >= 2
    for one, other in itertools.combinations((panel, *others), 2):
        is_apart = one[0] >= other[2] or other[0] >= one[2] or one[1] >= other[3] or other[1] >= one[3]
        assert is_apart or (one == panel and grounds.count(other) == 3)
