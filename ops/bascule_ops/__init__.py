"""Operating the stack: what stands behind the commands."""
