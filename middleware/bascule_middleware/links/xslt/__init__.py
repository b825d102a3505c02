"""Shows XML as HTML."""
