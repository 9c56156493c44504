"""`explain` of whatever has pixels, and what a notebook shows of it."""

from __future__ import annotations

import base64
import json
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from toy_networks import FRAME
from toy_session import LABELS, toy_session

from live_gradcam import (
    BoxOptions,
    ExplainedPicture,
    Levels,
    LiveGradcamError,
    OutputError,
    Overlay,
    PictureOptions,
    Session,
    SourceError,
    Target,
    explain,
)

#: Of the toy's input's size, BGR and RGB.
BGR = cv2.resize(FRAME, (280, 240), interpolation=cv2.INTER_NEAREST)
RGB = np.ascontiguousarray(BGR[..., ::-1])


@pytest.fixture(scope="module")
def session() -> Session:
    return toy_session()


@pytest.fixture(scope="module")
def explained(session: Session) -> ExplainedPicture:
    return explain(RGB, session=session)


def test_files_of_one_call_share_a_scale(session: Session, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    paths = []
    for name, top in (("a", 16_000), ("b", 16_800)):
        paths.append(tmp_path / f"{name}.png")
        cv2.imwrite(str(paths[-1]), np.array([[8192, top], [0, 8192]], np.uint16))
    cv2.imwrite(str(tmp_path / "plain.png"), np.full((2, 2), 77, np.uint8))
    caplog.clear()
    images = [one.image[..., 0].tolist() for one in explain([*paths, tmp_path / "plain.png"], session=session)]
    assert images == [[[32, 62], [0, 32]], [[32, 65], [0, 32]], [[77, 77], [77, 77]]]
    assert caplog.messages == [
        "2 pictures have values from 0 to 16800: 0 is shown as black and 65535 as white; --levels LOW:HIGH changes that"
    ]
    options = PictureOptions(levels=Levels(0, 16_383))
    images = [one.image[0, :, 0].tolist() for one in explain(paths, session=session, options=options)]
    assert images == [[128, 250], [128, 255]]
    assert explain(paths[0], session=session).image[0, :, 0].tolist() == [128, 250]  # alone, with a line
    assert caplog.messages[1:] == [
        f"{paths[0]} has values from 0 to 16000 (14 of 16 bits): 0 is shown as black and 16383 as white; --levels "
        "LOW:HIGH changes that"
    ]


def test_one_picture_is_explained_the_same_whatever_it_comes_in(
    session: Session, explained: ExplainedPicture, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "x.png"), BGR)
    direct = session.explain(BGR)
    for one in (
        explain(tmp_path / "x.png", session=session),
        explain(BGR, session=session, channels="bgr"),
        explain(Image.fromarray(RGB), session=session),
        explain(tf.constant(RGB / 255, tf.float64), session=session),
        explained,
    ):
        np.testing.assert_array_equal(one.image, BGR)
        np.testing.assert_array_equal(one.explanation.heatmaps, direct.heatmaps)
        assert one.explanation.predictions == direct.predictions


def test_a_batch_gives_a_list(session: Session, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "x.png"), BGR)
    mixed = explain([tmp_path / "x.png", RGB[:, ::-1]], session=session)
    assert [one.source for one in mixed] == [tmp_path / "x.png", None]
    np.testing.assert_array_equal(mixed[1].image, BGR[:, ::-1])
    stacked = explain(np.stack([RGB, RGB[:, ::-1]]), tmp_path, session=session)
    assert [one.explanation.predictions for one in stacked] == [one.explanation.predictions for one in mixed]
    assert [one.panels for one in stacked] == [tmp_path / f"picture-{number}-gradcam.png" for number in (0, 1)]
    assert all(one.panels.is_file() for one in stacked)
    assert explain([RGB], session=session)[0].panels is None


def test_a_file_that_is_not_there_is_known_before_a_session_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("live_gradcam.pictures.explaining._explain_each", None)
    with pytest.raises(SourceError, match=r"there is no picture nowhere\.png"):
        explain("nowhere.png")


# --- plain values -------------------------------------------------------------------------------------------------


def test_the_numbers_are_those_of_the_command(explained: ExplainedPicture) -> None:
    numbers = explained.to_dict()
    assert numbers == explained.to_json()
    assert json.loads(json.dumps(numbers)) == numbers
    assert (numbers["schema"], numbers["image"], numbers["width"], numbers["height"]) == (1, None, 280, 240)
    assert numbers["predictions"][0]["label"] == explained.explanation.predictions[0].label


def test_a_table_has_a_row_for_each_prediction(explained: ExplainedPicture, monkeypatch: pytest.MonkeyPatch) -> None:
    table = explained.to_dataframe()
    assert list(table.columns) == ["image", "index", "label", "probability", "explained"]
    assert table["label"].tolist() == [one.label for one in explained.explanation.predictions]
    assert table["probability"].sum() == pytest.approx(1, abs=1e-5)  # all five classes
    assert table["explained"].tolist() == [True, False, False, False, False]
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(LiveGradcamError, match=r"^a table needs pandas: pip install pandas$"):
        explained.to_dataframe()


