"""The report of a fit: what it shows is what the heads that never saw a picture say."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from fitting.toy_fit import AT_OBJECT, OBJECT, SIDE, toy_fit, write_pictures

from live_gradcam.cli import main
from live_gradcam.cli.fit import print_fit
from live_gradcam.errors import OutputError, SourceError, UsageError
from live_gradcam.explanations.explanation import Explanation, Prediction, Region
from live_gradcam.fitting.dataset import Dataset, Example, read_frame
from live_gradcam.fitting.fitted import Epoch, Fitted
from live_gradcam.fitting.report.charts import reliability
from live_gradcam.fitting.report.maps import HeldOutExplainer, MapsOfClass, on_square, share_on
from live_gradcam.fitting.report.mistakes import worst_mistakes
from live_gradcam.fitting.report.options import ReportOptions, check_report
from live_gradcam.fitting.report.sections import average_precision, baseline, heading, per_class
from live_gradcam.fitting.report.words import counted, percent
from live_gradcam.fitting.report.writing import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CLASSES = ("<b>&", 'greens "x"')
#: What the heads said of 8 pictures, four of each class: one red thing and two green ones are mistakes.
SAID = np.array(
    [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4], [0.1, 0.9], [0.95, 0.05], [0.45, 0.55], [0.55, 0.45]], np.float32
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("things")


@pytest.fixture(scope="module")
def fitted(folder) -> Fitted:
    return toy_fit(write_pictures(folder, CLASSES), [AT_OBJECT, -AT_OBJECT], classes=CLASSES, held_out=SAID)


@pytest.fixture(scope="module")
def report(fitted, tmp_path_factory) -> Path:
    return write_report(fitted, tmp_path_factory.mktemp("out") / "report").parent


class _Page(HTMLParser):
    """The texts and the addresses of a page, and whether its elements are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.sources: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "link", "img", "br"):
            self._open.append(tag)
        known = {name: value or "" for name, value in attributes}
        self.links += [known["href"]] if tag == "a" else []
        self.ids += [known["id"]] if "id" in known and tag in ("section", "div") else []
        self.sources += [known[name] for name in ("src", "href") if name in known and tag in ("img", "link", "script")]
        assert tag != "script"

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    @property
    def text(self) -> str:
        """All texts, with plain spaces."""
        return " ".join(" ".join(self.texts).split())

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def page(report) -> _Page:
    return _Page((report / "index.html").read_text("utf-8"))


@pytest.mark.slow
def test_the_page_is_as_wide_as_any_window(report, playwright):
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    shown = browser.new_page()
    shown.goto((report / "index.html").as_uri())
    for width in (320, 360, 480, 481, 1280):
        shown.set_viewport_size({"width": width, "height": 800})
        assert shown.evaluate("document.documentElement.scrollWidth") == width
    browser.close()


@pytest.mark.slow
def test_the_page_needs_nothing_else(report, page):
    assert page.sources
    assert all(source.startswith("data:") for source in page.sources)
    assert not re.search(r"(?:src|href)=\"?(?:https?:)?//", (report / "index.html").read_text("utf-8"))
    addresses = [link.removeprefix("#") for link in page.links]
    assert set(addresses) <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


@pytest.mark.slow
def test_names_are_escaped(report, page):
    assert "<b>&" in page.texts
    assert 'greens "x"' in page.texts
    text = (report / "index.html").read_text("utf-8")
    assert "<b>&" not in text
    assert "<i>.jpg: empty" in page.texts


def test_the_heading_says_what_was_fitted_and_how_good_it_is(page):
    text = page.text
    assert "2 classes, fitted on toy" in text
    assert "8 pictures in 8 groups" in text
    assert "62.5 % right cross-validation, 8 pictures; always “<b>&” is 50 %" in text
    assert "1 file left out" in text


def test_the_worst_mistakes_come_first_and_are_the_right_ones(fitted, report):
    found = worst_mistakes(fitted, 12)
    assert [(one.row, one.targets) for one in found] == [(5, (0, 1)), (1, (1, 0)), (7, (0, 1))]
    assert found[0].loss == pytest.approx(-np.log(0.05), rel=1e-6)
    figures = json.loads((report / "report.json").read_text("utf-8"))
    assert [Path(one["path"]).parts[-2:] for one in figures["mistakes"]] == [
        ("class 1", "1.png"),
        ("class 0", "1.png"),
        ("class 1", "3.png"),
    ]
    assert [one["fold"] for one in figures["mistakes"]] == [1, 1, 1]
    assert all((report / one["file"]).is_file() for one in figures["mistakes"])


