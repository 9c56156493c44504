"""Where frames come from and go to: files, cameras, streams and pictures. Never TensorFlow."""
