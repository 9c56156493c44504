"""What a model's file says about the model: its classes, how pictures enter it, and how good it was found to be.

The card is an extra key in the `metadata.json` of a `.keras` file, which Keras ignores. Further entries in the archive
would make Keras unpack it. Keras leaves the key out when it saves the model again, so a card beside the file
(`NAME.card.json`) is read too.
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import math
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from live_gradcam.choices import FITS, OUTPUTS, Output
from live_gradcam.errors import ModelError, first_line
from live_gradcam.files import part_path, publish, remove_part, write_whole, writing
from live_gradcam.networks.class_names import class_name, is_shown
from live_gradcam.networks.keras_reading import ZIP_SIGNATURE, first_bytes
from live_gradcam.networks.labels import labels_file, text_of_labels
from live_gradcam.networks.preprocessing import PREPROCESSINGS

#: The version of the card's fields. A reader refuses a later one.
VERSION = 1

_METADATA = "metadata.json"
_KEY = "live_gradcam"
#: What levels may be for: `sources.levels.Which`.
_LEVELS_ARE_OF = ("pictures", "whole", "fractions")

_log = logging.getLogger(__name__)


def this_version() -> str:
    """This program, with its version."""
    return f"live-gradcam {importlib.metadata.version('live-gradcam')}"


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Card:
    """What travels with a model.

    Attributes:
        classes: the names of the classes, in class order; of a model that predicts a number, the number's name.
        task: what the model's numbers are: a name of `choices.OUTPUTS`.
        fit: how pictures were made to fit the input in training: a name of `choices.FITS`. None where nobody knows.
        preprocessing: how pixels become the model's input: a key of `networks.preprocessing.PREPROCESSINGS`.
        backbone: the name of the network that was fitted; None where it is not known.
        counts: how many examples of each class the model was fitted on, by name.
        scores: what was measured, by part ("cross-validation", "val", "test"): numbers and lists, as JSON has them.
        made_with: the program that made the model, with its version.
        created: when it was made: ISO 8601, in UTC.
        levels: which values of pictures were black and white in training: the fields `low`, `high` and `of` of
            `sources.levels.Levels`. None for what the file and the values say.
    """

    classes: tuple[str, ...]
    task: Output = "classes"
    fit: str | None = None
    preprocessing: str = "raw"
    backbone: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict, hash=False)
    scores: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)
    made_with: str = field(default_factory=this_version)
    created: str = field(default_factory=_now)
    levels: Mapping[str, Any] | None = field(default=None, hash=False)

    def to_json(self) -> dict[str, Any]:
        """The card as JSON has it, with the version of its fields."""
        return {"version": VERSION, **asdict(self), "classes": list(self.classes)}

    @staticmethod
    def from_json(content: Any) -> Card:
        """The card of what `to_json` gave. Fields that are not known here are left out.

        Raises:
            ModelError: it is no card, is of a later version, or a field is wrong.
        """
        try:
            return _card_of(content)
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
            raise ModelError(f"it is no card: {first_line(error)} is missing or wrong") from error


def _card_of(content: Any) -> Card:
    if content["version"] not in range(1, VERSION + 1):
        raise ModelError(f"its version {content['version']!r} is not known here: update live-gradcam")
    classes = content["classes"]
    if not isinstance(classes, list) or not classes or not all(map(_is_name, classes)):
        raise ModelError("its classes are no list of names, one line each")
    known: tuple[tuple[str, Any, Any], ...] = (
        ("task", content["task"], OUTPUTS),
        ("fit", content.get("fit"), (None, *FITS)),
        ("preprocessing", content["preprocessing"], PREPROCESSINGS),
    )
    for name, value, names in known:
        if value not in names:
            raise ModelError(f"its {name} {value!r} is not known here")
    return Card(
        tuple(classes),
        content["task"],
        content.get("fit"),
        content["preprocessing"],
        _text_or_none(content.get("backbone")),
        {_text(name): int(count) for name, count in content.get("counts", {}).items()},
        {
            _text(part): {_text(name): value for name, value in scores.items()}
            for part, scores in content.get("scores", {}).items()
        },
        _text(content.get("made_with", "")),
        _text(content.get("created", "")),
        _levels(content.get("levels")),
    )


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and class_name(name) is not None


def _text(value: Any) -> str:
    """A text of the card without what does something to a terminal."""
    return "".join(filter(is_shown, str(value)))


def _levels(content: Any) -> dict[str, Any] | None:
    if content is None:
        return None
    low, high, of = float(content["low"]), float(content["high"]), content["of"]
    if not (math.isfinite(low) and math.isfinite(high) and low < high) or of not in _LEVELS_ARE_OF:
        raise ModelError(f"its levels {content!r} are not known here")
    return {"low": low, "high": high, "of": of}


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)


# --- in files -----------------------------------------------------------------------------------------------------


def card_beside(path: Path) -> Path:
    """Where the card of a model lies beside the model's file: NAME.card.json."""
    return path.with_name(f"{path.stem}.card.json")


