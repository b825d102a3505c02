"""How the server is replaced: a new generation starts beside the old one, and takes over."""
