"""Where the network looks: methods, and the one compiled pass that predicts and explains."""
