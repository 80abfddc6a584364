"""Screens, as a person sees them: Debian's Chromium, driven by visible labels alone."""
