"""Features of pictures: what a network's last layer reads, out of the compiled network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import islice

import keras
import numpy as np
import tensorflow as tf

from live_gradcam.attribution.framing import Framing
from live_gradcam.attribution.photograph import photograph_for
from live_gradcam.choices import Fit
from live_gradcam.compiling.compilation import compile_function
from live_gradcam.compiling.engines.engine import CompiledFunction
from live_gradcam.compiling.lowering import lower
from live_gradcam.compiling.tuning import Tuner
from live_gradcam.fitting.network import pooled_model
from live_gradcam.networks.classifier import Classifier
from live_gradcam.networks.graph import Network, flatten, run
from live_gradcam.networks.network_input import network_input

#: How many pictures go through the network at a time. More of them gain nothing, as what the layers hold then is larger
#: than the caches: two of EfficientNet-Lite0 took 0.9 to 1.0 of the processor time per picture that sixteen took. And a
#: picture that comes alone costs as much as all.
BATCH = 2


class Backbone:
    """A network without its last layer.

    Args:
        classifier: the network.
        fit: how pictures are made to fit its input.
        model: the network up to its features, where it is not the classifier's own but a trained copy of it.

    Attributes:
        classifier: the network.
        fit: as given.
        model: the network up to its features.

    Raises:
        ModelError: the network has no pooled features.
    """

    def __init__(self, classifier: Classifier, fit: Fit = "stretch", model: keras.Model | None = None) -> None:
        self.classifier = classifier
        self.fit = fit
        self.model: keras.Model = pooled_model(classifier) if model is None else model
        self._framing = Framing(fit, classifier.input_size)

    @property
    def size(self) -> int:
        """How many features a picture has, d."""
        return int(self.model.outputs[0].shape[-1])

    def seen(self, frame: np.ndarray) -> np.ndarray:
        """A frame, uint8 (H, W, 3) BGR, as the network sees it: uint8 (height, width, 3) BGR."""
        return self._framing.framed(frame).pixels

    def features(self, frames: Iterable[np.ndarray], *, are_seen: bool = False) -> np.ndarray:
        """The features of frames, which are read as they are needed, `BATCH` at a time.

        Args:
            frames: uint8 (H, W, 3), BGR, of any size.
            are_seen: whether they are as `seen` gives them.

        Returns:
            float32 (n, d).
        """
        seen = iter(frames) if are_seen else map(self.seen, frames)
        return np.concatenate([np.zeros((0, self.size), np.float32), *in_batches(self._compiled, seen)])

    @cached_property
    def _compiled(self) -> CompiledFunction:
        return compiled(flatten(self.model, self.classifier.input_size), self.classifier)


def compiled(network: Network, classifier: Classifier) -> CompiledFunction:
    """A function from pixels, uint8 BGR (BATCH, height, width, 3), to what a network makes of them: `output`, float32.

    Args:
        network: it is written the way that it runs best.
        classifier: whose pixels it takes.

    Raises:
        ModelError: the engine cannot compile the network.
    """
    for_xla = not tf.config.list_physical_devices("GPU")
    pictures = photograph_for(classifier)
    network, _ = lower(network, keep=(), for_xla=for_xla, tuner=Tuner("remembered"), pictures=pictures)

    def output(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        values = run(network.operations, {network.input: network_input(pixels, classifier.preprocessing)})
        return {"output": tf.cast(values[network.output], tf.float32)}

    signature = [tf.TensorSpec((BATCH, *classifier.input_size, 3), tf.uint8, name="pixels")]
    return compile_function(output, signature, "xla", name=classifier.name)


def in_batches(function: CompiledFunction, seen: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """What a function of `compiled` makes of pixels, which are read as they are needed, `BATCH` at a time."""
    while group := list(islice(seen, BATCH)):
        filled_up = np.stack(group + [group[-1]] * (BATCH - len(group)))
        yield function(filled_up)["output"][: len(group)]
