"""Recordings in, annotated recordings out: every frame explained, at its own time.

`annotate` is what Python users and the command call. `jobs` says what becomes what, `batch` notifies of the work, and
`report` says what became of each recording. `run` works in this process; `parallel` has workers (`workers`, `cluster`)
do the `tasks` of `segmented` recordings. A frame goes from `source` over `explaining`, `tracking` and `drawing` to
`output`, and its numbers go to the `sidecars`.
"""
