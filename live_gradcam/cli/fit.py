"""`live-gradcam fit`."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from live_gradcam.attribution.session import SessionOptions
from live_gradcam.cli.command import command
from live_gradcam.cli.flags import JsonPath, Overwrite, PictureLevels, backbone_flags
from live_gradcam.cli.marks import FilesOnly, Flags, chosen
from live_gradcam.cli.parsing import parse_levels
from live_gradcam.cli.stage_bars import StageBars
from live_gradcam.cli.terminal import INTERRUPTED, check_json_path, is_stdout, print_table, terminal, write_json
from live_gradcam.errors import UsageError
from live_gradcam.fitting.options import DEFAULT_OPTIONS, FITS_OF_FITTING, FitOfFitting, FitOptions
from live_gradcam.fitting.report.options import ReportOptions, check_report

if TYPE_CHECKING:
    from live_gradcam.fitting.fitted import Fitted
    from live_gradcam.fitting.scores import Scores

#: So many files that are not used are named on the terminal; `--json` names all.
_NAMED = 20


def example_flags(
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            help="A table with a row per picture or video: its path, its class, and perhaps its group and its part "
            "(train, val, test). Paths begin at FOLDER, or at the table.",
        ),
    ] = None,
    multi_label: Annotated[
        bool,
        typer.Option("--multi-label", help="Any number of labels per picture, with ; between them in the table."),
    ] = False,
    regression: Annotated[
        bool, typer.Option("--regression", help="Predict a number, which the table has for each picture.")
    ] = False,
    every: Annotated[
        float,
        typer.Option("--every", metavar="SECONDS", help="Seconds between two frames that are taken from a video."),
    ] = 1.0,
    fit: Annotated[
        FitOfFitting | None,
        chosen(
            FITS_OF_FITTING,
            "--fit",
            help="How to fit a picture into the network's input, now and whenever the model is used. Default: the "
            "network's own way, or stretch.",
        ),
        FITS_OF_FITTING,
    ] = None,
    folds: Annotated[
        int,
        typer.Option(
            "--folds",
            min=2,
            metavar="N",
            help="Deal the examples to N folds. Test each by a head fitted to the others.",
        ),
    ] = 5,
    levels: PictureLevels = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Deal groups to folds in another way.")] = 0,
    cache: Annotated[
        bool, typer.Option("--cache/--no-cache", help="Keep features of pictures for the next fit.")
    ] = True,
) -> FitOptions:
    """What the network is fitted to, and how."""
    if multi_label and regression:
        raise UsageError("--multi-label and --regression are two tasks: give one of them")
    return FitOptions(
        every=every,
        csv=csv,
        task="labels" if multi_label else "values" if regression else "classes",
        fit=fit,
        folds=folds,
        seed=seed,
        cache=cache,
        levels=parse_levels(levels),
    )


def tuning_flags(
    options: Annotated[FitOptions, Flags(example_flags, "Examples")],
    unfreeze: Annotated[
        int,
        typer.Option(
            "--unfreeze", min=0, metavar="N", help="Train the last N blocks of the network too. It takes minutes."
        ),
    ] = 0,
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs",
            min=1,
            metavar="N",
            help=f"Go through the pictures N times at most. Without it: {DEFAULT_OPTIONS.epochs}.",
        ),
    ] = None,
    augment: Annotated[
        bool, typer.Option("--augment", help="Train on variants of the pictures too: parts, mirrored, lighter, darker.")
    ] = False,
    every_fold: Annotated[
        bool,
        typer.Option(
            "--every-fold",
            help="Test the trained blocks on every fold. With five folds it takes five times as long.",
        ),
    ] = False,
) -> FitOptions:
    """What of the network itself is trained."""
    if epochs is not None and not unfreeze:
        raise UsageError("--epochs is for --unfreeze: pictures are gone through only where blocks are trained")
    epochs = DEFAULT_OPTIONS.epochs if epochs is None else epochs
    return replace(options, unfreeze=unfreeze, epochs=epochs, augment=augment, every_fold=every_fold)


def report_flags(
    masks: Annotated[
        Path | None,
        typer.Option(
            "--masks",
            metavar="FOLDER",
            help="Masks of the objects, named like the pictures and videos. Default: transparency, and folders called "
            "masks.",
        ),
    ] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(
            "--boxes",
            metavar="FILE",
            help="Boxes around the objects: CSV or JSON with path, left, top, right and bottom, in pixels.",
        ),
    ] = None,
    swap_backgrounds: Annotated[
        bool,
        typer.Option(
            "--swap-backgrounds", help="Lay the objects on the surroundings of other classes, to find a shortcut."
        ),
    ] = False,
    backgrounds: Annotated[
        Path | None,
        typer.Option("--backgrounds", metavar="FOLDER", help="Lay them on these pictures of empty places, too."),
    ] = None,
) -> ReportOptions:
    """What the report shows."""
    return ReportOptions(masks, boxes, swap_backgrounds, backgrounds)


@command
def fit(
    backbone: Annotated[SessionOptions, Flags(backbone_flags, "Network")],
    options: Annotated[FitOptions, Flags(tuning_flags, "Training of blocks")],
    of_report: Annotated[ReportOptions, Flags(report_flags, "Report")],
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FOLDER|VIDEO=CLASS...",
            help="A folder with a folder of pictures and videos for each class, or with such folders in train, val "
            "and test. With --from-videos: videos, each with its class.",
        ),
        FilesOnly(),
    ] = None,
    from_videos: Annotated[
        bool, typer.Option("--from-videos", help="Take the arguments as VIDEO=CLASS: a.mp4=cup b.mp4=phone.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="MODEL.keras", help="The model file to write.")
    ] = None,
    teachable: Annotated[
        bool,
        typer.Option(
            "--teachable", help="Write the features beside the model, so that teach goes on from the pictures."
        ),
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report", metavar="FOLDER", help="Write a page with the mistakes, the maps and the figures into a folder."
        ),
    ] = None,
    json_path: JsonPath = None,
    overwrite: Overwrite = False,
) -> None:
    """Fit a network to your own classes, and say how good it is on pictures that it never saw."""
    from live_gradcam.files import claimed
    from live_gradcam.fitting.examples import check_lesson, check_source
    from live_gradcam.fitting.fit import fit as fit_network
    from live_gradcam.fitting.fitted import check_model_path

    if output is None and json_path is None and report is None:
        raise UsageError("there is nothing to write: give -o MODEL.keras")
    of_report = replace(of_report, overwrite=overwrite)
    if report is not None:
        check_report(report, of_report)
    elif of_report != ReportOptions(overwrite=overwrite):
        raise UsageError(
            "--masks, --boxes, --swap-backgrounds and --backgrounds are for --report FOLDER: give that too"
        )
    if output is not None:
        check_model_path(output, overwrite=overwrite)
    if teachable:
        if output is None:
            raise UsageError("--teachable writes features beside the model: give -o MODEL.keras too")
        check_lesson(output, overwrite=overwrite, pictures=False)
        for path in sources or []:
            check_source(output, path)
        options = replace(options, teachable=True)
    check_json_path(json_path, overwrite=overwrite)
    _refuse_files_in_the_way(output, report, json_path)
    source = _source(sources or [], from_videos=from_videos)
    with nullcontext() if output is None else claimed(output):
        with StageBars(terminal()) as on_progress:
            fitted = fit_network(
                source,
                model=backbone.model,
                model_options=backbone.of_model(),
                options=options,
                on_progress=on_progress,
            )
        if output is not None:
            fitted.save(output, overwrite=overwrite, teachable=teachable)
    if not is_stdout(json_path):
        print_fit(fitted, output)
    if report is not None:
        from live_gradcam.fitting.report.writing import write_report

        with StageBars(terminal()) as on_progress:
            page = write_report(fitted, report, of_report, on_progress)
        if not is_stdout(json_path):
            print(page)
    if json_path is not None:
        write_json(fitted.to_json(), json_path)
    if fitted.is_stopped:
        raise typer.Exit(INTERRUPTED)


def _refuse_files_in_the_way(output: Path | None, report: Path | None, json_path: Path | None) -> None:
    """Make sure that no file of a fit replaces another one: a report's folder is replaced as a whole."""
    from live_gradcam.files import is_same_file
    from live_gradcam.fitting.examples import features_beside
    from live_gradcam.networks.card import card_beside
    from live_gradcam.networks.labels import labels_file

    json_file = None if is_stdout(json_path) else json_path
    for file, flag in ((output, "-o"), (json_file, "--json")):
        if file is not None and report is not None and file.resolve().is_relative_to(report.resolve()):
            raise UsageError(
                f"{file} is in the folder of the report, which is replaced as a whole: give {flag} another folder"
            )
    if output is None or json_file is None:
        return
    for beside in (card_beside(output), labels_file(output), features_beside(output)):
        if is_same_file(beside, json_file):
            raise UsageError(f"{json_file} is written beside the model: give --json another name")


