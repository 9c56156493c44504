"""Write a report: the page, its pictures, and its figures as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np

from live_gradcam.drawing.overlay import Overlay
from live_gradcam.explanations.as_json import rounded
from live_gradcam.files import part_path, publish, remove_part, writing
from live_gradcam.fitting.as_json import fit_json
from live_gradcam.fitting.report import sections
from live_gradcam.fitting.report.backgrounds_section import backgrounds
from live_gradcam.fitting.report.charts import (
    Bin,
    Chart,
    curve_chart,
    reliability,
    reliability_chart,
    scatter_chart,
)
from live_gradcam.fitting.report.markup import Html, joined, tag
from live_gradcam.fitting.report.matrix_section import matrix
from live_gradcam.fitting.report.options import FIGURES, PAGE, ReportOptions, check_report
from live_gradcam.fitting.report.pictures import draw_backgrounds, draw_mean_maps, draw_mistake
from live_gradcam.fitting.report.study import Study, study
from live_gradcam.sinks.image import write_image

if TYPE_CHECKING:
    from live_gradcam.fitting.fitted import Fitted

_FILES = resources.files("live_gradcam.fitting.report")
DEFAULT_OPTIONS = ReportOptions()


def write_report(
    fitted: Fitted,
    folder: str | Path,
    options: ReportOptions = DEFAULT_OPTIONS,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Write what a fit found out as one page that needs no other file, with its pictures and figures beside it.

    All that it says of a picture is said by a head that never saw it: that of its fold, or, of pictures of val and
    test, the head itself.

    Args:
        fitted: the fit.
        folder: the folder of the report. It gets `index.html`, `report.json`, and the pictures as PNG.
        options: what is shown.
        on_progress: called as it goes on: (what is done, done, in all).

    Returns:
        The page.

    Raises:
        OutputError: the folder cannot be written, or has other files.
        SourceError: masks, boxes or backgrounds cannot be read.
        UsageError: masks or boxes are of none of the pictures.
    """
    folder = Path(folder)
    check_report(folder, options)
    tested = fitted.tested()
    found = study(tested, options, on_progress or (lambda what, done, of: None))
    overlay = Overlay()
    bins, charts = _charts(tested)
    images = {**{f"{name}.png": chart.image for name, chart in charts.items()}, **_pictures(found, overlay)}
    page = _page(fitted, found, overlay, charts)
    whole = folder.absolute()  # "." has no name
    part = part_path(whole)
    remove_part(whole)
    try:
        with writing(folder):
            part.mkdir()
            (part / PAGE).write_text(page, "utf-8")
            figures = json.dumps(_figures(fitted, found, bins), indent=1, ensure_ascii=False)
            (part / FIGURES).write_text(f"{figures}\n", "utf-8")
            for name, image in images.items():
                write_image(part / name, image)
            publish(whole)
    finally:
        remove_part(whole)
    return folder / PAGE


def _charts(fitted: Fitted) -> tuple[tuple[Bin, ...], dict[str, Chart]]:
    targets, answers = fitted.dataset.targets, np.asarray(fitted.held_out, np.float64)
    charts = {}
    bins: tuple[Bin, ...] = ()
    if fitted.dataset.task == "values":
        charts["scatter"] = scatter_chart(targets, answers[:, 0], fitted.dataset.classes[0])
    elif fitted.dataset.task == "labels":
        bins = reliability(np.maximum(answers, 1 - answers).ravel(), ((answers > 0.5) == targets).ravel())
    else:
        bins = reliability(answers.max(axis=1), answers.argmax(axis=1) == targets)
    if bins:
        charts["calibration"] = reliability_chart(bins)
    if fitted.curve:
        charts["learning-curve"] = curve_chart(fitted.curve)
    return bins, charts


def _pictures(found: Study, overlay: Overlay) -> dict[str, np.ndarray]:
    """The pictures that are files, by name: uint8 (height, width, 3), BGR."""
    images = {
        f"mistake-{number:02d}.png": draw_mistake(mistake, found.fitted, overlay)
        for number, mistake in enumerate(found.mistakes, 1)
    }
    if found.mean_maps:
        images["mean-maps.png"] = draw_mean_maps(found.mean_maps, overlay)
    if found.backgrounds is not None:
        images["backgrounds.png"] = draw_backgrounds(found.backgrounds, overlay)
    return images


def _page(fitted: Fitted, found: Study, overlay: Overlay, charts: dict[str, Chart]) -> str:
    shown = _sections(found, overlay, charts)
    notes = [tag("p", note, class_="note") for note in found.notes]
    head = joined(sections.heading(fitted), *notes)
    title = f"{', '.join(fitted.dataset.classes[:5])}{' …' if len(fitted.dataset.classes) > 5 else ''}: report of a fit"
    return Template(_FILES.joinpath("page.html").read_text("utf-8")).substitute(
        title=joined(title),
        style=_FILES.joinpath("style.css").read_text("utf-8"),
        made_with=joined(fitted.card.made_with),
        heading=head,
        contents=joined(*(tag("a", section.title, href=f"#{section.key}") for section in shown)),
        sections="\n".join(section.html for section in shown),
        footing=_footing(),
    )


def _sections(found: Study, overlay: Overlay, charts: dict[str, Chart]) -> list[sections.Section]:
    shown = []
    if found.cells:
        shown += [matrix(found), sections.per_class(found.fitted)]
    if "scatter" in charts:
        shown.append(sections.values(charts["scatter"]))
    shown.append(sections.mistakes(found, overlay))
    if found.mean_maps:
        shown.append(sections.mean_maps(found, overlay))
    if found.on_object:
        shown.append(sections.on_object(found))
    if found.backgrounds is not None:
        shown.append(backgrounds(found, overlay))
    if {"calibration", "learning-curve"} & set(charts):
        shown.append(sections.calibration(charts.get("calibration"), charts.get("learning-curve"), found.fitted.best))
    return shown


def _footing() -> Html:
    return tag("p", f"The pictures lie beside this page as PNG, and all figures in {FIGURES}.")


def _figures(fitted: Fitted, found: Study, bins: tuple[Bin, ...]) -> dict[str, Any]:
    """All figures as plain values, those of the fit first: see docs/json.md."""
    frequent = sections.baseline(fitted.dataset)
    average = {part: sections.average_precisions(fitted, part) for part in fitted.scores}
    return {
        **fit_json(fitted),
        "most_frequent": None if frequent is None else {"class": frequent[0], "accuracy": round(frequent[1], 4)},
        "average_precision": average if fitted.dataset.task == "labels" else None,
        "calibration": [one.to_json() for one in bins],
        "mistakes": [_mistake_json(found, number) for number in range(len(found.mistakes))],
        "mean_maps": [mean.to_json() for mean in found.mean_maps],
        "on_object": [one.to_json() for one in found.on_object],
        "backgrounds": None if found.backgrounds is None else found.backgrounds.to_json(),
        "notes": list(found.notes),
    }


def _mistake_json(found: Study, number: int) -> dict[str, Any]:
    mistake = found.mistakes[number].mistake
    example, classes = found.fitted.dataset.examples[mistake.row], found.fitted.dataset.classes
    return {
        "path": str(example.path),
        "time": example.time,
        "fold": int(found.fitted.folds[mistake.row]),
        "maps": [classes[index] for index in mistake.targets],
        "loss": rounded(mistake.loss),
        "file": f"mistake-{number + 1:02d}.png",
    }
