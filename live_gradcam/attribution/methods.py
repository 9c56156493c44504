"""The methods: pure functions from a layer's activations and what the head makes of them to a map.

Each takes `activations` A, float32 (batch, h, w, channels), and mostly `gradients` G = ∂score/∂A of the same shape, and
returns the raw map, float32 (batch, h, w): before the ReLU and before scaling. To add one, write one function and
register it in `METHODS` with what it asks for:

- "mean gradient": nothing but the gradient's mean over space. It is given just that, (batch, 1, 1, channels), which is
  far cheaper (`attribution.mean_gradient`).
- "gradient": the gradient at every place.
- "nothing": the activations alone.
- "scores": instead of gradients, a function that puts other activations, (batch, n, h, w, channels), through the head
  and gives their scores, float32 (batch, n).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import tensorflow as tf

Asks = Literal["mean gradient", "gradient", "nothing", "scores"]
Scores = Callable[[tf.Tensor], tf.Tensor]
CamMethod = Callable[[tf.Tensor, Any], tf.Tensor]


#: With 2ⁿ power iterations, directions whose squared singular values differ by more than a thousandth come apart.
_SQUARINGS = 12
#: How many places recipro-cam puts through the head at most, one pass each.
MOST_PLACES = 1024
#: Of Finer-CAM: how many of the most similar classes the class is compared with, and how strongly.
_SIMILAR_CLASSES, _COMPARISON = 3, 1.0


def cam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """CAM: Σₖ wₖ Aₖ with wₖ the class's weight in the dense layer after global pooling.

    Under global pooling wₖ is the sum of Gₖ over space, however the pooling is written. For a head of another
    kind it means nothing, and the explainer refuses it.

    Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016, equation 2
    (https://arxiv.org/abs/1512.04150).
    """
    return grad_cam(activations, gradients) * (activations.shape[1] * activations.shape[2])


def grad_cam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Grad-CAM: Σₖ αₖ Aₖ with αₖ the mean of Gₖ over space.

    Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV 2017,
    equations 1 and 2 (https://arxiv.org/abs/1610.02391).
    """
    weights = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)
    return tf.reduce_sum(activations * weights, axis=-1)


def hirescam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """HiResCAM: Σₖ Gₖ Aₖ, place by place.

    Draelos and Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural networks",
    2020, equation 4 (https://arxiv.org/abs/2011.08891).
    """
    return tf.reduce_sum(activations * gradients, axis=-1)


def layercam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """LayerCAM: Σₖ relu(Gₖ) Aₖ, place by place.

    Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization", IEEE TIP 2021, equations
    6 to 8 (https://doi.org/10.1109/TIP.2021.3089943).
    """
    return tf.reduce_sum(activations * tf.nn.relu(gradients), axis=-1)


