"""Applications that nobody here wrote, from the package index, as their users would serve them.

Each has a file, which makes a repository of it by the commands of its own documentation and uses
it through a client of its own. `tests/foreign/run` does all of them; CI does some.
"""
