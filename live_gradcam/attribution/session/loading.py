"""Where a session's network comes from: an earlier start, or its source."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from live_gradcam.attribution.options import ExplainerOptions
from live_gradcam.attribution.session.options import SessionOptions
from live_gradcam.compiling.compilation import check_engine
from live_gradcam.compiling.engines.engine import KeepsFunctions, KeepsPrograms
from live_gradcam.compiling.runtime import set_threads, use_threads
from live_gradcam.compiling.tensorflow_alone import import_tensorflow_alone
from live_gradcam.networks.catalog import load_with_options
from live_gradcam.silence import quiet_tensorflow

if TYPE_CHECKING:
    from live_gradcam.attribution.explainer import Explainer
    from live_gradcam.attribution.kept.network import KeptNetwork
    from live_gradcam.attribution.kept.records import NetworkRecord
    from live_gradcam.attribution.session.timed_engines import Built
    from live_gradcam.networks.classifier import Classifier

_log = logging.getLogger(__name__)


class Loading:
    """The network of a session, as an earlier start has left it, or loaded.

    Args:
        options: of the session.
        let_tensorflow_talk: let TensorFlow's own messages through.
        before: of the same network by another engine: what that has loaded is not loaded again.
    """

    def __init__(
        self, options: SessionOptions, *, let_tensorflow_talk: bool = False, before: Loading | None = None
    ) -> None:
        self._options = options
        self._is_quiet = not let_tensorflow_talk
        self._before = before
        self._notes: list[str] = before._notes if before else []
        self._heard: list[str] = before._heard if before else []

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take note of what is said, which a start that builds nothing has to say too."""
        logger, ear = logging.getLogger("live_gradcam"), _Ear(self._heard)
        logger.addHandler(ear)
        try:
            yield
        finally:
            logger.removeHandler(ear)

    def get_ready(self) -> None:
        """Import TensorFlow where it will be needed. Beside it, the bytes of the model's file are looked at."""
        threads = self._options.threads
        needs_tensorflow = not isinstance(check_engine(self._options.engine), KeepsPrograms)
        with ThreadPoolExecutor(1) as beside:
            known = beside.submit(lambda: self._known)
            if needs_tensorflow:
                import_tensorflow_alone()
            is_known = known.result() is not None
        if not is_known:
            import_tensorflow(self._options)
        elif threads is not None:
            (set_threads if needs_tensorflow else use_threads)(threads)

    @property
    def network(self) -> Classifier | NetworkRecord:
        """The network, or what is known of it.

        Raises:
            LiveGradcamError: as `load_classifier`.
        """
        return self.classifier if self._known is None else self._known

    def explainer(self, options: ExplainerOptions, built: Built | None = None) -> Explainer:
        """An explainer of it.

        Args:
            options: what is asked for.
            built: the same, where it is there already.

        Raises:
            LiveGradcamError: as `Explainer`.
        """
        from live_gradcam.attribution.explainer import Explainer

        kept = None if self.guesses_pixels else self._kept  # a guess is compared with another, which takes the network
        if kept is not None and self._known is not None and (opened := kept.open(options)) is not None:
            return opened
        if built is not None:
            return built.explainer(kept)
        if kept is not None:
            return Explainer.of_plan(kept.build(options), network=kept)
        from live_gradcam.attribution.building import build_plan

        return Explainer.of_plan(build_plan(self.classifier, options))

    @cached_property
    def classifier(self) -> Classifier:
        """The network itself.

        Raises:
            LiveGradcamError: as `load_classifier`.
        """
        return self._load() if self._kept is None else self._kept.classifier

    @property
    def guesses_pixels(self) -> bool:
        """Whether nobody says how its pixels are scaled: what is known of an earlier start is sure."""
        return self._known is None and self.classifier.pixel_guess is not None

    def finish(self) -> None:
        """Say what there is to say of it, not before all has gone well; and keep what was found out."""
        if self._known is not None:
            for note in self._known.notes:
                _log.warning("%s", note)
            return
        for note in self._notes:
            _log.warning("%s", note)
        if self._kept is not None and not self.guesses_pixels:
            self._keep(self._kept)

    def _keep(self, kept: KeptNetwork) -> None:
        from live_gradcam.attribution.kept.records import NetworkRecord

        found = self.classifier
        notes = tuple(self._heard + self._notes)
        kept.keep(NetworkRecord(found.name, found.labels, found.input_size, found.fit, notes))

    # --- from an earlier start, or loaded -------------------------------------------------------------------------

    @cached_property
    def _kept(self) -> KeptNetwork | None:
        """What is kept of it between starts; None where nothing is."""
        from live_gradcam.attribution.kept.keys import network_key
        from live_gradcam.attribution.kept.network import KeptNetwork

        options = self._options
        key = network_key(options.model, options.of_model(), options.engine, options.threads)
        if key is None:
            return None
        engine = check_engine(options.engine)
        assert isinstance(engine, KeepsFunctions)  # or there would be no key
        return KeptNetwork(key, engine, self._load, is_quiet=self._is_quiet)

    @cached_property
    def _known(self) -> NetworkRecord | None:
        return None if self._kept is None else self._kept.record

    def _load(self) -> Classifier:
        if self._before is not None:
            return self._before.classifier
        with quiet_tensorflow(enabled=self._is_quiet):
            import_tensorflow(self._options)
            return load(self._options, self._notes.append)


class _Ear(logging.Handler):
    """Takes note of warnings.

    Args:
        heard: where they go.
    """

    def __init__(self, heard: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        self._heard.append(record.getMessage())


def import_tensorflow(options: SessionOptions) -> None:
    """Import TensorFlow, and have it compute with the threads that are asked for."""
    import live_gradcam.attribution.building  # noqa: F401

    if options.threads is not None:
        set_threads(options.threads)


def load(options: SessionOptions, say: Callable[[str], None]) -> Classifier:
    """Load the network.

    Args:
        options: which one.
        say: called with a line for each thing that is a guess or was chosen.

    Raises:
        LiveGradcamError: as `load_classifier`.
    """
    return load_with_options(options.model, replace(options.of_model(), say=say))
