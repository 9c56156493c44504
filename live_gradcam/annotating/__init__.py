"""Recordings in, annotated recordings out: every frame explained, at its own time.

`jobs` says what becomes what; `run` does it in this process, `parallel` in several (`workers`, `cluster`). A frame goes
from `source` over `explaining` to `drawing` and `output`; `sidecars` and `timeline` keep the numbers.
"""
