"""The same network, written and compiled the way that an engine runs it best."""
