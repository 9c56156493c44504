"""The engines side by side: whether they agree, and how long a frame takes with each."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from live_gradcam.attribution.building import build_plan
from live_gradcam.attribution.explainer import Explainer
from live_gradcam.attribution.fit_choice import Stream
from live_gradcam.attribution.functions import Functions
from live_gradcam.attribution.options import ExplainerOptions
from live_gradcam.attribution.session.check_pictures import check_pictures
from live_gradcam.attribution.session.chosen_engine import Way
from live_gradcam.choices import Precision
from live_gradcam.compiling.comparison import relative_difference
from live_gradcam.errors import LiveGradcamError, first_line

if TYPE_CHECKING:
    from live_gradcam.attribution.kept.network import KeptNetwork
    from live_gradcam.attribution.plan import Plan
    from live_gradcam.explanations.explanation import Explanation
    from live_gradcam.networks.classifier import Classifier

_log = logging.getLogger(__name__)

#: By how much of its largest value a number may differ. In bfloat16 each engine rounds in its own way.
_TOLERANCES: dict[Precision, float] = {"f32": 1e-3, "bf16": 5e-2}
#: On how many pictures engines have to agree.
_PICTURES = 3
#: How often each way is timed at most, for how long all together, and how often at least.
_TURNS, _SECONDS, _LEAST_TURNS = 15, 2.0, 3
#: A way whose best time is this much longer than the best of all is not timed any more.
_HOPELESS = 1.5
#: Times are steady if three quarters of them take at most so much longer than the quickest quarter.
_STEADY = 1.3

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True, eq=False)
class Built:
    """A network that was built to be timed.

    Attributes:
        plan: what it runs by.
        functions: those of the plan, as far as they are compiled.
        said: what was logged meanwhile, and nobody has heard.
    """

    plan: Plan
    functions: Functions
    said: Sequence[logging.LogRecord]

    def explainer(self, network: KeptNetwork | None) -> Explainer:
        """An explainer to be used. What was to be said of it is said now.

        Args:
            network: keeps what is compiled for the next start; None to keep nothing.
        """
        for record in self.said:
            logging.getLogger(record.name).handle(record)
        self.plan.written.tuner.seconds = 0.0  # those were a part of timing the engines
        return Explainer.of_plan(self.plan, self.functions, network)


class TimedEngines:
    """Ways to run a network, side by side. They are built when they are first needed.

    Args:
        classifier: the network.
        wanted: what an explainer of it is to have, but for the engine and the precision.
        ways: to run it, the usual one first.

    Attributes:
        built: what was built of each way.
    """

    def __init__(self, classifier: Classifier, wanted: ExplainerOptions, ways: Sequence[Way]) -> None:
        self._classifier = classifier
        self._wanted = wanted
        self._ways = ways
        self.built: dict[Way, Built] = {}

    @cached_property
    def explainers(self) -> dict[Way, Explainer]:
        """An explainer of each way that agrees with the reference. A line says which ones are left out.

        The reference is the first way that gives what TensorFlow's own kernels give.

        Raises:
            LiveGradcamError: the first way cannot be built.
        """
        first, *others = self._ways
        explainers = {first: self._explainer(first)}
        for way in others:
            with _left_out_where_it_fails(way):
                explainers[way] = self._explainer(way)
        reference = next((way for way in explainers if self.built[way].functions.are_right), first)
        pictures = list(check_pictures(_PICTURES))
        expected = [explainers[reference](picture) for picture in pictures]
        agreeing = {}
        for way, explainer in explainers.items():
            with _left_out_where_it_fails(way):
                answers = expected if way == reference else [explainer(picture) for picture in pictures]
                apart, allowed = max(map(difference, expected, answers)), _TOLERANCES[way.precision]
                if apart <= allowed:
                    agreeing[way] = explainer
                else:
                    _log.warning(
                        "the engine %s is left out: its answers differ from those of %s by %.1e of the largest value, "
                        "and %.1e is allowed",
                        way,
                        reference,
                        apart,
                        allowed,
                    )
        return agreeing

    def _explainer(self, way: Way) -> Explainer:
        options = self._wanted.changed(engine=way.engine, precision=way.precision)
        with _unheard() as said:
            plan = build_plan(self._classifier, options)
            functions = Functions(plan)
            explainer = Explainer.of_plan(plan, functions)
            explainer.warm_up(frame_size=Stream().frame_size)
        self.built[way] = Built(plan, functions, said)
        return explainer

    @cached_property
    def _times(self) -> dict[Way, list[float]]:
        return times_of(self.explainers, _frames(Stream().frame_size))

    @cached_property
    def milliseconds(self) -> dict[Way, float]:
        """Of each way that agrees, the milliseconds of a frame: the lower quartile.

        Not the median: what else goes on while a program starts only makes runs longer.
        """
        return {way: float(np.quantile(times, 0.25)) for way, times in self._times.items()}

    @cached_property
    def are_steady(self) -> bool:
        """Whether the times of each way are about the same."""
        return all(map(are_steady, self._times.values()))


@contextmanager
def _left_out_where_it_fails(way: Way) -> Iterator[None]:
    """Go on where an engine fails, whatever it raises: the others do without it."""
    try:
        yield
    except Exception as error:
        reason = str(error) if isinstance(error, LiveGradcamError) else first_line(error)
        _log.warning("the engine %s is left out: %s", way, reason)


def are_steady(times: Sequence[float]) -> bool:
    """Whether some runs took about as long as each other, but for a quarter of them."""
    quick, slow = np.quantile(times, (0.25, 0.75))
    return bool(slow <= _STEADY * quick)


def difference(expected: Explanation, answer: Explanation) -> float:
    """The largest difference of logits, or of raw maps after their ReLU, relative to the largest value."""
    pairs = (
        (expected.logits, answer.logits),
        tuple(one.heatmaps * one.evidence[:, None, None] for one in (expected, answer)),
    )
    return max(relative_difference(own[None], other[None]) for own, other in pairs)


def times_of(
    runs: Mapping[Name, Callable[[np.ndarray], object]],
    frames: Iterator[np.ndarray],
    *,
    turns: int = _TURNS,
    seconds: float = _SECONDS,
) -> dict[Name, list[float]]:
    """The milliseconds of each way to run a frame, in turn, each with a new frame.

    In each turn a way runs once before it is timed: engines' threads wait busily for a while after a run, and slow the
    next one.

    Args:
        runs: each takes a frame.
        frames: uint8 (height, width, 3), no two of them alike.
        turns: how often at most.
        seconds: after which no more turns are begun, but the first few.
    """
    times: dict[Name, list[float]] = {name: [] for name in runs}
    racing = list(runs)
    begun = time.perf_counter()
    for turn in range(turns):
        if turn >= _LEAST_TURNS:
            best = min(min(taken) for taken in times.values())
            racing = [name for name in racing if min(times[name]) <= _HOPELESS * best]
            if time.perf_counter() - begun > seconds or len(racing) == 1:
                break
        for name in racing:
            runs[name](next(frames))
            frame = next(frames)
            start = time.perf_counter()
            runs[name](frame)
            times[name].append(1e3 * (time.perf_counter() - start))
    return times


def _frames(size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Noise of (height, width) pixels, without end."""
    generator = np.random.default_rng(0)
    while True:
        yield generator.integers(0, 256, (*size, 3), np.uint8)


@contextmanager
def _unheard() -> Iterator[list[logging.LogRecord]]:
    """Nobody hears what this thread logs: of a network that is only tried. It is collected."""
    here, logger = threading.get_ident(), logging.getLogger("live_gradcam")
    said = _Said(here)

    def is_of_others(record: logging.LogRecord) -> bool:
        return record.thread != here

    handlers = [*logging.getLogger().handlers, *logger.handlers]
    logger.addHandler(said)
    for handler in handlers:
        handler.addFilter(is_of_others)
    try:
        yield said.records
    finally:
        for handler in handlers:
            handler.removeFilter(is_of_others)
        logger.removeHandler(said)


class _Said(logging.Handler):
    """Collects what a thread logs.

    Args:
        thread: its number.

    Attributes:
        records: what it has logged.
    """

    def __init__(self, thread: int) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self._thread = thread

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.records.append(record)
