"""The confusion matrix, with the pictures behind its cells: links and targets, without any script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from live_gradcam.fitting.report.markup import Html, joined, picture, tag
from live_gradcam.fitting.report.matrix import Cell
from live_gradcam.fitting.report.sections import PARTS, Section, paragraph
from live_gradcam.fitting.report.study import Study
from live_gradcam.fitting.report.words import counted, name_of, percent

if TYPE_CHECKING:
    from live_gradcam.fitting.fitted import Fitted

#: From one class more on, cells are smaller.
_FEW = 12
#: Of labels: the columns of the table.
_KINDS = ("found", "missed", "false alarm")


def matrix(study: Study) -> Section:
    """The confusion matrix of each part of the data; of labels what was found, missed and wrongly said."""
    fitted = study.fitted
    parts = list(dict.fromkeys(cell.part for cell in study.cells))
    blocks = []
    for part in parts:
        cells = {(cell.true, cell.said, cell.kind): cell for cell in study.cells if cell.part == part}
        table = _of_labels(fitted, cells) if fitted.dataset.task == "labels" else _of_classes(fitted, cells)
        name = PARTS["cross-validation" if part == "train" else part]
        blocks.append(tag("h3", name) if len(parts) > 1 else Html(""))
        blocks.append(tag("div", table, class_="scroll"))
        blocks += [_pictures(cell, study) for cell in cells.values() if cell.shown]
    text = paragraph(
        "Rows are what a picture is, columns what was said by a head that never saw it. "
        if fitted.dataset.task == "classes"
        else "What was said by a head that never saw the picture. ",
        tag("span", "Choose a number to see its pictures.", class_="on-screen"),
    )
    title = "Which classes are confused" if fitted.dataset.task == "classes" else "What is found and missed"
    return Section("matrix", title, joined(text, *blocks))


def _of_classes(fitted: Fitted, cells: Mapping[tuple[int, int, str], Cell]) -> Html:
    names = fitted.dataset.classes
    totals = [sum(cell.count for cell in cells.values() if cell.true == true) for true in range(len(names))]
    head = [tag("th", tag("span", name), scope="col", class_="class", title=name) for name in names]
    rows = []
    for true, name in enumerate(names):
        entries = []
        for said, other in enumerate(names):
            cell = cells.get((true, said, ""))
            entries.append(_entry(cell, totals[true], f"{name}, said to be {other}"))
        rows.append(tag("tr", tag("th", name, scope="row", title=name), *entries))
    look = "matrix many" if len(names) > _FEW else "matrix"
    corner = tag("th", tag("span", "is ↓ · said →", class_="soft"))
    return tag("table", tag("thead", tag("tr", corner, *head)), tag("tbody", *rows), class_=look)


def _of_labels(fitted: Fitted, cells: Mapping[tuple[int, int, str], Cell]) -> Html:
    head = [tag("th", tag("span", name), scope="col", class_="class") for name in _KINDS]
    rows = []
    for label, name in enumerate(fitted.dataset.classes):
        of_label = {kind: cells.get((label, label, kind)) for kind in _KINDS}
        total = sum(cell.count for cell in of_label.values() if cell)
        entries = [_entry(cell, total, f"{name}, {kind}") for kind, cell in of_label.items()]
        rows.append(tag("tr", tag("th", name, scope="row", title=name), *entries))
    return tag("table", tag("thead", tag("tr", tag("th"), *head)), tag("tbody", *rows), class_="matrix")


def _entry(cell: Cell | None, total: int, what: str) -> Html:
    if cell is None:
        return tag("td", tag("span", "0", class_="none", aria_label=f"{what}: none"))
    look = {
        "class_": "wrong" if cell.wrong else "right",
        "style": f"--share:{cell.count / max(total, 1):.3f}",
        "title": what,
        "aria_label": f"{what}: {cell.count}",
    }
    if not cell.shown:
        return tag("td", tag("span", str(cell.count), **look))
    return tag("td", tag("a", str(cell.count), href=f"#{_address(cell)}", **look))


def _pictures(cell: Cell, study: Study) -> Html:
    fitted = study.fitted
    name, other = fitted.dataset.classes[cell.true], fitted.dataset.classes[cell.said]
    if cell.kind:
        title = f"{name}: {cell.kind}"
    elif cell.wrong:
        title = f"{name}, taken for {other}"
    else:
        title = f"{name}, found: the least sure first"
    figures = []
    for row in cell.shown:
        if row in study.thumbnails:
            sure = percent(float(fitted.held_out[row, cell.said]))
            file = name_of(fitted.dataset.examples[row])
            figures.append(
                tag(
                    "figure",
                    picture(study.thumbnails[row], f"{file}: {title}, {sure}", loading="lazy"),
                    tag("figcaption", f"{other} {sure}", tag("br"), file),
                )
            )
    more = cell.count - len(figures)
    rest = tag("p", f"and {counted(more, 'more', 'more')}", class_="soft") if more > 0 else Html("")
    return tag(
        "div",
        tag("h3", title, " ", tag("a", "close", href="#matrix", class_="soft on-screen")),
        tag("div", *figures, class_="thumbs"),
        rest,
        id=_address(cell),
        class_="cell wrong" if cell.wrong else "cell",
    )


def _address(cell: Cell) -> str:
    return "-".join(["cell", cell.part, str(cell.true), str(cell.said), *cell.kind.split()])
