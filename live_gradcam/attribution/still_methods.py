"""Methods that take many passes, or one through all of the network: for pictures and files, not for a live camera.

They start from an explained frame, and give a raw map for each of its targets. To add one, write a class with the
constructor and the method of `GuidedGradCam`, and register it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from live_gradcam.attribution.one_pass import OnePass
from live_gradcam.attribution.plain_gradients import RELUS, plain_gradients
from live_gradcam.compiling.engines import CompiledFunction
from live_gradcam.errors import ModelError
from live_gradcam.explanations.fits import enlarged
from live_gradcam.networks.graph import run
from live_gradcam.networks.network_input import network_input

#: Of the one-pass function for one frame: pixels, target classes, contrast classes.
Signature = list[tf.TensorSpec]
#: Compiles a function for a signature.
Compile = Callable[[Callable[..., dict[str, tf.Tensor]], Signature], CompiledFunction]
#: Is told of each step: (passes done, passes in all).
OnProgress = Callable[[int, int], None]

#: How many changed inputs go through the network at a time.
_BATCH = 16


class ExplainedInput(NamedTuple):
    """What the one pass made of a frame.

    Attributes:
        pixels: uint8 (height, width, 3), BGR, of the network's input size.
        targets: int32 (maps,): the classes.
        contrasts: int32 (maps,): what they are contrasted with, or `NO_CLASS`.
        heatmaps: float32 (maps, h, w) in 0…1: their Grad-CAM, of the whole input.
    """

    pixels: np.ndarray
    targets: np.ndarray
    contrasts: np.ndarray
    heatmaps: np.ndarray

    @property
    def arguments(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pixels, targets and contrasts for a compiled function of one frame."""
        return self.pixels[None], self.targets[None], self.contrasts[None]


class StillMethod(Protocol):
    """What makes raw maps of one frame.

    Attributes:
        are_of_input: whether they are of the network's input, and not of the target layer.
        is_signed: the strength of a map is its absolute value, and its sign says something else.
    """

    are_of_input: bool
    is_signed: bool

    def raw_maps(self, explained: ExplainedInput, on_progress: OnProgress | None) -> np.ndarray:
        """The raw maps, float32 (maps, h, w).

        Args:
            explained: the frame.
            on_progress: is told of each step.
        """


class GuidedGradCam:
    """Guided Grad-CAM: guided backpropagation to the network's input, times Grad-CAM enlarged to it.

    Selvaraju et al., as for `attribution.methods.grad_cam`, section 3.2. Of the three colour channels the strongest
    counts, so that the result is a map of the input's size. It is signed: the score rises with a pixel, or falls.

    Raises:
        ModelError: the network has no ReLU, without which guided backpropagation is just the gradient.
    """

    are_of_input = True
    is_signed = True

    def __init__(self, one_pass: OnePass, compile_: Compile, signature: Signature) -> None:
        self._one_pass = one_pass
        self._gradients = compile_(self._guided_gradients, signature)

    def _guided_gradients(self, pixels: tf.Tensor, classes: tf.Tensor, contrasts: tf.Tensor) -> dict[str, tf.Tensor]:
        split = self._one_pass.split
        x = network_input(pixels, self._one_pass.preprocessing)
        with plain_gradients(guided=True):
            logits = self._one_pass.logits(run((*split.trunk, *split.head), {split.input: x}))
        if not any(operation.type in RELUS for operation in x.graph.get_operations()):
            raise ModelError("guided-grad-cam is for networks with ReLUs, and this one has none: use another method")
        gradients = [
            tf.gradients(self._one_pass.score_of(logits, classes[:, k], contrasts[:, k]), x)[0]
            for k in range(self._one_pass.maps)
        ]
        return {"gradients": tf.stack([tf.cast(gradient, tf.float32) for gradient in gradients], axis=1)}

    def raw_maps(self, explained: ExplainedInput, on_progress: OnProgress | None) -> np.ndarray:
        """See `StillMethod`; (h, w) is the network's input size."""
        gradients = self._gradients(*explained.arguments)["gradients"][0]
        maps = [enlarged(heatmap, explained.pixels.shape[:2]) for heatmap in explained.heatmaps]
        strongest = np.abs(gradients).argmax(axis=-1, keepdims=True)
        return np.take_along_axis(gradients, strongest, axis=-1)[..., 0] * np.stack(maps)


