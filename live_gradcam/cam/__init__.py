"""The engine: a network cut at its target layer, compiled into one pass that predicts and explains."""