def test_a_trained_network_says_what_its_scores_are_worth(fitted):
    parts = [replace(one, part="val" if row > 4 else "train") for row, one in enumerate(fitted.dataset.examples)]
    dataset = replace(fitted.dataset, examples=tuple(parts))
    assert baseline(dataset) == ("<b>&", 0.8)  # 4 of 5
    assert baseline(dataset, "val") == ("<b>&", 0)
    trained = replace(fitted, dataset=dataset, folds=np.full(8, -1), best=2)
    assert "validation pictures decided when to stop" in heading(trained)
    without = "For cross-validation they were trained again without each fold."
    assert without not in heading(trained)
    assert without in heading(replace(trained, tuned_folds=5))
    assert '<td class="number">–</td>' in per_class(trained.tested()).content  # groups of pictures that are not here
    assert '<td class="number">–</td>' not in per_class(fitted).content
    assert [one.row for one in worst_mistakes(trained.tested(), 12)] == [0, 2]  # rows 5 and 7 of all
    assert "validation pictures" not in heading(fitted)


def test_of_one_group_two_mistakes_come_before_others(folder):
    examples = write_pictures(folder, CLASSES)
    grouped = [Example(one.path, one.target, "video" if row < 4 else str(row)) for row, one in enumerate(examples)]
    wrong = np.array([[0.1, 0.9], [0.2, 0.8], [0.3, 0.7], [0.9, 0.1], [0.6, 0.4], [0.1, 0.9], [0.1, 0.9], [0.1, 0.9]])
    fitted = toy_fit(grouped, [AT_OBJECT], classes=CLASSES, held_out=wrong)
    assert [one.row for one in worst_mistakes(fitted, 3)] == [0, 1, 4]
    assert [one.row for one in worst_mistakes(fitted, 4)] == [0, 1, 2, 4]


def test_the_cells_show_the_pictures_behind_them(page):
    text = page.text
    assert "cell-train-0-1" in page.ids
    assert "cell-train-1-0" in page.ids
    assert '<b>&, taken for greens "x"' in text
    assert "<b>& 95 % 1.png" in text  # the surest mistake
    assert "<b>& 55 % 3.png" in text


