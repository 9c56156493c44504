"""What a network looks at while it is trained: a callback for Keras."""
