"""What another package adds to live-gradcam."""
