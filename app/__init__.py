"""The applications that ship with Bascule, and the entry point that puts the chain around one."""
