"""The page: any browser's camera, explained live. One more surface of the live loop, and one more source."""
