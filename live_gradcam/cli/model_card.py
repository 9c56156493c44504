"""What is known of a model, as `live-gradcam models -m` shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from live_gradcam.attribution.session import SessionOptions
from live_gradcam.choices import OUTPUTS
from live_gradcam.cli.terminal import is_debugging, print_table, status
from live_gradcam.networks.preprocessing import PREPROCESSINGS, Preprocessing

if TYPE_CHECKING:
    from live_gradcam.networks.card import Card
    from live_gradcam.networks.classifier import Classifier

#: How many classes are listed.
_MOST_CLASSES = 40


def print_model(options: SessionOptions) -> None:
    """Load a model, and print what it takes, what it gives, and the card of its file."""
    from live_gradcam.attribution.session import describe_model

    with status(f"loading {options.model}"):
        classifier = describe_model(options, let_tensorflow_talk=is_debugging())
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, text in _facts(classifier).items():
        table.add_row(name, escape(text))
    print_table(table)
    print()
    print_table(_classes(classifier))
    left_out = len(classifier.labels) - _MOST_CLASSES
    if left_out > 0:
        print(f"and {left_out} more")


def _facts(classifier: Classifier) -> dict[str, str]:
    height, width = classifier.input_size
    output = classifier.output or "classes"
    return {
        "model": classifier.name,
        "input": f"{width}×{height}, pixels {_pixels(classifier.preprocessing)}, fit {classifier.fit or 'not known'}",
        "output": f"{len(classifier.labels)} {output}: {OUTPUTS.helps[output]}",
        **(_of_card(classifier.card) if classifier.card else {"card": "none, so this is what the model itself says"}),
    }


def _of_card(card: Card) -> dict[str, str]:
    """What the card alone says."""
    from live_gradcam.sources.levels import Levels

    return {
        "backbone": card.backbone or "not known",
        "made": f"{card.created or 'at a time that is not known'}, with {card.made_with or 'another program'}",
        **({"levels": str(levels)} if (levels := Levels.of_card(card.levels)) else {}),
        **{escape(part): _numbers(scores) for part, scores in card.scores.items()},
    }


def _numbers(scores: Mapping[str, Any]) -> str:
    """The scores that are single numbers."""
    numbers = {
        str(name): value
        for name, value in scores.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }
    shown = {name: f"{value:.4g}" if isinstance(value, float) else str(value) for name, value in numbers.items()}
    return ", ".join(f"{name.replace('_', ' ')} {text}" for name, text in shown.items())


def _pixels(preprocessing: Preprocessing) -> str:
    """How pixels go in: the name of the recipe, as `--preprocessing` takes it."""
    if preprocessing.channels == "grey":
        preprocessing = Preprocessing(preprocessing.mean, preprocessing.scale)
        return f"{_pixels(preprocessing)}, in grey"
    names = (name for name, recipe in PREPROCESSINGS.items() if recipe == preprocessing)
    return next(names, f"less {preprocessing.mean}, times {preprocessing.scale}, in {preprocessing.channels}")


def _classes(classifier: Classifier) -> Table:
    counts = classifier.card.counts if classifier.card else {}
    table = Table("class", *(["examples"] if counts else []), box=None, pad_edge=False)
    for label in classifier.labels[:_MOST_CLASSES]:
        table.add_row(escape(label), *([str(counts.get(label, "-"))] if counts else []))
    return table
