"""The function that is compiled: pixels in; predictions, logits and class activation maps out, in one pass.

A frame may be several overlapping tiles (`explanations.tiles`), which are rows of one batch. What is said of the frame
is then the mean of the tiles' probabilities. What is explained is the sum of the tiles' scores: as no tile sees
another, the gradient by one tile's activations is that of its own score, so that each has the map that it has alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import tensorflow as tf

from live_gradcam.attribution.coverage import Coverage
from live_gradcam.attribution.last_product import LastProduct, last_product
from live_gradcam.attribution.mean_gradient import OffsetPath
from live_gradcam.attribution.methods.method import Method
from live_gradcam.attribution.plain_gradients import plain_gradients
from live_gradcam.attribution.resizing import resized
from live_gradcam.attribution.scoring import Scoring, chosen_classes
from live_gradcam.attribution.shared_start import SharedStart
from live_gradcam.networks.graph import Operation, run
from live_gradcam.networks.network_input import network_input
from live_gradcam.networks.preprocessing import Preprocessing
from live_gradcam.networks.split import SplitNetwork


class _Head(NamedTuple):
    """What the head gives.

    Attributes:
        values: of the trunk and of the head, by number; those of the head that are computed for rows of several classes
            are not there.
        rows: these, (batch · maps, …), by number.
        logits: float32 (batch, classes), of whole frames.
        targets: int32 (batch, maps): the classes to map.
        given: for each target layer, in running order, and each map what the method is given besides the activations.
    """

    values: dict[int, tf.Tensor]
    logits: tf.Tensor
    targets: tf.Tensor
    given: dict[int, list[Any]]
    rows: dict[int, tf.Tensor] = {}  # noqa: RUF012  # a field of a tuple, which nobody changes


@dataclass(frozen=True, eq=False)
class OnePass:
    """Trunk → head → the head's gradient → maps, as pure functions of tensors.

    Attributes:
        split: the network, cut at the target layer or layers.
        offset_path: how far the head has to be differentiated for the mean gradient.
        preprocessing: how pixels become its input.
        scoring: what its logits are, and what of them is differentiated.
        method: how activations become a map.
        topk: how many predictions.
        maps: how many classes get a map.
        tiles: how many rows of the batch of pixels are one frame.
        apart: how many of the trunk's operations are run for each row of the batch by itself. The numbers are the same.
        coverage: what of the input the target layer's map covers; None for all of it.
        features: the number of the vector to give besides, of the head; None for none.
        shared: what tiles share; the pixels are then those of whole frames, (batch, *the tiling's size, 3).
    """

    split: SplitNetwork
    offset_path: OffsetPath
    preprocessing: Preprocessing
    scoring: Scoring
    method: Method
    topk: int
    maps: int
    tiles: int = 1
    apart: int = 0
    shared: SharedStart | None = None
    coverage: Coverage | None = None
    features: int | None = None

    def with_method(self, method: Method) -> OnePass:
        """The same with another method."""
        return replace(self, method=method, scoring=replace(self.scoring, own_score=method.score))

    def predict(self, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        """The predictions alone.

        Args:
            pixels: uint8 (batch · tiles, height, width, 3), BGR, of the network's input size.

        Returns:
            `indices` int32 (batch, topk), best first; `logits` float32 (batch, classes) and `probabilities` float32
            (batch, classes + groups). Where they are asked for, `features` float32 (batch, d).
        """
        values = run(self.split.head, self.trunk_values(pixels))
        return {**self.scoring.predictions(self._whole(self.logits(values)), self.topk), **self._features(values, {})}

    def explain(
        self, pixels: tf.Tensor, target_classes: tf.Tensor, contrast_classes: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """The predictions and the maps. To be traced: gradients are those of a graph.

        Args:
            pixels: as for `predict`.
            target_classes: int32 (batch, maps): the classes to explain, then `targets.TOP_CLASS` for the best others.
            contrast_classes: int32 (batch, maps): what to explain them against, or `targets.NO_CLASS`.

        Returns:
            As `predict`, and `targets` int32 (batch, maps); for each target layer, in running order, `raw_maps_0`, …,
            float32 (batch · tiles, maps, h, w), in units of the score.
        """
        with plain_gradients():
            return self._explained(self.trunk_values(pixels), target_classes, contrast_classes)

    def predict_input(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """As `predict`, of images as the network takes them: float32 (batch, height, width, channels)."""
        values = run(self.split.head, run(self.split.trunk, {self.split.input: images}))
        return self.scoring.predictions(self.logits(values), self.topk)

    def explain_input(
        self, images: tf.Tensor, target_classes: tf.Tensor, contrast_classes: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """As `explain`, of images as the network takes them. The gradients are TensorFlow's own."""
        return self._explained(run(self.split.trunk, {self.split.input: images}), target_classes, contrast_classes)

    def _explained(
        self, values: dict[int, tf.Tensor], target_classes: tf.Tensor, contrast_classes: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """What `explain` gives, of the trunk's values."""
        head = self._head(values, target_classes, contrast_classes)
        raw_maps = {}
        for position, (layer, given) in enumerate(head.given.items()):
            activations = self._as_map(layer, head.values[layer])
            of_layer = [self.method.raw_map(activations, one) for one in given]
            raw_maps[f"raw_maps_{position}"] = tf.stack(of_layer, axis=1)
        predictions = self.scoring.predictions(head.logits, self.topk)
        return {
            **predictions,
            "targets": head.targets,
            **raw_maps,
            **self._features(head.values, head.rows),
        }

    def _features(self, values: dict[int, tf.Tensor], rows: dict[int, tf.Tensor]) -> dict[str, tf.Tensor]:
        """What the last dense layer reads, (batch, d); of tiles the mean. Nothing where nobody asks for it."""
        if self.features is None:
            return {}
        number = self.features
        features = tf.cast(values[number] if number in values else rows[number][:: self.maps], tf.float32)
        if self.tiles > 1:
            features = tf.reduce_mean(tf.reshape(features, [-1, self.tiles, features.shape[-1]]), axis=1)
        return {"features": features}

    def _head(self, values: dict[int, tf.Tensor], target_classes: tf.Tensor, contrast_classes: tf.Tensor) -> _Head:
        """Run the head on the trunk's values, and work out what the method is given."""
        if self.method.asks_for in ("nothing", "scores"):
            return self._without_gradient(values, target_classes, contrast_classes)
        path = self.offset_path if self._takes_means else self.offset_path.from_activations(self.split)
        before = run(path.before, values)
        values = run(path.after, before)
        logits = self.logits(values)
        last = self._last_product(logits)
        from_point = last if last is not None and last.input is before.get(path.point) else None
        if path.takes_rows and self.maps > 1 and from_point is None:
            return self._gradients_in_rows(path, before, target_classes, contrast_classes)
        whole = self._whole(logits)
        targets = chosen_classes(self.scoring.ranked(whole), target_classes)
        explained = self._of_tiles(targets), self._of_tiles(contrast_classes)
        if self._takes_means and from_point is not None:
            in_rows = from_point.gradient(*(tf.reshape(classes, [-1]) for classes in explained))
            return _Head(values, whole, targets, {self.split.target: self._means_of_rows(in_rows, path)})
        layers = [path.point] if self._takes_means else list(self.split.targets)
        by = [values[layer] for layer in layers]
        rows = [self._gradients(by, logits, *(classes[:, k] for classes in explained)) for k in range(self.maps)]
        if self._takes_means:
            means = [path.mean_gradient(tf.cast(gradient, tf.float32)) for (gradient,) in rows]
            return _Head(values, whole, targets, {self.split.target: means})
        given = {layer: [self._as_map(layer, row[k]) for row in rows] for k, layer in enumerate(layers)}
        return _Head(values, whole, targets, given)

    def _gradients(
        self, by: list[tf.Tensor], logits: tf.Tensor, classes: tf.Tensor, contrasts: tf.Tensor
    ) -> list[tf.Tensor]:
        """The gradients by these tensors of the scores of classes (n,), less those of their contrasts (n,)."""
        last = self._last_product(logits)
        if last is not None:
            gradients = tf.gradients(last.input, by, last.gradient(classes, contrasts))
            if all(gradient is not None for gradient in gradients):  # not the layer's own sums, which come after
                return gradients
        return tf.gradients(self.scoring.score_of(logits, classes, contrasts), by)

    def _last_product(self, logits: tf.Tensor) -> LastProduct | None:
        """What a score's gradient begins at; None where it is not a column of a kernel."""
        return last_product(logits) if self.scoring.is_of_logits else None

    def _gradients_in_rows(
        self,
        path: OffsetPath,
        values: dict[int, tf.Tensor],
        target_classes: tf.Tensor,
        contrast_classes: tf.Tensor,
    ) -> _Head:
        """All classes together, a row each.

        From a vector on, the head is a few products whose cost is that of reading their kernels. Maps would be costly
        to repeat: there each class has a pass of its own.
        """
        point = tf.repeat(values[path.point], self.maps, axis=0)
        in_rows = run(path.after, {**values, path.point: point})
        rows = self.logits(in_rows)
        whole = self._whole(rows[:: self.maps])
        targets = chosen_classes(self.scoring.ranked(whole), target_classes)
        explained = self._of_tiles(targets), self._of_tiles(contrast_classes)
        (gradient,) = self._gradients([point], rows, *(tf.reshape(classes, [-1]) for classes in explained))
        given = {self.split.target: self._means_of_rows(gradient, path)}
        made = {value for operation in path.after for value in operation.outputs}
        return _Head(values, whole, targets, given, {number: in_rows[number] for number in made})

    @property
    def _takes_means(self) -> bool:
        """Whether mean gradients are enough: the method asks for no more, of one layer of maps.

        An offset of tokens would be one of the class token too.
        """
        return self.method.asks_for == "mean gradient" and self.split.grids == (None,)

    def _means_of_rows(self, gradients: tf.Tensor, path: OffsetPath) -> list[tf.Tensor]:
        """For each map the mean gradient (batch, 1, 1, channels), of gradients (batch · maps, …) by the point."""
        means = path.mean_gradient(tf.cast(gradients, tf.float32))
        return tf.unstack(tf.reshape(means, [-1, self.maps, *means.shape[1:]]), axis=1)

    def _as_map(self, layer: int, values: tf.Tensor) -> tf.Tensor:
        """A target layer's activations or gradients, float32 (batch, h, w, channels)."""
        return self.split.as_map(layer, tf.cast(values, tf.float32))

    def _without_gradient(
        self, values: dict[int, tf.Tensor], target_classes: tf.Tensor, contrast_classes: tf.Tensor
    ) -> _Head:
        """For a method that is given nothing, or what scores other activations."""
        values = run(self.split.head, values)
        whole = self._whole(self.logits(values))
        targets = chosen_classes(self.scoring.ranked(whole), target_classes)
        if self.method.asks_for == "nothing":
            return _Head(values, whole, targets, {layer: [None] * self.maps for layer in self.split.targets})
        explained = self._of_tiles(targets), self._of_tiles(contrast_classes)
        scored = [
            lambda activations, k=k: self._scores_of(activations, values, *(classes[:, k] for classes in explained))
            for k in range(self.maps)
        ]
        return _Head(values, whole, targets, {self.split.target: scored})

    def _scores_of(
        self, activations: tf.Tensor, values: dict[int, tf.Tensor], classes: tf.Tensor, contrasts: tf.Tensor
    ) -> tf.Tensor:
        """The scores (batch, n) of other activations (batch, n, h, w, channels)."""
        count = activations.shape[1]
        logits = self.logits_of(tf.reshape(activations, [-1, *activations.shape[2:]]), values, count)
        scores = self.scoring.score_of(logits, tf.repeat(classes, count), tf.repeat(contrasts, count))
        return tf.reshape(scores, [-1, count])

    def logits_of(self, activations: tf.Tensor, values: dict[int, tf.Tensor], count: int) -> tf.Tensor:
        """The logits (batch · count, classes) of other activations.

        Args:
            activations: float32 (batch · count, h, w, channels): for each frame, `count` in the target layer's place.
            values: of the trunk for the batch of frames; the head may read more of them than the target layer's.
            count: how many for each frame.
        """
        split = self.split
        made = {value for operation in split.head for value in operation.outputs}
        read = {value for operation in split.head for value in operation.inputs} - made - {split.target}
        rows = {value: tf.repeat(values[value], count, axis=0) for value in read}
        return self.logits(run(split.head, {**rows, split.target: tf.cast(activations, values[split.target].dtype)}))

    def trunk_values(self, pixels: tf.Tensor) -> dict[int, tf.Tensor]:
        """All values before the head, of pixels as for `predict`."""
        value, x = self.split.input, network_input(pixels, self.preprocessing)
        trunk, apart = self.split.trunk, self.apart
        if self.shared is not None:
            value, x = self.shared.value, self.shared.values_of_tiles(x)
            trunk = trunk[len(self.shared.operations) :]
            apart = max(0, apart - len(self.shared.operations))
        return run_apart(trunk, {value: x}, apart, self._read_later)

    @property
    def _read_later(self) -> set[int]:
        """What the head reads of the trunk's values."""
        return {
            *self.split.targets,
            self.split.output,
            *(value for operation in self.split.head for value in operation.inputs),
        }

    def on_input(self, maps: tf.Tensor) -> tf.Tensor:
        """Maps (n, h, w) of the target layer, enlarged to the input: (n, height, width)."""
        size = self.split.input_size
        if self.coverage is None:
            return resized(maps, size)
        rows, columns = map(tf.constant, self.coverage.matrices(tuple(maps.shape[1:]), size))
        return tf.linalg.matmul(tf.linalg.matmul(rows, maps), columns, transpose_b=True)

    def activations(self, pixels: tf.Tensor) -> tf.Tensor:
        """The target layer's, float32 (batch, h, w, channels)."""
        return self._as_map(self.split.target, self.trunk_values(pixels)[self.split.target])

    def logits(self, values: dict[int, tf.Tensor]) -> tf.Tensor:
        """The logits float32 (batch, classes) among all values."""
        return self.scoring.logits(values[self.split.output])

    def _whole(self, logits: tf.Tensor) -> tf.Tensor:
        """The logits of frames, from those of their tiles."""
        return self.scoring.whole(logits, self.tiles)

    def _of_tiles(self, classes: tf.Tensor) -> tf.Tensor:
        """Classes of frames, int32 (batch, maps), for each of their tiles."""
        return tf.repeat(classes, self.tiles, axis=0) if self.tiles > 1 else classes


def run_apart(
    operations: Sequence[Operation], values: dict[int, tf.Tensor], apart: int, read_later: Collection[int]
) -> dict[int, tf.Tensor]:
    """Run operations, the first ones for each row of the batch by itself: what they make stays small, in the cache.

    Args:
        operations: what to run.
        values: what the first one reads, and no more.
        apart: how many operations are run for each row.
        read_later: which values somebody reads besides the other operations.

    Returns:
        The values that are read.
    """
    first, others = operations[:apart], operations[apart:]
    if first:
        ((number, pixels),) = values.items()
        rows = [run(first, {number: row}) for row in tf.split(pixels, pixels.shape[0])]
        read = {value for operation in others for value in operation.inputs} | set(read_later)
        values = {value: tf.concat([row[value] for row in rows], axis=0) for value in rows[0] if value in read}
    return run(others, values)
