"""Still pictures: what `explain` calls, what it gives, and how a notebook shows it."""

from live_gradcam.pictures.comparing import Comparison, compare
from live_gradcam.pictures.explained import ExplainedPicture
from live_gradcam.pictures.explaining import explain, explain_all
from live_gradcam.pictures.options import PictureOptions

__all__ = ["Comparison", "ExplainedPicture", "PictureOptions", "compare", "explain", "explain_all"]
