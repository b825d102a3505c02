"""Attacks on the server and its peers, and what a usual client notices of them."""
