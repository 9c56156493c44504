"""Widgets for notebooks: the page in a cell, and videos that are annotated and played there."""
