"""Whether bfloat16 changes so little that nobody has to ask for it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from live_gradcam.attribution.agreement import Agreement, compare_answers
from live_gradcam.attribution.session.check_pictures import check_pictures

if TYPE_CHECKING:
    import numpy as np

    from live_gradcam.attribution.explainer import Explainer
    from live_gradcam.attribution.targets import Targets
    from live_gradcam.explanations.explanation import Explanation

#: On so many pictures, at least this share of the top classes must be the same, and maps correlate on average by this.
PICTURES, LEAST_TOP1, LEAST_CORRELATION = 100, 0.99, 0.999


def compare_precisions(full: Explainer, half: Explainer) -> Agreement:
    """Compare an explainer in bfloat16 with one in float32, on `PICTURES` pictures."""
    return compare_answers(check_pictures(PICTURES), partial(_explained, full), partial(_explained, half))


def is_close(found: Agreement) -> bool:
    """Whether one may be taken for the other."""
    return found.top1 >= LEAST_TOP1 and found.map_correlation >= LEAST_CORRELATION


def describe_agreement(found: Agreement) -> str:
    """What was found, in words."""
    return (
        f"{100 * found.top1:.0f} of 100 top classes are the same and maps correlate by {found.map_correlation:.4f} "
        f"on {PICTURES} pictures"
    )


def _explained(explainer: Explainer, picture: np.ndarray, target: Targets) -> Explanation:
    return explainer(picture, target=target)
