"""`python -m live_gradcam`."""

from live_gradcam.cli import main

main()
