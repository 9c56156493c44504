"""Frames out: into files.

`sink` says what a sink must do, and `choices.SINKS` names them by their codecs: `video` (files that FFmpeg writes),
`gif` and `folder`. `encoding` says which of them an output gets.
"""
