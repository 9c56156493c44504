"""Frames in, explanations out, through one compiled function."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from live_gradcam.attribution.fit_choice import Stream
from live_gradcam.attribution.framing import check_frame
from live_gradcam.attribution.methods.method import OnProgress
from live_gradcam.attribution.options import ExplainerOptions
from live_gradcam.attribution.outline import Outline
from live_gradcam.attribution.planned import Planned
from live_gradcam.attribution.running import Runner
from live_gradcam.attribution.smoothing import smoothed
from live_gradcam.attribution.targets import Targets, checked_targets
from live_gradcam.attribution.timing import fastest_batch, fastest_callers, time_of_frame
from live_gradcam.choices import METHODS, Fit, Names
from live_gradcam.errors import ArgumentError
from live_gradcam.explanations.explanation import Explanation, Prediction, Region, Target
from live_gradcam.listings import Listing

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from live_gradcam.attribution.functions import Functions
    from live_gradcam.attribution.kept.network import KeptNetwork
    from live_gradcam.attribution.options import ExplainerKeywords
    from live_gradcam.attribution.plan import Plan
    from live_gradcam.compiling.tuning import Tuner
    from live_gradcam.networks.classifier import Classifier

#: How many input sizes stay compiled with `fit="native"`.
_KEPT_SIZES = 4


class Explainer(Planned):
    """Explains frames with one compiled function: trunk → head → the head's gradient → maps.

    The function is compiled once, for one network and one target layer (of tiles: once for each number of them); frames
    of any size and any class to explain run through it without compiling again. It keeps the weights that the model has
    when it is made: for weights that change afterwards, make a new explainer.

    Args:
        classifier: from `load_classifier`.
        options: keywords, all of which have defaults; `attribution.options` says what each means. What is explained:
            `method="grad-cam"`, `layer=None`, `score="logit"`, `names="imagenet"`, `topk=5`, `maps=None`, `relu=True`,
            `features=False`. How frames enter: `fit="stretch"`, `tiles=None`, `input_size=None`. How it is compiled:
            `engine="xla"`, `lowering=True`, `tune="auto"`, `precision="f32"`.

    Raises:
        TypeError: there is no such option.
        UsageError: a method, layer, score, fit, engine or tune that does not exist, or an engine that is not installed;
            a method that is not defined for this head, these layers, this score or this fit.
        ModelError: the model has no feature maps, or its graph cannot be seen, or does not run at the input size.
    """

    def __init__(self, classifier: Classifier, **options: Unpack[ExplainerKeywords]) -> None:
        from live_gradcam.attribution.building import build_plan
        from live_gradcam.networks.classifier import Classifier

        if not isinstance(classifier, Classifier):
            found = repr(classifier) if isinstance(classifier, str) else type(classifier).__name__
            raise ArgumentError(f"an explainer is made of load_classifier(...), and not of {found}")
        self._follow(build_plan(classifier, ExplainerOptions().changed(**options)))

    @classmethod
    def of_plan(cls, plan: Plan, functions: Functions | None = None, network: KeptNetwork | None = None) -> Explainer:
        """An explainer that runs by a plan which is built already.

        Args:
            plan: from `building.build_plan`.
            functions: those of the plan, where they are there already.
            network: keeps what is compiled for the next start; None to keep nothing.
        """
        explainer = cls.__new__(cls)
        explainer._follow(plan, functions, network)
        return explainer

    @classmethod
    def of_kept(cls, outline: Outline, network: KeptNetwork) -> Explainer:
        """An explainer of what was compiled at an earlier start. Its plan is built when it is first asked for.

        Args:
            outline: what is known of the plan.
            network: what was kept of the network, and can build the plan.
        """
        explainer = cls.__new__(cls)
        explainer._outline, explainer._plan, explainer._network, explainer._sized = outline, None, network, {}

        def build() -> Functions:
            from live_gradcam.attribution.functions import Functions

            return Functions(explainer.plan)

        explainer._runner = Runner(outline, network.functions(outline, build))
        return explainer

    def _follow(self, plan: Plan, functions: Functions | None = None, network: KeptNetwork | None = None) -> None:
        from live_gradcam.attribution.functions import Functions

        self._outline: Outline = plan.outline
        self._plan: Plan | None = plan
        self._network: KeptNetwork | None = network

        def build() -> Functions:
            return functions or Functions(plan)

        self._runner = Runner(
            plan.outline, build() if network is None else network.functions(plan.outline, build, plan)
        )
        #: With `fit="native"`, by input size.
        self._sized: dict[tuple[int, int], Explainer] = {}

    @property
    def trace_count(self) -> int:
        """How often the one-pass function has been traced: see `Functions`."""
        return self._runner.functions.trace_count

    @property
    def outline(self) -> Outline:
        """What is known of its plan without TensorFlow."""
        return self._outline

    @property
    def plan(self) -> Plan:
        """What it runs by. It is built first, where a program of an earlier start is used."""
        if self._plan is None:
            assert self._network is not None  # or there would be a plan
            self._plan = self._network.build(self._outline.options)
        return self._plan

    def recall(self, what: str, find: Callable[[], bool]) -> bool:
        """Whether something is so of its network: found out now, or at an earlier start, where that is kept."""
        return find() if self._network is None else self._network.recall(self._outline.options, what, find)

    @property
    def methods(self) -> Listing:
        """The names of all methods. A tuple, which a notebook shows with a line about each."""
        return Listing(METHODS, METHODS.helps)

    @cached_property
    def tuner(self) -> Tuner:
        """Remembers how long things take."""
        if self._plan is not None:
            return self._plan.written.tuner
        from live_gradcam.compiling.tuning import Tuner

        return Tuner(self._outline.options.compiling.tune)

    @property
    def tune_s(self) -> float:
        """Seconds spent on timing forms of layers."""
        return self.tuner.seconds if "tuner" in vars(self) or self._plan is not None else 0.0

    def __reduce__(self) -> NoReturn:
        """Refuse `pickle` and `copy`: what is compiled stays in its process.

        Raises:
            ArgumentError: always.
        """
        raise ArgumentError(
            "an explainer cannot be copied or pickled, as its network is compiled for this process: make an Explainer "
            "in each process, and share one between threads"
        )

    # --- others like it -------------------------------------------------------------------------------------------

    def variant(
        self, *, method: str, layer: str, fit: Fit | None = None, tiles: int | None = None, names: Names | None = None
    ) -> Explainer:
        """A new explainer that differs in these alone. It chooses forms by what was timed before, and times nothing.

        Args:
            method: as in the constructor.
            layer: as in the constructor.
            fit: as in the constructor; None for this one's, with as many tiles.
            tiles: as in the constructor.
            names: as in the constructor; None for this one's.

        Raises:
            UsageError: as the constructor.
            ModelError: likewise; or the network has to be written again, and the model's weights have changed since.
        """
        options = self.outline.options.changed(method=method, layer=layer)
        if names is not None:
            options = options.changed(names=names)
        if fit is not None:
            options = options.changed(fit=fit, tiles=tiles)
        kept = None if self._network is None else self._network.open(options)
        if kept is not None:
            return kept
        from live_gradcam.attribution.building import vary_plan
        from live_gradcam.attribution.functions import Functions

        plan = vary_plan(self.plan, options)
        if plan is None:
            plan = self._build(options.changed(tune="remembered"))
            return Explainer.of_plan(plan, network=self._network)
        return Explainer.of_plan(plan, Functions(plan, self._runner.functions.built_sharing), self._network)

    def of_classifier(self, classifier: Classifier) -> Explainer:
        """A new explainer that differs in the classifier alone, one with the same layers and other weights."""
        from live_gradcam.attribution.building import build_plan

        options = self.plan.options.changed(layer=self.layer, input_size=None, tune="remembered")
        return Explainer.of_plan(build_plan(classifier, options))

    def at_size(self, frame_size: tuple[int, int]) -> Explainer:
        """The explainer that frames of (height, width) pixels run through.

        That is this one. With `fit="native"` it is one whose input has the frame's shape; the last few of them are
        kept.
        """
        if self.fit != "native":
            return self
        size = self.input_size_for(frame_size)
        if size not in self._sized:
            options = self.plan.options.changed(layer=self.layer, fit="letterbox", input_size=size)
            self._sized[size] = Explainer.of_plan(self._build(options))
            while len(self._sized) > _KEPT_SIZES:
                del self._sized[next(iter(self._sized))]
        return self._sized[size]

    def _build(self, options: ExplainerOptions) -> Plan:
        """The plan of the same network with other options, which takes its weights as they are."""
        from live_gradcam.attribution.building import build_plan

        if self.plan.weights_now is not None:
            self.plan.weights_now.check()
        return build_plan(self.classifier, options)

    # --- frames of one size ---------------------------------------------------------------------------------------

    def expect(self, frame_size: tuple[int, int]) -> None:
        """Let the tiles of frames of this size share what they can. Their function is compiled for the first of them.

        Args:
            frame_size: (height, width) in pixels of frames of which there will be many.
        """
        self._runner.expect(frame_size)

    def shares_tiles(self, frame_size: tuple[int, int]) -> bool:
        """Whether the tiles of frames of (height, width) pixels share what is the same for all."""
        return self._runner.shared_by([self.outline.framing.tiling(frame_size)]) is not None

    def warm_up(self, batch: int = 1, *, frame_size: tuple[int, int] | None = None) -> float:
        """Trace, compile and run the one-pass function once, so that the first frame is as fast as the thousandth.

        Args:
            batch: for how many frames at a time.
            frame_size: (height, width) of the frames, where they are all of one size: their shape says how many tiles
                they are, and these can share what is the same for all. None for frames of any size, of 16:9 at first.

        Returns:
            The seconds it took.

        Raises:
            ModelError: the engine cannot compile the network.
        """
        start = time.perf_counter()
        if self.fit != "native":  # which is compiled for the first frame
            if frame_size is not None:
                self.expect(frame_size)
            self._runner.warm_up(batch, frame_size or Stream().frame_size)
        return time.perf_counter() - start

    def is_ready_for(self, frame_size: tuple[int, int]) -> bool:
        """Whether a frame of (height, width) pixels is explained without anything being compiled first."""
        if self.fit == "native":
            return self.input_size_for(frame_size) in self._sized
        return self._runner.is_ready_for(frame_size)

    def get_ready_for(self, frame_size: tuple[int, int]) -> None:
        """Compile what a frame of (height, width) pixels needs, for all frames of as many tiles.

        Raises:
            ModelError: the engine cannot compile the network.
        """
        if self.fit == "native":
            self.at_size(frame_size).warm_up()
        else:
            self._runner.warm_up(1, frame_size)

    def input_size_for(self, frame_size: tuple[int, int]) -> tuple[int, int]:
        """The (height, width) at which the network sees a frame of (height, width) pixels, all tiles together."""
        return self.outline.framing.input_size_for(frame_size)

    def tiles_for(self, frame_size: tuple[int, int]) -> int:
        """How many tiles a frame of (height, width) pixels is."""
        return self.outline.framing.tiles_for(frame_size)

    def as_seen(self, frame: np.ndarray) -> tuple[np.ndarray, Region]:
        """A frame as the network sees it.

        Args:
            frame: as for a call.

        Returns:
            uint8 (height, width, 3) of `input_size_for` the frame, which is explained like the frame itself; and the
            region of the frame that it shows.
        """
        pixels, region, _ = self.outline.framing.framed(frame)
        return pixels, region

    def milliseconds(self, frame_size: tuple[int, int]) -> float:
        """How long one frame takes, timed once and remembered like the layers' forms.

        Args:
            frame_size: (height, width) of the frames in pixels.
        """
        return time_of_frame(self, frame_size)

    def fastest_batch(self, frame_size: tuple[int, int]) -> int:
        """How many frames at a time take the least time each: timed once, and remembered like the layers' forms.

        Args:
            frame_size: (height, width) of the frames in pixels.
        """
        return fastest_batch(self.at_size(frame_size), frame_size)

    def fastest_callers(self, frame_size: tuple[int, int], batch: int = 1) -> int:
        """How many threads that call this at a time have the most frames explained: as `fastest_batch`.

        Each frame takes longer than alone. One where others gain nothing, or may not call (`timing.takes_callers`).

        Args:
            frame_size: (height, width) of the frames in pixels.
            batch: how many frames each call explains.
        """
        return fastest_callers(self, frame_size, batch)

    @property
    def takes_many_passes(self) -> bool:
        """Whether the method takes many passes for a frame, one after the other."""
        return self._runner.functions.passes is not None

    # --- explaining -----------------------------------------------------------------------------------------------

    def __call__(
        self, frame: np.ndarray, *, target: Targets = None, on_progress: OnProgress | None = None
    ) -> Explanation:
        """Explain a frame.

        Args:
            frame: uint8 (H, W, 3), BGR as OpenCV has it, of any size.
            target: the class index to explain, or a contrast, or several of them, at most as many as there are maps;
                None for the frame's own top class.
            on_progress: called after each pass of a method that takes many passes.

        Returns:
            The predictions, and a heatmap each for the targets and then for the best other classes.

        Raises:
            ArgumentError: not such a frame, or no such class.
        """
        return self.explain_batch([frame], target=target, on_progress=on_progress)[0]

    def explain_batch(
        self, frames: Iterable[np.ndarray], *, target: Targets = None, on_progress: OnProgress | None = None
    ) -> list[Explanation]:
        """Explain several frames in one pass, which is compiled once for each number of them.

        Args:
            frames: as for a call; they may differ in size. A list or an array of them, or a generator.
            target: as for a call; None for each frame's own top class.
            on_progress: as for a call.
        """
        targets = checked_targets(target, classes=len(self.vocabulary.names), maps=self.outline.maps)
        frames = list(frames)
        if not frames:
            return []
        for frame in frames:
            check_frame(frame)
        if self.fit == "native":
            return self._explain_natively(frames, targets, on_progress)
        return self._runner.explain(frames, targets, on_progress)

    def _explain_natively(
        self, frames: Sequence[np.ndarray], targets: Sequence[Target], on_progress: OnProgress | None
    ) -> list[Explanation]:
        groups = [frames] if len({frame.shape for frame in frames}) == 1 else [[frame] for frame in frames]
        return [
            replace(explanation, fit=self.fit)
            for group in groups
            for explanation in self.at_size(group[0].shape[:2])._runner.explain(group, targets, on_progress)
        ]

    def explain_smoothed(
        self,
        frame: np.ndarray,
        *,
        samples: int,
        target: Targets = None,
        noise: float = 0.15,
        on_progress: OnProgress | None = None,
    ) -> Explanation:
        """Explain a frame with the mean of the maps of noisy copies of it: see `attribution.smoothing`.

        Args:
            frame: as for a call.
            samples: how many copies.
            target: as for a call. Without one, all copies are explained for the class of the frame itself.
            noise: standard deviation of the Gaussian noise, as a share of the 256 levels of a pixel.
            on_progress: called after each copy: (copies explained, copies in all).

        Returns:
            The frame's own predictions, with the smoothed heatmaps and their evidence.
        """
        if not self.relu:
            raise ArgumentError("maps are smoothed after their ReLU: build the explainer with relu=True")
        check_frame(frame)
        explainer = self.at_size(frame.shape[:2])
        explanation = explainer(frame, target=target)
        return smoothed(
            explanation,
            explainer.as_seen(frame)[0],
            lambda noisy: explainer(noisy, target=explanation.explained),
            samples=samples,
            noise=noise,
            on_progress=on_progress,
        )

    # --- predicting -----------------------------------------------------------------------------------------------

    def predict(self, frame: np.ndarray) -> tuple[Prediction, ...]:
        """The top k without any map, by a compiled function of its own: what the network alone costs.

        Args:
            frame: as for a call.
        """
        check_frame(frame)
        return self.at_size(frame.shape[:2])._runner.predict(frame)

    def probabilities(self, pixels: Iterable[np.ndarray]) -> np.ndarray:
        """The probabilities for any number of frames as the network sees them, 16 at a time, by a function of its own.

        Args:
            pixels: uint8 (height, width, 3), BGR, all of one size, which `as_seen` gives.

        Returns:
            float32 (n, classes), or with everyday names (n, classes + groups).

        Raises:
            ArgumentError: not such an input.
        """
        return self._runner.probabilities(pixels)