def test_what_prints_is_one_short_line(explained: ExplainedPicture) -> None:
    text = repr(explained)
    assert re.fullmatch(
        r"ExplainedPicture\(in memory, 280×240 pixels, Explanation\((.+ \d+\.\d %, ){3}…; 1 map of 10×12; "
        r"toy · grad-cam · maps\)\)",
        text,
    )


# --- pictures -----------------------------------------------------------------------------------------------------


def test_the_overlay_is_rgb_unless_somebody_asks(explained: ExplainedPicture) -> None:
    drawn = Overlay().blend(BGR, explained.explanation)
    np.testing.assert_array_equal(explained.overlay("bgr"), drawn)
    np.testing.assert_array_equal(explained.overlay(), drawn[..., ::-1])
    assert np.abs(drawn.astype(int) - BGR).mean() > 1


def test_it_is_drawn_as_the_options_say(session: Session) -> None:
    options = PictureOptions(Overlay("viridis", 1.0), BoxOptions(drawn=True))
    explained = explain(RGB, session=session, options=options)
    plain = Overlay("viridis", 1.0).blend(BGR, explained.explanation)
    changed = (explained.overlay("bgr") != plain).any(axis=2)
    box = explained.explanation.boxes[0][0]
    assert changed[box.top, box.left : box.right].all()


def images_in(html: str) -> list[np.ndarray]:
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', html)
    return [cv2.imdecode(np.frombuffer(base64.b64decode(one), np.uint8), cv2.IMREAD_COLOR) for one in found]


def test_html_has_three_panels_and_bars_and_needs_nothing_else(explained: ExplainedPicture) -> None:
    html = explained._repr_html_()
    picture, heatmap, overlay = images_in(html)
    assert picture.shape == heatmap.shape == overlay.shape == BGR.shape
    for image, expected in (
        (heatmap, Overlay().colours(explained.explanation, BGR.shape[:2])),
        (overlay, explained.overlay("bgr")),
    ):
        assert np.abs(image.astype(int) - expected).mean() < 6  # a JPEG
    assert not re.search(r"(src|href)=\"(?!data:)|<script|<link|url\(", html)
    best = explained.explanation.predictions[0]
    assert html.count(f">{best.amount(1)}<") == 1
    assert f"width:{100 * best.probability:.1f}%" in html


def test_names_are_escaped(explained: ExplainedPicture) -> None:
    html = explained._repr_html_()
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; &quot;sweet&quot;" in html
    assert "<b>" not in html
    assert LABELS[0] not in html


def test_letters_have_the_notebooks_own_colour(explained: ExplainedPicture) -> None:
    """So that they are legible on light ground and on dark."""
    html = explained._repr_html_()
    assert re.findall(r"(?<!-)\bcolor:([^;\"]+)", html) == ["inherit"]
    backgrounds = re.findall(r"background:([^;\"]+)", html)
    assert len(backgrounds) == 5
    assert all(re.fullmatch(r"rgba\(\d+,\d+,\d+,\.\d+\)", ground) for ground in backgrounds)


def test_the_picture_has_the_same_panels(explained: ExplainedPicture, tmp_path: Path) -> None:
    sheet = cv2.imdecode(np.frombuffer(explained._repr_png_(), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(sheet[28 : 28 + 240, 8 : 8 + 280], BGR)
    np.testing.assert_array_equal(sheet[28 : 28 + 240, 8 + 2 * 288 : 8 + 2 * 288 + 280], explained.overlay("bgr"))
    explained.save(tmp_path / "x.png")
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "x.png")), sheet)
    explained.save(tmp_path / "x.html")
    page = (tmp_path / "x.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert "<title>&" in page or "<title>$" in page or "<title>t" in page
    assert explained._repr_html_() in page
    with pytest.raises(OutputError, match="give it an ending such as"):
        explained.save(tmp_path / "x.docx")


def test_several_maps_are_rows() -> None:
    explanation = toy_session(maps=2).explain(BGR, targets=[Target(2, against=3), Target(1)])
    explained = ExplainedPicture(None, BGR, explanation)
    html = explained._repr_html_()
    assert len(images_in(html)) == 6
    names = re.findall(r"<figcaption[^>]*>([^<]+)<", html)
    assert [name.removesuffix(" (empty map)") for name in names[1::3]] == [
        "heatmap of tabby &gt; tiger cat",
        "heatmap of $x_1$",
    ]


def test_show_is_a_figure_of_matplotlib(explained: ExplainedPicture, monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    axes = explained.show()
    assert axes.shape == (1, 3)
    np.testing.assert_array_equal(axes[0, 0].images[0].get_array(), RGB)
    np.testing.assert_array_equal(axes[0, 2].images[0].get_array(), explained.overlay())
    assert [axis.get_title() for axis in axes[0]][::2] == ["picture", "overlay"]
    axes[0, 0].figure.canvas.draw()  # a name with dollars is no formula
    pyplot.close("all")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(LiveGradcamError, match=r"^a figure needs Matplotlib: pip install matplotlib$"):
        explained.show()
