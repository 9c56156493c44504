"""What a notebook prints of explainers, networks and reports."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from toy_session import toy_session

from live_gradcam import Report, Session, SourceError
from live_gradcam.annotating.jobs import AnnotateJob
from live_gradcam.annotating.report import AnnotateSummary, Result
from live_gradcam.choices import METHODS
from live_gradcam.listings import Listing, html_table
from live_gradcam.sources.loss import Loss


@pytest.fixture(scope="module")
def session() -> Session:
    return toy_session()


def test_a_listing_is_a_tuple_with_lines() -> None:
    listing = Listing(("a", "long"), {"a": "the first", "long": "<second>"})
    assert listing == ("a", "long")
    assert repr(listing) == "a     the first\nlong  <second>"
    assert "&lt;second&gt;" in listing._repr_html_()
    for again in (pickle.loads(pickle.dumps(listing)), copy.deepcopy(listing)):
        assert again == listing
        assert repr(again) == repr(listing)
    assert repr(Listing(name for name in ("x", "y"))) == "x\ny"
    assert repr(Listing(())) == ""


def test_a_table_escapes_its_cells_and_its_title() -> None:
    html = html_table(("a<b",), [("<i>",), (3,)], title="x & y")
    assert [part in html for part in ("a&lt;b", "&lt;i&gt;", ">3<", "x &amp; y")] == [True] * 4
    assert "<i>" not in html


def test_what_can_be_chosen(session: Session) -> None:
    explainer = session.explainer
    assert explainer.layers == ("maps",)
    assert repr(explainer.layers) == "maps  10×12×6, the target layer"
    assert explainer.methods == tuple(METHODS)
    assert "score-cam" in explainer.methods
    assert "score-cam" not in session.methods
    assert repr(session.methods).splitlines()[0].split(maxsplit=1) == ["grad-cam", METHODS.helps["grad-cam"]]


def test_an_explainer_and_its_network_say_what_they_are(session: Session) -> None:
    assert repr(session.explainer) == "Explainer(toy · grad-cam · maps · fit stretch · engine graph)"
    assert repr(session) == "Session(toy · grad-cam · maps · fit stretch · engine graph)"
    assert repr(session.classifier).startswith("Classifier(model: toy, classes: 5 (<b>bold</b> &")
    html = session.classifier._repr_html_()
    assert "&lt;b&gt;bold&lt;/b&gt;" in html
    assert "14×12 pixels" in html
    assert ">unit<" in html
    many = replace(session.classifier, labels=tuple(map(str, range(1000))), pixel_guess="unit")
    assert "classes: 1000 (0, 1, 2, 3, 4, 5, 6, 7, …)" in repr(many)
    assert "preprocessing: unit, a guess" in repr(many)


def test_a_report_says_what_became_of_each_recording() -> None:
    job = AnnotateJob(Path("a<b.mp4"), Path("out.mp4"), {})
    done = AnnotateSummary(50, 50, 50, 2.0, Loss(0, 0), False, "libx264", notes=["turned"])
    failed = Result(job, error=SourceError("a.mp4 is no video"))
    report = Report("1", (Result(job, done), failed), {}, 3.21, True)
    assert repr(report) == (
        "Report of 2 recordings in 3.2 s, stopped\n"
        "  a<b.mp4 → out.mp4: done, 50 frames, 25.0 per second, turned\n"
        "  a<b.mp4 → out.mp4: failed, a.mp4 is no video"
    )
    html = report._repr_html_()
    assert "a&lt;b.mp4" in html
    assert ">25.0 per second<" in html
