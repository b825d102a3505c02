"""What the integration tests share: a client that sends bytes, and real server processes."""
