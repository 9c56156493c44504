"""The parts of a report's page, each from what was found out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from live_gradcam.drawing.overlay import Overlay
from live_gradcam.fitting.dataset import Dataset, Part
from live_gradcam.fitting.report.charts import Chart
from live_gradcam.fitting.report.markup import Html, joined, picture, tag
from live_gradcam.fitting.report.mistakes import groups_of
from live_gradcam.fitting.report.pictures import mean_map_picture, mistake_maps
from live_gradcam.fitting.report.study import Study
from live_gradcam.fitting.report.words import counted, mistake_captions, number, percent

if TYPE_CHECKING:
    from live_gradcam.fitting.fitted import Fitted

#: How the parts of the scores are called.
PARTS = {"cross-validation": "cross-validation", "val": "validation", "test": "test"}
#: So many files that were left out are listed.
_MOST_FILES = 500


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        key: its address in the page.
        title: its heading.
        content: what is below the heading.
    """

    key: str
    title: str
    content: Html

    @property
    def html(self) -> Html:
        """The whole part."""
        return tag("section", tag("h2", self.title), self.content, id=self.key)


def _part(name: str) -> Part:
    """The examples that scores of a name are of."""
    return "train" if name == "cross-validation" else cast(Part, name)


def paragraph(*children: str) -> Html:
    """Lines of text."""
    return tag("p", *children)


def heading(fitted: Fitted) -> Html:
    """What was fitted, and how good it is."""
    dataset = fitted.dataset
    what = {
        "classes": f"{counted(len(dataset.classes), 'class', 'classes')}",
        "labels": f"{counted(len(dataset.classes), 'label')}",
        "values": dataset.classes[0],
    }[dataset.task]
    backbone = fitted.card.backbone or fitted.backbone.classifier.name
    examples = counted(len(dataset.examples), "picture")
    groups = counted(len(set(groups_of(fitted))), "group")
    return joined(
        tag("h1", f"{what}, fitted on {backbone}"),
        paragraph(tag("span", f"{examples} in {groups} · {fitted.card.created[:10]} · {fitted.card.made_with}",
                      class_="soft")),
        *_cards(fitted),
        _trained(fitted),
        _left_out(dataset),
    )  # fmt: skip


def _trained(fitted: Fitted) -> Html:
    """What the scores are worth where blocks were trained."""
    if not fitted.best:
        return Html("")
    folds = " For cross-validation they were trained again without each fold." if fitted.tuned_folds else ""
    return paragraph(
        "The last blocks of the network were trained too. The validation pictures decided when to stop, so their score "
        f"is a little better than that of new pictures.{folds} The training pictures are not shown: the network has "
        "seen them."
    )


def baseline(dataset: Dataset, part: Part = "train") -> tuple[str, float] | None:
    """The class that most training pictures are of, and the accuracy of always naming it.

    Args:
        dataset: of the fit.
        part: where that accuracy is measured.

    Returns:
        None for other tasks than "classes", and where there are no such pictures.
    """
    trained, counts = (dataset.counts(one) for one in ("train", part))
    if dataset.task != "classes" or not (sum(trained.values()) and sum(counts.values())):
        return None
    name = max(trained, key=lambda one: trained[one])
    return name, counts[name] / sum(counts.values())


def _cards(fitted: Fitted) -> Iterator[Html]:
    """For each part of the scores a row of figures."""
    for part, scores in fitted.scores.items():
        of = f"{PARTS.get(part, part)}, {counted(scores.count, 'picture')}"
        cards = []
        if scores.mean_error is not None:
            cards.append(_card(number(scores.mean_error), "mean error", of))
        if scores.r2 is not None:
            cards.append(_card(percent(scores.r2), "of the variance explained", of))
        if scores.accuracy is not None:
            frequent = baseline(fitted.dataset, _part(part))
            always = "" if frequent is None else f"; always “{frequent[0]}” is {percent(frequent[1])}"
            cards.append(_card(percent(scores.accuracy, 1), "right", of + always))
        if scores.balanced_accuracy is not None:
            cards.append(_card(percent(scores.balanced_accuracy, 1), "balanced accuracy", "the mean over the classes"))
        if scores.ece is not None:
            remark = "how far its certainty is from how often it is right"
            cards.append(_card(percent(scores.ece, 1), "calibration error", remark))
        yield tag("div", *cards, class_="cards")


