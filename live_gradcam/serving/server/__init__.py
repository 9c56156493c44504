"""The page's server: who gets in, what they may send, and whose turn it is. Never imports TensorFlow."""
