"""The curves of deletion and insertion, as a plot."""

from __future__ import annotations

import logging
from io import BytesIO
from pathlib import Path

import numpy as np

from live_gradcam.errors import UsageError
from live_gradcam.evaluating.figures import CENTRED_BLOB, RANDOM_MAP, Figures
from live_gradcam.files import write_whole

#: What the curves can be written as.
_PLOT_SUFFIXES = (".png", ".svg", ".pdf")


def check_plot_path(path: Path) -> None:
    """Raise a UsageError for a file that the curves cannot be written as."""
    if path.suffix.lower() not in _PLOT_SUFFIXES:
        raise UsageError(f"the curves cannot be written as {path.name!r}: end it in {', '.join(_PLOT_SUFFIXES)}")


def write_curves(path: Path, figures: dict[str, Figures], title: str) -> None:
    """Plot deletion and insertion, a curve each for every method and control.

    Args:
        path: a PNG, SVG or PDF file.
        figures: what to plot, by name.
        title: over both plots.

    Raises:
        OutputError: the file cannot be written.
    """
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it lists the fonts on its first run, and says so
    figure = Figure(figsize=(12, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2, sharey=True)
    controls = {RANDOM_MAP: "--", CENTRED_BLOB: ":"}
    colours = colormaps["tab20" if len(figures) > 10 + len(controls) else "tab10"].colors  # type: ignore[attr-defined]
    for position, (name, one) in enumerate(figures.items()):
        colour = "0.35" if name in controls else colours[position % len(colours)]
        width = 1.2 + 3 * (1 - position / len(figures))  # what lies under others of the same course stays visible
        label = f"{name}: {one.deletion_auc:.3f}, {one.insertion_auc:.3f}"
        for panel, curve in zip(panels, (one.deletion, one.insertion), strict=True):
            shares = np.linspace(0, 100, len(curve))
            panel.plot(shares, curve, color=colour, linestyle=controls.get(name, "-"), linewidth=width, label=label)
    panels[0].set(title="deletion: lower is better", xlabel="pixels removed, %", ylabel="probability of the class")
    panels[1].set(title="insertion: higher is better", xlabel="pixels inserted, %")
    for panel in panels:
        panel.set(xlim=(0, 100), ylim=(0, None))
        panel.grid(alpha=0.3)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", title="areas under deletion, insertion", frameon=False)
    figure.suptitle(title)
    content = BytesIO()
    figure.savefig(content, format=path.suffix[1:].lower(), dpi=120)
    write_whole(path, content.getvalue())
