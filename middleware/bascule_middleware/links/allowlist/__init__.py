"""Who may come in, by address and path."""
