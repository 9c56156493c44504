"""What other surroundings do, as a part of the page."""

from __future__ import annotations

from collections.abc import Sequence

from live_gradcam.drawing.overlay import Overlay
from live_gradcam.fitting.report.backgrounds import KINDS, NEUTRAL, OTHER, Backgrounds, Shown
from live_gradcam.fitting.report.markup import Html, joined, picture, tag
from live_gradcam.fitting.report.pictures import ON, surroundings_of
from live_gradcam.fitting.report.sections import Section, number_cell, paragraph
from live_gradcam.fitting.report.study import Study
from live_gradcam.fitting.report.words import percent


def backgrounds(study: Study, overlay: Overlay) -> Section:
    """What other surroundings do."""
    found = study.backgrounds
    assert found is not None  # or there is no such section
    kinds = [kind for kind in (None, *KINDS) if found.accuracy(kind) is not None]
    text = paragraph(
        "Each object is cut out of its picture and laid, at its own place, on the surroundings of another picture of "
        "its class, of a picture of another class, and on a picture without objects where such were given. The "
        "object of the other picture is taken out before, and the hole is filled with what lies beside it. A network "
        "that looks at the object stays right. One that follows the surroundings names the class that these come from."
    )
    rows = []
    for index, name in [*enumerate(found.classes), (None, "all")]:
        if found.count(index):
            shares = [number_cell(percent(found.accuracy(kind, index))) for kind in kinds]
            rows.append(tag("tr", tag("th", name, scope="row"), number_cell(str(found.count(index))), *shares))
    names = ["class", "objects", *(ON[kind] for kind in kinds)]
    head = [tag("th", name, scope="col", class_="number" if name != "class" else None) for name in names]
    table = tag("table", tag("thead", tag("tr", *head)), tag("tbody", *rows), class_="narrow")
    objects = tag("div", *(_object(one, kinds, found.classes, overlay) for one in found.shown), class_="mistakes")
    bars = tag("div", *(_surroundings_bar(found, kind) for kind in kinds), class_="bars")
    return Section(
        "backgrounds", "On other surroundings", joined(text, bars, objects, tag("div", table, class_="scroll"))
    )


def _surroundings_bar(found: Backgrounds, kind: str | None) -> Html:
    """How much is right on a kind of surroundings."""
    share = found.accuracy(kind) or 0.0
    remark = f"{percent(share)} right"
    if kind == OTHER:
        remark += f"; {percent(found.follows)} named the class of the surroundings"
    filled = tag("i", style=f"width:{100 * share:.1f}%")
    return tag(
        "p",
        tag("span", ON[kind]),
        tag("b", remark),
        tag("span", filled, class_="bar other" if kind == OTHER else "bar", aria_hidden="true"),
    )


def _object(one: Shown, kinds: Sequence[str | None], classes: Sequence[str], overlay: Overlay) -> Html:
    """One object on two kinds of surroundings, each with where the head looks and what it says."""
    figures = []
    other = OTHER if OTHER in kinds else NEUTRAL
    for answer, (image, explanation) in zip(one.swapped.answers, one.pictures, strict=True):
        if answer.kind not in (None, other):
            continue
        is_right = answer.said == one.swapped.index
        said = f"{'✓' if is_right else '✗'} {classes[answer.said]} {percent(answer.probability)}"
        behind = surroundings_of(one, answer, classes)
        figures += [
            tag("figure", picture(image, behind, loading="lazy"), tag("figcaption", behind)),
            tag(
                "figure",
                picture(overlay.blend(image, explanation), f"why {said}", loading="lazy"),
                tag("figcaption", said, class_="right-text" if is_right else "wrong-text"),
            ),
        ]
    return tag("article", tag("div", *figures, class_="four"), class_="mistake")
