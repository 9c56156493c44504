"""What pictures of one colour are told apart by."""

#: BGR.
COLOURS = {"red": (30, 30, 200), "green": (30, 200, 30), "blue": (200, 30, 30)}
