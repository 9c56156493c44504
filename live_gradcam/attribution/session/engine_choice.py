"""What runs a network where nobody says it: of the engines that are installed and agree, the fastest here."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from live_gradcam.attribution.options import ExplainerOptions
from live_gradcam.attribution.session.chosen_engine import ChosenEngine, Way
from live_gradcam.attribution.session.options import SessionOptions
from live_gradcam.attribution.session.remembered_engines import RememberedEngines
from live_gradcam.choices import AUTO_ENGINE, AUTO_PRECISION, ENGINES, METHODS, USUAL_ENGINE, Precision
from live_gradcam.compiling.compilation import check_engine
from live_gradcam.compiling.engines.engine import KeepsPrograms
from live_gradcam.compiling.runtime import is_busy
from live_gradcam.errors import LiveGradcamError

if TYPE_CHECKING:
    from live_gradcam.attribution.session.timed_engines import Built, TimedEngines
    from live_gradcam.networks.classifier import Classifier

_log = logging.getLogger(__name__)

#: An engine whose programs are kept may take so much longer: it starts sooner.
_ALIKE = 1.05
#: By how much bfloat16 must be faster: less may be chance.
_GAIN = 0.95
#: How often engines are timed, where each timing is disturbed.
_MOST_ATTEMPTS = 3
_NOT_REMEMBERED = "a choice for this network cannot be remembered"


def is_open(options: SessionOptions) -> bool:
    """Whether an engine or a precision is to be chosen."""
    return options.engine == AUTO_ENGINE or options.precision == AUTO_PRECISION


def candidates() -> list[str]:
    """The engines that are chosen from: the usual one, and those of packages that are installed besides TensorFlow."""
    found = []
    for name in ENGINES.of_this_package:
        with suppress(LiveGradcamError):
            if name == USUAL_ENGINE or check_engine(name).packages:
                found.append(name)
    return found


def ways_of(options: SessionOptions) -> list[Way]:
    """The ways to run a network that are compared, the usual one first."""
    engines = candidates() if options.engine == AUTO_ENGINE else [options.engine]
    precisions: tuple[Precision, ...] = ("f32",) if options.precision == "f32" else ("f32", "bf16")
    return [
        Way(engine, precision)
        for precision in precisions
        for engine in engines
        if precision in check_engine(engine).precisions
    ]


def known_engine(options: SessionOptions) -> ChosenEngine | None:
    """What is chosen by rule, or was chosen at an earlier start; None where engines have to be timed.

    Nothing is loaded for it.

    Args:
        options: of a session, checked, of which something is open.
    """
    ways, remembered = ways_of(options), RememberedEngines()
    why = _nothing_to_choose(options, ways)
    if why is not None:
        return _usual(options, why)
    key = remembered.key_of(options)
    if key is None:
        return _usual(options, _NOT_REMEMBERED)
    found = None if options.tune == "full" else remembered.read(key)
    if found is not None and found.way in ways and (_stays(found) or options.tune == "remembered"):
        return found
    if options.tune == "remembered":
        return _usual(options, "no engine was timed before")
    return None if remembered.can_write else _usual(options, _NOT_REMEMBERED)


def _stays(chosen: ChosenEngine) -> bool:
    """Whether a choice is used as it is. One of a disturbed timing is made again, a few times, when all is quiet."""
    return chosen.is_sure or chosen.attempts >= _MOST_ATTEMPTS or is_busy()


def _nothing_to_choose(options: SessionOptions, ways: list[Way]) -> str | None:
    """Why the usual engine runs the network, whatever is installed; None where there is a choice."""
    if len(ways) == 1:
        return "there is no other"
    if options.tune == "off":
        return "nothing is to be timed"
    if not options.lowering:
        return "the network is not to be rewritten"
    for name in (options.method, *options.methods):
        row = METHODS.row(name)
        if row is None or not row.is_quick:
            return f"{name} goes through functions of its own"
    return None


def _usual(options: SessionOptions, why: str) -> ChosenEngine:
    """What there was before anything could be chosen."""
    engine = USUAL_ENGINE if options.engine == AUTO_ENGINE else options.engine
    if options.precision == AUTO_PRECISION:
        return ChosenEngine(Way(engine, "f32"), why, notice=f"the precision is f32, not bf16: {why}")
    return ChosenEngine(Way(engine, options.precision), why)


def timed_engine(
    classifier: Classifier, wanted: ExplainerOptions, options: SessionOptions
) -> tuple[ChosenEngine, Built | None]:
    """Time the engines, and remember the choice. It takes a few seconds, and what it takes to build them.

    Args:
        classifier: the network.
        wanted: what an explainer of it is to have, but for the engine and the precision.
        options: of the session.

    Returns:
        The choice, and what was built of it to be timed; None where it could not be.

    Raises:
        LiveGradcamError: as `Explainer`, of the usual engine.
    """
    from live_gradcam.attribution.session.timed_engines import TimedEngines

    was_busy = is_busy()
    timed = TimedEngines(classifier, wanted, ways_of(options))
    chosen = replace(
        chosen_of(options, timed),
        milliseconds={str(way): taken for way, taken in timed.milliseconds.items()},
        is_sure=timed.are_steady and not was_busy,
    )
    remembered = RememberedEngines()
    key = remembered.key_of(options)
    if key is not None:  # or nothing would have been timed
        before = remembered.read(key)
        if before is not None and not before.is_sure:
            chosen = replace(chosen, attempts=before.attempts + 1)
        remembered.write(key, chosen)
    return chosen, timed.built.get(chosen.way)


def chosen_of(options: SessionOptions, timed: TimedEngines) -> ChosenEngine:
    """The choice by what was timed.

    Args:
        options: of the session.
        timed: the ways that agree, with their times.
    """
    milliseconds = timed.milliseconds
    full = best_of({way: taken for way, taken in milliseconds.items() if way.precision == "f32"})
    if options.precision == "f32":
        return ChosenEngine(full, "the fastest here for this network")
    halves = {way: taken for way, taken in milliseconds.items() if way.precision == "bf16"}
    half = best_of(halves) if halves else None
    too_slow = _too_slow(full, half, milliseconds)
    if options.precision == "bf16":
        way = half or Way(ways_of(options)[0].engine, "bf16")
        return ChosenEngine(way, "the fastest here in bf16", notice=too_slow)
    if half is None or too_slow:
        return ChosenEngine(full, too_slow, notice=f"the precision is f32: {too_slow}")
    from live_gradcam.attribution.session.precision_check import compare_precisions, describe_agreement, is_close

    agreement = compare_precisions(timed.explainers[full], timed.explainers[half])
    said = describe_agreement(agreement)
    if not is_close(agreement):
        return ChosenEngine(full, said, notice=f"the precision is f32: bf16 differs too much, {said}")
    return ChosenEngine(half, f"the fastest here for this network; of bf16 and f32, {said}")


def _too_slow(full: Way, half: Way | None, milliseconds: Mapping[Way, float]) -> str:
    """That bfloat16 gains nothing; an empty text where it does."""
    if half is None:
        return "no engine here gives the same in bf16"
    if milliseconds[half] < _GAIN * milliseconds[full]:
        return ""
    return (
        f"no engine here gains by bf16: {half.engine} takes {milliseconds[half]:.1f} ms per frame with it, and "
        f"{full.engine} {milliseconds[full]:.1f} ms without"
    )


def best_of(milliseconds: Mapping[Way, float]) -> Way:
    """The way to take, of those with their milliseconds per frame.

    It is the fastest one. Of those that take as long, the one that keeps its programs for the next start.
    """
    fastest = min(milliseconds, key=milliseconds.__getitem__)
    for way, taken in milliseconds.items():
        if taken <= _ALIKE * milliseconds[fastest] and isinstance(ENGINES.load(way.engine), KeepsPrograms):
            return way
    return fastest
