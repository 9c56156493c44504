"""`python -m live_gradcam`."""

from live_gradcam.cli import main

if __name__ == "__main__":  # not in the worker processes, which import it
    main()
