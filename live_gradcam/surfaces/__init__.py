"""Where a live run is shown, and what gives it commands."""
