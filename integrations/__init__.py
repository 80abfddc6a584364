"""The outside: the tools a store has connected, and the one door through which they are called."""
