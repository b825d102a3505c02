"""What the operator's commands say while parts of a stack are broken, one fault at a time."""
