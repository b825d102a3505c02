"""Sockets, time and threads: who is served, when, and by which thread."""