def read_card(path: str | Path, say: Callable[[str], None] = _log.warning) -> Card | None:
    """The card in a model's file, or else the one beside it; None where there is none.

    Args:
        path: the file.
        say: called with a line about a card that is damaged or of something else, which is left out.
    """
    path = Path(path)
    for source, content in _contents(path, say):
        try:
            return Card.from_json(content)
        except ModelError as error:
            say(f"the card in {source} is left out: {error}")
    return None


def _contents(path: Path, say: Callable[[str], None]) -> Iterator[tuple[Path, Any]]:
    """What may be a card of a model, each with the file that it is in, the surest first."""
    if first_bytes(path).startswith(ZIP_SIGNATURE):
        try:
            with zipfile.ZipFile(path) as archive:
                metadata = json.loads(archive.read(_METADATA))
        except (OSError, zipfile.BadZipFile, KeyError, ValueError, RecursionError):
            metadata = None  # what is wrong with the model is said by what loads it
        if isinstance(metadata, dict) and _KEY in metadata:
            yield path, metadata[_KEY]
    beside = card_beside(path)
    if beside.is_file():
        try:
            yield beside, json.loads(beside.read_text("utf-8-sig"))
        except (OSError, ValueError, RecursionError) as error:
            say(f"the card in {beside} is left out: it cannot be read as JSON: {first_line(error)}")


def write_card(path: str | Path, card: Card) -> None:
    """Put a card into a `.keras` file, in the place of one that is there. The file is whole at any time.

    Args:
        path: the file, as Keras saved it.
        card: what to put into it.

    Raises:
        ModelError: the file is not one that Keras saved, or a name of a class is longer than a line.
        OutputError: it cannot be written.
    """
    path = Path(path)
    Card.from_json(card.to_json())  # what could not be read is not written
    try:
        with writing(path), zipfile.ZipFile(path) as old:
            metadata = json.loads(old.read(_METADATA))
            metadata[_KEY] = card.to_json()
            with zipfile.ZipFile(part_path(path), "w") as new:
                _copy(old, new, json.dumps(metadata))
            publish(path)
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} is not a .keras file that Keras saved, and can hold no card") from error
    finally:
        remove_part(path)


def _copy(old: zipfile.ZipFile, new: zipfile.ZipFile, metadata: str) -> None:
    """Copy an archive with other metadata, entry by entry: the weights may be larger than what is free in memory."""
    for entry in old.infolist():
        if entry.filename == _METADATA:
            new.writestr(entry, metadata)
            continue
        with old.open(entry) as source, new.open(entry, "w") as target:
            shutil.copyfileobj(source, target, 1 << 20)


def write_beside(path: str | Path, card: Card) -> None:
    """Write the card and the names of the classes beside a model's file, for other tools and for Keras' next save.

    Args:
        path: the model's file or folder: NAME.card.json and NAME.labels.txt are written beside it.
        card: what they are of.

    Raises:
        OutputError: one of them cannot be written.
    """
    path = Path(path)
    text = json.dumps(card.to_json(), indent=1, ensure_ascii=False) + "\n"
    write_whole(card_beside(path), text.encode())
    write_whole(labels_file(path), text_of_labels(card.classes).encode())
