"""Live Grad-CAM: what does the network see, and where does it see it?

The public names are resolved when they are first used: importing this package does not import TensorFlow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from live_gradcam.annotating.annotate import annotate
    from live_gradcam.annotating.batch import Progress
    from live_gradcam.annotating.options import AnnotateOptions
    from live_gradcam.annotating.report import Report
    from live_gradcam.attribution.explainer import Explainer
    from live_gradcam.attribution.methods.method import register_method
    from live_gradcam.attribution.session import Session, SessionOptions
    from live_gradcam.benchmark import bench
    from live_gradcam.caching import CacheContents, CacheEntry, cache_contents, clear_cache
    from live_gradcam.drawing.overlay import Overlay
    from live_gradcam.errors import LiveGradcamError, ModelError, OutputError, SourceError, UsageError
    from live_gradcam.evaluating.evaluate import EvaluationOptions, Evaluations, evaluate
    from live_gradcam.explanations.boxes import BoxOptions
    from live_gradcam.explanations.explanation import Box, Explanation, Prediction, Region, Target
    from live_gradcam.exporting.export import ExportReport, export
    from live_gradcam.fitting.fit import fit
    from live_gradcam.fitting.fitted import Fitted
    from live_gradcam.fitting.options import FitOptions
    from live_gradcam.fitting.report.options import ReportOptions
    from live_gradcam.fitting.teacher import Teacher
    from live_gradcam.flow.stopping import StopRequest
    from live_gradcam.live_loop.options import LiveOptions
    from live_gradcam.live_loop.run import live
    from live_gradcam.live_loop.summary import LiveSummary
    from live_gradcam.networks.catalog import load_classifier
    from live_gradcam.networks.classifier import Classifier
    from live_gradcam.notebook.annotate_cell import Annotate
    from live_gradcam.notebook.live_cam import LiveCam
    from live_gradcam.pictures import Comparison, ExplainedPicture, PictureOptions, compare, explain, explain_all
    from live_gradcam.pictures.starting import start_session
    from live_gradcam.serving.addresses import PageAddress
    from live_gradcam.serving.options import ServeOptions, ViewerOptions
    from live_gradcam.serving.serve import serve
    from live_gradcam.sinks.encoding import Encoding
    from live_gradcam.sources.levels import Levels
    from live_gradcam.sources.opening import open_source
    from live_gradcam.sources.options import CameraOptions, SourceOptions
    from live_gradcam.training.callback import GradCAMCallback
    from live_gradcam.training.maps import TrainingMaps
    from live_gradcam.training.options import CallbackOptions

    __version__: str

__all__ = [
    "Annotate",
    "AnnotateOptions",
    "Box",
    "BoxOptions",
    "CacheContents",
    "CacheEntry",
    "CallbackOptions",
    "CameraOptions",
    "Classifier",
    "Comparison",
    "Encoding",
    "EvaluationOptions",
    "Evaluations",
    "ExplainedPicture",
    "Explainer",
    "Explanation",
    "ExportReport",
    "FitOptions",
    "Fitted",
    "GradCAMCallback",
    "Levels",
    "LiveCam",
    "LiveGradcamError",
    "LiveOptions",
    "LiveSummary",
    "ModelError",
    "OutputError",
    "Overlay",
    "PageAddress",
    "PictureOptions",
    "Prediction",
    "Progress",
    "Region",
    "Report",
    "ReportOptions",
    "ServeOptions",
    "Session",
    "SessionOptions",
    "SourceError",
    "SourceOptions",
    "StopRequest",
    "Target",
    "Teacher",
    "TrainingMaps",
    "UsageError",
    "ViewerOptions",
    "__version__",
    "annotate",
    "bench",
    "cache_contents",
    "clear_cache",
    "compare",
    "evaluate",
    "explain",
    "explain_all",
    "export",
    "fit",
    "live",
    "load_classifier",
    "open_source",
    "register_method",
    "serve",
    "start_session",
]

#: Where each public name is.
_MODULES = {
    "Annotate": "notebook.annotate_cell",
    "AnnotateOptions": "annotating.options",
    "Box": "explanations.explanation",
    "BoxOptions": "explanations.boxes",
    "CallbackOptions": "training.options",
    "CacheContents": "caching",
    "CacheEntry": "caching",
    "CameraOptions": "sources.options",
    "Classifier": "networks.classifier",
    "Comparison": "pictures",
    "Encoding": "sinks.encoding",
    "EvaluationOptions": "evaluating.evaluate",
    "Evaluations": "evaluating.evaluate",
    "ExplainedPicture": "pictures",
    "Explainer": "attribution.explainer",
    "Explanation": "explanations.explanation",
    "ExportReport": "exporting.export",
    "FitOptions": "fitting.options",
    "Fitted": "fitting.fitted",
    "GradCAMCallback": "training.callback",
    "Levels": "sources.levels",
    "LiveCam": "notebook.live_cam",
    "LiveGradcamError": "errors",
    "LiveOptions": "live_loop.options",
    "LiveSummary": "live_loop.summary",
    "ModelError": "errors",
    "OutputError": "errors",
    "Overlay": "drawing.overlay",
    "PageAddress": "serving.addresses",
    "PictureOptions": "pictures",
    "Prediction": "explanations.explanation",
    "Progress": "annotating.batch",
    "Region": "explanations.explanation",
    "Report": "annotating.report",
    "ServeOptions": "serving.options",
    "ReportOptions": "fitting.report.options",
    "Session": "attribution.session",
    "SessionOptions": "attribution.session",
    "SourceError": "errors",
    "SourceOptions": "sources.options",
    "StopRequest": "flow.stopping",
    "Target": "explanations.explanation",
    "Teacher": "fitting.teacher",
    "TrainingMaps": "training.maps",
    "UsageError": "errors",
    "ViewerOptions": "serving.options",
    "annotate": "annotating.annotate",
    "bench": "benchmark",
    "compare": "pictures",
    "cache_contents": "caching",
    "clear_cache": "caching",
    "evaluate": "evaluating.evaluate",
    "explain": "pictures",
    "explain_all": "pictures",
    "export": "exporting.export",
    "fit": "fitting.fit",
    "live": "live_loop.run",
    "load_classifier": "networks.catalog",
    "open_source": "sources.opening",
    "register_method": "attribution.methods.method",
    "serve": "serving.serve",
    "start_session": "pictures.starting",
}


if not TYPE_CHECKING:  # which would take any name for one of this package

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            from importlib.metadata import version

            return version("live-gradcam")
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from live_gradcam.compiling.runtime import set_compiler_flags

        set_compiler_flags()  # before TensorFlow is imported, or at least before it computes
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)

    def __dir__() -> list[str]:
        """The public names too, which are not there before they are used: so that a notebook completes them."""
        return sorted({*globals(), *__all__})
