"""``tests/misbehaviour/run``: applications that misbehave, under this server and two others."""
