"""Who waits for whom: the live loop, annotating files, explaining pictures, measuring."""