def _card(figure: str, name: str, remark: str) -> Html:
    return tag("div", tag("b", figure), tag("span", name), tag("span", remark, class_="soft"), class_="card")


def _left_out(dataset: Dataset) -> Html:
    files = dataset.left_out
    if not files:
        return Html("")
    items = [tag("li", f"{one.path}: {one.why}") for one in files[:_MOST_FILES]]
    if len(files) > _MOST_FILES:
        items.append(tag("li", f"and {len(files) - _MOST_FILES} more"))
    summary = tag("summary", f"{counted(len(files), 'file')} left out")
    return tag("details", summary, tag("ul", *items, class_="files"))


def per_class(fitted: Fitted) -> Section:
    """Precision, recall and number of each class or label."""
    dataset = fitted.dataset
    groups: dict[int, set[str]] = {}
    for example, group in zip(dataset.examples, groups_of(fitted), strict=True):
        for index in example.target if isinstance(example.target, tuple) else ():
            groups.setdefault(index, set()).add(group)
    tables = []
    for part, scores in fitted.scores.items():
        average = average_precisions(fitted, part)
        is_here = len(dataset.rows_of(_part(part))) > 0  # the page has no pictures that trained blocks have seen
        head = ["class" if dataset.task == "classes" else "label", "pictures", "groups"]
        head += ["average precision"] if average else []
        head += ["precision", "recall"]
        rows = []
        for index, one in enumerate(scores.per_class):
            cells = [
                tag("th", one.name, scope="row"),
                number_cell(str(one.count)),
                number_cell(str(len(groups.get(index, ()))) if is_here else "–"),
            ]
            cells += [number_cell(percent(average[index]))] if average else []
            cells += [tag("td", percent(share), bar(share), class_="number") for share in (one.precision, one.recall)]
            rows.append(tag("tr", *cells))
        table = tag(
            "table",
            tag("thead", tag("tr", *(tag("th", name, scope="col", class_="number" if name not in head[:1] else None)
                                     for name in head))),
            tag("tbody", *rows),
        )  # fmt: skip
        title = tag("h3", PARTS.get(part, part)) if len(fitted.scores) > 1 else Html("")
        tables.append(joined(title, tag("div", table, class_="scroll")))
    text = paragraph(
        "Precision: of the pictures that were said to be it, the share that is. "
        "Recall: of the pictures of it, the share that was found."
    )
    return Section(
        "classes", "Class by class" if dataset.task == "classes" else "Label by label", joined(text, *tables)
    )


def average_precisions(fitted: Fitted, part: str) -> list[float | None]:
    """Of each label the average precision: the mean of the precisions at each picture of it; none for other tasks."""
    if fitted.dataset.task != "labels":
        return []
    rows = fitted.dataset.rows_of(_part(part))
    targets, answers = fitted.dataset.targets[rows], fitted.held_out[rows]
    return [average_precision(answers[:, index], targets[:, index]) for index in range(targets.shape[1])]


def average_precision(answers: np.ndarray, holds: np.ndarray) -> float | None:
    """The mean over the examples that hold of the precision at their rank; None where none holds.

    Args:
        answers: float (n,): the higher, the surer.
        holds: bool (n,).
    """
    if not holds.any():
        return None
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(holds, answers))


def bar(share: float | None) -> Html:
    """A share of 1 as a bar."""
    if share is None:
        return Html("")
    return tag("span", tag("i", style=f"width:{100 * share:.1f}%"), class_="bar", aria_hidden="true")


def number_cell(text: str) -> Html:
    """A number in a table."""
    return tag("td", text, class_="number")


