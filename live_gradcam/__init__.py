"""Live Grad-CAM: what does the network see, and where does it see it?

The public names are resolved when they are first used: importing this package does not import TensorFlow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from live_gradcam.attribution.explainer import Explainer
    from live_gradcam.explanations.explanation import Explanation, Prediction, Target
    from live_gradcam.networks.catalog import load_classifier
    from live_gradcam.networks.classifier import Classifier

__all__ = ["Classifier", "Explainer", "Explanation", "Prediction", "Target", "load_classifier"]

_ROOMS = {
    "Classifier": "live_gradcam.networks.classifier",
    "Explainer": "live_gradcam.attribution.explainer",
    "Explanation": "live_gradcam.explanations.explanation",
    "Prediction": "live_gradcam.explanations.explanation",
    "Target": "live_gradcam.explanations.explanation",
    "load_classifier": "live_gradcam.networks.catalog",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ROOMS[name]), name)
