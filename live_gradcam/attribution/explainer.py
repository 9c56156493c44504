"""The engine: frames in, explanations out, through one compiled function."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from importlib.resources import files
from itertools import cycle, islice
from typing import Any

import cv2
import numpy as np
import tensorflow as tf

from live_gradcam.attribution.check import AsCalled, confirmed, logits_like_the_model
from live_gradcam.attribution.coverage import coverage_of
from live_gradcam.attribution.logits import LogitNetwork, without_final_activation
from live_gradcam.attribution.mean_gradient import is_pooled_head, offset_path
from live_gradcam.attribution.methods.method import (
    MOST_PLACES,
    ExplainedInput,
    Method,
    OnProgress,
    Passes,
    load_method,
)
from live_gradcam.attribution.one_pass import NO_CLASS, TOP_CLASS, OnePass
from live_gradcam.attribution.shared_start import SharedStart, shared_start
from live_gradcam.choices import FITS, NAMES, PRECISIONS, SCORES, TUNES, Fit, Names, Precision, Score, Tune
from live_gradcam.compiling.comparison import check_images
from live_gradcam.compiling.compilation import check_engine, compile_function
from live_gradcam.compiling.engines.engine import CompiledFunction
from live_gradcam.compiling.lowering import LayerRewrite, describe_rewrites, in_bf16, lower
from live_gradcam.compiling.tuning import Tuner
from live_gradcam.errors import ModelError, UsageError
from live_gradcam.explanations.explanation import Explanation, Prediction, Region, Target
from live_gradcam.explanations.fits import fit_frame, native_size
from live_gradcam.explanations.heatmaps import fuse, scale
from live_gradcam.explanations.tiles import Cut, Tiling, plan_tiling
from live_gradcam.explanations.vocabulary import Groups, Vocabulary
from live_gradcam.networks.classifier import Classifier
from live_gradcam.networks.graph import Network, Operation, flatten, run
from live_gradcam.networks.network_input import network_input
from live_gradcam.networks.outputs import entries_of
from live_gradcam.networks.preprocessing import PREPROCESSINGS
from live_gradcam.networks.split import are_side_by_side, default_targets, find_layer, layers_to_step_through, split_at

_log = logging.getLogger(__name__)

#: What to explain: a class, a contrast, several of them, or None for the top class.
Targets = int | Target | Sequence[int | Target] | None

#: How many inputs go through the network at a time where there are many.
_MANY = 16
#: How many input sizes stay compiled with `fit="native"`.
_KEPT_SIZES = 4
#: How many rows of a batch are run apart at most: each is compiled by itself.
_MOST_APART = 4
#: From so many places on a map is large.
_LARGE_MAP = 28 * 28
#: The largest difference that passes for rounding: see `Explainer._difference`.
_SHARING_TOLERANCE = 1e-5
#: (height, width) of the frames that tiles are compiled for before the first frame has come.
USUAL_FRAME = (720, 1280)


class Explainer:
    """Explains frames with one compiled function: trunk → head → the head's gradient → maps.

    The function is compiled once, for one network and one target layer (of tiles: once for each number of them); frames
    of any size and any class to explain run through it without compiling again. For weights that change afterwards,
    build a new explainer.

    Args:
        classifier: from `load_classifier`.
        method: a name of `choices.METHODS`.
        layer: the target layer's name, or several with commas, whose maps are fused: each scaled to its maximum,
            enlarged to the finest one, and averaged. None for the last feature maps before space is given up; where
            several of them reach the prediction, as of two backbones that are joined late, all.
        topk: how many predictions to return.
        score: "logit", "margin" or "probability": see `Score`.
        fit: "stretch", "crop", "letterbox", "native" or "tiles": see `explanations.fits.Fit`.
        maps: how many classes get a heatmap: the target and the best others. None for `topk`.
        relu: keep only what speaks for the class, scaled to the maximum. False scales from minimum to maximum
            instead, which paints a map of no evidence as if it were one of strong evidence.
        lowering: rewrite the network in the form that the engine runs best (see `compiling.lowering`).
        engine: what runs the function: a name of `choices.ENGINES`. All give the same explanation.
        tune: how much to time to find the fastest form of each layer: see `compiling.tuning.Tune`.
        input_size: (height, width) to run the network at; None for its own. With `fit="native"`
            its shorter side counts.
        tiles: with `fit="tiles"` how many tiles a frame is cut into; None for as many as its shape asks for.
        names: "imagenet" to list the network's classes; "everyday" to list the groups of them that have everyday names,
            for a network of ImageNet's classes. A group's probability is the sum of its classes'.
        precision: "bf16" computes the products before the target layer in bfloat16, with sums in float32. Faster only
            where the processor has instructions for it.

    Raises:
        UsageError: a method, layer, score, fit, engine or tune that does not exist, or an engine that is not installed;
            a method that is not defined for this head, these layers, this score or this fit.
        ModelError: the model has no feature maps, or its graph cannot be seen, or does not run at the input size.
    """

    def __init__(
        self,
        classifier: Classifier,
        *,
        method: str = "grad-cam",
        layer: str | None = None,
        topk: int = 5,
        score: Score = "logit",
        fit: Fit = "stretch",
        maps: int | None = None,
        relu: bool = True,
        lowering: bool = True,
        engine: str = "xla",
        tune: Tune = "auto",
        precision: Precision = "f32",
        input_size: tuple[int, int] | None = None,
        tiles: int | None = None,
        names: Names = "imagenet",
    ) -> None:
        SCORES.check(score)
        FITS.check(fit)
        TUNES.check(tune)
        PRECISIONS.check(precision)
        NAMES.check(names)
        self._runs_on = check_engine(engine, precision)
        found_method = load_method(method)
        if topk < 1 or (maps is not None and maps < 1) or (tiles is not None and tiles < 1):
            raise UsageError("topk, maps and tiles must be at least 1")
        self._settings: dict[str, Any] = {
            "topk": topk,
            "score": score,
            "fit": fit,
            "maps": maps,
            "relu": relu,
            "lowering": lowering,
            "engine": engine,
            "precision": precision,
            "tiles": tiles,
            "names": names,
        }
        if input_size is not None:
            classifier = replace(classifier, input_size=input_size)
        self.classifier = classifier
        self.fit: Fit = fit
        self.relu = relu
        self.method = method
        self.engine: str = engine
        self.precision: Precision = precision
        #: How often the one-pass function has been traced: once for each size of batch that was asked for, and number
        #: of tiles.
        self.trace_count = 0
        self._tiles = tiles
        self._compiled: dict[tuple, CompiledFunction] = {}
        #: By how tiles are cut from a frame, what they share; None where that is nothing.
        self._shared: dict[Cut, SharedStart | None] = {}
        #: With `fit="native"`, by input size.
        self._sized: dict[tuple[int, int], Explainer] = {}

        as_called = flatten(classifier.model, classifier.input_size)
        pictures = _check_picture(classifier)
        check = AsCalled.at(classifier.input_size, classifier.model, check_images(as_called, pictures))
        logit_network = logits_like_the_model(as_called, classifier.output, check)
        if check is None:  # of another size than the model's: what hides there hides here
            logit_network = _as_at_its_own_size(classifier, as_called)
        network = logit_network.network
        targets = _find_layers(network, layer)
        values = tuple(dict.fromkeys(target.outputs[0] for target in targets))
        _check_method(method, found_method, network, values, score, fit)
        #: The target layer's full name; several with commas.
        self.layer = ",".join(target.name for target in targets)
        #: What the lowering rewrote, by rule.
        self.rewrites: dict[str, int] = {}
        self._tuner = Tuner(tune)
        self._original = network
        if lowering and fit != "native":  # whose networks are those of the sizes
            for_xla = self._runs_on.is_xla and not tf.config.list_physical_devices("GPU")
            found = logit_network
            accept = None if check is None else lambda scores: check.passes(found, scores)
            network, self.rewrites = lower(
                network, keep=values, for_xla=for_xla, tuner=self._tuner, pictures=pictures, accept=accept
            )
        if not self.rewrites and fit != "native":
            logit_network = confirmed(logit_network, as_called, check, name=classifier.name)
            network = self._original = logit_network.network
        if precision == "bf16" and self._runs_on.is_xla:
            network = in_bf16(network, keep=values)
        self._network = network

        #: What there is to name, and to ask for.
        groups = _groups(classifier) if names == "everyday" else None
        self.vocabulary = Vocabulary(classifier.labels, groups, are_values=logit_network.output == "values")
        if self.vocabulary.groups and logit_network.activation != "softmax":
            raise UsageError(
                f"{classifier.name} gives each class a probability of its own, and these do not add up to that of a "
                "group: use --names imagenet"
            )
        listed = len(self.vocabulary.names) - self.vocabulary.first_listed
        _check_entries(classifier, logit_network, score)
        _check_comparable(method, found_method, self.vocabulary)
        split = split_at(network, *values)
        #: What of the input each target layer's map covers, where that is not all.
        self._coverages = tuple(coverage_of(self._original, target) for target in split.targets)
        #: Of target layers side by side, how many places each one's map has.
        self._side_by_side: tuple[int, ...] = ()
        if len(values) > 1 and are_side_by_side(self._original, values):
            shapes = (self._original.shapes[target] for target in split.targets)
            self._side_by_side = tuple(math.prod(side or 1 for side in shape[:-1]) for shape in shapes)
        self._one_pass = OnePass(
            split=split,
            offset_path=offset_path(network, split),
            preprocessing=classifier.preprocessing,
            activation=logit_network.activation,
            output=logit_network.output,
            method=found_method,
            score=score,
            topk=min(topk, listed),
            maps=min(topk if maps is None else maps, listed),
            members=self.vocabulary.members,
            coverage=self._coverages[-1],
        )

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """The full names of the layers worth looking at one after the other, from the first to the last."""
        return tuple(dict.fromkeys(step.name for step in layers_to_step_through(self._original)))

    def variant(self, *, method: str, layer: str, fit: Fit | None = None, tiles: int | None = None) -> Explainer:
        """A new explainer that differs in these alone. It chooses forms by what was timed before, and times nothing.

        Args:
            method: as in the constructor.
            layer: as in the constructor.
            fit: as in the constructor; None for this one's, with as many tiles.
            tiles: as in the constructor.
        """
        if fit is None:
            fit, tiles = self.fit, self._tiles
        settings = {**self._settings, "fit": fit, "tiles": tiles}
        if layer != self.layer or (fit != self.fit and "native" in (fit, self.fit)):
            return Explainer(self.classifier, method=method, layer=layer, tune="remembered", **settings)
        found_method = load_method(method)
        targets, score = self._one_pass.split.targets, self._one_pass.score
        _check_method(method, found_method, self._original, targets, score, fit)
        _check_comparable(method, found_method, self.vocabulary)
        other = copy(self)  # which shares the rewritten network, weights and all
        other.method, other.fit, other._tiles, other._settings = method, fit, tiles, settings
        other.trace_count = 0
        other._compiled, other._sized = {}, {}
        other._one_pass = replace(self._one_pass, method=found_method)
        vars(other).pop("_still", None)
        return other

    def of_classifier(self, classifier: Classifier) -> Explainer:
        """A new explainer that differs in the classifier alone, one with the same layers and other weights."""
        return Explainer(classifier, method=self.method, layer=self.layer, tune="remembered", **self._settings)

    def _explain(self, batch: int, tiles: int = 1, shared: SharedStart | None = None) -> CompiledFunction:
        """The one-pass function for this many frames at a time, of this many tiles each."""
        return self._compiled_once("explain", batch, tiles, shared)

    def _predict(self, batch: int, tiles: int = 1, shared: SharedStart | None = None) -> CompiledFunction:
        """The predictions alone, likewise."""
        return self._compiled_once("predict", batch, tiles, shared)

    def _compiled_once(self, name: str, batch: int, tiles: int, shared: SharedStart | None) -> CompiledFunction:
        key = name, batch, tiles, shared
        if key not in self._compiled:
            one_pass = replace(self._one_pass, tiles=tiles, apart=self._run_apart(batch * tiles), shared=shared)
            pixels, *classes = self._signature(batch, tiles)
            if shared is not None:
                pixels = tf.TensorSpec((batch, *shared.tiling.size, 3), tf.uint8, name="pixels")
            if name == "explain":
                self._compiled[key] = self._compile(self._counting(one_pass.explain), [pixels, *classes])
            else:
                self._compiled[key] = self._compile(one_pass.predict, [pixels])
        return self._compiled[key]

    def expect(self, frame_size: tuple[int, int]) -> None:
        """Let the tiles of frames of this size share what they can. Their function is compiled for the first of them.

        Args:
            frame_size: (height, width) in pixels of frames of which there will be many.
        """
        if self.fit != "tiles":
            return
        tiling = self._tiling(frame_size)
        if tiling.count == 1 or not self._runs_on.is_xla or self.precision != "f32" or tiling.cut_at in self._shared:
            return
        self._shared[tiling.cut_at] = None
        shared = shared_start(self._network, self._one_pass.split, tiling)
        if shared is None:
            return
        difference = self._difference(shared)
        if difference <= _SHARING_TOLERANCE:
            self._shared[tiling.cut_at] = shared
        else:
            _log.warning("what tiles share differs by %.1e and is not used", difference)

    def _difference(self, shared: SharedStart) -> float:
        """Of what tiles share, the largest difference to each tile's own, relative to the largest value."""
        picture, preprocessing = shared.tiling.scaled(_check_pixels()), self.classifier.preprocessing
        together = shared.values_of_tiles(network_input(tf.constant(picture[None]), preprocessing))
        alone = shared.values(network_input(tf.constant(shared.tiling.cut(picture)), preprocessing))
        return float(tf.reduce_max(tf.abs(together - alone)) / tf.reduce_max(tf.abs(alone)))

    def _shared_by(self, tilings: Sequence[Tiling | None]) -> SharedStart | None:
        """What the tiles of frames share; None where the frames are not all of a size for which that is known."""
        cuts = {None if tiling is None else tiling.cut_at for tiling in tilings}
        cut = cuts.pop()
        return self._shared.get(cut) if cut is not None and not cuts else None

    def _run_apart(self, rows: int) -> int:
        """How many of the trunk's operations are best run for each row of a batch by itself.

        Those whose maps are large: of several rows together they would not stay in the processor's cache, and XLA
        computes rows by themselves side by side. 0.86 to 1.02 of the time of three tiles on the networks tried.
        """
        if not self._runs_on.is_xla or not 1 < rows <= _MOST_APART or tf.config.list_physical_devices("GPU"):
            return 0
        split, shapes = self._one_pass.split, self._network.shapes
        large = [
            position
            for position, operation in enumerate(split.trunk)
            if math.prod(side or 0 for side in shapes[operation.outputs[0]][:-1]) >= _LARGE_MAP
        ]
        return large[-1] + 1 if large else 0

    def _signature(self, batch: int, tiles: int = 1) -> list[tf.TensorSpec]:
        """Of the one-pass function."""
        shape = (batch, self._one_pass.maps)
        classes = [tf.TensorSpec(shape, tf.int32, name=name) for name in ("target_classes", "contrast_classes")]
        return [self._pixels(batch * tiles), *classes]

    def _counting(self, function: Callable[..., dict[str, tf.Tensor]]) -> Callable[..., dict[str, tf.Tensor]]:
        """The function, which counts how often it is traced."""

        def traced(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
            self.trace_count += 1
            return function(*tensors)

        return traced

    @cached_property
    def _still(self) -> Passes | None:
        """The method, compiled, where it takes more than the one pass."""
        make = self._one_pass.method.passes
        return None if make is None else make(self._one_pass, self._compile, self._signature(1))

    def _compile(self, function: Callable[..., Any], signature: list[tf.TensorSpec]) -> CompiledFunction:
        return compile_function(function, signature, self.engine, name=self.classifier.name, precision=self.precision)

    def _pixels(self, rows: int) -> tf.TensorSpec:
        return tf.TensorSpec((rows, *self.classifier.input_size, 3), tf.uint8, name="pixels")

    @property
    def tune_s(self) -> float:
        """Seconds spent on timing forms of layers."""
        return self._tuner.seconds

    def describe_rewrites(self) -> list[LayerRewrite]:
        """What the lowering made of each layer, in running order."""
        return describe_rewrites(self._original, self._network, self._tuner)

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
            tiling = self._tiling(frame_size or USUAL_FRAME) if self.fit == "tiles" else None
            self._explain(batch, tiling.count if tiling else 1, self._shared_by([tiling]))
        return time.perf_counter() - start

    def input_size_for(self, frame_size: tuple[int, int]) -> tuple[int, int]:
        """The (height, width) at which the network sees a frame of (height, width) pixels, all tiles together."""
        if self.fit == "tiles":
            return self._tiling(frame_size).size
        if self.fit == "native":
            return native_size(frame_size, shorter_side=min(self.classifier.input_size))
        return self.classifier.input_size

    def tiles_for(self, frame_size: tuple[int, int]) -> int:
        """How many tiles a frame of (height, width) pixels is."""
        return self._tiling(frame_size).count if self.fit == "tiles" else 1

    def _tiling(self, frame_size: tuple[int, int]) -> Tiling:
        return plan_tiling(frame_size, self.classifier.input_size, self._tiles)

    def as_seen(self, frame: np.ndarray) -> tuple[np.ndarray, Region]:
        """A frame as the network sees it.

        Args:
            frame: as for a call.

        Returns:
            uint8 (height, width, 3) of `input_size_for` the frame, which is explained like the frame itself; and the
            region of the frame that it shows.
        """
        _check_frame(frame)
        if self.fit == "tiles":
            height, width = frame.shape[:2]
            return self._tiling((height, width)).scaled(frame), Region(0, 0, width, height)
        if self.fit == "native":
            return fit_frame(frame, self.input_size_for(frame.shape[:2]), "letterbox")
        return fit_frame(frame, self.classifier.input_size, self.fit)

    def milliseconds(self, frame_size: tuple[int, int]) -> float:
        """How long one frame takes, timed once and remembered like the layers' forms.

        Args:
            frame_size: (height, width) of the frames in pixels.
        """
        self.warm_up(frame_size=frame_size)
        frames = cycle(np.random.default_rng(0).integers(0, 256, (2, *frame_size, 3), np.uint8))
        size = "×".join(map(str, self.input_size_for(frame_size)))
        lowering = "" if self._settings["lowering"] else " not rewritten"
        what = f"{self.classifier.name}{lowering} {self.layer} {self.method} {self._one_pass.maps} maps"
        how = (
            f"{size} in {self.tiles_for(frame_size)} of {'×'.join(map(str, frame_size))} {self.engine} {self.precision}"
        )
        return self._tuner.time(f"{what} {how}", lambda: self(next(frames)))

    def fastest_batch(self, frame_size: tuple[int, int]) -> int:
        """How many frames at a time take the least time each: timed once, and remembered like the layers' forms.

        Args:
            frame_size: (height, width) of the frames in pixels.
        """
        if self.fit == "native":
            return self._of_size_for(frame_size).fastest_batch(frame_size)
        seen = self.input_size_for(frame_size)
        size = "×".join(map(str, seen)) + (f" {self.tiles_for(frame_size)} tiles" if self.fit == "tiles" else "")
        image = np.random.default_rng(0).integers(0, 256, (*seen, 3), np.uint8)
        return self._tuner.choose_batch(
            f"{self.classifier.name} {size} {self.engine} {self.precision}",
            lambda batch: self.explain_batch([image] * batch),
        )

    def __call__(
        self, frame: np.ndarray, *, target: Targets = None, on_progress: OnProgress | None = None
    ) -> Explanation:
        """Explain a frame.

        Args:
            frame: uint8 (H, W, 3), BGR as OpenCV has it, of any size.
            target: the class index to explain, or a contrast, or several of them, at most as many as there are maps;
                None for the frame's own top class.
            on_progress: is told of each step of a method that takes many passes.

        Returns:
            The predictions, and a heatmap each for the targets and then for the best other classes.

        Raises:
            ValueError: not such a frame, or no such class.
        """
        return self.explain_batch([frame], target=target, on_progress=on_progress)[0]

    def explain_batch(
        self, frames: Sequence[np.ndarray], *, target: Targets = None, on_progress: OnProgress | None = None
    ) -> list[Explanation]:
        """Explain several frames in one pass, which is compiled once for each number of them.

        Args:
            frames: as for a call; they may differ in size.
            target: as for a call; None for each frame's own top class.
            on_progress: as for a call.
        """
        targets = self._checked_targets(target)
        if len(frames) == 0:  # they may be an array
            return []
        for frame in frames:
            _check_frame(frame)
        if self.fit == "native":
            return self._explain_natively(frames, targets, on_progress)
        tilings = [self._tiling(frame.shape[:2]) if self.fit == "tiles" else None for frame in frames]
        tiles = 1 if tilings[0] is None else tilings[0].count
        if any(tiling is not None and tiling.count != tiles for tiling in tilings):  # each number has its own function
            return [self(frame, target=target, on_progress=on_progress) for frame in frames]
        seen, regions = zip(*map(self.as_seen, frames), strict=True)
        shared = self._shared_by(tilings)
        pixels = np.stack(seen) if shared else np.concatenate([self._rows(one) for one in seen])
        batch = self._explain(len(frames), tiles, shared)(pixels, *self._classes(targets, len(frames)))
        raw_maps = self._placed(_raw_maps(batch))
        if self._still:
            raw_maps = self._maps_of_stills(pixels, batch, raw_maps[0], targets, on_progress)
        signs = None
        if self._still and self._still.is_signed:
            signs = np.sign(raw_maps[0][:, 0]).astype(np.int8)
            raw_maps = [np.abs(raw_maps[0])]
        maps = [self._heatmaps([of_layer[row] for of_layer in raw_maps], tiling) for row, tiling in enumerate(tilings)]
        contrasts = tuple(targets[k].against if k < len(targets) else None for k in range(self._one_pass.maps))
        return [
            Explanation(
                predictions=self._predictions(batch["indices"][row], probabilities),
                heatmaps=maps[row][0],
                targets=self._predictions(batch["targets"][row], probabilities),
                contrasts=tuple(
                    None if other is None else self.vocabulary.prediction(other, probabilities) for other in contrasts
                ),
                against=self._one_pass.method.against,
                evidence=maps[row][1],
                logits=batch["logits"][row],
                probabilities=probabilities,
                region=region,
                fit=self.fit,
                tiles=tiles,
                signs=None if signs is None else signs[row],
                model=self.classifier.name,
                method=self.method,
                layer=self.layer,
            )
            for row, (region, probabilities) in enumerate(zip(regions, batch["probabilities"], strict=True))
        ]

    def _predictions(self, indices: np.ndarray, probabilities: np.ndarray) -> tuple[Prediction, ...]:
        return tuple(self.vocabulary.prediction(int(index), probabilities) for index in indices)

    def _checked_targets(self, target: Targets) -> list[Target]:
        asked = [] if target is None else [target] if isinstance(target, (int, np.integer, Target)) else list(target)
        targets = [one if isinstance(one, Target) else Target(int(one)) for one in asked]
        classes = len(self.vocabulary.names)
        for one in targets:
            for index in (one.index, one.against):
                if index is not None and not 0 <= index < classes:
                    raise ValueError(f"there is no class {index}: the classes are 0 to {classes - 1}")
            if one.against == one.index:
                raise ValueError(f"class {one.index} cannot be contrasted with itself")
        if len(targets) > self._one_pass.maps:
            raise ValueError(f"{len(targets)} classes need as many maps, and there are {self._one_pass.maps}")
        return targets

    def _classes(self, targets: Sequence[Target], batch: int) -> tuple[np.ndarray, np.ndarray]:
        """The classes to explain and those to contrast them with, each int32 (batch, maps)."""
        classes = np.full((2, batch, self._one_pass.maps), TOP_CLASS, np.int32)
        for k, target in enumerate(targets):
            classes[0, :, k] = target.index
            classes[1, :, k] = NO_CLASS if target.against is None else target.against
        return classes[0], classes[1]

    def _heatmaps(self, raw_maps: list[np.ndarray], tiling: Tiling | None) -> tuple[np.ndarray, np.ndarray]:
        """The heatmaps of a frame, (maps, h, w), and their evidence, (maps,).

        Several layers' are fused. Of layers one after the other each counts the same, and the evidence is the last
        one's. Of layers side by side each counts by its part in the score, which is the sum of its raw map over as many
        places as it has, and the evidence is the largest.

        Args:
            raw_maps: of each layer, float32 (tiles, maps, h, w).
            tiling: how the frame was cut; None for a frame that was not.
        """
        whole = [of_layer[0] if tiling is None else tiling.compose(of_layer) for of_layer in raw_maps]
        scaled = [scale(of_layer, relu=self.relu) for of_layer in whole]
        heatmaps, evidence = scaled[-1]
        if len(scaled) == 1:
            return heatmaps, evidence
        if not self._side_by_side or not self.relu:  # below 0 there are no parts of a sum
            return fuse([of_layer for of_layer, _ in scaled]), evidence
        each = np.stack([of_layer for _, of_layer in scaled])
        weights = [one * places for one, places in zip(each, self._side_by_side, strict=True)]
        return fuse([of_layer for of_layer, _ in scaled], weights), each.max(axis=0)

    def _maps_of_stills(
        self,
        pixels: np.ndarray,
        batch: dict[str, np.ndarray],
        of_passes: np.ndarray,
        targets: Sequence[Target],
        on_progress: OnProgress | None,
    ) -> list[np.ndarray]:
        """The raw maps, as of one layer, of a method that takes more than the one pass."""
        assert self._still is not None
        _, contrasts = self._classes(targets, 1)
        raw_maps = []
        for image, of_image, of_pass in zip(pixels, batch["targets"], of_passes, strict=True):
            heatmaps, _ = scale(of_pass[0], relu=self.relu)
            explained = ExplainedInput(image, of_image, contrasts[0], heatmaps)
            raw_maps.append(self._still.raw_maps(explained, on_progress)[None])
        stacked = np.stack(raw_maps)
        return [stacked] if self._still.are_of_input else self._placed([stacked])

    def _placed(self, raw_maps: list[np.ndarray]) -> list[np.ndarray]:
        """Each layer's raw maps (…, h, w) as maps of the whole input.

        Where the layer does not look, there is no evidence: 0, or what is nothing where maps are scaled from minimum to
        maximum.
        """
        placed = []
        for of_layer, coverage in zip(raw_maps, self._coverages, strict=True):
            if coverage is None:
                placed.append(of_layer)
                continue
            nothing = np.float32(0) if self.relu else of_layer.min(axis=(-2, -1), keepdims=True)
            placed.append(coverage.place(of_layer - nothing) + nothing)
        return placed

    def _explain_natively(
        self, frames: Sequence[np.ndarray], targets: list[Target], on_progress: OnProgress | None
    ) -> list[Explanation]:
        groups = [frames] if len({frame.shape for frame in frames}) == 1 else [[frame] for frame in frames]
        return [
            replace(explanation, fit=self.fit)
            for group in groups
            for explanation in self._of_size_for(group[0].shape[:2]).explain_batch(
                group, target=targets, on_progress=on_progress
            )
        ]

    def _of_size_for(self, frame_size: tuple[int, int]) -> Explainer:
        """The explainer whose input has the shape of a frame of (height, width). The last few are kept."""
        size = self.input_size_for(frame_size)
        if size not in self._sized:
            settings = {**self._settings, "fit": "letterbox", "tune": self._tuner.tune}
            explainer = Explainer(self.classifier, method=self.method, layer=self.layer, input_size=size, **settings)
            self._sized[size] = explainer
            while len(self._sized) > _KEPT_SIZES:
                del self._sized[next(iter(self._sized))]
        return self._sized[size]

    def explain_smoothed(
        self,
        frame: np.ndarray,
        *,
        samples: int,
        target: Targets = None,
        noise: float = 0.15,
        on_progress: OnProgress | None = None,
    ) -> Explanation:
        """Explain a frame with the mean of the maps, after their ReLU, of noisy copies of it.

        Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017 (https://arxiv.org/abs/1706.03825), with maps
        in the place of gradients, as in Smooth Grad-CAM++ (https://arxiv.org/abs/1908.01224). Always the same noise.

        Args:
            frame: as for a call.
            samples: how many copies.
            target: as for a call. Without one, all copies are explained for the class of the frame itself.
            noise: standard deviation of the Gaussian noise, as a share of the 256 levels of a pixel.
            on_progress: is told of each copy: (copies explained, copies in all).

        Returns:
            The frame's own predictions, with the smoothed heatmaps and their evidence.
        """
        if not self.relu:
            raise ValueError("maps are smoothed after their ReLU: build the explainer with relu=True")
        _check_frame(frame)
        if self.fit == "native":
            return self._of_size_for(frame.shape[:2]).explain_smoothed(
                frame, samples=samples, target=target, noise=noise, on_progress=on_progress
            )
        explanation = self(frame, target=target)
        pixels, _ = self.as_seen(frame)
        generator = np.random.default_rng(0)
        total = np.zeros_like(explanation.heatmaps)
        for sample in range(samples):
            noisy = pixels + generator.normal(0, 256 * noise, pixels.shape)
            one = self(np.clip(np.rint(noisy), 0, 255).astype(np.uint8), target=explanation.explained)
            total += one.heatmaps * one.evidence[:, None, None]
            if on_progress is not None:
                on_progress(sample + 1, samples)
        highest = total.max(axis=(1, 2))
        heatmaps = total / np.where(highest > 0, highest, 1)[:, None, None]
        return replace(explanation, heatmaps=heatmaps, evidence=highest / samples)

    def predict(self, frame: np.ndarray) -> tuple[Prediction, ...]:
        """The top k without any map, by a compiled function of its own: what the network alone costs.

        Args:
            frame: as for a call.
        """
        _check_frame(frame)
        if self.fit == "native":
            return self._of_size_for(frame.shape[:2]).predict(frame)
        pixels, _ = self.as_seen(frame)
        rows = self._rows(pixels)
        shared = self._shared_by([self._tiling(pixels.shape[:2]) if self.fit == "tiles" else None])
        result = self._predict(1, len(rows), shared)(pixels[None] if shared else rows)
        return self._predictions(result["indices"][0], result["probabilities"][0])

    def asked_with(self, frame: np.ndarray, preprocessing: str) -> Prediction:
        """The best class with pixels of another scale, of the frame squeezed to the input; computed eagerly.

        Args:
            frame: as for a call.
            preprocessing: a name of `PREPROCESSINGS`.
        """
        recipe = PREPROCESSINGS[preprocessing]
        if self.classifier.preprocessing.channels == "grey":
            recipe = replace(recipe, channels="grey")
        pixels, _ = fit_frame(frame, self.classifier.input_size, "stretch")
        split = self._one_pass.split
        values = run((*split.trunk, *split.head), {split.input: network_input(tf.constant(pixels[None]), recipe)})
        probabilities = self._one_pass.numbers(self._one_pass.logits(values)).numpy()[0]
        return Vocabulary(self.vocabulary.classes, are_values=self.vocabulary.are_values).best(probabilities, 1)[0]

    def _rows(self, seen: np.ndarray) -> np.ndarray:
        """A frame as the network sees it as rows of a batch: its tiles, or itself."""
        return self._tiling(seen.shape[:2]).cut(seen) if self.fit == "tiles" else seen[None]

    def probabilities(self, pixels: Iterable[np.ndarray]) -> np.ndarray:
        """The probabilities for any number of frames as the network sees them, 16 at a time, by a function of its own.

        Args:
            pixels: uint8 (height, width, 3), BGR, all of one size, which `as_seen` gives.

        Returns:
            float32 (n, classes), or with everyday names (n, classes + groups).

        Raises:
            ValueError: not such an input.
        """
        rest, results = iter(pixels), [np.zeros((0, len(self.vocabulary.names)), np.float32)]
        while group := list(islice(rest, _MANY)):
            for one in group:
                _check_frame(one)
                expected = self.input_size_for(one.shape[:2]) if self.fit == "tiles" else self.classifier.input_size
                if one.shape[:2] != expected:
                    raise ValueError(f"the network's input is {expected}, not {one.shape[:2]}")
            filled_up = [self._rows(one) for one in group + [group[-1]] * (_MANY - len(group))]
            predicted = self._predict(_MANY, len(filled_up[0]))(np.concatenate(filled_up))
            results.append(predicted["probabilities"][: len(group)])
        return np.concatenate(results)


def _as_at_its_own_size(classifier: Classifier, as_called: Network) -> LogitNetwork:
    """The network without its final activation, left out or undone as it has to be at the model's own size."""
    height, width = classifier.model.inputs[0].shape[1:3]
    own = replace(classifier, input_size=(height, width))
    network = flatten(own.model, own.input_size)
    check = AsCalled(own.model, check_images(network, _check_picture(own)))
    found = logits_like_the_model(network, own.output, check)
    return without_final_activation(as_called, found.output, by_inverse=found.by_inverse)


def _check_picture(classifier: Classifier) -> np.ndarray:
    """A photograph as the network's input, float32 (1, height, width, channels), to check rewrites on."""
    pixels, _ = fit_frame(_check_pixels(), classifier.input_size, "stretch")
    return network_input(tf.constant(pixels[None]), classifier.preprocessing).numpy()


def _check_pixels() -> np.ndarray:
    """The photograph, uint8 (height, width, 3) BGR.

    It is a part of scikit-image's "chelsea", by Stéfan van der Walt, CC0.
    """
    encoded = np.frombuffer(files("live_gradcam.attribution").joinpath("cat.jpg").read_bytes(), np.uint8)
    picture = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert picture is not None  # it is part of the package
    return picture


def _groups(classifier: Classifier) -> Groups:
    """The everyday names of a classifier's classes."""
    if classifier.groups is None:
        raise UsageError(
            f"{classifier.name} has classes of its own: everyday names are known for ImageNet's alone, so use "
            "--names imagenet, which lists the classes as they are"
        )
    return classifier.groups


def _find_layers(network: Network, names: str | None) -> list[Operation]:
    """The target layers, in running order."""
    if names is None:
        return default_targets(network)
    found = [find_layer(network, name.strip()) for name in names.split(",")]
    return sorted(found, key=network.operations.index)


def _raw_maps(batch: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Of what the one pass gives, each layer's raw maps by frame: float32 (frames, tiles, maps, h, w)."""
    frames = len(batch["targets"])
    names = sorted((name for name in batch if name.startswith("raw_maps_")), key=lambda name: int(name[9:]))
    return [batch[name].reshape(frames, -1, *batch[name].shape[1:]) for name in names]


def _check_method(
    name: str, method: Method, network: Network, targets: tuple[int, ...], score: Score, fit: Fit
) -> None:
    """Raise what a method cannot be used for."""
    if method.passes is not None and fit == "tiles":
        raise UsageError(f"{name} takes many passes and explains one input: use another fit, such as crop")
    if len(targets) > 1 and method.takes_one_layer:
        names = ", ".join(_name_of(network, target) for target in targets)
        raise UsageError(f"{name} takes one layer, and there are {len(targets)}: name one with --layer ({names})")
    if method.score is not None and score != "logit":
        raise UsageError(f"{name} compares logits: leave the score {score} out")
    if method.needs_pooled_head and not is_pooled_head(network, split_at(network, *targets)):
        raise UsageError(
            f"{name} is defined only for a layer with nothing after it but global pooling and one dense layer: use "
            "grad-cam, which is the same there and defined everywhere"
        )
    height, width, *channels = network.shapes[targets[-1]]
    if method.asks_for == "scores" and not channels:
        raise UsageError(f"{name} shows the head one place of feature maps at a time, and the layer gives tokens")
    if method.asks_for == "scores" and (height or 1) * (width or 1) > MOST_PLACES:
        raise UsageError(
            f"{name} puts each of the layer's {height} × {width} places through the head: use a later layer"
        )


def _check_entries(classifier: Classifier, found: LogitNetwork, score: Score) -> None:
    """Raise what the labels and the score do not go with, of what the network's numbers are."""
    entries = entries_of(found.output, found.network.shapes[found.network.output][-1] or 0)
    if len(classifier.labels) != entries:
        raise ModelError(f"{classifier.name} has {len(classifier.labels)} labels for {entries} {found.output}")
    if found.output == "values" and score != "logit":
        raise UsageError(f"{classifier.name} gives values, which have no {score}: leave the score {score} out")


def _check_comparable(name: str, method: Method, vocabulary: Vocabulary) -> None:
    if method.score is not None and (vocabulary.are_values or len(vocabulary.classes) < 2):
        raise UsageError(f"{name} compares classes, and the network has none to compare: use grad-cam")


def _name_of(network: Network, value: int) -> str:
    producer = network.producer(value)
    return producer.name if producer else "the input"


def _check_frame(frame: np.ndarray) -> None:
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        found = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise ValueError(f"a frame is a uint8 BGR array of shape (height, width, 3), not {found}")
    if 0 in frame.shape:
        raise ValueError(f"the frame is empty: {frame.shape}")
