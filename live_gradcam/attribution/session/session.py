"""A warmed-up explainer with the classes to explain."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from live_gradcam.attribution.fit_choice import FitGuess, Stream
from live_gradcam.attribution.notices import Notice
from live_gradcam.attribution.planned import Planned
from live_gradcam.choices import METHODS
from live_gradcam.explanations.explanation import Target
from live_gradcam.listings import Listing

if TYPE_CHECKING:
    import numpy as np

    from live_gradcam.attribution.explainer import Explainer
    from live_gradcam.attribution.methods.method import OnProgress
    from live_gradcam.attribution.outline import Outline
    from live_gradcam.attribution.plan import Plan
    from live_gradcam.attribution.session.chosen_engine import ChosenEngine
    from live_gradcam.attribution.session.options import SessionOptions
    from live_gradcam.attribution.targets import Targets
    from live_gradcam.choices import Fit, Names
    from live_gradcam.explanations.explanation import Explanation, Prediction, Region
    from live_gradcam.networks.classifier import Classifier


@dataclass(frozen=True, repr=False)
class Session(Planned):
    """A warmed-up explainer with the class to explain.

    Attributes:
        explainer: ready for its first frame.
        targets: the classes to explain; empty for each frame's top class.
        start_s: seconds spent on importing TensorFlow, loading the model, building the explainer, timing the forms of
            its layers, and tracing and compiling it.
        frame_size: (height, width) of the frames that it is warmed up for.
        fit_guess: says that the fit is a guess, where it is one.
        notices: what looks at the explanations, and says what is not sure.
        options: what it was started with; None for one that was not made by `start_session`.
        chosen: how the engine or the precision was chosen; None where both were asked for.
        picture_fit: the fit of pictures that come one by one, where a quicker one was chosen for a stream.
    """

    explainer: Explainer
    targets: tuple[Target, ...]
    start_s: dict[str, float]
    frame_size: tuple[int, int] = Stream().frame_size
    fit_guess: FitGuess | None = None
    notices: tuple[Notice, ...] = ()
    options: SessionOptions | None = None
    chosen: ChosenEngine | None = None
    picture_fit: Fit | None = None

    def explain(
        self,
        image: np.ndarray,
        *,
        targets: Targets = (),
        smooth_samples: int = 0,
        on_progress: OnProgress | None = None,
    ) -> Explanation:
        """Explain a frame.

        Args:
            image: uint8 (height, width, 3), BGR.
            targets: the classes to explain in place of the session's own; empty or None for these.
            smooth_samples: over how many noisy copies the maps are averaged; 0 for the map of the frame itself.
            on_progress: called after each pass, where there are many: (passes done, passes in all).
        """
        self._look_at_size(image)
        if targets is None or (isinstance(targets, Sequence) and not targets):
            targets = self.targets
        if smooth_samples:
            explanation = self.explainer.explain_smoothed(
                image, samples=smooth_samples, target=targets, on_progress=on_progress
            )
        else:
            explanation = self.explainer(image, target=targets, on_progress=on_progress)
        self._look_at(image, explanation)
        return explanation

    def explain_frame(self, image: np.ndarray, targets: Targets = None) -> Explanation:
        """Explain a frame of a stream, for classes that change while it runs. Notices do not hold it up.

        Args:
            image: uint8 (height, width, 3), BGR; it must not change any more.
            targets: the classes to explain; None for the frame's top class, whatever the session's own targets are.
        """
        self._look_at_size(image)
        explanation = self.explainer(image, target=targets)
        self._look_at(image, explanation, wait=False)
        return explanation

    def _look_at_size(self, image: np.ndarray) -> None:
        if self.fit_guess is not None:
            self.fit_guess.look_at((image.shape[0], image.shape[1]))

    def _look_at(self, image: np.ndarray, explanation: Explanation, *, wait: bool = True) -> None:
        for notice in self.notices:
            notice.look_at(image, explanation, wait=wait)

    def explain_batch(self, images: Sequence[np.ndarray], size: int, *, place: int = 0) -> list[Explanation]:
        """Explain up to `size` frames in the pass for that many, the first of them at a place among so many."""
        before, after = [images[0]] * place, [images[-1]] * (size - place - len(images))
        explanations = self.explainer.explain_batch([*before, *images, *after], target=self.targets)
        explanations = explanations[place : place + len(images)]
        for image, explanation in zip(images, explanations, strict=True):
            self._look_at(image, explanation)
        return explanations

    def expect(self, frame_size: tuple[int, int]) -> None:
        """Say that many frames of (height, width) pixels will come: see `Explainer.expect`."""
        self.explainer.expect(frame_size)
        if self.fit_guess is not None:
            self.fit_guess.look_at(frame_size)

    def ready_for(self, frame_size: tuple[int, int]) -> Session:
        """The same session, compiled for frames of (height, width) pixels, of which there will be many.

        Raises:
            ModelError: the engine cannot compile the network.
        """
        self.expect(frame_size)
        self.explainer.warm_up(frame_size=frame_size)
        return replace(self, frame_size=frame_size)

    def is_ready_for(self, frame_size: tuple[int, int]) -> bool:
        """Whether a frame of (height, width) pixels is explained without anything being compiled first."""
        return self.explainer.is_ready_for(frame_size)

    def get_ready_for(self, frame_size: tuple[int, int]) -> None:
        """Compile what a frame of (height, width) pixels needs. Frames of other sizes may be running.

        Raises:
            ModelError: the engine cannot compile the network.
        """
        self.explainer.get_ready_for(frame_size)

    def variant(self, *, method: str, layer: str, fit: Fit | None = None) -> Session:
        """The same network, ready with another method, target layer or fit. Times nothing: frames may be running.

        Raises:
            LiveGradcamError: as `Explainer` does.
        """
        start = time.perf_counter()
        if fit == self.explainer.fit:
            fit = None  # with as many tiles
        explainer = self.explainer.variant(method=method, layer=layer, fit=fit)
        explainer.warm_up(frame_size=self.frame_size)
        seconds = {"compile": time.perf_counter() - start}
        options = self.options and replace(self.options, method=method, layer=layer, fit=fit or self.options.fit)
        return replace(self, explainer=explainer, start_s=seconds, options=options)

    def for_pictures(self, names: Names) -> Session:
        """The same network for pictures that come one by one: with the fit that these have, and the names to list.

        It is compiled for the first of them. Where nothing differs, it is this session.

        Raises:
            LiveGradcamError: as `Explainer` does.
        """
        if self.picture_fit is None and names == self.outline.options.explained.names:
            return self
        explainer = self.explainer.variant(method=self.method, layer=self.layer, fit=self.picture_fit, names=names)
        return replace(self, explainer=explainer, targets=(), picture_fit=None)

    def side_by_side(self, methods: Iterable[str]) -> dict[str, Session]:
        """Sessions of the same network with each of some methods, to compare their maps.

        Each is compiled when it is first used, and says nothing about its answers.

        Raises:
            UsageError: there is no such method, or it is not defined for the network.
        """
        own = replace(self, notices=(), fit_guess=None)
        sessions = {}
        for name in methods:
            sessions[name] = own
            if name != self.method:
                explainer = self.explainer.variant(method=name, layer=self.layer)
                options = self.options and replace(self.options, method=name)
                sessions[name] = replace(own, explainer=explainer, options=options)
        return sessions

    def of_classifier(self, classifier: Classifier) -> Session:
        """A session that differs in the classifier alone, one with the same layers and other weights."""
        return replace(self, explainer=self.explainer.of_classifier(classifier))

    # --- what the network does without a map --------------------------------------------------------------------

    def predict(self, image: np.ndarray) -> tuple[Prediction, ...]:
        """The predictions alone of a frame, uint8 (height, width, 3) BGR: what the network costs without a map."""
        return self.explainer.predict(image)

    def as_seen(self, image: np.ndarray) -> tuple[np.ndarray, Region]:
        """A frame as the network sees it, and the region of the frame that it shows: see `Explainer`."""
        return self.explainer.as_seen(image)

    def probabilities(self, pixels: Iterable[np.ndarray]) -> np.ndarray:
        """The probabilities, float32 (n, classes), of frames as the network sees them: see `Explainer`."""
        return self.explainer.probabilities(pixels)

    def noise_floor(self, frame_size: tuple[int, int]) -> float:
        """The evidence found in noise, where there is nothing to see, in units of the score.

        Args:
            frame_size: (height, width) of the frames. The noise is as fine as the network's input for them: shrunk to
                that, finer noise would be grey.
        """
        import numpy as np

        size = self.explainer.input_size_for(frame_size)
        noise = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
        return float(self.explainer(noise).evidence[0])

    # --- what it is -------------------------------------------------------------------------------------------

    @property
    def model(self) -> str:
        """The network's name."""
        return self.outline.name

    @property
    def card_levels(self) -> Mapping[str, Any] | None:
        """See `SessionOptions.card_levels`."""
        return None if self.options is None else self.options.card_levels

    @property
    def outline(self) -> Outline:
        """What is known of the explainer's plan without TensorFlow."""
        return self.explainer.outline

    @property
    def plan(self) -> Plan:
        """What the explainer runs by."""
        return self.explainer.plan

    @property
    def maps(self) -> int:
        """How many maps of a frame are made, and so how many classes can be explained at a time."""
        return self.outline.maps

    def tiles_for(self, frame_size: tuple[int, int]) -> int:
        """How many tiles a frame of (height, width) pixels is."""
        return self.explainer.tiles_for(frame_size)

    def fastest_batch(self, frame_size: tuple[int, int]) -> int:
        """How many frames of (height, width) pixels at a time take the least time each: see `Explainer`."""
        return self.explainer.fastest_batch(frame_size)

    def fastest_callers(self, frame_size: tuple[int, int], batch: int = 1) -> int:
        """How many threads that explain at a time have the most frames explained: see `Explainer`."""
        return self.explainer.fastest_callers(frame_size, batch)

    @property
    def methods(self) -> Listing:
        """The names of the methods that are quick enough for a camera; `Explainer.methods` has all."""
        from live_gradcam.attribution.methods.method import quick_methods

        return Listing(quick_methods(), METHODS.helps)

    @property
    def description(self) -> tuple[str, str]:
        """Two short lines: the model; the method and the target layer."""
        return self.model, f"{self.method} · {self.layer}"
