"""A picture explained in several ways: the maps are those of explainers of their own."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from toy_networks import FRAME, classifier_of, pooled_network

from live_gradcam import Explainer, LiveGradcamError, ModelError, Session, SessionOptions, Target, UsageError, compare

QUICK: Any = {"engine": "graph", "lowering": False, "tune": "off"}
LABELS = ("red", "green", "blue", "yellow", "grey")


@pytest.fixture(scope="module")
def session() -> Session:
    classifier = replace(classifier_of(pooled_network("early", "late")), labels=LABELS)
    return Session(Explainer(classifier, maps=1, **QUICK), (), {})


@pytest.mark.slow
def test_each_map_is_that_of_its_method_layer_and_class(session: Session) -> None:
    compared = compare(
        FRAME,
        methods=["grad-cam", "layercam"],
        layers=["early", "late"],
        classes=["blue", "red>green"],
        session=session,
        channels="bgr",
    )
    assert compared.columns == 2
    assert [name.removesuffix(" (empty map)") for name in compared.names] == [
        f"{method} · {layer} · {label}"
        for label in ("blue", "red > green")
        for layer in ("early", "late")
        for method in ("grad-cam", "layercam")
    ]
    position = 0
    for target in (Target(2), Target(0, against=1)):
        for layer in ("early", "late"):
            for method in ("grad-cam", "layercam"):
                own = Explainer(session.classifier, maps=1, method=method, layer=layer, **QUICK)
                expected = own(FRAME, target=target)
                found = compared.pictures[position].explanation
                np.testing.assert_allclose(found.heatmaps, expected.heatmaps, atol=1e-6)
                assert found.explained == (target,)
                position += 1
    table = compared.to_dataframe()
    assert table["method"].tolist() == ["grad-cam", "layercam"] * 4
    assert table["evidence"].tolist() == [float(one.explanation.evidence[0]) for one in compared.pictures]
    assert [one["layer"] for one in compared.to_json()] == table["layer"].tolist()


@pytest.mark.slow
def test_one_thing_that_differs_is_named_alone_and_wraps(session: Session) -> None:
    compared = compare(FRAME, methods=["grad-cam", "hirescam", "layercam", "elementwise", "cam"], session=session)
    assert compared.columns == 4
    assert repr(compared) == "Comparison(grad-cam, hirescam, layercam, elementwise, cam)"
    html = compared._repr_html_()
    assert re.findall(r"<figcaption[^>]*>([^<]+)<", html) == list(compared.names)
    assert "toy · late" in html  # what all share is the title
    assert compare(FRAME, classes=2, session=session).names[0].startswith("blue")
    assert compare(FRAME, layers="early", session=session).names == ("early",)


def never(*_: Any, **__: Any) -> Any:
    raise AssertionError("something was computed")


@pytest.mark.parametrize(
    ("asked_for", "message"),
    [
        ({}, "there is nothing to compare: give methods, layers or classes"),
        ({"methods": ["grad-cm"]}, "there is no method 'grad-cm'; did you mean grad-cam"),
        ({"layers": ["block4_add", "block4_ad"]}, "there is no layer 'block4_ad'; did you mean block4_add"),
        ({"classes": ["tabby", "tabbi"]}, "there is no class 'tabbi'"),
        ({"methods": ["cam"], "channels": "rbg"}, "there is no order of channels 'rbg'"),
    ],
)
def test_names_are_checked_before_a_session_starts(
    asked_for: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("live_gradcam.pictures.comparing.start_session", never)
    with pytest.raises(UsageError, match=message):
        compare(FRAME, session=SessionOptions("efficientnet-lite0"), **asked_for)


def test_names_are_checked_before_anything_is_compiled(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Explainer, "__call__", never)
    for asked_for in ({"layers": ["early", "lat"]}, {"classes": ["blu"]}, {"methods": ["cam"], "layers": ["early"]}):
        with pytest.raises((UsageError, ModelError)):
            compare(FRAME, session=session, **asked_for)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="one picture is compared at a time"):
        compare([FRAME, FRAME], methods=["cam"], session=session)
    with pytest.raises(LiveGradcamError, match=r"there is no picture nowhere\.png"):
        compare("nowhere.png", methods=["cam"], session=session)


@pytest.mark.slow
def test_a_notebook_sees_how_far_it_is_where_something_is_compiled(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(
        "live_gradcam.drawing.cell_output.CellOutput.update", lambda _, content: shown.append(repr(content))
    )
    monkeypatch.setattr("live_gradcam.drawing.cell_output.CellOutput.clear", lambda _: shown.append("nothing"))
    compare(FRAME, methods=["elementwise", "hirescam"], layers=["late"], session=session)
    assert shown == [
        "compare: 0 %, map 1 of 2, elementwise · late",
        "compare: 50 %, map 2 of 2, hirescam · late",
        "nothing",
    ]
    shown.clear()
    session.explain_frame(FRAME)
    compare(FRAME, classes=["blue", "red"], session=session)  # with what is compiled already
    assert shown == ["nothing"]
