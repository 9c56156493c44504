"""How things pass between threads, and how long they take."""
