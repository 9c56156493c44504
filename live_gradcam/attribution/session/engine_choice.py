"""The engine where none is asked for: of those that are installed and agree, the fastest for this network here."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from live_gradcam.attribution.session.loading import import_tensorflow, load
from live_gradcam.attribution.session.options import SessionOptions
from live_gradcam.choices import ENGINES, METHODS, Precision
from live_gradcam.compiling.compilation import check_engine
from live_gradcam.compiling.engines.engine import KeepsPrograms
from live_gradcam.compiling.kept_files import KeptFiles, Key
from live_gradcam.compiling.runtime import quiet_tensorflow
from live_gradcam.errors import LiveGradcamError

if TYPE_CHECKING:
    from live_gradcam.explanations.explanation import Explanation

_log = logging.getLogger(__name__)

#: What runs a network where nothing else is known to be faster.
USUAL = "xla"
#: By how much of its largest value a number may differ from the usual engine's. In bfloat16 each rounds in its own way.
_TOLERANCES: dict[Precision, float] = {"f32": 1e-3, "bf16": 5e-2}
#: How often each engine is timed at most, and for how long all together.
_TURNS, _SECONDS = 15, 2.0
#: So often at least.
_LEAST_TURNS = 5
#: An engine whose programs are kept may take so much longer: it starts sooner.
_ALIKE = 1.05


def with_engine(options: SessionOptions, *, let_tensorflow_talk: bool = False) -> SessionOptions:
    """The options with the fastest engine, as remembered or timed now. Timing takes a few seconds, once a network.

    Args:
        options: of a session, checked, whose engine is to be chosen.
        let_tensorflow_talk: let TensorFlow's own messages through.

    Raises:
        LiveGradcamError: as `start_session`.
    """
    names = candidates(options.precision)
    key = _key(options) if len(names) > 1 else None
    if key is None:  # there is no choice, or it could not be remembered
        why = "a choice for this network cannot be remembered" if len(names) > 1 else "there is no other"
        _log.info("the engine is %s: %s", USUAL, why)
        return replace(options, engine=USUAL)
    files = KeptFiles()
    chosen = _remembered(files, key, names)
    if chosen is None:
        with quiet_tensorflow(enabled=not let_tensorflow_talk):
            milliseconds = _timed(options, names)
        chosen = best_of(milliseconds)
        files.write(key, json.dumps({"engine": chosen, "milliseconds": milliseconds}).encode())
        listed = ", ".join(f"{name} {taken:.1f} ms" for name, taken in milliseconds.items())
        _log.info("engines timed: %s", listed)
    _log.info("the engine is %s, the fastest here for this network", chosen)
    return replace(options, engine=chosen)


def candidates(precision: Precision = "f32") -> list[str]:
    """The engines that are chosen from: the usual one, and those of packages that are installed besides TensorFlow."""
    found = []
    for name in ENGINES.of_this_package:
        with suppress(LiveGradcamError):
            if name == USUAL or check_engine(name, precision).packages:
                found.append(name)
    return found


def _key(options: SessionOptions) -> Key | None:
    """What the choice depends on; None where it cannot be remembered."""
    from live_gradcam.attribution.kept.keys import engines_key

    network = engines_key(options.model, options.of_model(), options.threads)
    if network is None:
        return None
    size = None if options.input_size is None else list(options.input_size)
    how = {"input_size": size, "precision": options.precision, "lowering": options.lowering, "layer": options.layer}
    return {"kind": "engine", "network": network, **how}


def remembered_engines() -> list[tuple[str, str]]:
    """What was chosen on this machine: (network, engine with its milliseconds per frame), by network."""
    found = []
    files = KeptFiles()
    for file in files.files():
        content = files.read(file.key) if file.key.get("kind") == "engine" else None
        with suppress(ValueError, KeyError, TypeError):
            if content is not None:
                choice = json.loads(bytes(content))
                taken = f"{choice['milliseconds'][choice['engine']]:.1f} ms per frame"
                found.append((str(file.key["network"]["model"]), f"{choice['engine']}, {taken}"))
    return sorted(found)


def _remembered(files: KeptFiles, key: Key, names: Sequence[str]) -> str | None:
    content = files.read(key)
    if content is not None:
        with suppress(ValueError, KeyError, TypeError):
            found = json.loads(bytes(content))["engine"]
            return found if found in names else None
    return None


def _timed(options: SessionOptions, names: Sequence[str]) -> dict[str, float]:
    """The milliseconds of a frame by each engine that agrees with the usual one."""
    from live_gradcam.attribution.explainer import Explainer
    from live_gradcam.attribution.photograph import photograph

    import_tensorflow(options)
    classifier = load(options, lambda line: None)
    keywords = options.of_explainer()
    keywords["tiles"] = None
    row = METHODS.row(options.method)
    if row is None or not row.is_quick:  # which goes through other functions, of the same network
        keywords["method"] = "grad-cam"
    picture = photograph()
    keywords["engine"] = USUAL
    usual = Explainer(classifier, **keywords)
    explainers = {USUAL: usual}
    expected = [usual(picture), usual(picture[::-1])]
    for name in names:
        if name == USUAL:
            continue
        try:
            keywords["engine"] = name
            other = Explainer(classifier, **keywords)
            answers = [other(picture), other(picture[::-1])]
        except LiveGradcamError as error:
            _log.warning("the engine %s is left out: %s", name, error)
            continue
        difference = max(map(_difference, expected, answers))
        if difference <= _TOLERANCES[options.precision]:
            explainers[name] = other
        else:
            _log.warning(
                "the engine %s is left out: its answers differ from those of %s by %.1e of the largest value, and "
                "%.1e is allowed",
                name,
                USUAL,
                difference,
                _TOLERANCES[options.precision],
            )
    return milliseconds_of(explainers)


def _difference(expected: Explanation, answer: Explanation) -> float:
    """The largest difference of logits, or of raw maps after their ReLU, relative to the largest value."""
    pairs = (
        (expected.logits, answer.logits),
        tuple(one.heatmaps * one.evidence[:, None, None] for one in (expected, answer)),
    )
    return max(float(np.abs(own - other).max() / max(np.abs(own).max(), 1e-12)) for own, other in pairs)


def best_of(milliseconds: Mapping[str, float]) -> str:
    """The engine to take, of those with their milliseconds per frame.

    It is the fastest one. Of those that take as long, the one that keeps its programs for the next start.
    """
    fastest = min(milliseconds, key=milliseconds.__getitem__)
    for name, taken in milliseconds.items():
        if taken <= _ALIKE * milliseconds[fastest] and isinstance(ENGINES.load(name), KeepsPrograms):
            return name
    return fastest


def milliseconds_of(
    runs: Mapping[str, Callable[[np.ndarray], object]], *, turns: int = _TURNS, seconds: float = _SECONDS
) -> dict[str, float]:
    """The milliseconds of each way to run a frame, in turn, each with a new frame: the lower quartile.

    Not the median: what else goes on while a program starts only makes runs longer. In each turn a way runs once before
    it is timed: engines' threads wait busily for a while after a run, and slow the next one.

    Args:
        runs: each takes a frame, uint8 (height, width, 3).
        turns: how often at most.
        seconds: after which no more turns are begun, but the first few.
    """
    generator = np.random.default_rng(0)
    times: dict[str, list[float]] = {name: [] for name in runs}
    begun = time.perf_counter()
    for turn in range(turns):
        if turn >= _LEAST_TURNS and time.perf_counter() - begun > seconds:
            break
        for name, run in runs.items():
            before, frame = generator.integers(0, 256, (2, 240, 320, 3), np.uint8)
            run(before)
            start = time.perf_counter()
            run(frame)
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: float(np.quantile(taken, 0.25)) for name, taken in times.items()}
