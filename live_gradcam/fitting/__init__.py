"""One's own classes: a data set, features of a network, a head on them, folds that test it honestly, and the file."""
