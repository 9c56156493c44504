"""Frames in: from files and cameras."""
