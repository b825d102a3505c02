"""Real frameworks behind the whole chain, the server and nginx: one small site in each."""
