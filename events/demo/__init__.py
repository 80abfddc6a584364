"""The demo: a shop that rewards and redeems, and what comes of it, told in the terminal."""
