"""The settings that ops reads itself, each checked before anything is started."""
