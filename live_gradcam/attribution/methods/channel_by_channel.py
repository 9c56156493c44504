"""What Score-CAM and Ablation-CAM share: a pass for each channel of the target layer, changed, and a weight from it."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import tensorflow as tf

from live_gradcam.attribution.methods.method import Compile, ExplainedInput, OnProgress, Signature
from live_gradcam.attribution.one_pass import OnePass

#: How many changed inputs go through the network at a time.
BATCH = 16


class ChannelByChannel(ABC):
    """Scores that come of one change for each channel of the target layer, and from them a weight for each channel.

    Args:
        one_pass: the network and the method, as functions of tensors.
        compile_: compiles a function, for the engine that the user chose.
        signature: of the one-pass function for one frame.
    """

    are_of_input = False
    is_signed = False

    def __init__(self, one_pass: OnePass, compile_: Compile, signature: Signature) -> None:
        self.one_pass = one_pass
        channels = tf.TensorSpec((BATCH,), tf.int32, name="channels")
        self._activations = compile_(self._look, signature[:1])
        self._scores = compile_(self._scores_of, [*signature, channels])

    def _look(self, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"activations": self.one_pass.activations(pixels)}

    def _scores_of(
        self, pixels: tf.Tensor, classes: tf.Tensor, contrasts: tf.Tensor, channels: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        logits = self.changed_logits(pixels, channels)
        scores = [
            self.one_pass.scoring.score_of(logits, tf.repeat(classes[:, k], BATCH), tf.repeat(contrasts[:, k], BATCH))
            for k in range(self.one_pass.maps)
        ]
        return {"scores": tf.stack(scores)}

    @abstractmethod
    def changed_logits(self, pixels: tf.Tensor, channels: tf.Tensor) -> tf.Tensor:
        """The logits (channels, classes) with the change of each of the channels int32 (channels,); -1: no change."""

    @abstractmethod
    def weights(self, scores: np.ndarray, unchanged: np.ndarray) -> np.ndarray:
        """The weights (maps, channels) of the scores (maps, channels) and those without a change (maps, 1)."""

    def raw_maps(self, explained: ExplainedInput, on_progress: OnProgress | None) -> np.ndarray:
        """See `Passes`; (h, w) is the target layer's."""
        activations = self._activations(explained.pixels[None])["activations"][0]
        channels = activations.shape[-1]
        changes = np.arange(-1, channels, dtype=np.int32)
        scores = []
        for start in range(0, len(changes), BATCH):
            group = np.resize(changes[start : start + BATCH], BATCH)  # the last one is filled up
            scores.append(self._scores(*explained.arguments, group)["scores"])
            if on_progress is not None:
                on_progress(min(start + BATCH, len(changes)), len(changes))
        unchanged, changed = np.split(np.concatenate(scores, axis=1)[:, : len(changes)], [1], axis=1)
        return np.einsum("hwc,mc->mhw", activations, self.weights(changed, unchanged), dtype=np.float32)
