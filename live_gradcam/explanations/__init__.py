"""What an explanation is: its maps, boxes, names and numbers. NumPy only."""
