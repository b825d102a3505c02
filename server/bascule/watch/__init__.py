"""What is going on: requests in flight, slow and hung calls, the status."""
