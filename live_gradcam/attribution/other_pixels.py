"""What a network answers when its pixels are scaled in another way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import tensorflow as tf

from live_gradcam.attribution.plan import Plan
from live_gradcam.explanations.explanation import Prediction
from live_gradcam.explanations.fits import fit_frame
from live_gradcam.explanations.vocabulary import Vocabulary
from live_gradcam.networks.graph import run
from live_gradcam.networks.network_input import network_input
from live_gradcam.networks.preprocessing import PREPROCESSINGS


def best_class_with(plan: Plan, frame: np.ndarray, preprocessing: str) -> Prediction:
    """The best class with pixels of another scale, of the frame squeezed to the input; computed eagerly.

    Args:
        plan: the network.
        frame: uint8 (H, W, 3), BGR.
        preprocessing: a name of `PREPROCESSINGS`.
    """
    recipe = PREPROCESSINGS[preprocessing]
    if plan.classifier.preprocessing.channels == "grey":
        recipe = replace(recipe, channels="grey")
    pixels, _ = fit_frame(frame, plan.classifier.input_size, "stretch")
    split = plan.one_pass.split
    values = run((*split.trunk, *split.head), {split.input: network_input(tf.constant(pixels[None]), recipe)})
    probabilities = plan.one_pass.scoring.numbers(plan.one_pass.logits(values)).numpy()[0]
    return Vocabulary(plan.vocabulary.classes, are_values=plan.vocabulary.are_values).best(probabilities, 1)[0]
