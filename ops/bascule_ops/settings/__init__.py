"""The stack's settings: from the environment and .env, each checked before anything is started."""
