"""What a person sees: the overlay, the head-up display, views and sheets. Arrays in, arrays out."""