def _source(sources: list[Path], *, from_videos: bool) -> "Path | dict[str | Path, str] | None":
    if not from_videos:
        if len(sources) > 1:
            raise UsageError("give one folder; for videos with their classes, give --from-videos a.mp4=cup b.mp4=phone")
        return sources[0] if sources else None
    pairs: dict[str | Path, str] = {}
    for text in map(str, sources):
        video, equals, name = text.rpartition("=")
        if not (video and equals and name):
            raise UsageError(f"{text!r} is not VIDEO=CLASS: give such as a.mp4=cup")
        if pairs.setdefault(Path(video), name) != name:
            raise UsageError(f"the video {video} is given for two classes, {pairs[Path(video)]} and {name}")
    if not pairs:
        raise UsageError("there are no videos: give such as --from-videos a.mp4=cup b.mp4=phone")
    return pairs


# --- what is printed ----------------------------------------------------------------------------------------------


def print_fit(fitted: "Fitted", output: Path | None) -> None:
    """Print what a fit found out.

    Args:
        fitted: the fit.
        output: the model file that was written; None for none.
    """
    height, width = fitted.classifier.input_size
    print(f"{fitted.backbone.classifier.name}, {fitted.backbone.fit}, {width}×{height}\n")
    print_table(_table_of_classes(fitted))
    print(f"\n{_describe_folds(fitted)}")
    if fitted.curve:
        print(_describe_tuning(fitted))
    for name, scores in fitted.scores.items():
        print(f"{name}: {_describe(scores)}")
    if fitted.best and "test" not in fitted.scores:
        print(f"val decided when training stopped, so its score is a little too good. {_describe_tuned_folds(fitted)}")
    for line in _describe_left_out(fitted):
        print(line)
    stages = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in fitted.seconds.items())
    print(f"{sum(fitted.seconds.values()):.1f} s: {stages}")
    if output is not None:
        print(f"wrote {output}, {output.stem}.labels.txt and {output.stem}.card.json")


