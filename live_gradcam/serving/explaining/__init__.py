"""What explains the frames of the page's viewers: it runs in a worker, and knows no socket."""
