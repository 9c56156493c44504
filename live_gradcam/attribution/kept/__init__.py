"""What was built at an earlier start: with it, this one needs neither TensorFlow nor Keras."""