def elementwise(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Elementwise Grad-CAM: Σₖ relu(Gₖ Aₖ), place by place, as in pytorch-grad-cam's `GradCAMElementWise`."""
    return tf.reduce_sum(tf.nn.relu(activations * gradients), axis=-1)


def xgrad_cam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """XGrad-CAM: Σₖ αₖ Aₖ with αₖ = Σ Gₖ Aₖ / Σ Aₖ, sums over space; 0 for a channel that sums to 0.

    Fu et al., "Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation of CNNs", BMVC 2020, equation 8
    (https://arxiv.org/abs/2008.02312).
    """
    total = tf.reduce_sum(activations, axis=(1, 2), keepdims=True)
    weights = tf.math.divide_no_nan(tf.reduce_sum(gradients * activations, axis=(1, 2), keepdims=True), total)
    return tf.reduce_sum(activations * weights, axis=-1)


def counterfactual(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """What speaks against the class: Grad-CAM of the negated gradient, Σₖ −αₖ Aₖ.

    Selvaraju et al., as for `grad_cam`, section 3.3.
    """
    return -grad_cam(activations, gradients)


def grad_cam_plus_plus(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Grad-CAM++: Σₖ wₖ Aₖ with wₖ = Σ αₖ relu(Gₖ), sums over space, and αₖ = Gₖ² / (2 Gₖ² + ΣAₖ · Gₖ³).

    Chattopadhay et al., "Grad-CAM++: Generalized Gradient-based Visual Explanations for Deep Convolutional Networks",
    WACV 2018, equations 10 and 19 (https://arxiv.org/abs/1710.11063). The class score there is exp(S), whose factor
    exp(S) scales all of the map and is left out. α is computed as 1 / (2 + ΣAₖ · Gₖ) where Gₖ > 0, which is the same:
    libraries that add a constant to the denominator instead lose the small gradients of a pooled head.
    """
    total = tf.reduce_sum(activations, axis=(1, 2), keepdims=True)
    positive = tf.nn.relu(gradients)
    weights = tf.reduce_sum(tf.math.divide_no_nan(positive, 2 + total * positive), axis=(1, 2), keepdims=True)
    return tf.reduce_sum(activations * weights, axis=-1)


def eigen_cam(activations: tf.Tensor, _: None) -> tf.Tensor:
    """Eigen-CAM: the activations on their first principal component. It is of no class.

    Muhammad and Yeasin, "Eigen-CAM: Class Activation Map using Principal Components", IJCNN 2020
    (https://arxiv.org/abs/2008.00299). Each channel is centred first, as in pytorch-grad-cam and as principal
    components are. A component has no sign of its own: here it is the one that goes with the sum of the channels.
    """
    return _on_first_component(activations)


def eigengrad_cam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """EigenGrad-CAM: Gₖ Aₖ, place by place, on its first principal component; centred and signed as in `eigen_cam`.

    pytorch-grad-cam's `EigenGradCAM` (https://github.com/jacobgil/pytorch-grad-cam).
    """
    return _on_first_component(activations * gradients)


def _on_first_component(features: tf.Tensor) -> tf.Tensor:
    """Features float32 (batch, h, w, channels) on their first principal component: (batch, h, w).

    By power iteration, squaring the smaller of the two matrices of products, so that few small products are many steps.
    """
    _, height, width, channels = features.shape
    matrix = tf.reshape(features, [-1, height * width, channels])
    matrix -= tf.reduce_mean(matrix, axis=1, keepdims=True)
    of_channels = channels < height * width
    products = tf.linalg.matmul(matrix, matrix, transpose_a=of_channels, transpose_b=not of_channels)
    power = products
    for _ in range(_SQUARINGS):
        power = tf.math.divide_no_nan(power, tf.reduce_max(power, axis=(1, 2), keepdims=True))
        power = tf.linalg.matmul(power, power)
    # The power is almost of rank 1: each of its columns is the first eigenvector, the largest most exactly.
    largest = tf.one_hot(tf.argmax(tf.reduce_max(power, axis=1), axis=-1), power.shape[-1])[..., tf.newaxis]
    vector = _of_unit_length(tf.linalg.matmul(power, largest))
    if of_channels:
        projected = tf.linalg.matmul(matrix, vector)
    else:  # of M = UΣVᵀ the vector is u, and M v = σ u with σ² = uᵀ M Mᵀ u
        squared = tf.linalg.matmul(vector, tf.linalg.matmul(products, vector), transpose_a=True)
        projected = vector * tf.sqrt(tf.nn.relu(squared))
    total = tf.reduce_sum(tf.reshape(features, [-1, height * width, channels]), axis=-1, keepdims=True)
    agreement = tf.reduce_sum(projected * total, axis=1, keepdims=True)
    projected = tf.where(agreement < 0, -projected, projected)
    return tf.reshape(projected, [-1, height, width])


def _of_unit_length(vectors: tf.Tensor) -> tf.Tensor:
    """Scaled by the largest entry first, so that tiny numbers do not vanish when they are squared."""
    vectors = tf.math.divide_no_nan(vectors, tf.reduce_max(tf.abs(vectors), axis=1, keepdims=True))
    return tf.math.divide_no_nan(vectors, tf.sqrt(tf.reduce_sum(vectors * vectors, axis=1, keepdims=True)))


def recipro_cam(activations: tf.Tensor, scores: Scores) -> tf.Tensor:
    """Recipro-CAM: at each place, the score of the activations at that place alone; no gradient.

    Byun and Lee, "Recipro-CAM: Fast gradient-free visual explanations for convolutional neural networks", 2022, with
    masks of one place (https://arxiv.org/abs/2209.14074). The authors score with the probability, here it is the
    explainer's score. That of no activations at all is taken off, so that 0 is what nothing is worth; the scaling
    from minimum to maximum that they do makes no difference of it.
    """
    _, height, width, _ = activations.shape
    places = height * width
    masks = tf.constant(np.eye(places + 1, places, dtype=np.float32).reshape(1, places + 1, height, width, 1))
    values = scores(activations[:, tf.newaxis] * masks)
    return tf.reshape(values[:, :-1] - values[:, -1:], [-1, height, width])


def finer_score(logits: tf.Tensor, picked: tf.Tensor) -> tf.Tensor:
    """Finer-CAM's score: Σ_d p_d (z_c − z_d) / Σ_d p_d over the three classes d whose logits are nearest to z_c.

    Zhang et al., "Finer-CAM: Spotting the Difference Reveals Finer Details for Visual Explanation", CVPR 2025
    (https://arxiv.org/abs/2501.11309). p is the softmax, differentiated like the logits, as in the authors' code
    (pytorch-grad-cam's `FinerCAM`).

    Args:
        logits: float32 (n, classes).
        picked: float32 (n, classes): 1 for the class c, else 0.

    Returns:
        float32 (n,).
    """
    own = tf.reduce_sum(logits * picked, axis=-1, keepdims=True)
    distance = tf.abs(logits - own) + picked * logits.dtype.max
    similar = tf.math.top_k(-distance, min(_SIMILAR_CLASSES, logits.shape[-1] - 1)).indices
    is_similar = tf.reduce_sum(tf.one_hot(similar, logits.shape[-1]), axis=1)
    weights = is_similar * tf.nn.softmax(logits)
    weights = tf.math.divide_no_nan(weights, tf.reduce_sum(weights, axis=-1, keepdims=True))
    return tf.reduce_sum(weights * (own - _COMPARISON * logits), axis=-1)


@dataclass(frozen=True)
class Method:
    """A way to make a map.

    Attributes:
        raw_map: activations and what is asked for to the raw map.
        asks_for: what the function is given besides the activations; see above.
        score: what is differentiated, of logits and one-hot classes; None for the explainer's score.
        needs_pooled_head: whether it is defined only where a dense layer follows global pooling.
        against: whether the map shows what speaks against the class.
    """

    raw_map: CamMethod
    asks_for: Asks = "gradient"
    score: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None
    needs_pooled_head: bool = False
    against: bool = False


#: Name, as `--method` spells it, to method.
METHODS: dict[str, Method] = {
    "grad-cam": Method(grad_cam, "mean gradient"),
    "grad-cam++": Method(grad_cam_plus_plus),
    "hirescam": Method(hirescam),
    "xgrad-cam": Method(xgrad_cam),
    "layercam": Method(layercam),
    "elementwise": Method(elementwise),
    "cam": Method(cam, "mean gradient", needs_pooled_head=True),
    "eigen-cam": Method(eigen_cam, "nothing"),
    "eigengrad-cam": Method(eigengrad_cam),
    "finer-cam": Method(grad_cam, "mean gradient", score=finer_score),
    "recipro-cam": Method(recipro_cam, "scores"),
    "counterfactual": Method(counterfactual, "mean gradient", against=True),
}
