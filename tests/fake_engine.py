"""An engine that answers at once, and by what it is shown: for tests of `annotate` that are not about the network.

As a script it is the command line with that engine, in its worker processes too: `python fake_engine.py annotate …`.
`FAKE_ENGINE_SECONDS` is how long it takes for a frame.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from command_line import Running, environment
from forked import IS_POSSIBLE, ForkedProcess
from video_files import number_of

from live_gradcam.annotating.batch import Batch, OnProgress, Planned
from live_gradcam.annotating.jobs import AnnotateJob
from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.annotating.provenance import Provenance, made_with
from live_gradcam.annotating.report import AnnotateSummary
from live_gradcam.annotating.run import annotate_recording
from live_gradcam.attribution import session as engine_module
from live_gradcam.attribution.session import SessionOptions
from live_gradcam.choices import SINKS
from live_gradcam.errors import UsageError
from live_gradcam.explanations.explanation import Explanation, Prediction, Region, Target
from live_gradcam.explanations.vocabulary import Vocabulary
from live_gradcam.flow.stopping import StopRequest
from live_gradcam.sinks.encoding import Encoding

CLASSES = 256
LABELS = tuple(f"number {index}" for index in range(CLASSES))
_SIDE = 7


def heatmap_of(number: int, target: int) -> np.ndarray:
    """The map of a class in the picture of a number, float32 (7, 7): one bright place that both move."""
    heatmap = np.zeros(_SIDE * _SIDE, np.float32)
    place = (number + 3 * target) % heatmap.size
    heatmap[place], heatmap[(place + 1) % heatmap.size] = 1, 0.5
    return heatmap.reshape(_SIDE, _SIDE)


def evidence_of(number: int) -> float:
    """The evidence in the picture of a number: exact as float32, and as six decimals."""
    return 1 + number / 64


def probabilities_of(number: int, classes: int = CLASSES) -> np.ndarray:
    """Of the picture of a number: that class first, then those after it."""
    probabilities = np.zeros(classes, np.float32)
    for rank, share in enumerate((0.5, 0.25, 0.125)):
        probabilities[(number + rank) % CLASSES] = share
    return probabilities


class FakeEngine:
    """Finds in a picture the class of the number that it shows.

    Args:
        targets: the classes to explain; none for the best.
        maps: how many maps there are without targets.
        topk: how many predictions.
        seconds: how long a frame takes.
        callers: how many threads explain at a time where that is timed.
        classes: how many there are. Pictures show the first 256.

    Attributes:
        calls: of each group of frames the numbers that they show, and the place of the first and the size of the group.
    """

    def __init__(
        self,
        *,
        targets: Sequence[int] = (),
        maps: int = 1,
        topk: int = 3,
        seconds: float = 0.0,
        callers: int = 1,
        classes: int = CLASSES,
    ) -> None:
        self.targets = tuple(map(Target, targets))
        self.start_s: dict[str, float] = {}
        self.options = SessionOptions()
        self.calls: list[tuple[list[int], int, int]] = []
        self.description = ("fake", "grad-cam")
        self.vocabulary = Vocabulary(tuple(f"number {index}" for index in range(classes)))
        self.rewrites: dict[str, int] = {}
        self._maps, self._topk, self._classes = maps, topk, classes
        self._seconds, self._callers = seconds, callers

    def expect(self, frame_size: tuple[int, int]) -> None:
        """It is always ready."""

    def fastest_batch(self, frame_size: tuple[int, int]) -> int:
        return 4

    def fastest_callers(self, frame_size: tuple[int, int], batch: int) -> int:
        return self._callers

    def noise_floor(self, frame_size: tuple[int, int]) -> float:
        return 0.25

    def explain_batch(self, images: Sequence[np.ndarray], size: int, *, place: int = 0) -> list[Explanation]:
        numbers = [number_of(image) for image in images]
        self.calls.append((numbers, place, size))
        time.sleep(self._seconds * len(images))
        return [self._explanation(image, number) for image, number in zip(images, numbers, strict=True)]

    def _explanation(self, image: np.ndarray, number: int) -> Explanation:
        probabilities = probabilities_of(number, self._classes)
        best = [Prediction((number + rank) % CLASSES, "", 0) for rank in range(self._topk)]
        found = [Prediction(one.index, LABELS[one.index], float(probabilities[one.index])) for one in best]
        targets = [Prediction(t.index, LABELS[t.index], float(probabilities[t.index])) for t in self.targets]
        explained = tuple(targets or found[: self._maps])
        return Explanation(
            predictions=tuple(found),
            heatmaps=np.stack([heatmap_of(number, target.index) for target in explained]),
            targets=explained,
            evidence=np.full(len(explained), evidence_of(number), np.float32),
            logits=probabilities * 2,
            probabilities=probabilities,
            region=Region(0, 0, image.shape[1], image.shape[0]),
        )


def start_fake_engine(options: SessionOptions, *, look: Any = None, let_tensorflow_talk: bool = False) -> Any:
    """In place of `start_session`."""
    if options.input_size is not None:
        raise UsageError("the network runs at no other size")
    return FakeEngine(
        targets=[int(name) for name in options.classes if name != "top1"],
        maps=options.topk if options.maps is None else options.maps,
        topk=options.topk,
        seconds=float(os.environ.get("FAKE_ENGINE_SECONDS", "0")),
    )


def annotated(
    source: Path,
    output: Path,
    *,
    engine: FakeEngine | None = None,
    stop: StopRequest | None = None,
    jsonl: Path | None = None,
    csv: Path | None = None,
    heatmaps: Path | None = None,
    contact_sheet: Path | None = None,
    on_progress: OnProgress | None = None,
    **options: Any,
) -> AnnotateSummary:
    """Annotate a file in this process with the fake engine.

    Drawing changes nothing of pictures as narrow as those of the tests, so that their numbers can be read again, unless
    a layout or an alpha is given.
    """
    wanted = AnnotateOptions(**{"layout": "raw", "encoding": Encoding(), **options})
    sidecars = {"jsonl": jsonl, "csv": csv, "heatmaps": heatmaps, "contact-sheet": contact_sheet}
    job = AnnotateJob(source, output, {name: path for name, path in sidecars.items() if path is not None})
    planned = Planned.of(job, Provenance.of(source, made_with(SessionOptions(), wanted)))
    fake: Any = engine or FakeEngine()
    return annotate_recording(planned, fake, Batch([planned], wanted, stop or StopRequest(), on_progress))


def statement_of(path: Path) -> str | None:
    """What an output says of how it came about."""
    codec = "png" if path.is_dir() else "gif" if path.suffix == ".gif" else "h264"
    statement: str | None = SINKS.load(codec).read_statement(path)
    return statement


def start_fake(
    *arguments: Any, seconds: float = 0.0, scratch: Path | None = None, largest_file: int | None = None
) -> Running:
    """Start `live-gradcam ARGUMENTS` with the fake engine, in a session of its own, as a terminal does.

    Args:
        arguments: of the command.
        seconds: how long a frame takes.
        scratch: the system's folder for temporary files.
        largest_file: how many bytes a file may have: the disk is full.
    """

    def limit() -> None:
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    words = [str(argument) for argument in arguments]
    changes = {} if scratch is None else {"TMPDIR": str(scratch)}
    if largest_file is not None:  # or Python would write a part of its bytecode, which no later start can read
        changes["PYTHONDONTWRITEBYTECODE"] = "1"
    shell = environment(FAKE_ENGINE_SECONDS=str(seconds), COLUMNS="200", **changes)
    if IS_POSSIBLE:
        return ForkedProcess(words, shell, script=__file__, with_tensorflow=False, largest_file=largest_file)
    return subprocess.Popen(
        [sys.executable, __file__, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=shell,
        start_new_session=True,
        preexec_fn=limit,
    )


if __name__ in ("__main__", "__mp_main__"):  # worker processes are spawned: they come by here too
    engine_module.start_session = start_fake_engine
if __name__ == "__main__":
    from live_gradcam.cli import main

    main()
