"""Static files: gathered when a version is made, published when it serves."""
