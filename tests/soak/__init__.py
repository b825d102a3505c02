"""A long mixed load on a local stack, with faults, and what they leave behind."""
