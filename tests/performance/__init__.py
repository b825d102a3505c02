"""What a request costs, counted rather than timed."""
