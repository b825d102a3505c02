"""One misbehaviour a file; docs/misbehaviour.md says what the constants at their heads mean."""
