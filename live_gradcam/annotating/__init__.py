"""Recordings in, annotated recordings out: every frame explained, at its own time.

`annotate` is what Python users and the command call. `jobs` says what becomes what; `run` does it in this process,
`parallel` in several (`workers`, `cluster`); `batch` notifies of it, and `report` says what became of each recording. A
frame goes from `source` over `explaining`, `tracking` and `drawing` to `output`, and its numbers to the `sidecars`.
"""
