"""The project's own receiver: a place to see what is sent, before any real tool is connected."""
