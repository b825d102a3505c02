"""What tests and the developers' tools share."""
