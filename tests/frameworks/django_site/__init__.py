"""The site in Django, with its admin, sessions, static files and a model that has a file."""
