"""What is kept of a network between starts, and how what is missing is built."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from live_gradcam.attribution.kept.facts import recalled
from live_gradcam.attribution.kept.functions import KeptFunctions
from live_gradcam.attribution.kept.keys import is_kept, program_key
from live_gradcam.attribution.kept.records import NetworkRecord, outline_from_bytes, outline_to_bytes
from live_gradcam.compiling.engines.engine import KeepsFunctions
from live_gradcam.compiling.kept_files import KeptFiles, Key
from live_gradcam.errors import LiveGradcamError
from live_gradcam.silence import quiet_tensorflow

if TYPE_CHECKING:
    from live_gradcam.attribution.explainer import Explainer
    from live_gradcam.attribution.functions import Functions
    from live_gradcam.attribution.options import ExplainerOptions
    from live_gradcam.attribution.outline import Outline
    from live_gradcam.attribution.plan import Plan
    from live_gradcam.attribution.running import RunFunctions
    from live_gradcam.networks.classifier import Classifier


class KeptNetwork:
    """What is kept of a network.

    Args:
        key: what it depends on: see `kept.keys`.
        engine: runs it.
        load: loads it. This imports TensorFlow.
        is_quiet: whether what TensorFlow prints while the network is loaded and built is kept off the terminal.
        files: where it is kept.
    """

    def __init__(
        self,
        key: Key,
        engine: KeepsFunctions,
        load: Callable[[], Classifier],
        *,
        is_quiet: bool = True,
        files: KeptFiles | None = None,
    ) -> None:
        self._key = key
        self._engine = engine
        self._load = load
        self._is_quiet = is_quiet
        self._files = files or KeptFiles()
        self._building = threading.Lock()

    @cached_property
    def record(self) -> NetworkRecord | None:
        """What an earlier start has found out; None where there was none."""
        content = self._files.read(self._record_key)
        if content is not None:
            with suppress(ValueError, KeyError, TypeError):
                return NetworkRecord.from_bytes(content)
        return None

    def keep(self, record: NetworkRecord) -> None:
        """Keep what was found out for the next start."""
        self._files.write(self._record_key, record.to_bytes())

    def open(self, options: ExplainerOptions) -> Explainer | None:
        """An explainer of what was compiled at an earlier start; None where nothing was."""
        if not is_kept(options):
            return None
        content = self._files.read(program_key(self._key, options))
        if content is None:
            return None
        from live_gradcam.attribution.explainer import Explainer

        with suppress(ValueError, KeyError, TypeError):
            return Explainer.of_kept(outline_from_bytes(content, options), self)
        return None

    def functions(self, outline: Outline, build: Callable[[], Functions], plan: Plan | None = None) -> RunFunctions:
        """The functions of an explainer, kept where they can be.

        Args:
            outline: of its plan.
            build: makes them of the plan.
            plan: where there is one: what is known of it is kept too.
        """
        if not is_kept(outline.options):
            return build()
        key = program_key(self._key, outline.options)
        if plan is not None and plan.written.tuner.is_done:
            self._keep_outline(key, plan)
        return KeptFunctions(self._files, key, self._engine, outline, build)

    def recall(self, options: ExplainerOptions, what: str, find: Callable[[], bool]) -> bool:
        """Whether something is so of an explainer, as an earlier start has found it out.

        Args:
            options: of the explainer.
            what: a name for it.
            find: finds it out.
        """
        return recalled(self._files, {**program_key(self._key, options), "kind": "fact", "what": what}, find)

    def _keep_outline(self, key: Key, plan: Plan) -> None:
        """Keep a plan's outline, with what takes the plan to work out."""
        with suppress(LiveGradcamError):  # a network that cannot say so is built at each start
            whole = replace(plan.outline, steps=plan.steps, weights=plan.weights)
            self._files.write(key, outline_to_bytes(whole))

    def build(self, options: ExplainerOptions) -> Plan:
        """The plan of an explainer. This loads the network where it is not there, and imports TensorFlow.

        Raises:
            LiveGradcamError: as `load_classifier` and `build_plan`.
        """
        with self._building, quiet_tensorflow(enabled=self._is_quiet):
            classifier = self.classifier
            from live_gradcam.attribution.building import build_plan

            return build_plan(classifier, options)

    @cached_property
    def classifier(self) -> Classifier:
        """The network, loaded when it is first asked for."""
        return self._load()

    @property
    def _record_key(self) -> Key:
        return {"kind": "network", "network": self._key}
