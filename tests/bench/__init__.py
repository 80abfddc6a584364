"""`make bench`: how fast the real thing is, beside what it is compared with, in one call on one machine.

One module per group of measures; `python -m tests.bench` runs them, each in a process of its own on a fresh database.
"""
