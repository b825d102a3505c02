"""Text for a terminal: one table, one line of bars, one palette, one escaper of hostile text."""
