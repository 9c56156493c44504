"""A photograph to check on that a network which is written in another way still gives the same."""

from __future__ import annotations

from importlib.resources import files

import cv2
import numpy as np
import tensorflow as tf

from live_gradcam.explanations.fits import fit_frame
from live_gradcam.networks.classifier import Classifier
from live_gradcam.networks.network_input import network_input


def photograph() -> np.ndarray:
    """The photograph, uint8 (height, width, 3) BGR.

    It is a part of scikit-image's "chelsea", by Stéfan van der Walt, CC0.
    """
    encoded = np.frombuffer(files("live_gradcam.attribution").joinpath("cat.jpg").read_bytes(), np.uint8)
    picture = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert picture is not None  # it is part of the package
    return picture


def photograph_for(classifier: Classifier) -> np.ndarray:
    """The photograph as a network's input, float32 (1, height, width, channels)."""
    pixels, _ = fit_frame(photograph(), classifier.input_size, "stretch")
    return network_input(tf.constant(pixels[None]), classifier.preprocessing).numpy()
