"""``basculectl init``: what a repository has in it, and the files that serve it."""
