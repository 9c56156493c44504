"""A session whose network is being taught: compiled once, and shown a new head again and again."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from live_gradcam.attribution.session import Session, SessionOptions
from live_gradcam.compiling.runtime import set_compiler_flags, set_threads
from live_gradcam.errors import UsageError
from live_gradcam.fitting.head import fit_head
from live_gradcam.fitting.options import FITS_OF_FITTING
from live_gradcam.fitting.taught_head import UNITS
from live_gradcam.fitting.teacher import Teacher
from live_gradcam.silence import quiet_tensorflow

if TYPE_CHECKING:
    from live_gradcam.attribution.explainer import Explainer
    from live_gradcam.attribution.fit_choice import Look
    from live_gradcam.attribution.options import ExplainerOptions
    from live_gradcam.choices import Fit
    from live_gradcam.networks.classifier import Classifier


@dataclass(frozen=True)
class TaughtSession(Session):
    """A session of a network that is taught.

    Attributes:
        teacher: of the network, who may have examples or not.
    """

    teacher: Teacher = field(kw_only=True)

    def variant(self, *, method: str, layer: str, fit: Fit | None = None) -> Session:
        """The same network, ready with another method or target layer: see `Session.variant`.

        For another layer the network is written again, and compared with itself. Heads change meanwhile, so that is
        done with a network that has a head of its own.
        """
        if layer == self.layer:
            return super().variant(method=method, layer=layer, fit=fit)
        start = time.perf_counter()
        options = self.plan.options.changed(method=method, layer=layer, tune="remembered")
        explainer = _explainer_of(self.teacher.new_live_classifier(), options)
        explainer.warm_up(frame_size=self.frame_size)
        return replace(self, explainer=explainer, start_s={"compile": time.perf_counter() - start})


def _explainer_of(classifier: Classifier, options: ExplainerOptions) -> Explainer:
    from live_gradcam.attribution.building import build_plan
    from live_gradcam.attribution.explainer import Explainer

    return Explainer.of_plan(build_plan(classifier, options))


class StartTeaching(Protocol):
    """Makes a network ready to be taught: `start_teaching`, or what says something on a terminal meanwhile."""

    def __call__(
        self, options: SessionOptions, *, fit: str | None = None, look: Look | None = None
    ) -> tuple[Teacher, Session]:
        """See `start_teaching`."""


def start_teaching(
    options: SessionOptions, *, fit: str | None = None, look: Look | None = None, let_tensorflow_talk: bool = False
) -> tuple[Teacher, Session]:
    """Load a network, with what it was taught before, and make it ready to be taught.

    Args:
        options: which network, and what to explain with, as for any session. `layer`, `classes`, `names`, `fit` and
            `input_size` are left alone.
        fit: how frames enter: see `Teacher`.
        look: says what is known of the frames when the network is there.
        let_tensorflow_talk: let TensorFlow's own messages through.

    Raises:
        LiveGradcamError: as `Teacher.load` and `taught_session`.
    """
    options = options.by_usual_engine()  # which takes a new head: others copy the weights
    set_compiler_flags()
    with quiet_tensorflow(enabled=not let_tensorflow_talk):
        from live_gradcam.attribution.options import ExplainerOptions

        if options.threads is not None:
            set_threads(options.threads)
        teacher = Teacher.load(options.model, fit=fit, model_options=options.of_model())
        stream = look() if look else None
        explained = ExplainerOptions().changed(**options.of_explainer())
        return teacher, taught_session(teacher, explained, stream.frame_size if stream else Session.frame_size)


def teacher_of(session: Session) -> Teacher:
    """A teacher of a session's network, without examples.

    Raises:
        UsageError: the session runs the network at another size than its own.
        ModelError: the network has no pooled features.
    """
    options = session.plan.options
    if options.fitting.input_size is not None:
        raise UsageError("a network is taught at its own size: leave --input-size out")
    fit = options.fitting.fit
    teacher = Teacher(session.classifier, fit=fit if fit in FITS_OF_FITTING else None)
    _ = teacher.backbone  # which is refused here, before anything is compiled
    return teacher


def teachable(session: Session) -> tuple[Teacher, Session]:
    """A running session's network, ready to be taught: a teacher without examples, and a session of its own.

    Raises:
        LiveGradcamError: as `teacher_of` and `taught_session`.
    """
    teacher = teacher_of(session)
    options = session.plan.options.changed(tune="remembered")  # frames are running: nothing can be timed
    if session.options is not None:  # an engine that was chosen may copy the weights
        asked = session.options.of_explainer()
        options = options.changed(engine=asked["engine"], precision=asked["precision"])
    return teacher, taught_session(teacher, options, session.frame_size)


def taught_session(teacher: Teacher, options: ExplainerOptions, frame_size: tuple[int, int]) -> Session:
    """A session of a teacher's network, warmed up, with the head of the examples that there are.

    Args:
        teacher: what teaches it.
        options: what is explained and how it is compiled; how frames enter is the teacher's.
        frame_size: (height, width) of the frames.

    Raises:
        UsageError: the engine does not take a new head.
        LiveGradcamError: as `Explainer`.
    """
    start = time.perf_counter()
    maps = options.explained.topk if options.explained.maps is None else options.explained.maps
    options = options.changed(
        layer=None,
        names="imagenet",
        features=True,
        fit=teacher.input_fit,
        tiles=None,
        input_size=None,
        maps=min(maps, UNITS),
    )
    explainer = _explainer_of(teacher.live_classifier, options)
    explainer.warm_up(frame_size=frame_size)
    _check_swap(teacher, explainer, options.compiling.engine)
    _import_what_fits()
    teacher.fit()
    return TaughtSession(explainer, (), {"build": time.perf_counter() - start}, frame_size, teacher=teacher)


def _import_what_fits() -> None:
    """Fit something small: what is imported for the first time would hold up frames for a second."""
    fit_head(np.eye(2, dtype=np.float32), np.arange(2), classes=2, strength=1.0)


def _check_swap(teacher: Teacher, explainer: Explainer, engine: str) -> None:
    """Make sure that what is compiled shows a new head: some engines copy the weights, and go on with the old ones."""
    probe = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    for place in (1, 2):
        teacher.use(teacher.head_of_one(place))
        if explainer(probe).predictions[0].index != place:
            raise UsageError(
                f"the engine {engine} copies the weights, so the network cannot be taught: use another engine"
            )
