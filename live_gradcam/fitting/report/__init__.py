"""What a fit found out, as one page: its mistakes, where it looks, and whether it follows a shortcut."""
