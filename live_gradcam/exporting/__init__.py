"""Models for other programs: written in their formats, and checked against the original before they are there."""
