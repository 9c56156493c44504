"""live-gradcam on many kinds of models: numbers and maps against the user's own model under a gradient tape.

    python benchmarks/models.py                       # about 10 minutes on two cores
    python benchmarks/models.py --only tokens         # a part of a kind's name, or a group
    python benchmarks/models.py --engine graph        # without XLA, which is compiled for each kind
    python benchmarks/models.py --hub --only KerasHub # pip install live-gradcam[dev]

Prints a Markdown table. The kinds are those of `tests/model_kinds`, which says how they are built and compared, and one
of each family of `keras.applications` and of KerasHub's classifiers, all with random weights. The differences are those
of probabilities (or of logits and values, relative to the largest), and of Grad-CAM's map before its ReLU, relative to
its largest value. The exit code is 1 where one is above 1e-3 (2e-2 in half precision and integers), or an error comes.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))

from live_gradcam.compiling.runtime import set_compiler_flags
from live_gradcam.silence import quiet_tensorflow

set_compiler_flags()
with quiet_tensorflow():
    import keras

    from tests.model_kinds import KINDS, Kind
    from tests.model_kinds.comparison import Comparison, compare, tolerance_of

#: One of each family: name to (side in pixels, so that more than one place is left at the end, preprocessing).
_APPLICATIONS = {
    "VGG16": (96, "unit"),
    "ResNet50": (96, "unit"),
    "ResNet50V2": (96, "tf"),
    "DenseNet121": (96, "unit"),
    "InceptionV3": (139, "tf"),
    "InceptionResNetV2": (139, "tf"),
    "Xception": (96, "tf"),
    "NASNetMobile": (96, "tf"),
    "MobileNet": (96, "tf"),
    "MobileNetV2": (96, "tf"),
    "MobileNetV3Small": (96, "raw"),
    "EfficientNetB0": (96, "raw"),
    "EfficientNetV2B0": (96, "raw"),
    "ConvNeXtTiny": (96, "raw"),
}


def applications() -> list[Kind]:
    """The families of `keras.applications`, of five classes."""

    def build(name: str, side: int) -> Callable[[], keras.Model]:
        make = getattr(keras.applications, name)
        return lambda: make(weights=None, input_shape=(side, side, 3), classes=5)

    return [
        Kind(name, "keras.applications", build(name, side), size=(side, side), preprocessing=preprocessing)
        for name, (side, preprocessing) in _APPLICATIONS.items()
    ]


@dataclass(frozen=True)
class Row:
    """A row of the table: a kind and what came of it."""

    kind: Kind
    comparison: Comparison | None
    problem: str

    def __str__(self) -> str:
        found = self.comparison
        facts = [self.kind.name, self.kind.group]
        if found is None or not found.layers:
            facts += ["–", "–", "–", "–"]
        else:
            of_differences = [f"{difference:.0e}" for difference in (found.of_numbers, found.of_maps)]
            facts += [", ".join(found.layers), f"{found.output} ({self.kind.ends})", *of_differences]
        notes = [self.problem and f"WRONG: {self.problem}", found.note if found else ""]
        return "| " + " | ".join([*facts, "; ".join(filter(None, notes)).replace("|", "/")]) + " |"


def row_of(kind: Kind, engine: str, compare: Callable[[Kind, str], Comparison]) -> Row:
    """Compare one kind; whatever goes wrong is said in its row."""
    keras.backend.clear_session()
    try:
        with quiet_tensorflow(), warnings.catch_warnings():  # Keras' are not about what is compared
            warnings.simplefilter("ignore")
            found = compare(kind, engine)
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        return Row(kind, None, f"{type(error).__name__}: {lines[0][:300]}")
    passes = max(found.of_numbers, found.of_maps) <= tolerance_of(kind)
    return Row(kind, found, "" if passes else "it differs")


def main() -> int:
    """Print the table; 1 where anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="TEXT", help="only kinds with this in their name or group")
    parser.add_argument("--engine", choices=["xla", "graph"], default="xla")
    parser.add_argument("--hub", action="store_true", help="also KerasHub's, which has to be installed")
    chosen = parser.parse_args()
    kinds: list[tuple[Kind, Any]] = [(kind, compare) for kind in [*applications(), *KINDS.values()]]
    if chosen.hub:
        import keras_hub_kinds

        kinds += [(kind, keras_hub_kinds.compare) for kind in keras_hub_kinds.KINDS]
    text = chosen.only.lower()
    kinds = [(kind, way) for kind, way in kinds if text in kind.name.lower() or text in kind.group.lower()]
    print("| kind | group | layer | output kind | numbers differ by | map differs by | note |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    wrong = 0
    for kind, way in kinds:
        row = row_of(kind, chosen.engine, way)
        wrong += bool(row.problem)
        print(row, flush=True)
    print(f"\n{len(kinds) - wrong} of {len(kinds)} are as they should be ({chosen.engine})")
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