def test_maps_are_of_the_head_that_never_saw_the_picture(fitted):
    explain = HeldOutExplainer(fitted)
    frame = read_frame(fitted.dataset.examples[0])  # a red thing on blue
    before = fitted.classifier.model.get_weights()
    heads = [*enumerate(fitted.fold_heads), (-1, fitted.head)]  # of no fold, val and test are judged by the whole fit
    for fold, head in heads:
        explanation = explain(frame, fold, (0, 1))
        expected = head.probabilities(fitted.features[:1])[0]
        np.testing.assert_allclose(explanation.probabilities, expected, atol=1e-5)
        # Grad-CAM of a mean of colours is the colour times its weight: where red is, or nothing.
        inside = np.zeros((SIDE, SIDE))
        inside[OBJECT] = 1
        for position, weight in enumerate(head.weights[0]):
            np.testing.assert_allclose(explanation.heatmaps[position], inside * (weight > 0), atol=1e-5)
    assert explain.explainer.trace_count == 1
    for one, other in zip(fitted.classifier.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def explained(heatmap: np.ndarray, region: Region) -> Explanation:
    one = Prediction(0, "a", 1.0)
    nothing = np.empty(0, np.float32)
    return Explanation((one,), np.asarray(heatmap, np.float32)[None], (one,), np.ones(1), nothing, nothing, region)


def test_the_share_on_the_object_of_a_map_made_by_hand():
    heatmap = np.array([[0.0, 1.0], [2.0, 1.0]])
    assert share_on(heatmap, np.array([[0, 1], [1, 0]])) == pytest.approx(0.75)
    assert share_on(heatmap, np.array([[0, 0], [0.5, 0]])) == pytest.approx(0.25)
    assert share_on(np.zeros((2, 2)), np.ones((2, 2))) is None


def test_the_share_per_class_is_over_the_share_of_the_area():
    maps = MapsOfClass("a")
    frame = np.zeros((64, 64, 3), np.uint8)
    left = np.zeros((64, 64), np.float32)
    left[:, :16] = 1  # a quarter
    everywhere = explained(np.ones((4, 4)), Region(0, 0, 64, 64))
    maps.add(frame, everywhere, left)
    found = maps.on_object
    assert found is not None
    assert (found.count, found.area_share) == (1, pytest.approx(0.25))
    assert found.ratio == pytest.approx(1, abs=1e-6)
    maps.add(frame, explained(np.eye(1, 16).repeat(16, 0), Region(0, 0, 64, 64)), left)  # all in the quarter
    found = maps.on_object
    assert found is not None
    assert found.map_share == pytest.approx((0.25 + 1) / 2, abs=0.01)
    assert maps.mean is not None
    assert maps.mean.count == 2


def test_a_map_of_the_middle_covers_the_middle_of_the_square():
    heatmap = on_square(explained(np.ones((4, 4)), Region(32, 0, 64, 64)), (64, 128), side=16)
    np.testing.assert_array_equal(heatmap > 0, np.tile(np.arange(16) // 4 % 3 != 0, (16, 1)))


def test_a_report_is_replaced_only_if_asked_and_other_files_never(fitted, report, tmp_path):
    with pytest.raises(OutputError, match="has a report already"):
        check_report(report, ReportOptions())
    check_report(report, ReportOptions(overwrite=True))
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("all of it")
    with pytest.raises(OutputError, match="has other files than a report's"):
        check_report(mine, ReportOptions(overwrite=True))
    with pytest.raises(OutputError, match="is a file"):
        check_report(mine / "thesis.txt", ReportOptions(overwrite=True))
    assert (mine / "thesis.txt").read_text() == "all of it"


def test_options_that_cannot_be_are_refused(tmp_path):
    with pytest.raises(UsageError, match="--backgrounds is for --swap-backgrounds"):
        ReportOptions(backgrounds=tmp_path)
    with pytest.raises(SourceError, match="there is no folder of masks"):
        check_report(tmp_path / "new", ReportOptions(masks=tmp_path / "none"))
    with pytest.raises(SourceError, match="there is no boxes file"):
        check_report(tmp_path / "new", ReportOptions(boxes=tmp_path / "none.csv"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--masks", "m", "-o", "a.keras"), "--masks, --boxes, --swap-backgrounds and --backgrounds are for --report"),
        (("--report", "r", "--backgrounds", "b"), "--backgrounds is for --swap-backgrounds"),
        (("--report", "r", "--boxes", "none.csv"), "there is no boxes file none.csv"),
    ],
)
def test_the_command_refuses_before_anything_slow(tmp_path, monkeypatch, arguments, words, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["live-gradcam", "fit", "things", *arguments])
    with pytest.raises(SystemExit):
        main()
    assert words in capsys.readouterr().err


def test_pictures_lie_beside_the_page(report):
    names = {file.name for file in report.iterdir()}
    assert names == {
        "index.html",
        "report.json",
        "calibration.png",
        "mean-maps.png",
        "mistake-01.png",
        "mistake-02.png",
        "mistake-03.png",
    }
    for file in report.glob("*.png"):
        assert cv2.imread(str(file)).mean() > 100  # dark on white


def test_reliability_by_hand():
    bins = reliability(np.array([0.95, 0.97, 0.91, 0.99, 0.55]), np.array([True, True, True, False, False]))
    assert [(one.count, one.accuracy) for one in bins] == [(1, 0), (4, 0.75)]
    assert bins[1].confidence == pytest.approx(0.955)
    # Wilson's interval of 3 in 4, by hand: (0.75 + z²/8 ± z √(0.75·0.25/4 + z²/64)) / (1 + z²/4) with z = 1.96.
    assert (bins[1].low, bins[1].high) == (pytest.approx(0.3006, abs=1e-4), pytest.approx(0.9544, abs=1e-4))


def test_numbers_in_words():
    assert [percent(share).replace("\u00a0", " ") for share in (0, 0.001, 0.5, 0.999, 1, None)] == [
        "0 %",
        "<1 %",
        "50 %",
        ">99 %",
        "100 %",
        "–",
    ]
    assert [counted(count, "class", "classes") for count in (1, 2, 1234)] == [
        "1 class",
        "2 classes",
        "1\u202f234 classes",
    ]


def test_average_precision_by_hand():
    """Ranks 1 and 3 of four hold: (1/1 + 2/3) / 2."""
    assert average_precision(np.array([0.9, 0.8, 0.7, 0.1]), np.array([True, False, True, False])) == pytest.approx(
        5 / 6
    )
    assert average_precision(np.array([0.9]), np.array([False])) is None


@pytest.mark.slow
def test_labels_have_what_makes_sense_for_them(folder, tmp_path):
    examples = [
        Example(one.path, (0, 1) if row == 0 else one.target, one.group)
        for row, one in enumerate(write_pictures(folder, CLASSES))
    ]
    fitted = toy_fit(examples, [AT_OBJECT], classes=CLASSES, held_out=SAID, task="labels")
    page = write_report(fitted, tmp_path / "report")
    text = _Page(page.read_text("utf-8")).text
    figures = json.loads((page.parent / "report.json").read_text("utf-8"))
    assert "average precision" in text
    assert "<b>&: missed" in text
    assert "<b>&: false alarm" in text
    # Of the second label, by falling answers: rows 4, 1, 6, 7, 3, 2, 0, 5, of which 4, 6, 7, 0 and 5 hold.
    expected = (1 + 2 / 3 + 3 / 4 + 4 / 7 + 5 / 8) / 5
    assert figures["average_precision"]["cross-validation"][1] == pytest.approx(expected, abs=1e-4)
    assert figures["mistakes"][0]["maps"] == [CLASSES[1]]
    assert figures["mistakes"][0]["path"].endswith("1.png")  # of which it was said with 5 % alone


@pytest.mark.slow
def test_values_in_a_small_unit_keep_their_digits(folder, tmp_path, capsys):
    examples = [
        Example(one.path, 1e-7 * row, one.group) for row, one in enumerate(write_pictures(folder, CLASSES), start=1)
    ]
    said = np.array([[one.target] for one in examples], np.float32) + np.float32(2.5e-9)
    fitted = toy_fit(examples, [AT_OBJECT[:, :1]], classes=("size",), held_out=said, task="values")
    page = write_report(fitted, tmp_path / "report", ReportOptions(worst=1))
    figures = json.loads(page.with_name("report.json").read_text("utf-8"))
    one = figures["examples"][2]
    assert (one["target"], one["held_out"]) == (pytest.approx(3e-7), [pytest.approx(3.025e-7, rel=1e-6)])
    assert figures["mistakes"][0]["loss"] == pytest.approx(2.5e-9, rel=1e-4)
    print_fit(fitted, None)
    assert "mean error 2.5e-09, R² 1.000" in capsys.readouterr().out


@pytest.mark.slow
def test_values_have_a_scatter_and_their_worst_errors(folder, tmp_path, caplog):
    """A picture that is gone by now is left out, and said."""
    examples = [Example(one.path, float(row), one.group) for row, one in enumerate(write_pictures(folder, CLASSES))]
    said = np.arange(8, dtype=np.float32)[:, None].copy()
    said[3] += 2
    said[6] -= 0.5
    gone = Example(folder / "gone.png", 0.0, "gone")
    fitted = toy_fit(examples, [AT_OBJECT[:, :1]], classes=("size",), held_out=said, task="values")
    object.__setattr__(fitted, "dataset", Dataset("values", ("size",), (gone, *examples[1:])))
    object.__setattr__(fitted, "curve", (Epoch(1, 2.0, 2.5, 0.0), Epoch(2, 1.0, 2.0, 0.0)))
    page = write_report(fitted, tmp_path / "report", ReportOptions(worst=2))
    text = _Page(page.read_text("utf-8")).text
    assert "size is 3, predicted 5" in text
    assert "size is 6, predicted 5.5" in text
    assert "Nothing got better, so the network is as it was" in text
    names = {file.name for file in page.parent.iterdir()}
    assert write_report(fitted, page.parent, ReportOptions(worst=0, overwrite=True)) == page
    assert not list(page.parent.glob("mistake-*.png"))  # all of it is replaced
    assert {"scatter.png", "learning-curve.png", "mistake-02.png"} <= names
    assert "calibration.png" not in names
    assert "gone.png" in caplog.text
