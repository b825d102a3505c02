"""The pictures in docs/img, taken from a stack of their own by `tests/pictures/run`."""
