"""Starting a session: the network is loaded, built and warmed up."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from live_gradcam.attribution.fit_choice import FitGuess, Look, Stream, is_guess, keeping_up, most_accurate_fit
from live_gradcam.attribution.notices import EmptyMaps, GuessedPixels, Notice
from live_gradcam.attribution.session.options import SessionOptions, too_slow
from live_gradcam.attribution.session.session import Session
from live_gradcam.compiling.runtime import quiet_tensorflow, set_compiler_flags, set_threads
from live_gradcam.networks.catalog import load_with_options
from live_gradcam.networks.labels import choose_names, find_targets

if TYPE_CHECKING:
    from live_gradcam.attribution.explainer import Explainer
    from live_gradcam.choices import Fit, Names
    from live_gradcam.networks.classifier import Classifier

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
    is_auto = options.fit == "auto" and options.tiles is None
    set_compiler_flags()
    seconds: dict[str, float] = {}
    notes: list[str] = []
    with quiet_tensorflow(enabled=not let_tensorflow_talk):
        with _timed(seconds, "import"):
            _import_tensorflow(options)
        with _timed(seconds, "load"):
            may_be_tiles = _takes_tiles(options)
            classifier = load(options, notes.append)
            of_catalog = options.is_of_catalog
            are_usual = options.is_live and of_catalog
            names = options.names or choose_names(options.classes, classifier.labels, are_usual=are_usual)
            targets = find_targets(options.classes, classifier.labels, names)
        with _timed(seconds, "build"):
            fit = options.fit
            if fit == "auto":
                fit = "tiles"
                if is_auto:
                    fit = most_accurate_fit(classifier, of_catalog=of_catalog, takes_tiles=may_be_tiles)
            explainer = _build(options, classifier, names, len(targets), fit)
        _part_tuning(seconds, "build", explainer.tune_s)
        with _timed(seconds, "compile"):
            stream = (look() if look else None) or Stream()
            if options.is_live and is_auto:
                explainer = keeping_up(explainer, stream)
            if look or explainer.fit != "tiles":
                explainer.warm_up(frame_size=stream.frame_size)
        _part_tuning(seconds, "compile", explainer.tune_s)
    guess = None
    if is_auto and is_guess(classifier, of_catalog=of_catalog):
        guess = FitGuess(classifier)
    notices: list[Notice] = [EmptyMaps()]
    if classifier.pixel_guess is not None:
        notices.append(GuessedPixels(explainer.plan))
    session = Session(explainer, targets, seconds, stream.frame_size, guess, tuple(notices), options)
    if look:
        session.expect(stream.frame_size)
    for note in notes:  # not before: what goes wrong until here is one line
        _log.warning(note)
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


def _import_tensorflow(options: SessionOptions) -> None:
    import live_gradcam.attribution.explainer  # noqa: F401

    if options.threads is not None:
        set_threads(options.threads)


def _takes_tiles(options: SessionOptions) -> bool:
    """Whether all methods take tiles.

    Raises:
        UsageError: the method is too slow for a camera. One of another package says so when it is loaded.
    """
    from live_gradcam.attribution.methods.method import load_method

    if options.is_live and not load_method(options.method).is_quick:
        raise too_slow(options.method)
    return all(load_method(name).is_quick for name in (options.method, *options.methods))


def load(options: SessionOptions, say: Callable[[str], None]) -> Classifier:
    """Load the network.

    Args:
        options: which one.
        say: called with a line for each thing that is a guess or was chosen.

    Raises:
        LiveGradcamError: as `load_classifier`.
    """
    return load_with_options(options.model, replace(options.of_model(), say=say))


def _build(options: SessionOptions, classifier: Classifier, names: Names, targets: int, fit: Fit) -> Explainer:
    from live_gradcam.attribution.explainer import Explainer

    keywords = options.of_explainer()
    keywords["names"], keywords["fit"] = names, fit
    keywords["maps"] = max(options.topk if options.maps is None else options.maps, targets)
    return Explainer(classifier, **keywords)
