"""Whether bfloat16 changes so little that nobody has to ask for it."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True)
class PrecisionCheck:
    """How far bfloat16 and float32 give the same.

    Attributes:
        agreement: on `PICTURES` pictures.
    """

    agreement: Agreement

    @property
    def is_close(self) -> bool:
        """Whether one may be taken for the other."""
        found = self.agreement
        return found.top1 >= LEAST_TOP1 and found.map_correlation >= LEAST_CORRELATION

    @property
    def text(self) -> str:
        """What was found."""
        found = self.agreement
        return (
            f"{100 * found.top1:.0f} of 100 top classes are the same and maps correlate by {found.map_correlation:.4f} "
            f"on {PICTURES} pictures"
        )


def check_precision(full: Explainer, half: Explainer) -> PrecisionCheck:
    """Compare an explainer in bfloat16 with one in float32."""
    pictures = check_pictures(PICTURES)
    return PrecisionCheck(compare_answers(pictures, partial(_explained, full), partial(_explained, half)))


def _explained(explainer: Explainer, picture: np.ndarray, target: Targets) -> Explanation:
    return explainer(picture, target=target)
