"""The command line: what each command does with the stack of one project."""