def _table_of_classes(fitted: "Fitted") -> Table:
    """How many examples of each class there are in each part, and how well they are found."""
    from live_gradcam.fitting.dataset import PARTS

    dataset, tested = fitted.dataset, next(iter(fitted.scores.values()))
    parts = [part for part in PARTS if len(dataset.rows_of(part))]
    counts = {part: dataset.counts(part) for part in parts}
    heading = {"classes": "class", "labels": "label", "values": "number"}[dataset.task]
    table = Table(heading, box=None, pad_edge=False)
    columns = [*parts, *(("precision", "recall") if tested.per_class else ())]
    for column in columns:
        table.add_column(column, justify="right")
    for index, name in enumerate(dataset.classes):
        numbers = [str(counts[part][name]) for part in parts]
        if tested.per_class:
            of_class = tested.per_class[index]
            numbers += [_share(of_class.precision), _share(of_class.recall)]
        table.add_row(escape(name), *numbers)
    return table


def _describe_folds(fitted: "Fitted") -> str:
    rows = fitted.dataset.rows_of("train")
    if not fitted.fold_heads:
        return (
            f"{len(rows)} examples to train on, {len(fitted.dataset.rows_of('val'))} held out, no group on both sides"
        )
    groups = len(set(fitted.groups[rows].tolist()))
    line = f"{len(rows)} examples in {groups} groups, {len(fitted.fold_heads)} folds"
    if fitted.same < 1:
        line += f"; pictures whose features have a cosine of {fitted.same:g} or more are one group"
    return line


def _describe_tuning(fitted: "Fitted") -> str:
    """What training the last blocks made of what is held out."""
    before, best = fitted.curve[0], fitted.curve[fitted.best]
    epochs = f"epoch {fitted.best} of {len(fitted.curve) - 1}"
    if not fitted.best:
        return (
            f"training the last blocks made nothing better in {len(fitted.curve) - 1} epochs: the network is as it was"
        )
    line = f"training the last blocks: held-out loss {before.val_loss:.4g} → {best.val_loss:.4g}"
    if before.val_accuracy is not None and best.val_accuracy is not None:
        line += f", accuracy {before.val_accuracy:.3f} → {best.val_accuracy:.3f}"
    return f"{line} ({epochs})"


def _describe_tuned_folds(fitted: "Fitted") -> str:
    if fitted.tuned_folds:
        return "For cross-validation the blocks were trained again without each fold."
    if fitted.is_stopped:  # perhaps before the folds
        return "Folds do not test the trained blocks."
    return "With --every-fold, folds test the trained blocks."


def _describe(scores: "Scores") -> str:
    shown = {
        "accuracy": scores.accuracy,
        "balanced accuracy": scores.balanced_accuracy,
        "calibration error": scores.ece,
        "log loss": scores.log_loss,
        "R²": scores.r2,
    }
    figures = [f"{name} {number:.3f}" for name, number in shown.items() if number is not None]
    if scores.mean_error is not None:  # in the values' own unit
        figures.insert(0, f"mean error {scores.mean_error:.4g}")
    return ", ".join(figures)


def _describe_left_out(fitted: "Fitted") -> list[str]:
    """A line for each file that is not used, and one for all that are hidden."""
    from live_gradcam.fitting.dataset import HIDDEN
    from live_gradcam.fitting.report.words import counted

    left_out = fitted.dataset.left_out
    named = [one for one in left_out if one.why != HIDDEN]
    lines = [f"not used: {one.path}: {one.why}" for one in named[:_NAMED]]
    if len(named) > _NAMED:
        lines.append(f"not used: {len(named) - _NAMED} more files, which --json names")
    if hidden := len(left_out) - len(named):
        lines.append(f"not used: {counted(hidden, 'hidden file')}")
    return lines


def _share(number: float | None) -> str:
    return "-" if number is None else f"{number:.2f}"
