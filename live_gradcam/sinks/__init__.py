"""Frames out: into files."""
