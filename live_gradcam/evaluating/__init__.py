"""How faithful maps are: measured on pictures and frames of videos, next to two controls."""
