"""The command line: each command parses, calls one function that a Python user can call too, and prints.

One file a command. Nothing heavy is imported before a command computes: `--help` and wrong arguments answer at once.
"""

from live_gradcam.cli import (
    annotate,
    bench,
    cache,
    cameras,
    doctor,
    evaluate,
    explain,
    export,
    fit,
    live,
    models,
    serve,
    teach,
)
from live_gradcam.cli.app import app, main

__all__ = [
    "annotate",
    "app",
    "bench",
    "cache",
    "cameras",
    "doctor",
    "evaluate",
    "explain",
    "export",
    "fit",
    "live",
    "main",
    "models",
    "serve",
    "teach",
]