def mistakes(study: Study, overlay: Overlay) -> Section:
    """The worst mistakes, with their maps."""
    fitted = study.fitted
    articles = []
    for found in study.mistakes:
        title, captions = mistake_captions(found.mistake, fitted)
        panels = [found.image, *mistake_maps(found, overlay)]
        figures = [
            tag("figure", picture(panel, f"{title}: {caption}", loading="lazy"), tag("figcaption", caption))
            for panel, caption in zip(panels, captions, strict=True)
        ]
        two = "two" if len(panels) == 2 else None
        articles.append(tag("article", tag("h3", title), tag("div", *figures, class_=two), class_="mistake"))
    text = {
        "classes": "The first map shows what speaks for the class that was said, the second one what speaks for the "
        "class that it is.",
        "labels": "The map shows what speaks for the label.",
        "values": "The map shows what raises the number.",
    }[fitted.dataset.task]
    if not articles:
        return Section("mistakes", "The worst mistakes", paragraph("There are none."))
    intro = paragraph("The worst one comes first. All is by a head that never saw the picture, nor its group. ", text)
    return Section("mistakes", "The worst mistakes", joined(intro, tag("div", *articles, class_="mistakes")))


def mean_maps(study: Study, overlay: Overlay) -> Section:
    """Where it looks on average, class by class."""
    figures = [
        tag(
            "figure",
            picture(mean_map_picture(mean, overlay), f"the mean map of {mean.name}", loading="lazy"),
            tag("figcaption", tag("strong", mean.name), f" · {counted(mean.count, 'picture')}"),
        )
        for mean in study.mean_maps
    ]
    text = paragraph(
        "The average of each class's maps, over the average of its pictures. A bright corner, or the same spot in "
        "every picture, may be a mark, a frame or a background that the class alone has. It is a hint to look closer, "
        "and proves nothing."
    )
    return Section("maps", "Where it looks, on average", joined(text, tag("div", *figures, class_="maps")))


def on_object(study: Study) -> Section:
    """How much of the maps lies on the objects."""
    rows = [
        tag(
            "tr",
            tag("th", one.name, scope="row"),
            number_cell(str(one.count)),
            number_cell(percent(one.map_share)),
            number_cell(percent(one.area_share)),
            number_cell(f"{one.ratio:.1f} ×"),
        )
        for one in study.on_object
    ]
    head = ["class", "pictures", "of the map", "of the picture", "ratio"]
    names = [tag("th", name, scope="col", class_="number" if name != "class" else None) for name in head]
    table = tag("table", tag("thead", tag("tr", *names)), tag("tbody", *rows))
    text = paragraph(
        "How much of the map of its class lies on the object, and how much of the picture the object fills. "
        "A ratio of 1 is that of a map which is the same everywhere; below 1, it looks beside the object."
    )
    return Section("object", "On the object, or beside it", joined(text, tag("div", table, class_="scroll")))


def calibration(chart: Chart | None, curve: Chart | None, best: int) -> Section:
    """How much its certainty is worth, and how it was trained.

    Args:
        chart: how often it is right by how sure it is; None for values.
        curve: of the training; None without any.
        best: the step of the curve that was kept.
    """
    kept = f"The weights of epoch {best} were kept." if best else "Nothing got better, so the network is as it was."
    captions = (
        "On the dashed line, it is as often right as it says; below, it is too sure. The numbers count answers. "
        "The true share lies within the bars 19 times out of 20.",
        f"The loss while the last blocks were trained. {kept}",
    )
    figures = [
        tag("figure", one.svg, tag("figcaption", caption))
        for one, caption in zip((chart, curve), captions, strict=True)
        if one is not None
    ]
    title = "How it was trained" if chart is None else "Is it as sure as it should be?"
    return Section("calibration", title, tag("div", *figures, class_="charts"))


def values(chart: Chart) -> Section:
    """What was predicted over what is true."""
    figure = tag("figure", chart.svg, tag("figcaption", "On the dashed line, it is right."))
    return Section("values", "Predicted and true", figure)