class _ChannelByChannel:
    """Scores that come of one change for each channel of the target layer, and from them a weight for each channel."""

    are_of_input = False
    is_signed = False

    def __init__(self, one_pass: OnePass, compile_: Compile, signature: Signature) -> None:
        self._one_pass = one_pass
        channels = tf.TensorSpec((_BATCH,), tf.int32, name="channels")
        self._activations = compile_(self._look, signature[:1])
        self._scores = compile_(self._scores_of, [*signature, channels])

    def _look(self, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"activations": self._one_pass.activations(pixels)}

    def _scores_of(
        self, pixels: tf.Tensor, classes: tf.Tensor, contrasts: tf.Tensor, channels: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        logits = self._changed_logits(pixels, channels)
        scores = [
            self._one_pass.score_of(logits, tf.repeat(classes[:, k], _BATCH), tf.repeat(contrasts[:, k], _BATCH))
            for k in range(self._one_pass.maps)
        ]
        return {"scores": tf.stack(scores)}

    def _changed_logits(self, pixels: tf.Tensor, channels: tf.Tensor) -> tf.Tensor:
        """The logits (channels, classes) with the change of each of the channels int32 (channels,); -1: no change."""
        raise NotImplementedError

    def _weights(self, scores: np.ndarray, unchanged: np.ndarray) -> np.ndarray:
        """The weights (maps, channels) of the scores (maps, channels) and those without a change (maps, 1)."""
        raise NotImplementedError

    def raw_maps(self, explained: ExplainedInput, on_progress: OnProgress | None) -> np.ndarray:
        """See `StillMethod`; (h, w) is the target layer's."""
        activations = self._activations(explained.pixels[None])["activations"][0]
        channels = activations.shape[-1]
        changes = np.arange(-1, channels, dtype=np.int32)
        scores = []
        for start in range(0, len(changes), _BATCH):
            group = np.resize(changes[start : start + _BATCH], _BATCH)  # the last one is filled up
            scores.append(self._scores(*explained.arguments, group)["scores"])
            if on_progress is not None:
                on_progress(min(start + _BATCH, len(changes)), len(changes))
        unchanged, changed = np.split(np.concatenate(scores, axis=1)[:, : len(changes)], [1], axis=1)
        return np.einsum("hwc,mc->mhw", activations, self._weights(changed, unchanged), dtype=np.float32)


class ScoreCam(_ChannelByChannel):
    """Score-CAM: Σₖ softmaxₖ(Sₖ) Aₖ, Sₖ the score of the input times channel k, enlarged and scaled to 0…1.

    Wang et al., "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks", CVPR 2020 workshop,
    algorithm 1 (https://arxiv.org/abs/1910.01279). The score of the baseline, which the paper takes off each, makes no
    difference to the softmax. Channels are enlarged with the pixels' corners aligned to the map's outer edges, as the
    paper's authors do it; pytorch-grad-cam aligns the outer pixels' centres, and its maps differ by that.
    """

    def _changed_logits(self, pixels: tf.Tensor, channels: tf.Tensor) -> tf.Tensor:
        one_pass = self._one_pass
        x = network_input(pixels, one_pass.preprocessing)
        activations = one_pass.activations(pixels)
        chosen = tf.one_hot(channels, activations.shape[-1])
        maps = tf.einsum("hwc,nc->nhw", activations[0], chosen)
        masks = _scaled(one_pass.on_input(maps))[..., tf.newaxis]
        split = one_pass.split
        return one_pass.logits(run((*split.trunk, *split.head), {split.input: x * masks}))

    def _weights(self, scores: np.ndarray, unchanged: np.ndarray) -> np.ndarray:
        exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True)


class AblationCam(_ChannelByChannel):
    """Ablation-CAM: Σₖ wₖ Aₖ with wₖ = (y − yₖ) / |y|, yₖ the score with channel k set to 0.

    Desai and Ramaswamy, "Ablation-CAM: Visual Explanations for Deep Convolutional Network via Gradient-free
    Localization", WACV 2020, equation 3. The paper divides by y, which would turn the map of a class with a negative
    score into what speaks against it.
    """

    def _changed_logits(self, pixels: tf.Tensor, channels: tf.Tensor) -> tf.Tensor:
        values = self._one_pass.trunk_values(pixels)
        activations = values[self._one_pass.split.target]
        kept = tf.cast(channels[:, tf.newaxis] != tf.range(activations.shape[-1]), activations.dtype)
        kept = tf.reshape(kept, [_BATCH, *(1 for _ in activations.shape[1:-1]), -1])
        return self._one_pass.logits_of(activations * kept, values, _BATCH)

    def _weights(self, scores: np.ndarray, unchanged: np.ndarray) -> np.ndarray:
        return (unchanged - scores) / np.maximum(np.abs(unchanged), np.finfo(np.float32).tiny)


def _scaled(maps: tf.Tensor) -> tf.Tensor:
    """Maps (n, h, w), each from its minimum to its maximum as 0…1; one that is the same everywhere is 0."""
    lowest = tf.reduce_min(maps, axis=(1, 2), keepdims=True)
    return tf.math.divide_no_nan(maps - lowest, tf.reduce_max(maps, axis=(1, 2), keepdims=True) - lowest)


#: Name, as `--method` spells it, to method.
STILL_METHODS: dict[str, Callable[[OnePass, Compile, Signature], StillMethod]] = {
    "guided-grad-cam": GuidedGradCam,
    "score-cam": ScoreCam,
    "ablation-cam": AblationCam,
}
