"""Which classifier: models by name or from a file, their labels, and how pixels become their input."""
