"""Fit a network to your own classes: a folder with a folder of pictures for each class.

python examples/own_classes.py FOLDER

For a folder to try it on: python examples/make_faces.py FOLDER
"""

from __future__ import annotations

import sys

from live_gradcam import ReportOptions, fit


def main(folder: str) -> None:
    """Write `own.keras` and the report `own-report/index.html`, and print how good the network is."""
    fitted = fit(folder, on_progress=lambda stage, done, total: print(f"\r{stage}: {done} of {total}  ", end=""))
    print()
    tested = fitted.scores["cross-validation"]  # by networks that saw neither the picture nor another one of its group
    print(f"right: {tested.accuracy:.1%} of {tested.count} pictures")
    for one in tested.per_class:
        print(f"{one.name}: {one.recall:.1%} of {one.count} found")
    for left_out in fitted.dataset.left_out:
        print(f"not used: {left_out.path}: {left_out.why}")
    fitted.save("own.keras", overwrite=True)
    print(f"wrote own.keras and {fitted.report('own-report', ReportOptions(overwrite=True))}")


if __name__ == "__main__":
    main(sys.argv[1])
