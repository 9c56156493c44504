"""What a person sees: the overlay, the head-up display, the window and its keys."""
