"""Starting a session: the network is loaded, built and warmed up."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from live_gradcam.attribution.fit_choice import FitGuess, Look, Stream, is_guess, keeping_up, most_accurate_fit
from live_gradcam.attribution.notices import EmptyMaps, GuessedPixels, Notice
from live_gradcam.attribution.options import ExplainerOptions
from live_gradcam.attribution.session.engine_choice import is_open, known_engine, timed_engine
from live_gradcam.attribution.session.loading import Loading
from live_gradcam.attribution.session.options import SessionOptions, too_slow
from live_gradcam.attribution.session.session import Session
from live_gradcam.choices import METHODS
from live_gradcam.compiling.runtime import set_compiler_flags
from live_gradcam.networks.labels import choose_names, find_targets, notes_on_numbers
from live_gradcam.silence import quiet_tensorflow

if TYPE_CHECKING:
    from live_gradcam.choices import Fit, Names

_log = logging.getLogger(__name__)


def start_session(options: SessionOptions, *, look: Look | None = None, let_tensorflow_talk: bool = False) -> Session:
    """Load, build and warm up.

    Args:
        options: what to explain with.
        look: says what is known of the frames when the network is there. Without it, as of pictures that may have any
            shape, what depends on that is compiled for the first frame.
        let_tensorflow_talk: let TensorFlow's own messages through.

    Raises:
        LiveGradcamError: as `load_classifier` and `Explainer` do; for what `SessionOptions.check` refuses before
            TensorFlow is imported.
    """
    options.check()
    asked = options
    set_compiler_flags()
    engine = known_engine(options) if is_open(options) else None
    if engine is not None:
        options = engine.of(options)
    is_auto = options.fit == "auto" and options.tiles is None
    seconds: dict[str, float] = {}
    loading = Loading(options.by_usual_engine(), let_tensorflow_talk=let_tensorflow_talk)
    with quiet_tensorflow(enabled=not let_tensorflow_talk):
        with loading.listening():
            with _timed(seconds, "import"):
                loading.get_ready()
            with _timed(seconds, "load"):
                may_be_tiles = _takes_tiles(options)
                network = loading.network
                of_catalog = options.is_of_catalog
                are_usual = options.is_live and of_catalog
                names = options.names or choose_names(options.classes, network.labels, are_usual=are_usual)
                targets = find_targets(options.classes, network.labels, names)
                fit = options.fit
                if fit == "auto":
                    fit = "tiles"
                    if is_auto:
                        fit = most_accurate_fit(network, of_catalog=of_catalog, takes_tiles=may_be_tiles)
        for note in notes_on_numbers(options.classes, network.labels):  # of this start alone: it is not listened to
            _log.warning("%s", note)
        timed_s, built = 0.0, None
        if is_open(options):
            begun = time.perf_counter()
            engine, built = timed_engine(loading.classifier, _asked_for(options, names, len(targets), fit), options)
            options = engine.of(options)
            loading = Loading(options, let_tensorflow_talk=let_tensorflow_talk, before=loading)
            timed_s = time.perf_counter() - begun
        with loading.listening():
            with _timed(seconds, "build"):
                explainer = loading.explainer(_asked_for(options, names, len(targets), fit), built)
            _part_tuning(seconds, "build", explainer.tune_s)
            with _timed(seconds, "compile"):
                stream = (look() if look else None) or Stream()
                picture_fit = None
                if options.is_live and is_auto:
                    wanted, explainer = explainer, keeping_up(explainer, stream)
                    picture_fit = None if explainer is wanted else fit
                if look or explainer.fit != "tiles":
                    explainer.warm_up(frame_size=stream.frame_size)
            _part_tuning(seconds, "compile", explainer.tune_s)
    seconds["tune"] += timed_s
    guess = None
    if is_auto and is_guess(network, of_catalog=of_catalog):
        guess = FitGuess(network)
    notices: list[Notice] = [EmptyMaps()]
    if loading.guesses_pixels:
        notices.append(GuessedPixels(explainer.plan))
    session = Session(explainer, targets, seconds, stream.frame_size, guess, tuple(notices), asked, engine, picture_fit)
    if look:
        session.expect(stream.frame_size)
    loading.finish()
    if engine is not None:
        engine.say()
    _log.info("%s, ready in %.1f s", " · ".join(session.description), sum(seconds.values()))
    for rule, count in session.rewrites.items():
        _log.info("lowering: %s, %d times", rule, count)
    return session


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - start


def _part_tuning(seconds: dict[str, float], stage: str, tune_s: float) -> None:
    """Take what was spent on timing in a stage out of it; `tune_s` seconds were in all."""
    seconds[stage] -= tune_s - seconds.get("tune", 0.0)
    seconds["tune"] = tune_s


def _takes_tiles(options: SessionOptions) -> bool:
    """Whether all methods take tiles.

    Raises:
        UsageError: the method is too slow for a camera. One of another package says so when it is loaded.
    """
    if options.is_live and not _is_quick(options.method):
        raise too_slow(options.method)
    return all(_is_quick(name) for name in (options.method, *options.methods))


def _is_quick(method: str) -> bool:
    row = METHODS.row(method)
    if row is not None:
        return row.is_quick
    from live_gradcam.attribution.methods.method import load_method

    return load_method(method).is_quick


def _asked_for(options: SessionOptions, names: Names, targets: int, fit: Fit) -> ExplainerOptions:
    """What an explainer of so many classes that are asked for is to have."""
    keywords = options.of_explainer()
    keywords["names"], keywords["fit"] = names, fit
    keywords["maps"] = max(options.topk if options.maps is None else options.maps, targets)
    return ExplainerOptions().changed(**keywords)
