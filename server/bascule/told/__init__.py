"""What is written down: events, the access log, counters and metrics."""
